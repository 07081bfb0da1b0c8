package memory

import (
	"cmp"
	"container/heap"
	"context"
	"slices"
	"time"

	"github.com/wyemq/wye/core/engine"
)

// log is one log and its owner's view. Engine.mu guards it.
type log struct {
	e     *Engine
	id    engine.LogID
	opts  engine.LogOptions
	open  bool
	woken bool // Ready is about to be called for this group of batches

	last  engine.Seq
	live  map[engine.Seq]*record
	lanes [10]lane // all in lanes[0] without Options.Lanes
	later laterHeap
	timer *time.Timer
	bytes uint64
	lost  chan struct{}
}

type record struct {
	seq        engine.Seq
	msg        *engine.Message
	handed     bool // was given out by Next, to some owner
	deliveries uint32
	gone       bool
}

// lane is records in order, readable from head on.
type lane struct {
	records []*record
	head    int
}

func (l *lane) push(r *record) { l.records = append(l.records, r) }

// pop returns the next record that is not settled, or nil.
func (l *lane) pop() *record {
	for l.head < len(l.records) {
		r := l.records[l.head]
		l.records[l.head] = nil
		l.head++
		if l.head > 1024 && l.head*2 > len(l.records) {
			n := copy(l.records, l.records[l.head:])
			clear(l.records[n:])
			l.records, l.head = l.records[:n], 0
		}
		if !r.gone {
			return r
		}
	}
	if l.head > 0 {
		l.records, l.head = l.records[:0], 0
		if cap(l.records) > 4096 {
			l.records = nil
		}
	}
	return nil
}

func newLog(e *Engine, id engine.LogID) *log {
	return &log{e: e, id: id, live: make(map[engine.Seq]*record), lost: make(chan struct{})}
}

// append adds a record, and reports whether there is more to read.
func (l *log) append(m *engine.Message) bool {
	l.last++
	r := &record{seq: l.last, msg: m}
	l.live[r.seq] = r
	l.bytes += uint64(len(m.Body))
	if !m.Visible.IsZero() && m.Visible.After(time.Now()) {
		heap.Push(&l.later, r)
		l.schedule()
		return false
	}
	l.lane(r).push(r)
	return true
}

func (l *log) lane(r *record) *lane {
	if !l.opts.Lanes {
		return &l.lanes[0]
	}
	return &l.lanes[9-min(r.msg.Priority, 9)]
}

// schedule sets the timer for the record that is visible first.
func (l *log) schedule() {
	if l.timer != nil {
		l.timer.Stop()
		l.timer = nil
	}
	if len(l.later) == 0 || !l.open {
		return
	}
	l.timer = time.AfterFunc(time.Until(l.later[0].msg.Visible), l.due)
}

func (l *log) due() {
	l.e.mu.Lock()
	now := time.Now()
	moved := false
	for len(l.later) > 0 && !l.later[0].msg.Visible.After(now) {
		r, _ := heap.Pop(&l.later).(*record)
		if !r.gone {
			l.lane(r).push(r)
			moved = true
		}
	}
	l.schedule()
	ready := l.opts.Ready
	open := l.open
	l.e.mu.Unlock()
	if moved && open && ready != nil {
		ready()
	}
}

func (l *log) settle(seq engine.Seq) {
	r := l.live[seq]
	if r == nil {
		return
	}
	r.gone = true
	l.bytes -= uint64(len(r.msg.Body))
	r.msg = tombstone(r.msg)
	delete(l.live, seq)
}

// tombstone keeps of a settled message what heap and lanes may still look at.
func tombstone(m *engine.Message) *engine.Message {
	return &engine.Message{Visible: m.Visible, Priority: m.Priority}
}

// reopen positions the log at its first unsettled record.
func (l *log) reopen(o engine.LogOptions) {
	l.opts, l.open = o, true
	l.lost = make(chan struct{})
	l.lanes = [10]lane{}
	l.later = nil
	now := time.Now()
	for _, r := range l.sorted() {
		if r.msg.Visible.After(now) {
			heap.Push(&l.later, r)
		} else {
			l.lane(r).push(r)
		}
	}
	l.schedule()
}

