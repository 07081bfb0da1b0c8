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
// # What survives
//
// On an engine that is durable a broker comes back, after a stop as after a crash, with its queues and how they were
// declared, the groups that are durable, the sessions that are kept (subscriptions and their queues, values of
// [Session.Put], expiry, will), retained and delayed messages. What is confirmed is there: done of Publish, Commit, Settle and
// Sync is called, and Subscribe and Unsubscribe return, when the engine has it on disk. Time goes on meanwhile: a session
// expires, a will or a delayed message is due, when it would have been.
//
//   - Attempts are counted exactly. Redelivered is exact after a stop; after a crash it is set for all that may have been
//     handed out.
//   - A session whose client was connected when the process died has left at the start of the next one: expiry and will delay
//     begin then, and a will without delay is published. The same goes for the will of a session that is not
//     kept; it is the only thing that is stored of one, and a crash in the first moments may lose it.
//   - A stop ends connections without a goodbye of the client: wills without delay are published before the engine is
//     closed, those with a delay wait on with their sessions, for the client to come back in time.
//   - A queue may be known again by its log alone. What it was declared with is safe with the first message that is.
//
// What needs none of that does not touch the disk: temporary queues, the queues of subscriptions and groups that are
// not durable. They live in an engine in memory, beside the one of [Options]. A publish that goes to both is in memory at
// once, as it is for direct subscriptions, and done when it is on disk; a transaction is in memory after it is on disk, or
// not at all. A group becomes durable with its first durable member, for what is published from then on. Messages that
// are not persistent keep their place in durable queues, without a sync.
//
// On an engine that is not durable all of this costs nothing, and there is one engine.
//
// # Where things live
//
// Options and lifetime: broker.go, limits.go. What happens when a limit is reached: exceeded.go; how fast clients publish, and
// what counts for a user: pace.go; the memory of the process: memory.go. Logging in, takeover: login.go; where credentials come from:
// credentials.go; to which virtual host that leads: placement.go; who has no session: visitor.go; new ones within a session: refresh.go; what authorizers are asked: authorize.go. What outlives a
// connection (durable subscriptions, wills): state.go, what the engine is told of it: saving.go, values.go, in which form:
// stored.go, and how it comes back: restore.go. Messages as engines keep them: encoding.go. Publishing: publish.go, and
// where to: route.go. Subscriptions: subscribe.go; what a live one holds: attachment.go. Queues: boundqueue.go, by name:
// vhost.go. Retained messages: retain.go, and how many there may be: retainroom.go.
// Delayed and repeated messages: delayed.go. Order of acknowledgements: acks.go; writing: writer.go.
package core
