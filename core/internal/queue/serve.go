package queue

import (
	"cmp"
	"slices"
	"sync"
)

// batch is what one consumer is handed at once. Consumers have none while they are not being served.
type batch struct {
	ds    []Delivery
	items []*item
}

var batches = sync.Pool{New: func() any { return new(batch) }}

func (b *batch) release() {
	clear(b.ds)
	clear(b.items)
	b.ds, b.items = b.ds[:0], b.items[:0]
	batches.Put(b)
}

// serve chooses who gets what, at most one batch, for the consumers in q.served. It reports whether somebody could take
// more than there was, and more may be read.
func (q *Queue) serve(now int64) (want bool) {
	left := batchItems
	if q.exclusive > 0 {
		q.ring = append(q.ring[:0], q.sole())
		_, left, want = q.turns(left, now)
	} else {
		for _, cl := range q.classes {
			left, want = q.serveClass(cl, left, now, want)
		}
	}
	clear(q.ring[:cap(q.ring)])
	return want && left > 0 && q.more && q.room()
}

// sole returns the one consumer that is served because it asked for that.
func (q *Queue) sole() *Consumer {
	for _, cl := range q.classes {
		for _, c := range cl.members {
			if c.o.Exclusive {
				return c
			}
		}
	}
	return nil
}

// serveClass lets consumers of one priority take turns, beginning with the one that is next.
func (q *Queue) serveClass(cl *class, left int, now int64, want bool) (int, bool) {
	q.ring = q.ring[:0]
	n := len(cl.members)
	for i := range n {
		if c := cl.members[(cl.turn+i)%n]; c.hungry() {
			q.ring = append(q.ring, c)
		}
	}
	last, left, w := q.turns(left, now)
	if last != nil {
		cl.turn = (slices.Index(cl.members, last) + 1) % n
	}
	return left, want || w
}

// turns goes round the ring until nobody in it can take anything, and returns who was served last.
func (q *Queue) turns(left int, now int64) (last *Consumer, _ int, want bool) {
	for i := 0; len(q.ring) > 0 && left > 0; {
		if i >= len(q.ring) {
			i = 0
		}
		c := q.ring[i]
		if !c.hungry() {
			q.ring = slices.Delete(q.ring, i, i+1)
			continue
		}
		lane, at := q.find(c, now)
		if lane < 0 {
			want = true
			q.ring = slices.Delete(q.ring, i, i+1)
			continue
		}
		if !c.o.Window.take(q) {
			q.ring = slices.Delete(q.ring, i, i+1)
			continue
		}
		q.give(c, q.takeOut(lane, at))
		last = c
		left--
		i++
	}
	return last, left, want
}

// find returns the place of the first item that c may have, or -1. On the way it takes out what has expired.
func (q *Queue) find(c *Consumer, now int64) (lane, at int) {
	choosy := c.o.Match != nil || q.groups.used
	for lane := range q.lanes {
		l := &q.lanes[lane]
		at := l.head
		if choosy && l.live > 0 {
			at = l.from(c.scanned[lane] + 1)
		}
		for l.live > 0 && at < len(l.slots) {
			it := l.slots[at].it
			switch {
			case it == nil:
				at++
			case it.expires != 0 && it.expires <= now:
				q.condemn(q.takeOut(lane, at), reasonExpired)
				at = l.from(it.rec.Seq + 1)
			case choosy && !q.suits(c, it):
				c.scanned[lane] = it.rec.Seq
				at++
			default:
				return lane, at
			}
		}
	}
	return -1, -1
}

// suits reports whether c may have it and wants it.
func (q *Queue) suits(c *Consumer, it *item) bool {
	if it.group != "" {
		if owner := q.groups.owner(it.group); owner != nil && owner != c {
			return false
		}
	}
	return c.o.Match == nil || c.o.Match(it.rec.Msg)
}

// give makes it c's.
func (q *Queue) give(c *Consumer, it *item) {
	c.held.push(it)
	q.unacked++
	if it.group != "" {
		if !it.last {
			q.groups.pin(it.group, c)
		} else if q.groups.close(it.group) {
			q.rescan()
		}
	}
	if c.batch == nil {
		c.batch, _ = batches.Get().(*batch)
		q.served = append(q.served, c)
	}
	c.batch.items = append(c.batch.items, it)
	c.batch.ds = append(c.batch.ds, Delivery{
		Record: it.rec, Attempt: int(it.rec.Deliveries) + 1, Redelivered: it.rec.Redelivered,
	})
}

// restore puts items back where they belong, in any order.
func (q *Queue) restore(items []*item) {
	if len(items) == 0 {
		return
	}
	if len(items) > 1 {
		slices.SortFunc(items, func(a, b *item) int {
			if a.lane != b.lane {
				return cmp.Compare(a.lane, b.lane)
			}
			return cmp.Compare(a.rec.Seq, b.rec.Seq)
		})
	}
	for i := 0; i < len(items); {
		j := i
		for j < len(items) && items[j].lane == items[i].lane {
			q.clock.noteExpiry(items[j].expires)
			q.body += items[j].size()
			j++
		}
		q.lanes[items[i].lane].restore(items[i:j])
		q.lookAgain(items[i])
		i = j
	}
	q.ready += len(items)
}

// lookAgain makes consumers look at an item that they may have passed.
func (q *Queue) lookAgain(it *item) {
	if q.selective == 0 && !q.groups.used {
		return
	}
	for _, cl := range q.classes {
		for _, c := range cl.members {
			c.scanned[it.lane] = min(c.scanned[it.lane], it.rec.Seq-1)
		}
	}
}

// rescan makes consumers look at everything again, because what was not for them may be now.
func (q *Queue) rescan() {
	for _, cl := range q.classes {
		for _, c := range cl.members {
			clear(c.scanned[:])
		}
	}
}