func (l *log) sorted() []*record {
	all := make([]*record, 0, len(l.live))
	for _, r := range l.live {
		all = append(all, r)
	}
	slices.SortFunc(all, func(a, b *record) int { return cmp.Compare(a.seq, b.seq) })
	return all
}

func (l *log) stats() engine.Stats {
	s := engine.Stats{Depth: uint64(len(l.live)), Bytes: l.bytes, EndSeq: l.last + 1, FirstSeq: l.last + 1}
	return s
}

func (l *log) drop() {
	if l.timer != nil {
		l.timer.Stop()
	}
	if l.open {
		close(l.lost)
	}
	l.open, l.live, l.lanes, l.later = false, make(map[engine.Seq]*record), [10]lane{}, nil
}

// ID implements engine.Log.
func (l *log) ID() engine.LogID { return l.id }

// Next implements engine.Log.
func (l *log) Next(most, maxBytes int) ([]engine.Record, error) {
	l.e.mu.Lock()
	defer l.e.mu.Unlock()
	if !l.open {
		return nil, engine.ErrNotOwner
	}
	var out []engine.Record
	bytes := 0
	for i := range l.lanes {
		for len(out) < most && (bytes < maxBytes || len(out) == 0) {
			r := l.lanes[i].pop()
			if r == nil {
				break
			}
			out = append(out, engine.Record{Seq: r.seq, Msg: r.msg, Redelivered: r.handed, Deliveries: r.deliveries})
			r.handed = true
			bytes += len(r.msg.Body)
		}
	}
	return out, nil
}

// Browse implements engine.Log.
func (l *log) Browse(ctx context.Context, from engine.Seq, fn func(engine.Record) bool) error {
	l.e.mu.Lock()
	all := l.sorted()
	recs := make([]engine.Record, 0, len(all))
	for _, r := range all {
		if r.seq >= from {
			recs = append(recs, engine.Record{Seq: r.seq, Msg: r.msg, Redelivered: r.handed, Deliveries: r.deliveries})
		}
	}
	l.e.mu.Unlock()
	for _, r := range recs {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if !fn(r) {
			return nil
		}
	}
	return nil
}

// Purge implements engine.Log.
func (l *log) Purge(context.Context) (uint64, error) {
	l.e.mu.Lock()
	defer l.e.mu.Unlock()
	if !l.open {
		return 0, engine.ErrNotOwner
	}
	n := uint64(len(l.live))
	l.live, l.lanes, l.later, l.bytes = make(map[engine.Seq]*record), [10]lane{}, nil, 0
	return n, nil
}

// Stats implements engine.Log.
func (l *log) Stats() engine.Stats {
	l.e.mu.Lock()
	defer l.e.mu.Unlock()
	return l.stats()
}

// Lost implements engine.Log.
func (l *log) Lost() <-chan struct{} {
	l.e.mu.Lock()
	defer l.e.mu.Unlock()
	return l.lost
}

// Release implements engine.Log.
func (l *log) Release(context.Context) error {
	l.e.mu.Lock()
	defer l.e.mu.Unlock()
	if !l.open {
		return nil
	}
	l.open, l.opts.Ready = false, nil
	if l.timer != nil {
		l.timer.Stop()
		l.timer = nil
	}
	return nil
}

// laterHeap orders records by the time they become visible, then by age.
type laterHeap []*record

func (h laterHeap) Len() int { return len(h) }

func (h laterHeap) Less(i, j int) bool {
	a, b := h[i], h[j]
	if !a.msg.Visible.Equal(b.msg.Visible) {
		return a.msg.Visible.Before(b.msg.Visible)
	}
	return a.seq < b.seq
}

func (h laterHeap) Swap(i, j int) { h[i], h[j] = h[j], h[i] }

// Push implements heap.Interface.
func (h *laterHeap) Push(x any) {
	r, _ := x.(*record)
	*h = append(*h, r)
}

// Pop implements heap.Interface.
func (h *laterHeap) Pop() any {
	old := *h
	n := len(old) - 1
	r := old[n]
	old[n] = nil
	*h = old[:n]
	return r
}
