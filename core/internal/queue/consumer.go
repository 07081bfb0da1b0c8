package queue

import (
	"slices"
	"sync"
	"time"

	"github.com/wyemq/wye/core/engine"
)

// Delivery is one record for one consumer. Attempt is 1 for the first one.
type Delivery struct {
	Record      engine.Record
	Attempt     int
	Redelivered bool
	End         bool // of a browse; there is no record
}

// ConsumerOptions say how a consumer is served.
type ConsumerOptions struct {
	// Credit is how many records it may hold at once; > 0.
	Credit int
	// Window is credit shared with other consumers; nil: none.
	Window *Window
	// Priority: higher ones are served first, while they have credit.
	Priority int
	// Exclusive: while there is such a consumer, one of them gets everything: the first attached of the highest
	// priority. The others wait for their turn.
	Exclusive bool
	// Sole allows no other consumer; those that browse do not count.
	Sole bool
	// Browse shows everything once, as far as Match says, takes nothing, and then says End. Credit does not count.
	Browse bool
	// Match says which records it wants; nil: all. It is called with the lock of the queue held, so it decides by the
	// message alone.
	Match func(*engine.Message) bool
	// Deliver hands records over: from one goroutine at a time, in order, with no lock held. It must not block. ds is
	// valid during the call.
	Deliver func(ds []Delivery)
}

// Consumer takes records out of a queue.
type Consumer struct {
	q *Queue
	o ConsumerOptions

	// q.mu guards these.
	held    line              // records it has, settled ones until that is done
	scanned [lanes]engine.Seq // up to here nothing is for it
	gone    bool
	batch   *batch // what the runner is about to hand over; nil: nothing
	view    view   // of one that browses; the runner's own

	busy sync.Mutex // held while Deliver runs; taken before q.mu
}

// class is the consumers of one priority, in the order they attached.
type class struct {
	priority int
	members  []*Consumer
	turn     int // index of the one that is served next
}

// Attach adds a consumer. ErrInUse: it or one that is there wants to be alone.
func (q *Queue) Attach(o ConsumerOptions) (*Consumer, error) {
	c := &Consumer{q: q, o: o}
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return nil, ErrClosed
	}
	if o.Browse {
		q.browsers = append(q.browsers, c)
		q.start()
		return c, nil
	}
	for _, cl := range q.classes {
		if o.Sole || cl.members[0].o.Sole {
			return nil, ErrInUse
		}
	}
	i, found := slices.BinarySearchFunc(q.classes, o.Priority, func(cl *class, p int) int { return p - cl.priority })
	if !found {
		q.classes = slices.Insert(q.classes, i, &class{priority: o.Priority})
	}
	q.classes[i].members = append(q.classes[i].members, c)
	q.count(c, 1)
	q.kick()
	return c, nil
}

func (q *Queue) count(c *Consumer, n int) {
	q.consumers += n
	if c.o.Match != nil {
		q.selective += n
	}
	if c.o.Exclusive {
		q.exclusive += n
	}
}

// remove takes c out of the consumers. It reports whether it was the last one.
func (q *Queue) remove(c *Consumer) bool {
	if c.o.Browse {
		q.unbrowse(c)
		return false
	}
	i := slices.IndexFunc(q.classes, func(cl *class) bool { return cl.priority == c.o.Priority })
	cl := q.classes[i]
	at := slices.Index(cl.members, c)
	cl.members = slices.Delete(cl.members, at, at+1)
	if at < cl.turn {
		cl.turn--
	}
	if len(cl.members) == 0 {
		q.classes = slices.Delete(q.classes, i, i+1)
	}
	q.count(c, -1)
	if q.groups.leave(c) {
		q.rescan()
	}
	return q.consumers == 0
}

func (q *Queue) unbrowse(c *Consumer) {
	q.browsers = slices.DeleteFunc(q.browsers, func(x *Consumer) bool { return x == c })
}

// Detach ends the consumer. What it holds returns to its place, flagged redelivered unless Deliver was not called with
// it yet, and not counted as an attempt; what is being settled follows if that fails. After Detach returned no Deliver
// is under way, so it must not be called from there. It is idempotent.
func (c *Consumer) Detach() {
	q := c.q
	q.mu.Lock()
	var wake []*Queue
	idle := false
	if !c.gone {
		c.gone = true
		idle = q.remove(c) && q.cfg.Load().AutoDelete && q.tell()
		back := c.yield()
		q.restore(back)
		wake = c.o.Window.free(len(back))
		if c.held.live > 0 {
			q.remains = append(q.remains, c)
		}
		q.clock.used = time.Now()
		q.kick()
	}
	q.mu.Unlock()
	wakeAll(wake)
	c.busy.Lock()   // wait for a Deliver that is under way
	c.busy.Unlock() //nolint:staticcheck // empty on purpose
	if idle {
		q.hooks.Idle()
	}
}

// yield takes out what c holds and is not being settled.
func (c *Consumer) yield() []*item {
	var back []*item
	for _, s := range c.held.slots[c.held.head:] {
		if s.it != nil && s.it.claim == nil {
			back = append(back, s.it)
		}
	}
	for _, it := range back {
		c.held.take(c.held.find(it.rec.Seq))
		it.rec.Redelivered = it.rec.Redelivered || it.shown
	}
	c.q.unacked -= len(back)
	return back
}

// hungry reports whether c may be given something.
func (c *Consumer) hungry() bool { return c.held.live < c.o.Credit }

// hand gives c what was gathered for it.
func (c *Consumer) hand() {
	c.busy.Lock()
	defer c.busy.Unlock()
	c.q.mu.Lock()
	b := c.batch
	c.batch = nil
	gone := c.gone // then Detach has put everything back
	if !gone {
		for _, it := range b.items {
			it.shown = true
		}
	}
	c.q.mu.Unlock()
	if !gone {
		c.o.Deliver(b.ds)
	}
	b.release()
}
