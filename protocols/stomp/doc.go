// Package stomp speaks STOMP 1.0, 1.1 and 1.2.
//
//	octets ─▶ frame.Parser ─▶ session.handle ─▶ SEND, SUBSCRIBE, ACK, … ─▶ core.Session
//	core.Session ─▶ session.deliver ─▶ MESSAGE ─▶ octets
//	core.Session ─▶ done ─▶ RECEIPT or ERROR ─▶ octets
//
// A session is a state machine in the goroutine of ServeConn. The broker calls deliver and done from
// one other goroutine; a timer, if the client asked for heart-beats, is the third. What all receivers of a
// message have in common is encoded once for each version ([core.Message.Encoded]), a further
// subscriber costs no allocation. A publisher repeats itself: a SEND with the head of the one before costs its
// message and its body. ACK frames that come together are settled together. While the client is silent the session
// rests, without a goroutine or a buffer.
//
// The package routes nothing, stores nothing and knows no other protocol. It does not read a frame's
// content-type, and it does not transform bodies.
//
// # Clauses
//
// testdata has a script for each clause of the specifications. Where they leave a choice:
//
//   - A RECEIPT of SEND, ACK, NACK or COMMIT is sent when the outcome is as durable as the broker promises,
//     of a frame inside a transaction when it is part of the transaction.
//   - An ERROR ends the connection, unless close_on_error is off and only one operation was refused. It has a
//     reason header with the stable id of [core.Reason] beside message, receipt-id and a readable body.
//   - ack:client is cumulative in every version. An ACK of a subscription with ack:auto is no error.
//   - A message-id stays the same whoever receives the message and however often. The ack header of 1.2
//     names one delivery, and means nothing on another connection.
//   - The header section is UTF-8 in every version and holds no NUL. Line ends are LF or CRLF.
//   - Octets that a version cannot say in a header, as LF in 1.0, are sent as a blank.
//
// # Destinations
//
//	/topic/a.b              a topic; how levels and wildcards are written is a matter of the [Dialect]
//	/exchange/amq.topic/a.b the same, of RabbitMQ
//	/queue/x                a queue, made when it is used
//	/amq/queue/x            a queue that must exist to be subscribed to
//	/temp-queue/x           a queue of this session, others see and use /reply-queue/<token>/x
//	/temp-topic/x           a topic that only this session and whom it tells know
//	/reply-queue/t/x, /remote-temp-queue/t/x, /remote-temp-topic/t/x   those of another session
//	/dsub/x                 SUBSCRIBE: the durable subscription or group x, whatever its topic
//	/$auth/refresh          SEND: a new token; SUBSCRIBE to /$auth/expiring and /$auth/revoked tells about credentials
//	/queue/Consumer.G.VirtualTopic.a   SUBSCRIBE (auto, activemq): group G of the topic a
//	/queue/a,/queue/b       (auto, activemq) all of them; a SEND reaches all or none
//
// The leading slash may be left out before a known prefix. Anything else is refused with a list of the
// prefixes, or is of the default_kind of the listener. A MESSAGE tells its destination as its subscriber
// wrote it.
//
// # Headers
//
// Of SEND, beside those of the specifications. A header that is not listed is the user's and
// handed on in its place, repeats included.
//
//	expires                            time in milliseconds since 1970 at which the message expires; 0: never
//	expiration, ttl, x-message-ttl     milliseconds until then (ttl:0: never)
//	priority                           0 to 9, default 4
//	persistent                         false: the RECEIPT does not wait for the disk; default true
//	correlation-id                     any text; with correlation-id-encoding:base64 any octets
//	correlation-id-encoding            base64
//	reply-to                           a destination; /temp-queue/x also subscribes to it (not in activemq), under
//	                                   the id /temp-queue/x, unless the client did
//	JMSXGroupID, message_group         messages of a group go to one consumer, while it is there
//	retain, retained, ActiveMQ.Retain  set or true: keep as the topic's retained message; remove: there is none
//	AMQ_SCHEDULED_DELAY                milliseconds after which the message is sent
//	AMQ_SCHEDULED_TIME                 time in milliseconds since 1970 at which it is
//	AMQ_SCHEDULED_PERIOD, AMQ_SCHEDULED_REPEAT   milliseconds between repetitions, and how many; -1: for ever
//	AMQ_SCHEDULED_CRON                 five fields of a crontab; for ever, or AMQ_SCHEDULED_REPEAT times
//	destination-type                   ANYCAST or MULTICAST: what a destination without a known prefix is
//	transaction, receipt, content-type, content-length   as specified
//
// Of SUBSCRIBE, and of UNSUBSCRIBE where they say which subscription is meant:
//
//	ack                                auto, client, client-individual
//	selector                           SQL-92, as in JMS
//	durable, persistent                true: keep messages while nobody is there, under the name of the id header
//	auto-delete                        true: not durable after all; of a queue: it goes with its last consumer
//	x-queue-name                       share the topic with all who say the same name; durable with durable:true
//	durable-subscription-name, durable-subscriber-name, activemq.subscriptionName   (the first there counts)
//	                                   durable under this name and the client-id of CONNECT, for one consumer
//	prefetch-count, activemq.prefetchSize, credit   messages that may be unacknowledged; 0: the default
//	consumer-window-size               the same in bytes, of 1,024 for a message; -1: no limit
//	exclusive, activemq.exclusive, x-single-active-consumer   one consumer gets all, the others wait
//	x-priority, activemq.priority      consumers of a higher priority are served first
//	no-local, activemq.noLocal         leave out what this connection sends
//	browser                            true: look at all messages, take none; then a MESSAGE with browser:end
//	browser-end                        false: without that
//	activemq.retroactive               false: without retained messages
//	subscription-type                  ANYCAST or MULTICAST: what a destination without a known prefix is, and
//	                                   address::queue shares a topic
//
// Other headers of SUBSCRIBE are ignored.
//
// UNSUBSCRIBE with durable, persistent or a subscription name deletes what is kept; with the destination
// also when the client is not subscribed.
//
// Of SUBSCRIBE, and of SEND outside of a transaction, about the queue if the frame creates it:
//
//	x-message-ttl                      milliseconds a message may wait (of SEND: the message itself)
//	x-expires                          milliseconds after which the queue goes when it is not used
//	x-max-length, x-max-length-bytes   most messages, most octets of bodies
//	x-overflow                         drop-head, reject-publish, reject-publish-dlx
//	x-max-priority                     any: order by priority
//	x-dead-letter-routing-key          the queue of dead letters; x-dead-letter-exchange must be empty
//	x-dead-letter-exchange
//	x-delivery-limit                   deliveries before a message is a dead letter
//
// Of CONNECT: login, passcode, host (a virtual host or, as most clients have it, a name of the server), client-id, and a
// bearer token in token, access_token or Authorization. A login of the form name:user names the virtual host as well.
//
// Of NACK: requeue:false makes a dead letter; default true.
//
// Of MESSAGE, from the broker alone: destination, subscription, message-id, ack, redelivered and
// JMSXDeliveryCount (of a redelivery: 1 more than have failed, at least 2), retained:true (kept from before the subscription),
// browser, timestamp, original-destination (of a virtual topic, of a dead letter), expires, priority (if
// not 4), persistent, reply-to, correlation-id. A client that sends one of message-id, subscription, ack,
// redelivered, timestamp, browser, receipt-id or JMSXDeliveryCount sends nothing.
package stomp
