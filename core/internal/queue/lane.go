package queue

import (
	"slices"
	"time"

	"github.com/wyemq/wye/core/engine"
)

// item is a record on its way through the dispatcher.
type item struct {
	rec         engine.Record
	attempts    int // that failed
	redelivered bool
	expires     time.Time
	group       string
	last        bool      // the group closes after it
	until       time.Time // of the back-off
	taken       bool
}

// lane is what is ready of one priority, in order. Items that were returned stand in their old place.
type lane struct {
	items []*item
	head  int
	holes int // items that were taken from behind the head
	gen   int // changes when something is put in before the end: scans start anew
}

func (l *lane) push(it *item) { l.items = append(l.items, it) }

// restore puts an item back in its place.
func (l *lane) restore(it *item) {
	it.taken = false
	l.gen++
	i, there := slices.BinarySearchFunc(l.items[l.head:], it, func(a, b *item) int {
		switch {
		case a.rec.Seq < b.rec.Seq:
			return -1
		case a.rec.Seq > b.rec.Seq:
			return 1
		}
		return 0
	})
	if there {
		l.holes--
		return
	}
	if i == 0 && l.head > 0 {
		l.head--
		l.items[l.head] = it
	} else {
		l.items = slices.Insert(l.items, l.head+i, it)
	}
}

// trim forgets items at the head that were taken.
func (l *lane) trim() {
	for l.head < len(l.items) && l.items[l.head].taken {
		l.items[l.head] = nil
		l.head++
		l.holes--
	}
	if l.holes > windowItems && l.holes*2 > l.len() {
		l.remove(func(it *item) bool { return it.taken })
	}
	if l.head == len(l.items) {
		l.items, l.head = l.items[:0], 0
		if cap(l.items) > 2*windowItems {
			l.items = nil
		}
		l.gen++
	}
}

// remove takes out what is gone, and everything that was taken.
func (l *lane) remove(gone func(*item) bool) {
	live := l.items[l.head:]
	kept := live[:0]
	for _, it := range live {
		if !gone(it) && !it.taken {
			kept = append(kept, it)
		}
	}
	if len(kept) == len(live) {
		return
	}
	clear(live[len(kept):])
	l.items, l.holes = l.items[:l.head+len(kept)], 0
	l.gen++
}

func (l *lane) len() int { return len(l.items) - l.head }

// scan is how far a consumer has looked at a lane without finding anything for it.
type scan struct{ gen, at int }

// start returns the index from which c has to look.
func (l *lane) start(s scan) int {
	if s.gen == l.gen {
		return max(s.at, l.head)
	}
	return l.head
}
