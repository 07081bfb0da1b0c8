package queue

import (
	"slices"
	"time"

	"github.com/wyemq/wye/core/engine"
)

// Outcome says what became of records that were handed out.
type Outcome uint8

// The outcomes.
const (
	Accepted Outcome = iota + 1 // done with
	Requeue                     // deliver again; a failed attempt
	Rejected                    // a dead letter
	Released                    // deliver again; not counted
)

// Settling is records whose settlement is under way.
type Settling struct {
	c       *Consumer
	outcome Outcome
	items   []*item
	leave   []*item // of them, those that leave the queue
	back    []*item // and those that return to it
	ops     []engine.Op
	dropped int // dead letters that nobody keeps
	reason  string

	// What the slices hold when one record is settled.
	oneItem [1]*item
	oneSeq  [1]engine.Seq
	oneOp   [1]engine.Op
}

// Settle claims records that were handed to c. The caller puts Ops into a batch and calls Done with what became of it.
// An error (ErrUnknown: c does not hold one of them; ErrClosed) claims nothing. A record that is named twice is settled
// once. Hooks.Dead is called from here.
func (c *Consumer) Settle(o Outcome, seqs ...engine.Seq) (*Settling, error) {
	x := &Settling{c: c, outcome: o}
	if x.items = x.oneItem[:0]; len(seqs) > 1 {
		x.items = make([]*item, 0, len(seqs))
	}
	if err := x.claim(seqs); err != nil {
		return nil, err
	}
	x.ops = x.oneOp[:0]
	switch o {
	case Accepted:
		x.leave = x.items
	case Rejected:
		x.leave = x.items
		x.bury(0, reasonRejected)
	case Requeue:
		x.part()
		x.step(engine.Failed, x.back)
		x.bury(1, reasonDeliveries)
	default:
		x.back = x.items
	}
	x.step(engine.Settle, x.leave)
	return x, nil
}

// claim takes the items, all or none.
func (x *Settling) claim(seqs []engine.Seq) error {
	q, held := x.c.q, &x.c.held
	q.mu.Lock()
	defer q.mu.Unlock()
	err := ErrClosed
	if !q.closed {
		err = nil
		for _, seq := range seqs {
			i := held.find(seq)
			if i < 0 || held.slots[i].it.claim != nil && held.slots[i].it.claim != x {
				err = ErrUnknown
				break
			}
			if it := held.slots[i].it; it.claim == nil {
				it.claim = x
				x.items = append(x.items, it)
			}
		}
	}
	if err != nil {
		for _, it := range x.items {
			it.claim = nil
		}
	}
	return err
}

// step adds what the engine does to items.
func (x *Settling) step(kind engine.OpKind, items []*item) {
	if len(items) == 0 {
		return
	}
	seqs := x.oneSeq[:0]
	if len(x.items) > 1 {
		seqs = make([]engine.Seq, 0, len(items))
	}
	for _, it := range items {
		seqs = append(seqs, it.rec.Seq)
	}
	x.ops = append(x.ops, engine.Op{Kind: kind, Log: x.c.q.log, Seqs: seqs})
}

// part tells items that have another attempt left from those that have none.
func (x *Settling) part() {
	limit := x.c.q.cfg.Load().MaxDeliveries
	if limit < 0 {
		x.back = x.items
		return
	}
	for _, it := range x.items {
		if int(it.rec.Deliveries)+1 < limit {
			x.back = append(x.back, it)
		} else {
			x.leave = append(x.leave, it)
		}
	}
}

// bury makes dead letters of what leaves. failed is 1 if this settlement is itself a failed attempt.
func (x *Settling) bury(failed int, reason string) {
	q := x.c.q
	x.reason = reason
	for _, it := range x.leave {
		var ops []engine.Op
		if q.hooks.Dead != nil {
			ops = q.hooks.Dead(it.rec, int(it.rec.Deliveries)+failed, reason)
		}
		if len(ops) == 0 {
			x.dropped++
		}
		x.ops = append(x.ops, ops...)
	}
}

// Ops returns what the engine has to do. It is valid until Done.
func (x *Settling) Ops() []engine.Op { return x.ops }

// Done says how the batch ended. With nil the records are settled: credit is free, and those to be delivered again are
// back in their place, or wait for their back-off. With an error they are held as before, or are back in the queue if
// the consumer has left meanwhile. It is called once.
func (x *Settling) Done(err error) {
	q, c := x.c.q, x.c
	q.mu.Lock()
	n := len(x.items)
	for _, it := range x.items {
		it.claim = nil
	}
	switch {
	case err == nil:
		x.finish()
		q.unacked -= n
	case c.gone:
		back := c.yield()
		q.restore(back)
		n = len(back)
	default:
		n = 0
	}
	if c.gone && c.held.live == 0 {
		q.remains = slices.DeleteFunc(q.remains, func(r *Consumer) bool { return r == c })
	}
	c.held.rest()
	wake := c.o.Window.free(n)
	q.kick()
	q.mu.Unlock()
	wakeAll(wake)
	if err == nil && x.dropped > 0 && q.hooks.Dropped != nil {
		q.hooks.Dropped(q, x.reason, x.dropped)
	}
	if err != nil && x.reason != "" && q.hooks.Undo != nil {
		q.hooks.Undo(x.ops)
	}
	x.items, x.leave, x.back, x.ops = nil, nil, nil, nil
}

// finish is Done when everything went well.
func (x *Settling) finish() {
	q, c := x.c.q, x.c
	for _, it := range x.items {
		c.held.take(c.held.find(it.rec.Seq))
	}
	for _, it := range x.leave {
		q.left(it)
	}
	if len(x.back) == 0 {
		return
	}
	var now time.Time
	again := x.back[:0]
	for _, it := range x.back {
		it.rec.Redelivered = true
		if x.outcome == Requeue {
			it.rec.Deliveries++
			if wait := q.backoff(int(it.rec.Deliveries)); wait > 0 {
				if now.IsZero() {
					now = time.Now()
				}
				it.until = now.Add(wait).UnixNano()
				q.waiting.push(it)
				continue
			}
		}
		again = append(again, it)
	}
	q.restore(again)
}

// backoff returns how long to wait after so many failed attempts.
func (q *Queue) backoff(failed int) time.Duration {
	wait := q.cfg.Load().Backoff
	for i := 1; i < failed && wait < q.cfg.Load().MaxBackoff; i++ {
		wait *= 2
	}
	return min(wait, q.cfg.Load().MaxBackoff)
}

// left counts an item out that is settled.
func (q *Queue) left(it *item) {
	q.depth--
	q.bytes -= it.size()
	if q.parted != nil {
		q.parted[it.rec.Seq] = struct{}{}
	}
	it.rec.Msg = nil // items are allocated together
}
