package queue

import (
	"slices"
	"sync"

	"github.com/wyemq/wye/core/engine"
)

// Delivery is one record for one consumer.
type Delivery struct {
	Record      engine.Record
	Attempt     int
	Redelivered bool
	End         bool // of a browse; there is no record
}

// ConsumerOptions say how a consumer is served.
type ConsumerOptions struct {
	// Credit is how many records it may hold at once.
	Credit int
	// Window is credit shared with other consumers; nil: none.
	Window *Window
	// Priority: higher ones are served first, while they have credit.
	Priority int
	// Exclusive: when there is such a consumer, one consumer gets everything and the others wait.
	Exclusive bool
	// Sole allows no other consumer.
	Sole bool
	// Browse looks at everything once and takes nothing.
	Browse bool
	// Match says which records it wants; nil: all.
	Match func(*engine.Message) bool
	// Deliver hands records over: from one goroutine at a time, in order, with no lock held. It must not
	// block. ds is valid during the call.
	Deliver func(ds []Delivery)
}

// Consumer takes records out of a queue.
type Consumer struct {
	q    *Queue
	o    ConsumerOptions
	held map[engine.Seq]*item
	scan [10]scan

	batch     []Delivery // being gathered; belongs to the runner
	browsed   engine.Seq // of a browse: where to go on
	browseEnd bool
	gone      bool
	busy      sync.Mutex // held while Deliver runs
}

// Attach adds a consumer. ErrInUse: it or one that is there wants to be alone.
func (q *Queue) Attach(o ConsumerOptions) (*Consumer, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return nil, ErrClosed
	}
	for _, c := range q.consumers {
		if o.Sole || c.o.Sole {
			return nil, ErrInUse
		}
	}
	c := &Consumer{q: q, o: o, held: make(map[engine.Seq]*item)}
	i := slices.IndexFunc(q.consumers, func(x *Consumer) bool { return x.o.Priority < o.Priority })
	if i < 0 {
		i = len(q.consumers)
	}
	q.consumers = slices.Insert(q.consumers, i, c)
	if o.Match != nil {
		q.selectors++
	}
	q.watchIdle()
	q.kick()
	return c, nil
}

// Detach ends the consumer. What it holds returns to its place, flagged redelivered, not counted as an
// attempt. After it returned no Deliver is under way; so it must not be called from Deliver.
func (c *Consumer) Detach() {
	q := c.q
	q.mu.Lock()
	if c.gone {
		q.mu.Unlock()
		return
	}
	c.gone = true
	if i := slices.Index(q.consumers, c); i >= 0 {
		q.consumers = slices.Delete(q.consumers, i, i+1)
	}
	if c.o.Match != nil {
		q.selectors--
	}
	for key, owner := range q.groups {
		if owner == c {
			delete(q.groups, key)
			for i := range q.lanes {
				q.lanes[i].gen++ // others may have passed over what is free now
			}
		}
	}
	for seq, it := range c.held {
		delete(c.held, seq)
		q.giveBack(c, it)
	}
	last := len(q.consumers) == 0 && q.cfg.AutoDelete && !q.closed
	q.watchIdle()
	q.kick()
	q.mu.Unlock()
	c.busy.Lock()   // wait for a Deliver that is under way
	c.busy.Unlock() //nolint:staticcheck // empty on purpose
	if last && q.hooks.Idle != nil {
		q.hooks.Idle()
	}
}

// giveBack returns an item that a consumer held. The caller holds mu.
func (q *Queue) giveBack(c *Consumer, it *item) {
	it.redelivered = true
	q.unacked--
	q.lane(it).restore(it)
	c.o.Window.free(1)
}

// Window is credit that several consumers share: what one session may hold over all its
// subscriptions. A nil Window has no end.
type Window struct {
	mu      sync.Mutex
	left    int
	waiting map[*Queue]struct{}
}

// NewWindow returns a window of n records.
func NewWindow(n int) *Window { return &Window{left: n, waiting: make(map[*Queue]struct{})} }

// take takes one; when there is none, q is woken as soon as there is.
func (w *Window) take(q *Queue) bool {
	if w == nil {
		return true
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.left == 0 {
		w.waiting[q] = struct{}{}
		return false
	}
	w.left--
	return true
}

// free gives n back. It wakes queues from a goroutine of theirs, because the caller may hold the lock of one.
func (w *Window) free(n int) {
	if w == nil || n == 0 {
		return
	}
	w.mu.Lock()
	w.left += n
	var wake []*Queue
	for q := range w.waiting {
		wake = append(wake, q)
	}
	clear(w.waiting)
	w.mu.Unlock()
	for _, q := range wake {
		q.poke()
	}
}
