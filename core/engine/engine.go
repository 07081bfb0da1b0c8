// Package engine is the seam between wye's core and what stores and spreads its messages.
//
// The core keeps: the topic trie, per-subscriber credit and prefetch, selectors, priority choice, message groups,
// nack/redelivery/back-off/DLQ policy, STOMP transactions (buffering until COMMIT), MQTT QoS state machines, TTL checks.
// The engine keeps: ordered logs of messages, what is settled in them, small keyed state, the retained message per
// topic, delayed visibility, who owns a log, and best-effort fan-out between nodes. It knows no protocol.
//
// One log has exactly ONE owner at a time: the node whose core dispatches it. A queue is a log; a durable
// subscription is a log; the offline queue of an MQTT session is a log. On one machine the owner is always this process.
package engine

import (
	"context"
	"errors"
	"time"
)

type (
	// LogID names a log: "q/orders.eu", "d/<client>/<subscription>", "m/<mqtt client>".
	LogID string
	// Seq orders the records of one log. Strictly increasing, not dense. Never reused.
	Seq uint64
	// NodeID names a broker node.
	NodeID string
	// MsgID is given by the core at ingress and is the idempotency key of an append.
	MsgID [16]byte
)

// Errors every implementation returns (wrapped). The core decides on these and on nothing else.
var (
	// ErrNotOwner: the log is owned by another node, or was taken over. Nothing of the batch was applied.
	ErrNotOwner = errors.New("engine: not the owner")
	// ErrUnavailable: no quorum or no connection. Nothing was applied. The client gets an error or is kept waiting;
	// it never gets a receipt.
	ErrUnavailable = errors.New("engine: unavailable")
	// ErrUnknown: the outcome is not known (timeout after sending). Commit again with the same MsgIDs is harmless.
	ErrUnknown = errors.New("engine: outcome unknown")
	// ErrScope: the batch spans more than Caps.Atomic allows (number of records, or shards).
	ErrScope = errors.New("engine: batch beyond the atomic scope")
	// ErrFull: a configured limit (bytes, messages) was reached. Flow control in the core should have stopped before.
	ErrFull = errors.New("engine: full")
)

// Message is immutable after Commit; engines and readers may share the memory of Body.
type Message struct {
	ID     MsgID
	Dest   string // destination as published
	Header []byte // core's encoding of all headers / MQTT 5 properties; opaque here; nil when Caps.Durable is false
	Body   []byte
	// Ref is the core's own form of the message. An engine that still has it in memory hands it back, so that
	// nothing is decoded; one that has read the record from elsewhere leaves it nil.
	Ref      any
	Expires  time.Time // zero: never. An engine MAY drop an expired record only when the log's DropExpired is set
	Visible  time.Time // zero: now. Records become readable, in order of Visible, not before it
	Stored   time.Time // when the broker took it; a queue's own time to live counts from here
	Priority uint8     // 0..9; the engine reads higher lanes first when the log is opened with Lanes
}

// Record is a message in a log.
type Record struct {
	Seq Seq
	Msg *Message
	// Redelivered: some owner may already have handed this record to a client. Exact within one ownership; after a
	// crash or a takeover it is conservative: never false for a record that was handed out.
	Redelivered bool
	// Deliveries is the number of failed attempts the core has stored with Batch.Failed.
	Deliveries uint32
}

// Op is one step of a Batch.
type Op struct {
	Kind   OpKind
	Logs   []LogID // Append: one copy of the body, a reference in each log
	Topic  string  // Retain
	Bucket string  // Put, Delete
	Key    string
	Rev    uint64 // Put, Delete: >0 compare-and-set
	Value  []byte
	Msg    *Message // Append; Retain (nil: clear)
	Log    Log      // Settle, Failed: only on an owned log
	Seqs   []Seq
}

// OpKind says what an Op does.
type OpKind uint8

// The steps.
const (
	Append OpKind = iota + 1
	Settle        // the records are done with (acked, expired, dead-lettered) and will never be read again
	Failed        // one more delivery attempt failed: raise Deliveries
	Retain
	Put
	Delete
)

// Batch is applied as a whole or not at all, within Caps.Atomic.
type Batch struct {
	Ops []Op
	// Relaxed: done may be called, and a crash may lose the batch, before it is on disk. For settlements without a
	// receipt (a lost one only causes a flagged redelivery) and for messages the client marked non-persistent.
	Relaxed bool
}

// Caps tells the core what it must do itself.
type Caps struct {
	Durable     bool // done(nil) means fsynced, on a majority if replicated
	Replicated  bool
	AtomicOps   int  // most ops in one atomic batch (local: 1<<20, NATS: 1000)
	AtomicLogs  bool // atomic over any set of logs; false: only logs for which SameScope is true
	AtomicAcks  bool // Settle is atomic with Append in a batch; false: applied right after
	MaxBody     int
	VisibleTick time.Duration // granularity of Message.Visible
}

