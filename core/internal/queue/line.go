package queue

import (
	"slices"

	"github.com/wyemq/wye/core/engine"
)

// line is items in order of their Seq. It is cheap to take from the front and to add at the end, which is the rule, and
// to put back where something was taken.
type line struct {
	slots []slot
	head  int // slots before it are free; the one at it holds an item, unless the line is empty
	live  int // items
}

// slot is the place of an item; nil: it was taken.
type slot struct {
	seq engine.Seq
	it  *item
}

const (
	slotsKept = 1024 // capacity that an empty line keeps while there is traffic
	slotsIdle = 32   // and when there is none
	holesMost = 64   // slots that may be free behind the head, beside as many as there are items
)

// push adds an item, which usually belongs at the end.
func (l *line) push(it *item) {
	n := len(l.slots)
	if n > 0 && l.slots[n-1].seq >= it.rec.Seq {
		l.restore([]*item{it})
		return
	}
	if n == cap(l.slots) && l.head > n/2 {
		l.compact()
	}
	l.slots = append(l.slots, slot{it.rec.Seq, it})
	l.live++
}

// from returns the index of the first slot with seq or a later one.
func (l *line) from(seq engine.Seq) int {
	lo, hi := l.head, len(l.slots)
	if lo < hi && l.slots[lo].seq >= seq {
		return lo
	}
	for lo < hi {
		mid := int(uint(lo+hi) >> 1)
		if l.slots[mid].seq < seq {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return lo
}

// find returns the index of an item that is there, or -1.
func (l *line) find(seq engine.Seq) int {
	if i := l.from(seq); i < len(l.slots) && l.slots[i].seq == seq && l.slots[i].it != nil {
		return i
	}
	return -1
}

// take removes the item at i. Indices change.
func (l *line) take(i int) *item {
	it := l.slots[i].it
	l.slots[i].it = nil
	l.live--
	if l.live == 0 {
		l.slots, l.head = l.slots[:0], 0
		if cap(l.slots) > slotsKept {
			l.slots = nil
		}
		return it
	}
	for l.slots[l.head].it == nil {
		l.head++
	}
	if len(l.slots)-l.head > 2*l.live+holesMost {
		l.compact()
	}
	return it
}

// compact closes the holes.
func (l *line) compact() {
	n := 0
	for _, s := range l.slots[l.head:] {
		if s.it != nil {
			l.slots[n] = s
			n++
		}
	}
	clear(l.slots[n:])
	l.slots, l.head = l.slots[:n], 0
}

// restore puts items, ordered by Seq, where they belong.
func (l *line) restore(items []*item) {
	k := len(items)
	if k == 0 {
		return
	}
	l.live += k
	if n := len(l.slots); l.head >= k && items[k-1].rec.Seq < l.slots[min(l.head, n-1)].seq {
		l.head -= k
		for i, it := range items {
			l.slots[l.head+i] = slot{it.rec.Seq, it}
		}
		return
	}
	if k == 1 {
		if i := l.from(items[0].rec.Seq); i < len(l.slots) && l.slots[i].seq == items[0].rec.Seq {
			l.slots[i].it = items[0]
			return
		}
	}
	l.merge(items)
}

// merge is restore from the end, which moves what stands behind.
func (l *line) merge(items []*item) {
	i, k := len(l.slots)-1, len(items)
	l.slots = slices.Grow(l.slots, k)[:len(l.slots)+k]
	w := len(l.slots) - 1
	for j := k - 1; j >= 0; {
		switch {
		case i >= l.head && l.slots[i].seq == items[j].rec.Seq: // the place it was taken from
			i--
			continue
		case i >= l.head && l.slots[i].seq > items[j].rec.Seq:
			l.slots[w] = l.slots[i]
			i--
		default:
			l.slots[w] = slot{items[j].rec.Seq, items[j]}
			j--
		}
		w--
	}
	if i < l.head { // nothing stands before them
		clear(l.slots[l.head : w+1])
		l.head = w + 1
		return
	}
	for ; w > i; w-- { // as many places as were found again
		l.slots[w] = slot{seq: l.slots[i].seq}
	}
}

// rest gives memory back when there is no traffic.
func (l *line) rest() {
	if l.live == 0 && cap(l.slots) > slotsIdle {
		l.slots, l.head = nil, 0
	}
}

func (l *line) appendTo(all []*item) []*item {
	for _, s := range l.slots[l.head:] {
		if s.it != nil {
			all = append(all, s.it)
		}
	}
	return all
}
