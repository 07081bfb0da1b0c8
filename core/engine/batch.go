package engine

import "math"

// OpKind says what an Op does.
type OpKind uint8

// The steps.
const (
	Append OpKind = iota + 1 // a record in each of the Logs, which are made if need be, owned or not
	Settle                   // the records are done with (acked, expired, dead-lettered) and will never be read again
	Failed                   // one more delivery attempt failed: raise Deliveries
	Retain                   // the message becomes the retained one of Topic; nil clears it
	Put                      // Value becomes the value of Key in Bucket; an empty one is a value, too
	Delete                   // Key leaves Bucket; nothing happens when it is not there
)

// Absent as Op.Rev of a Put says that the key must not be there yet.
const Absent = math.MaxUint64

// Op is one step of a Batch. A step that names records which are settled, or were never there, does nothing to them.
type Op struct {
	Kind   OpKind
	Logs   []LogID // Append: one copy of the body, a reference in each log
	Topic  string  // Retain
	Bucket string  // Put, Delete
	Key    string
	Rev    uint64 // Put, Delete: > 0 applies the batch only if the key has this revision before it; else ErrConflict
	Value  []byte // Put: not changed after Commit
	Msg    *Message
	Log    Log // Settle, Failed: one that is open; else ErrNotOwner
	Seqs   []Seq
}

// Batch is applied as a whole or not at all, within what Caps says of atomicity.
type Batch struct {
	Ops []Op
	// Relaxed: done may be called, and a crash may lose the batch, before it is on disk. For settlements without a
	// receipt (a lost one only causes a flagged redelivery) and for messages the client marked non-persistent.
	Relaxed bool
}
