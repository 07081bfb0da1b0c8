// Package mqtt speaks MQTT 3.1, 3.1.1 and 5.
//
// The codec is that of github.com/mochi-mqtt/server, and nothing else of it is used: its connections cost a second goroutine and
// 25 kB of stacks each, keep the two directions' packet identifiers in one map and know nothing of our sessions. It appears in no
// exported signature. Routing, retained messages, wills, sessions, take-over and shared subscriptions are the core's; packet
// identifiers, the in-flight window, the handshakes of QoS 1 and 2 in both directions, topic aliases and all reason codes
// are this package's.
//
// The files, in the order a byte takes: frame.go cuts the stream into whole packets and checks what the codec does
// not (inspect.go); packet.go decodes them; connect.go, publish.go, subscribe.go and ack.go work the
// packets off; deliver.go and encode.go write what the core hands over. topics.go and properties.go
// map names and properties, reasons.go maps errors.
//
// # Names
//
// An MQTT topic is a topic of the core, verbatim. A few first levels mean something else:
//
//	$queue/x            the queue x: publish appends to it, subscribers compete for it
//	$reply/<opaque>     a temporary queue, as another protocol's reply-to; with Request Response Information
//	                    CONNACK says where a client may have its own
//	$share/G/filter     a shared subscription, MQTT 5 section 4.8.2, for every version
//	$delayed/<s>/topic  publish to topic after s seconds
//	$SYS/…              what the broker says about itself; nobody else publishes there
//
// # What is refused, and how
//
// MQTT 5 has reason codes. A QoS 1 or 2 PUBLISH that is refused is answered with one (not authorized, quota
// exceeded, topic name invalid, payload format invalid); one of QoS 0 is dropped and counted. Before version 5 there is no
// such answer: a PUBLISH that will never be permitted is acknowledged and dropped, as [MQTT-3.3.5-2] of 3.1.1
// allows; one that the broker could not keep (queue full, storage unavailable) is never acknowledged,
// the connection is closed instead, so that the client sends it again.
package mqtt
