package engine

import "time"

type (
	// LogID names a log: "q/orders.eu", "d/<client>/<subscription>", "m/<mqtt client>".
	LogID string
	// Seq orders the records of one log. Strictly increasing from 1, not dense. Never reused.
	Seq uint64
	// NodeID names a broker node.
	NodeID string
	// MsgID is given by the core at ingress and is the idempotency key of an append.
	MsgID [16]byte
)

// DefaultPriority is the lane of messages that nobody gave a priority.
const DefaultPriority = 4

// Message is immutable after Commit; engines and readers may share the memory of Body.
type Message struct {
	ID     MsgID
	Dest   string // destination as published
	Header []byte // core's encoding of all headers / MQTT 5 properties; opaque here; nil when Caps.Durable is false
	Body   []byte
	// Ref is the core's own form of the message. An engine that still has it in memory hands it back, so that
	// nothing is decoded; one that has read the record from elsewhere leaves it nil.
	Ref      any
	Beside   int       // bytes beside Body that count for the limits of queues; handed back as it was given
	Expires  time.Time // zero: never. An engine MAY drop an expired record only when the log's DropExpired is set
	Visible  time.Time // zero: now. Records become readable, in order of Visible, not before it
	Stored   time.Time // when the broker took it; a queue's own time to live counts from here
	Priority uint8     // 0..9; Next gives higher ones first when the log is opened with Lanes
}

// Size returns how many bytes m counts as.
func (m *Message) Size() int { return len(m.Body) + m.Beside }

// Record is a message in a log.
type Record struct {
	Seq Seq
	Msg *Message
	// Redelivered: an owner may already have handed this record to a client. Exact after Log.Release; after a crash
	// or a takeover it is conservative: never false for a record that was handed out. What one owner does with a
	// record after Next gave it is for that owner to remember.
	Redelivered bool
	// Deliveries is the number of failed attempts the core has stored with Failed.
	Deliveries uint32
}
