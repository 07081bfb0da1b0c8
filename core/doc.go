// Package core is the broker: it routes messages between sessions, keeps those that must wait,
// and knows no protocol. It is also the SPI that protocols, transports, engines, authenticators,
// authorizers and interceptors are written against.
//
// # The house
//
//	transports/   accept, negotiate, limit, ping, close          bytes in, bytes out
//	     │ Conn, and the Mux picks a Protocol
//	protocols/    bytes ⇄ calls of a Session                     knows no routing
//	     │ Session: Publish Subscribe Unsubscribe Settle Commit Close
//	core          authorize → intercept → route → queue → outbox knows no protocol
//	     │ engine.Engine: atomic batches of append, settle, put
//	engine        memory, and what plugins bring                 stores and spreads
//
// # A message's way
//
// A protocol parses a frame once into a [Message] and gives it to [Session.Publish]. The message
// is checked and authorized once, then matched against the index of its virtual host. What the
// index finds is of two kinds:
//
//   - Direct subscriptions (a topic filter, no acknowledgements, not durable): the message goes
//     straight into the outbox of each session. At most once, in publisher order, bounded; what
//     happens when the outbox is full is the overflow policy of [Limits].
//   - Queues bound to a filter: everything that must wait or be acknowledged. The message goes into
//     one batch for the engine, stored once however many queues hold it. Queues hand out to
//     their consumers by credit; a message leaves its queue when it is settled, dead-lettered,
//     expired or purged, never otherwise.
//
// Each session has one writer, a goroutine that exists only while there is something to write. It
// calls the done callbacks of publishes in their order, hands deliveries to the protocol's
// [DeliverFunc] in batches, and flushes the connection once for each batch.
//
// # Where things live
//
// Options and lifetime: broker.go, limits.go. Logging in, takeover: login.go; where credentials come from:
// credentials.go; new ones within a session: refresh.go; what authorizers are asked: authorize.go. What outlives a
// connection (durable subscriptions, wills): state.go. Publishing: publish.go, and where to: route.go.
// Subscriptions: subscribe.go; what a live one holds: attachment.go. Queues by name: vhost.go.
// Delayed and repeated messages: delayed.go. Order of acknowledgements: acks.go; writing: writer.go.
package core
