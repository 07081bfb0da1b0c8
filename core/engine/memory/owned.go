package memory

import (
	"context"
	"fmt"
	"slices"

	"github.com/wyemq/wye/core/engine"
)

// browseChunk is how many records are copied at once for Browse.
const browseChunk = 128

// owned is the view of the one that has opened a log.
type owned struct {
	l    *log
	o    engine.LogOptions
	lost chan struct{}
	read []engine.Record // what Next returned
}

var _ engine.Log = (*owned)(nil)

// valid reports whether this is still the owner.
func (o *owned) valid() bool {
	o.l.mu.Lock()
	defer o.l.mu.Unlock()
	return o.l.owner == o
}

func (o *owned) gone() error {
	return fmt.Errorf("log %s was released or dropped: %w", o.l.id, engine.ErrNotOwner)
}

// ID implements engine.Log.
func (o *owned) ID() engine.LogID { return o.l.id }

// Next implements engine.Log.
func (o *owned) Next(most, maxBytes int) ([]engine.Record, error) {
	o.l.mu.Lock()
	defer o.l.mu.Unlock()
	if o.l.owner != o {
		return nil, o.gone()
	}
	clear(o.read)
	if o.l.depth == 0 {
		o.read = nil // an idle log keeps no memory
		return nil, nil
	}
	o.read = o.l.next(o.read[:0], most, maxBytes)
	return o.read, nil
}

// Browse implements engine.Log.
func (o *owned) Browse(ctx context.Context, from engine.Seq, fn func(engine.Record) bool) error {
	chunk := make([]engine.Record, 0, browseChunk)
	for {
		var err error
		if chunk, err = o.chunk(chunk[:0], from); err != nil {
			return err
		}
		for _, r := range chunk {
			if err := ctx.Err(); err != nil {
				return err
			}
			if !fn(r) {
				return nil
			}
		}
		if len(chunk) < browseChunk {
			return nil
		}
		from = chunk[len(chunk)-1].Seq + 1
	}
}

func (o *owned) chunk(out []engine.Record, from engine.Seq) ([]engine.Record, error) {
	o.l.mu.Lock()
	defer o.l.mu.Unlock()
	if o.l.owner != o {
		return nil, o.gone()
	}
	for seq, r := range o.l.pages.all(from) {
		out = append(out, engine.Record{
			Seq: seq, Msg: r.msg, Redelivered: r.flags&handed != 0, Deliveries: r.deliveries,
		})
		if len(out) == browseChunk {
			break
		}
	}
	return out, nil
}

// Purge implements engine.Log.
func (o *owned) Purge(_ context.Context, keep ...engine.Seq) (records, bytes uint64, err error) {
	o.l.mu.Lock()
	defer o.l.mu.Unlock()
	if o.l.owner != o {
		return 0, 0, o.gone()
	}
	records, bytes = o.l.purge(slices.Clone(keep))
	return records, bytes, nil
}

// Stats implements engine.Log.
func (o *owned) Stats() engine.Stats { return o.l.stats() }

// Lost implements engine.Log.
func (o *owned) Lost() <-chan struct{} { return o.lost }

// Release implements engine.Log.
func (o *owned) Release(_ context.Context, given ...engine.Seq) error {
	o.l.mu.Lock()
	defer o.l.mu.Unlock()
	if o.l.owner != o {
		return nil
	}
	for _, seq := range given {
		if r := o.l.pages.get(seq); r != nil {
			r.flags |= handed
		}
	}
	o.l.owner, o.read = nil, nil
	o.l.schedule()
	return nil
}
