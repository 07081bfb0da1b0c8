package memory

import (
	"slices"
	"sync"
	"time"

	"github.com/wyemq/wye/core/engine"
)

// lanes is how many there are: one for each priority.
const lanes = 10

// log is one log.
type log struct {
	e     *Engine
	id    engine.LogID
	woken bool // Ready will be called for this group of batches; the committer's own

	mu    sync.Mutex // of what follows
	owner *owned     // nil: it is not open
	pages pages
	last  engine.Seq
	depth uint64
	bytes uint64
	lane  [lanes]lane
	later laterHeap // records that wait for their time
	timer *time.Timer
}

// lane is the records of one priority that Next has not given yet; all are in the first when the owner did not ask for
// lanes.
type lane struct {
	cursor engine.Seq   // all before it are read, or not of the lane
	unread int          // from cursor on
	due    []engine.Seq // those that had to wait for their time
}

// open returns nil when the log has an owner.
func (l *log) open(o engine.LogOptions) *owned {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.owner != nil {
		return nil
	}
	l.owner = &owned{l: l, o: o, lost: make(chan struct{})}
	l.lane, l.later = [lanes]lane{}, nil
	now := time.Now()
	for seq, r := range l.pages.all(1) {
		r.flags &^= read | waits
		l.place(seq, r, now)
	}
	l.schedule()
	return l.owner
}

// place makes a new record readable, now or later.
func (l *log) place(seq engine.Seq, r *record, now time.Time) bool {
	if v := r.msg.Visible; !v.IsZero() && v.After(now) {
		r.flags |= waits
		l.later.push(waiting{v, seq})
		return false
	}
	ln := l.laneOf(r.msg)
	if ln.unread == 0 {
		ln.cursor = seq
	}
	ln.unread++
	return true
}

func (l *log) laneOf(m *engine.Message) *lane {
	if l.owner == nil || !l.owner.o.Lanes {
		return &l.lane[0]
	}
	return &l.lane[lanes-1-min(int(m.Priority), lanes-1)]
}

// append adds a record, and reports whether there is more to read.
func (l *log) append(m *engine.Message) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.last++
	r := l.pages.put(l.e, l.last)
	r.msg, r.flags = m, live
	l.depth++
	l.bytes += uint64(m.Size())
	if l.owner == nil {
		return false
	}
	var now time.Time
	if !m.Visible.IsZero() {
		now = time.Now()
	}
	if !l.place(l.last, r, now) {
		l.schedule()
		return false
	}
	return true
}

func (l *log) settle(seqs []engine.Seq) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, seq := range seqs {
		if r := l.pages.get(seq); r != nil {
			l.remove(seq, r)
		}
	}
}

// remove takes a live record out.
func (l *log) remove(seq engine.Seq, r *record) {
	if r.flags&(read|waits) == 0 && l.owner != nil {
		l.laneOf(r.msg).unread--
	}
	l.depth--
	l.bytes -= uint64(r.msg.Size())
	l.pages.clear(l.e, seq)
}

func (l *log) failed(seqs []engine.Seq) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, seq := range seqs {
		if r := l.pages.get(seq); r != nil {
			r.deliveries++
		}
	}
}

// next appends to out what can be read.
func (l *log) next(out []engine.Record, most, maxBytes int) []engine.Record {
	bytes := 0
	for i := range l.lane {
		ln := &l.lane[i]
		for len(out) < most && bytes < maxBytes {
			seq, r := l.first(ln)
			if r == nil {
				break
			}
			bytes += r.msg.Size()
			out = append(out, engine.Record{
				Seq: seq, Msg: r.msg, Redelivered: r.flags&handed != 0, Deliveries: r.deliveries,
			})
		}
	}
	return out
}

// first takes the first unread record of a lane.
func (l *log) first(ln *lane) (engine.Seq, *record) {
	for len(ln.due) > 0 {
		seq := ln.due[0]
		ln.due = ln.due[1:]
		if r := l.pages.get(seq); r != nil {
			r.flags = r.flags&^waits | read
			return seq, r
		}
	}
	ln.due = nil
	if ln.unread == 0 {
		return 0, nil
	}
	for seq, r := range l.pages.all(ln.cursor) {
		if r.flags&(read|waits) == 0 && l.laneOf(r.msg) == ln {
			r.flags |= read
			ln.cursor = seq + 1
			ln.unread--
			return seq, r
		}
	}
	return 0, nil
}

// schedule sets the timer for the record that is readable first.
func (l *log) schedule() {
	if l.timer != nil {
		l.timer.Stop()
		l.timer = nil
	}
	if len(l.later) > 0 && l.owner != nil {
		l.timer = time.AfterFunc(time.Until(l.later[0].until), l.arrive)
	}
}

// arrive is called when records have become readable.
func (l *log) arrive() {
	l.mu.Lock()
	now := time.Now()
	var ready func()
	for l.owner != nil && len(l.later) > 0 && !l.later[0].until.After(now) {
		w := l.later.pop()
		if r := l.pages.get(w.seq); r != nil {
			ln := l.laneOf(r.msg)
			ln.due = append(ln.due, w.seq)
			ready = l.owner.o.Ready
		}
	}
	l.schedule()
	l.mu.Unlock()
	if ready != nil {
		ready()
	}
}

// purge takes out everything but keep.
func (l *log) purge(keep []engine.Seq) (records, bytes uint64) {
	slices.Sort(keep)
	records, bytes = l.depth, l.bytes
	for seq, r := range l.pages.all(1) {
		if _, kept := slices.BinarySearch(keep, seq); !kept {
			l.remove(seq, r)
		}
	}
	if l.depth == 0 {
		l.later = nil
		l.schedule()
	}
	return records - l.depth, bytes - l.bytes
}

func (l *log) stats() engine.Stats {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := engine.Stats{Depth: l.depth, Bytes: l.bytes, FirstSeq: l.last + 1, EndSeq: l.last + 1}
	for seq := range l.pages.all(1) {
		s.FirstSeq = seq
		break
	}
	return s
}

// drop forgets everything.
func (l *log) drop() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.owner != nil {
		close(l.owner.lost)
		l.owner = nil
	}
	l.pages, l.lane, l.later, l.depth, l.bytes = pages{}, [lanes]lane{}, nil, 0, 0
	l.schedule()
}

// ready returns what the owner wants to have called.
func (l *log) ready() func() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.owner == nil {
		return nil
	}
	return l.owner.o.Ready
}
