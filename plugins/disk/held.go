package disk

import (
	"cmp"
	"slices"

	"github.com/wyemq/wye/core/engine"
)

// reading is how far the owner of a log has come in one area.
type reading struct {
	cursor engine.Seq // all before it were given, or are settled; in the area of what waits, of no meaning
	given  engine.Seq // the highest that was given
	unread uint64
	held   held
	tail   tail
}

// first returns a number that no live record of the area is before.
func (a *area) first() engine.Seq {
	switch {
	case a.no == laterArea:
		return a.floor
	case len(a.held.list) > 0:
		return max(a.floor, a.held.list[0].seq)
	default:
		return max(a.floor, a.cursor)
	}
}

// holding is a record that was given and is not settled.
type holding struct {
	seq  engine.Seq
	body uint64
	at   int64 // when it became readable, if it had to wait
	size int
	note
	noted, settled bool
}

// held is what was given, in order. The first and the last of the list are not settled.
type held struct {
	list []holding
	gaps int // how many are settled
}

// get returns a record that is not settled, or nil.
func (h *held) get(seq engine.Seq) *holding {
	if len(h.list) > 0 && h.list[0].seq == seq {
		return &h.list[0]
	}
	i, ok := h.search(seq)
	if !ok || h.list[i].settled {
		return nil
	}
	return &h.list[i]
}

func (h *held) search(seq engine.Seq) (int, bool) {
	return slices.BinarySearchFunc(h.list, seq, func(x holding, seq engine.Seq) int { return cmp.Compare(x.seq, seq) })
}

func (h *held) add(x holding) {
	if n := len(h.list); n == 0 || h.list[n-1].seq < x.seq {
		h.list = append(h.list, x)
		return
	}
	i, _ := h.search(x.seq)
	h.list = slices.Insert(h.list, i, x)
}

// settle takes a record out that get has returned. Gaps are closed when they are most of the list.
func (h *held) settle(x *holding) {
	x.settled = true
	h.gaps++
	for len(h.list) > 0 && h.list[0].settled {
		h.list = h.list[1:]
		h.gaps--
	}
	if h.gaps > 64 && h.gaps > len(h.list)/2 {
		h.list = slices.DeleteFunc(h.list, func(x holding) bool { return x.settled })
		h.gaps = 0
	}
	if len(h.list) == 0 {
		h.list = nil
	}
}

// tail is what was appended last and not read yet, so that who keeps up does not read from disk.
type tail struct {
	list  []fresh // a settled one has no msg
	bytes int
	cut   bool // there are unread records after it, on disk only
}

// most that one tail keeps.
const (
	tailRecords = 8192
	tailBytes   = 4 << 20
	// recordOverhead is about what a message costs beside its parts.
	recordOverhead = 256
)

func footprint(m *engine.Message) int {
	return recordOverhead + len(m.Dest) + len(m.Header) + len(m.Body)
}

// push adds a record that was published, unless there is no room.
func (t *tail) push(e *Engine, f fresh) {
	size := footprint(f.msg)
	if t.cut || len(t.list) >= tailRecords || t.bytes > tailBytes || e.tails.Load()+int64(size) > tailsBytes {
		t.cut = true
		return
	}
	e.tails.Add(int64(size))
	t.bytes += size
	t.list = append(t.list, f)
}

// pop takes the first record out, which may be one that is settled.
func (t *tail) pop(e *Engine) fresh {
	f := t.list[0]
	t.list[0] = fresh{}
	t.list = t.list[1:]
	if f.msg != nil {
		t.forget(e, f.msg)
	}
	if len(t.list) == 0 {
		t.list = nil
	}
	return f
}

// settle takes a record out that was not read.
func (t *tail) settle(e *Engine, seq engine.Seq) (body uint64, m *engine.Message) {
	i, ok := slices.BinarySearchFunc(t.list, seq, func(f fresh, seq engine.Seq) int { return cmp.Compare(f.seq, seq) })
	if !ok || t.list[i].msg == nil {
		return 0, nil
	}
	f := &t.list[i]
	m, f.msg = f.msg, nil
	t.forget(e, m)
	return f.body, m
}

func (t *tail) forget(e *Engine, m *engine.Message) {
	size := footprint(m)
	t.bytes -= size
	e.tails.Add(-int64(size))
}

// clear forgets everything.
func (t *tail) clear(e *Engine) {
	e.tails.Add(-int64(t.bytes))
	*t = tail{}
}
