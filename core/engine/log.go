package engine

import "context"

// LogOptions are given by the owner at Open.
type LogOptions struct {
	Lanes       bool // read by Priority (one lane per level in use), FIFO inside a lane
	DropExpired bool // expired records may vanish in the engine; false when expiry must reach a dead letter queue
	// Ready is called, from any goroutine and with no lock held that methods of the log need, whenever Next may have
	// more to give than it had; what is there at Open needs no call. It must not block, and may be called when there
	// is nothing. A callback instead of a channel: ten thousand idle queues cost no goroutine.
	Ready func()
}

// Log is the owner's view of a log. Next, Purge and Release are for one goroutine at a time; the others may be called
// at any time.
type Log interface {
	ID() LogID
	// Next returns up to most readable records after the read position and moves it. The slice is valid until the
	// next call. It stops after the record whose body passes maxBytes, so a large record does come, alone. Empty means
	// none now: wait for LogOptions.Ready. A record that was settled before is not returned.
	// Before it returns, everything needed for the Redelivered promise is durable (engines reserve ahead in blocks, so
	// this does not cost a write per message).
	Next(most, maxBytes int) ([]Record, error)
	// Browse shows the unsettled records from Seq from on in order of Seq, those that are not visible yet and those
	// that Next gave included, without moving the position, until fn returns false. What is appended or settled
	// meanwhile may be shown or not. fn may call anything.
	Browse(ctx context.Context, from Seq, fn func(Record) bool) error
	// Purge settles everything appended before it was called except keep, and returns how much that was, as durably as
	// a batch that is not relaxed.
	Purge(ctx context.Context, keep ...Seq) (records, bytes uint64, err error)
	Stats() Stats
	// Lost is closed when ownership is gone (lease lost, takeover, Drop, Close of the engine). The dispatcher must
	// stop handing out at once; its later settlements fail with ErrNotOwner.
	Lost() <-chan struct{}
	// Release gives the log up cleanly. handed names the unsettled records that clients have had: for the next owner
	// they are Redelivered, beside those that were when this owner got them; what was only read ahead is not. It
	// returns nil when the log is lost or released already.
	Release(ctx context.Context, handed ...Seq) error
}

// Stats of a log: its unsettled records, their bytes (Message.Size), the first of them, and the next Seq to be given. In an
// empty log FirstSeq is EndSeq.
type Stats struct {
	Depth, Bytes     uint64
	FirstSeq, EndSeq Seq
}
