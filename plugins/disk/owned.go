package disk

import (
	"context"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/wyemq/wye/core/engine"
)

const (
	// browseChunk is how many records are read at once for Browse, and browseBytes about how many of their bytes.
	browseChunk = 128
	browseBytes = 1 << 20
)

// owned is the view of the one that has opened a log.
type owned struct {
	l    *log
	o    engine.LogOptions
	lost chan struct{}
	read []engine.Record // what Next returned

	// The log's mutex is held for these.
	looks bool                    // Next was called
	busy  bool                    // Next reads from disk
	gone  map[engine.Seq]struct{} // settled meanwhile
	later later
}

var _ engine.Log = (*owned)(nil)

// valid reports whether this is still the owner.
func (o *owned) valid() bool {
	o.l.mu.Lock()
	defer o.l.mu.Unlock()
	return o.l.owner == o
}

func (o *owned) lostError() error {
	return fmt.Errorf("log %s was released or dropped: %w", o.l.id, engine.ErrNotOwner)
}

// settled is told of a record that was not given.
func (o *owned) settled(seq engine.Seq) {
	if o.busy {
		if o.gone == nil {
			o.gone = make(map[engine.Seq]struct{})
		}
		o.gone[seq] = struct{}{}
	}
}

// ID implements engine.Log.
func (o *owned) ID() engine.LogID { return o.l.id }

// Next implements engine.Log.
func (o *owned) Next(most, maxBytes int) ([]engine.Record, error) {
	l := o.l
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.owner != o {
		return nil, o.lostError()
	}
	o.looks = true
	clear(o.read)
	if l.depth == 0 {
		o.read = nil // an idle log keeps no memory
		return nil, nil
	}
	b := &budget{most: most, bytes: maxBytes}
	o.read = o.read[:0]
	if err := o.fill(b); err != nil {
		return nil, err
	}
	for l.unreserved() {
		l.mu.Unlock()
		err := l.e.committer.do(true, func(g *group) error {
			g.e.committer.touch(l)
			return nil
		})
		l.mu.Lock()
		if err != nil {
			return nil, err
		}
		if l.owner != o {
			return nil, o.lostError()
		}
	}
	return o.read, nil
}

// publish shows readers what was appended, and returns what to call then.
func (l *log) publish() (ready func()) {
	l.touched = false
	l.mu.Lock()
	defer l.mu.Unlock()
	l.settled, l.noted = nil, nil
	now := int64(0)
	for i := range l.fresh {
		f := &l.fresh[i]
		if l.owner == nil {
			continue
		}
		a := f.area
		a.unread++
		if f.at > 0 {
			if now == 0 {
				now = nanos(time.Now())
			}
			if l.owner.delay(f, now) {
				ready = l.owner.o.Ready
			}
			continue
		}
		if a.unread == 1 {
			a.tail.clear(l.e)
			a.cursor = f.seq
		}
		if l.owner.looks {
			a.tail.push(l.e, *f)
		} else {
			a.tail.cut = true
		}
		ready = l.owner.o.Ready
	}
	clear(l.fresh)
	l.fresh = l.fresh[:0]
	if cap(l.fresh) > groupMost || l.owner == nil {
		l.fresh = nil
	}
	l.end = l.last + 1
	return ready
}

// Browse implements engine.Log.
func (o *owned) Browse(ctx context.Context, from engine.Seq, fn func(engine.Record) bool) error {
	for {
		recs, err := o.chunk(ctx, from, browseChunk)
		if err != nil {
			return err
		}
		for i := range recs {
			if err := ctx.Err(); err != nil {
				return err
			}
			if !fn(recs[i].record(recs[i].area)) {
				return nil
			}
		}
		if len(recs) == 0 {
			return ctx.Err()
		}
		from = recs[len(recs)-1].seq + 1
	}
}

// chunk reads some records, given or not.
func (o *owned) chunk(ctx context.Context, from engine.Seq, most int) ([]found, error) {
	l := o.l
	l.mu.Lock()
	if l.owner != o {
		l.mu.Unlock()
		return nil, o.lostError()
	}
	places := make([]place, 0, len(l.areas))
	for _, a := range l.areas {
		if a.count > 0 {
			places = append(places, place{a, max(from, a.first())})
		}
	}
	end, notes := l.end, l.notes > 0
	l.mu.Unlock()
	return l.e.scan(ctx, l.num, places, end, most, browseBytes, notes)
}

// Stats implements engine.Log.
func (o *owned) Stats() engine.Stats { return o.l.stats() }

func (l *log) stats() engine.Stats {
	l.mu.Lock()
	s := engine.Stats{Depth: l.depth, Bytes: l.bytes, FirstSeq: l.end, EndSeq: l.end}
	if l.depth == 0 {
		l.mu.Unlock()
		return s
	}
	type lookup struct {
		no   uint8
		from engine.Seq
	}
	var disk []lookup
	for _, a := range l.areas {
		switch {
		case a.count == 0:
		case a.no != laterArea && len(a.held.list) > 0:
			s.FirstSeq = min(s.FirstSeq, a.held.list[0].seq)
		default:
			disk = append(disk, lookup{a.no, a.first()})
		}
	}
	l.mu.Unlock()
	for _, d := range disk {
		seq, ok, err := l.e.exists(l.num, d.no, d.from, s.FirstSeq)
		if l.e.readError(err) == nil && ok {
			s.FirstSeq = seq
		}
	}
	return s
}

// Lost implements engine.Log.
func (o *owned) Lost() <-chan struct{} { return o.lost }

// Release implements engine.Log. It does not wait for the disk: a crash before makes more records flagged, not fewer.
func (o *owned) Release(_ context.Context, handed ...engine.Seq) error {
	handed = slices.Clone(handed)
	err := o.l.e.committer.do(false, func(g *group) error { return g.e.committer.release(g, o, handed) })
	if err != nil && o.l.e.failure() == nil {
		return nil //nolint:nilerr // the engine was closed: the log is lost
	}
	return err
}

// release notes which records the owner has handed out, and forgets what it has read.
func (c *committer) release(g *group, o *owned, handed []engine.Seq) error {
	l := o.l
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.owner != o {
		return nil
	}
	c.touch(l)
	for _, seq := range handed {
		x, a, err := c.known(l, seq)
		if err != nil {
			return &storeError{err}
		}
		if x == nil || seq <= a.flagged || x.handed {
			continue
		}
		x.handed = true
		if err := c.setNote(g, l, a, x); err != nil {
			return err
		}
	}
	l.disown()
	for _, a := range l.areas {
		a.reserved = 0
	}
	return nil
}

// disown forgets the owner and how far he was.
func (l *log) disown() {
	l.owner.later.stop()
	l.owner.read = nil
	l.owner = nil
	for _, a := range l.areas {
		a.floor = a.first()
		a.tail.clear(l.e)
		a.reading = reading{}
	}
	l.early = nil
}

// own makes o the owner, at the first record.
func (l *log) own(o *owned) {
	l.owner = o
	for _, a := range l.areas {
		a.reading = reading{cursor: a.floor, unread: a.count, tail: tail{cut: a.count > 0}}
		a.reserved, a.durable = 0, 0
	}
	o.later.next = math.MaxInt64
}
