package engine

import (
	"context"
	"time"
)

// Caps tells the core what it must do itself. They are constant.
type Caps struct {
	Durable     bool // done(nil) means fsynced, on a majority if replicated
	Replicated  bool
	AtomicOps   int  // most ops in one atomic batch (local: 1<<20, NATS: 1000); more is ErrScope
	AtomicLogs  bool // atomic over any set of logs; false: only logs for which SameScope is true, else ErrScope
	AtomicAcks  bool // Settle is atomic with Append in a batch; false: applied right after
	MaxBody     int
	VisibleTick time.Duration // granularity of Message.Visible
}

// Engine stores and spreads. It is implemented by plugins/disk (Pebble), plugins/nats and core/engine/memory; all
// pass enginetest. Its methods may be called concurrently.
type Engine interface {
	Caps() Caps
	// Commit queues b and returns at once. done (nil: nobody asks) is called exactly once, from any goroutine, never
	// from inside Commit, and in the order of the Commits of one goroutine. It does not block, and does not call
	// Close. b and what it points to belong to the engine until done is called, and are not touched by it after.
	// done(nil): durable (unless Relaxed), and visible to readers before done is called.
	// Batches queued by one goroutine are applied in that order to every log they touch (FIFO per producer and log).
	// The engine groups concurrent batches into one fsync or one round of replication.
	Commit(b *Batch, done func(error))
	// Open claims the log and returns it positioned at its first unsettled record. It creates the log if needed.
	// It fails with ErrNotOwner (see Cluster.Owner) when a live owner has it.
	Open(ctx context.Context, id LogID, o LogOptions) (Log, error)
	// Drop removes a log and all its records. An open Log of it is lost. An Append that comes later makes it anew.
	Drop(ctx context.Context, id LogID) error
	// Logs lists logs in order of their id, by prefix, until fn returns false.
	Logs(ctx context.Context, prefix string, fn func(LogID, Stats) bool) error
	// SameScope tells whether the logs can be in one atomic batch.
	SameScope(ids ...LogID) bool
	State() State
	Retained() Retained
	// Cluster is nil on a single node.
	Cluster() Cluster
	// Close carries out what was queued, calls its done, and gives everything up. What is asked of the engine
	// afterwards fails with ErrUnavailable. When it returns, no goroutine of the engine is left.
	Close(ctx context.Context) error
}
