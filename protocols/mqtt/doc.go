// Package mqtt speaks MQTT 3.1, 3.1.1 and 5.
//
// mochi-mqtt decodes packets, takes CONNECT, answers CONNACK and PINGREQ. Everything else is done
// here, because its routing and its outbound QoS do not fit a broker whose core routes and keeps:
// packets are taken over in OnPacketRead, before mochi processes them, and mochi goes on with an
// acknowledgement for packet id 0, which it ignores. It is given a client id of our own for each
// connection, so that its register of clients never sees two with the same name. mochi is
// imported in this package alone.
//
//	core.Conn ── link (net.Conn) ── mochi: frames, CONNECT, PING
//	                │ OnPacketRead
//	             client: PUBLISH, SUBSCRIBE, acknowledgements ── core.Session
//	                │ DeliverFunc
//	             encode.go: PUBLISH once per version, packet id and body as parts
//
// Names are verbatim: the topic a/b is the core's topic/a/b; $queue/x is queue/x, $reply/… is temp/…,
// $share/G/f is the group G over f, $delayed/<seconds>/t is t, later.
package mqtt
