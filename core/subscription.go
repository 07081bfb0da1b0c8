package core

import "time"

// AckMode says how deliveries of a subscription are settled.
type AckMode uint8

// The modes.
const (
	// AckAuto: settled when written to the socket buffer.
	AckAuto AckMode = iota
	// AckCumulative: settling one settles all delivered before it on the subscription.
	AckCumulative
	// AckIndividual: one by one.
	AckIndividual
)

// RetainedMode says which subscriptions are sent the retained messages.
type RetainedMode uint8

// The modes.
const (
	RetainedAlways RetainedMode = iota
	RetainedIfNew               // only when the session did not have the subscription before
	RetainedNever
)

// Subscription is what a session consumes with.
//
// Filter decides what it is. A queue or temp destination: a consumer of that queue, competing
// with others. A topic filter with AckAuto, not Durable and without Group: a direct
// subscription, at most once. Any other: a queue bound to the filter, which is the session's
// own (kept over a reconnect when Durable, as long as [Login].Expiry says) or, with Group,
// shared with all subscriptions of the same Group and Filter (kept without any member when
// Durable).
type Subscription struct {
	// ID is unique in the session.
	ID string
	// Filter is canonical, as in "topic/a/+/#" or "queue/jobs".
	Filter string
	// Group shares the messages among its members; empty: none.
	Group string
	// Ack is how deliveries are settled.
	Ack AckMode
	// Credit is how many deliveries may be unsettled at once; 0: the default of the broker.
	Credit int
	// Durable keeps a topic subscription while nobody is connected.
	Durable bool
	// WithSession ends a durable Group, with what waits in it, when the last session ends that has such a subscription to
	// it, those counted that are away, or when the last such subscription does. Once there was a durable one without it, the
	// group stays until [Session.DeleteGroup].
	WithSession bool
	// Selector is an SQL-92 expression over headers; empty: everything.
	Selector string
	// NoLocal leaves out what this client published.
	NoLocal bool
	// Retained says when retained messages are sent.
	Retained RetainedMode
	// Exclusive consumers get all messages, one consumer at a time; the others wait their turn.
	Exclusive bool
	// Sole refuses (ErrInUse) when the queue has a consumer, and refuses others after it.
	Sole bool
	// Priority: consumers of a higher one are served first, while they have credit.
	Priority int
	// Browse looks at the queue and takes nothing: every message once, then one Delivery with
	// EndOfBrowse and no message.
	Browse bool
	// Passive refuses (ErrNotFound) a queue that does not exist.
	Passive bool
	// Queue declares how the queue should be, if this subscription creates it; nil: by policy.
	Queue *QueueConfig
	// Meta is kept with a durable subscription and handed back by Session.Resumed.
	Meta []byte
	// Data is the protocol's own. The core does not look at it; deliveries point at it.
	Data any
}

// Delivery is one message for one subscription.
type Delivery struct {
	// Message is nil only with EndOfBrowse.
	*Message
	// Sub is the subscription, as it was passed to Subscribe.
	Sub *Subscription
	// Tag names the delivery for Settle, unique in the session and increasing; 0: nothing to settle.
	Tag uint64
	// Record numbers the message within its queue: it stays the same when the delivery is repeated,
	// also over a reconnect.
	Record uint64
	// Attempt is 1 for the first delivery.
	Attempt int
	// Redelivered: the message may have been handed out before.
	Redelivered bool
	// FromRetained: sent because it was retained when the subscription was made.
	FromRetained bool
	// EndOfBrowse is the last delivery of a browsing subscription.
	EndOfBrowse bool

	source *attachment // the queue's consumer; nil for direct deliveries
}

// Outcome says what became of deliveries.
type Outcome uint8

// The outcomes.
const (
	// Accepted: done with.
	Accepted Outcome = iota + 1
	// Requeue: deliver again, here or elsewhere; counts as a failed attempt.
	Requeue
	// Rejected: to the dead letter queue.
	Rejected
	// Released: deliver again; does not count as an attempt, as if the consumer had gone away.
	Released
)

// Published is the result of a publish.
type Published struct {
	// Matched is how many subscriptions and queues the message was routed to.
	Matched int
}

// Transaction is what Commit makes happen, all or nothing: sends in their order, and settlements.
type Transaction struct {
	Sends   []*Message
	Settles []Settlement
}

// Settlement is one step of a [Transaction].
type Settlement struct {
	Outcome Outcome
	Tag     uint64
}

// QueueConfig is how a queue behaves. Zero values mean the default that the comment names.
type QueueConfig struct {
	MaxDeliveries int           `koanf:"max_deliveries"`                                // attempts before a message is a dead letter; 0: 10; -1: no limit
	DeadLetter    string        `koanf:"dead_letter"`                                   // destination of dead letters; "": queue/DLQ.<name>; "none": dropped
	Backoff       time.Duration `koanf:"backoff"`                                       // wait after the first nack, doubled at each; 0: none
	MaxBackoff    time.Duration `koanf:"max_backoff"`                                   // most of it; 0: one minute
	TTL           time.Duration `koanf:"ttl"`                                           // most a message may wait; 0: no limit
	MaxLength     int           `koanf:"max_length"`                                    // messages; 0: no limit
	MaxBytes      int64         `koanf:"max_bytes"`                                     // body bytes; 0: no limit
	Overflow      string        `koanf:"overflow" enum:",reject,drop_head,dead_letter"` // "reject", "drop_head" or "dead_letter"; "": reject
	Priorities    bool          `koanf:"priorities"`                                    // order by priority from the start; else from the first message that has one
	ExpiresIdle   time.Duration `koanf:"expires_idle"`                                  // delete the queue after so long without consumers and use; 0: never
	AutoDelete    bool          `koanf:"auto_delete"`                                   // delete the queue when its last consumer leaves
	ExpiredToDLQ  bool          `koanf:"expired_to_dlq"`                                // expired messages become dead letters; else they are dropped
	Credit        int           `koanf:"prefetch"`                                      // default credit of its consumers; 0: that of the broker
}

// Login is what a protocol knows of a client that wants a session.
type Login struct {
	// Protocol is its name, Version the version spoken: "stomp", "1.2".
	Protocol, Version string
	// VHost is the virtual host that the client names in the protocol, or a name of the server; empty: none. What an
	// Authenticator sees here is the name of the one that the login leads to, of those that it asks for.
	VHost string
	// ClientID names the session; empty: the broker makes one up and nothing can be resumed.
	ClientID string
	// CleanStart throws away what was kept of an earlier session.
	CleanStart bool
	// User, Password and Token are the credentials, as far as given. When the client gave none in the protocol, the broker
	// takes them, or a Ticket, from what the connection brought: see Options.Credentials.
	User, Password, Token, Ticket string
	// Source is where the credentials come from, as in Options.Credentials; empty: there are none. The broker sets it.
	Source string
	// Conn is closed with the reason when the broker ends the session.
	Conn Conn
	// Expiry is how long the session is kept after its connection ended; 0: not at all.
	Expiry time.Duration
	// Credit is how many deliveries may be unsettled over all subscriptions; 0: no such limit.
	Credit int
	// Will is published when the session ends without Session.DropWill, WillDelay after its
	// connection ended or when the session expires, whichever is first.
	Will      *Message
	WillDelay time.Duration
}

// DeliverFunc writes deliveries to the peer. The broker calls it from one goroutine at a time,
// in order, and flushes the Conn after it; ds is valid until it returns. It may block: that is
// back-pressure on this session alone, until its outbox is full. An error closes the connection.
type DeliverFunc func(ds []Delivery) error
