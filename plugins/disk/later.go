package disk

import (
	"encoding/binary"
	"errors"
	"math"
	"slices"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/wyemq/wye/core/engine"
)

// dueMost is how many records that have become readable are known by number at once.
const dueMost = 4096

// later is how far an owner has come with the records that wait for their time. Which those are is on disk; in memory
// is when the next one is due.
type later struct {
	next  int64               // when the first after the position is due
	after [16]byte            // position: time and number of the last that is known to be due
	due   [lanes][]engine.Seq // readable, not given
	timer *time.Timer
	// While the index is read: what is published meanwhile.
	scans bool
	fresh []fresh
}

func (t *later) stop() {
	if t.timer != nil {
		t.timer.Stop()
		t.timer = nil
	}
}

func (t *later) position(at int64, seq engine.Seq) (p [16]byte) {
	binary.BigEndian.PutUint64(p[:8], uint64(at))
	binary.BigEndian.PutUint64(p[8:], uint64(seq))
	return p
}

// before reports whether the position is past a record.
func (t *later) before(f *fresh) bool {
	p := t.position(f.at, f.seq)
	return string(p[:]) <= string(t.after[:])
}

func (t *later) waiting() bool {
	for i := range t.due {
		if len(t.due[i]) > 0 {
			return true
		}
	}
	return false
}

// dueLane returns where a record goes that has become readable.
func (o *owned) dueLane(lane uint8) *[]engine.Seq {
	if !o.o.Lanes {
		lane = 0
	}
	return &o.later.due[min(lane, lanes-1)]
}

// delay takes note of a record that was appended and has to wait. It reports whether it has waited long enough.
func (o *owned) delay(f *fresh, now int64) bool {
	t := &o.later
	if t.scans {
		t.fresh = append(t.fresh, *f)
	}
	if t.before(f) {
		if !t.scans {
			d := o.dueLane(laneOf(f.msg))
			*d = append(*d, f.seq)
		}
		return true
	}
	if f.at < t.next {
		t.next = f.at
		o.schedule()
	}
	return f.at <= now
}

// schedule sets the timer for the record that is readable next.
func (o *owned) schedule() {
	t := &o.later
	t.stop()
	if t.next != math.MaxInt64 {
		t.timer = time.AfterFunc(time.Until(time.Unix(0, t.next)), o.arrive)
	}
}

// arrive is called when a record has become readable; Next looks which.
func (o *owned) arrive() {
	o.l.mu.Lock()
	var ready func()
	if o.l.owner == o {
		ready = o.o.Ready
	}
	o.l.mu.Unlock()
	if ready != nil {
		ready()
	}
}

// arrivals finds what has become readable. The lock is let go meanwhile.
func (o *owned) arrivals(now time.Time) error {
	t := &o.later
	if t.next > nanos(now) || t.waiting() {
		return nil
	}
	l := o.l
	after, end := t.after, l.end
	t.scans = true
	l.mu.Unlock()
	recs, next, err := l.e.readDue(l.num, after, nanos(now), end)
	l.mu.Lock()
	late := t.fresh
	t.scans, t.fresh = false, nil
	if err != nil {
		return l.e.readError(err)
	}
	if l.owner != o {
		return o.lostError()
	}
	for _, r := range recs {
		d := o.dueLane(r.lane)
		*d = append(*d, r.seq)
		t.after = t.position(r.at, r.seq)
	}
	t.next = next
	for i := range late {
		f := &late[i]
		if t.before(f) {
			d := o.dueLane(laneOf(f.msg))
			*d = append(*d, f.seq)
		} else {
			t.next = min(t.next, f.at)
		}
	}
	o.schedule()
	return nil
}

// dueRecord is an entry of the index of what waits.
type dueRecord struct {
	at   int64
	seq  engine.Seq
	lane uint8
}

// dueRecords reads what has become readable until now after a position, and when the next one does.
func (e *Engine) dueRecords(num uint64, after [16]byte, now int64, end engine.Seq) (out []dueRecord, next int64, err error) {
	it, err := e.db.NewIter(&pebble.IterOptions{
		LowerBound: append(append(appendLog(nil, kindLater, num), after[:]...), 0),
		UpperBound: appendLog(nil, kindLater, num+1),
	})
	if err != nil {
		return nil, 0, err
	}
	defer func() { err = errors.Join(err, it.Error(), it.Close()) }()
	for ok := it.First(); ok; ok = it.Next() {
		at, seq := laterTime(it.Key()), recordSeq(it.Key())
		if at > now || len(out) == dueMost {
			return out, at, nil
		}
		if seq >= end { // not durable yet; publish will tell
			continue
		}
		v, err := it.ValueAndErr()
		if err != nil {
			return nil, 0, err
		}
		lane := uint8(engine.DefaultPriority)
		if len(v) > 0 {
			lane = v[0]
		}
		out = append(out, dueRecord{at, seq, lane})
	}
	return out, math.MaxInt64, nil
}

// readDue is dueRecords for others than the committer.
func (e *Engine) readDue(num uint64, after [16]byte, now int64, end engine.Seq) ([]dueRecord, int64, error) {
	if err := e.use(); err != nil {
		return nil, 0, err
	}
	defer e.reads.RUnlock()
	return e.dueRecords(num, after, now, end)
}

// takeDue adds records of a lane that had to wait.
func (o *owned) takeDue(lane int, b *budget) error {
	t := &o.later
	for len(t.due[lane]) > 0 && !b.spent() {
		seqs := slices.Clone(t.due[lane][:min(len(t.due[lane]), b.most, matchChunk)])
		a := o.l.find(laterArea)
		notes, bytes := o.l.notes > 0, b.bytes
		o.readsDisk()
		o.l.mu.Unlock()
		recs, n, err := o.l.e.fetch(o.l.num, a, seqs, bytes, notes)
		o.l.mu.Lock()
		if t.due[lane] = t.due[lane][n:]; len(t.due[lane]) == 0 {
			t.due[lane] = nil
		}
		if err := o.taken(recs, b, err); err != nil {
			return err
		}
	}
	return nil
}