// Engine is implemented by plugins/disk (Pebble), plugins/nats and core/engine/memory (tests). All pass enginetest.
type Engine interface {
	Caps() Caps
	// Commit queues b and returns at once. done is called exactly once, from any goroutine, never from inside Commit.
	// done(nil): durable (unless Relaxed), and visible to readers before done is called.
	// Batches queued by one goroutine are applied in that order to every log they touch (FIFO per producer and log).
	// The engine groups concurrent batches into one fsync / one replication round.
	Commit(b *Batch, done func(error))
	// Open claims the log and returns it positioned at its first unsettled record. It creates the log if needed.
	// It fails with ErrNotOwner (see Cluster.Owner) when a live node owns it.
	Open(ctx context.Context, id LogID, o LogOptions) (Log, error)
	// Drop removes a log and all its records.
	Drop(ctx context.Context, id LogID) error
	// Logs lists logs with their depth, by prefix.
	Logs(ctx context.Context, prefix string, fn func(LogID, Stats) bool) error
	// SameScope tells whether the logs can be in one atomic batch.
	SameScope(ids ...LogID) bool
	State() State
	Retained() Retained
	// Cluster is nil on a single node.
	Cluster() Cluster
	Close(ctx context.Context) error
}

// LogOptions are given by the owner at Open.
type LogOptions struct {
	Lanes       bool // read by Priority (one lane per level in use), FIFO inside a lane
	DropExpired bool // expired records may vanish in the engine; false when expiry must reach a DLQ
	// Ready is called, from any goroutine and with no lock held that Next needs, whenever Next may have more to give
	// than it had. It must not block. A callback instead of a channel: ten thousand idle queues cost no goroutine.
	Ready func()
}

// Log is the owner's view of a log. Methods are for one goroutine at a time, except Lost and Stats.
type Log interface {
	ID() LogID
	// Next returns up to max readable records after the read position and moves it. Empty means none now: wait for LogOptions.Ready.
	// Before it returns, everything needed for the Redelivered promise is durable (engines reserve ahead in blocks, so
	// this does not cost a write per message).
	Next(max, maxBytes int) ([]Record, error)
	// Browse reads without moving the position, settled records excluded.
	Browse(ctx context.Context, from Seq, fn func(Record) bool) error
	// Purge settles everything appended before it was called, and returns how many.
	Purge(ctx context.Context) (uint64, error)
	Stats() Stats
	// Lost is closed when ownership is gone (lease lost, takeover). The dispatcher must stop handing out at once;
	// its later settlements fail with ErrNotOwner.
	Lost() <-chan struct{}
	// Release gives the log up cleanly: Redelivered stays exact for the next owner.
	Release(ctx context.Context) error
}

// Stats of a log.
type Stats struct {
	Depth, Bytes     uint64
	FirstSeq, EndSeq Seq
}

// State is small keyed state: sessions, inflight packet ids, durable subscriptions, queue definitions. Written by Put
// and Delete in a Batch. Reads are of this node's copy, which includes all batches this node has seen done.
type State interface {
	Get(bucket, key string) (val []byte, rev uint64, ok bool)
	// Watch first replays the bucket, then calls fn for every change, in order, val nil for a deletion. Every node sees
	// the same order for one key. fn must not block.
	Watch(bucket string, fn func(key string, val []byte, rev uint64)) (cancel func())
	// Barrier returns when every live node has applied rev (a durable SUBSCRIBE is confirmed only after it).
	Barrier(ctx context.Context, bucket string, rev uint64) error
}

// Retained holds the last retained message of each topic.
type Retained interface {
	// Match calls fn for each retained message whose topic matches the filter (core's canonical '/'-separated form
	// with '+' and '#').
	Match(ctx context.Context, filter string, fn func(*Message) bool) error
	// Len returns how many topics have a retained message. It is cheap, and may be a little late.
	Len() int
}

// Cluster spreads live, non-durable traffic and control frames. At most once, FIFO per sender and topic.
type Cluster interface {
	Self() NodeID
	// Nodes calls fn with the live nodes, now and at each change.
	Nodes(fn func([]NodeID)) (cancel func())
	// Interest says: this node has local live subscribers for filter. Reference counted by the core, once per filter.
	Interest(filter string) (cancel func(), err error)
	// Fanout sends to the other nodes with interest, and to nobody when there is none.
	Fanout(topic string, m *Message) error
	// OnFanout is called for messages of other nodes, in order per sender.
	OnFanout(fn func(from NodeID, topic string, m *Message))
	// Owner returns the live owner of a log.
	Owner(ctx context.Context, id LogID) (NodeID, bool, error)
	// Send carries a control frame (remote credit, delivery, settlement of a queue owned elsewhere).
	Send(to NodeID, frame []byte) error
	OnFrame(fn func(from NodeID, frame []byte))
}
