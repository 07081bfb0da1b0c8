package queue

import (
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
	dead    []*item
	ops     []engine.Op
}

// Settle claims records that were handed to c. The caller puts Ops into a batch and calls Done with what
// became of it. ErrUnknown: c does not hold one of them, and nothing was claimed.
func (c *Consumer) Settle(o Outcome, seqs ...engine.Seq) (*Settling, error) {
	q := c.q
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, seq := range seqs {
		if c.held[seq] == nil {
			return nil, ErrUnknown
		}
	}
	x := &Settling{c: c, outcome: o, items: make([]*item, 0, len(seqs))}
	settle := make([]engine.Seq, 0, len(seqs))
	var failed []engine.Seq
	for _, seq := range seqs {
		it := c.held[seq]
		if it == nil {
			continue // named twice
		}
		delete(c.held, seq)
		switch {
		case o == Accepted:
			settle = append(settle, seq)
			x.items = append(x.items, it)
		case o == Rejected:
			settle = append(settle, seq)
			x.bury(it, "rejected")
		case o == Requeue && q.cfg.MaxDeliveries > 0 && it.attempts+1 >= q.cfg.MaxDeliveries:
			settle = append(settle, seq)
			x.bury(it, "max_deliveries")
		case o == Requeue:
			failed = append(failed, seq)
			x.items = append(x.items, it)
		default:
			x.items = append(x.items, it)
		}
	}
	if len(settle) > 0 {
		x.ops = append(x.ops, engine.Op{Kind: engine.Settle, Log: q.log, Seqs: settle})
	}
	if len(failed) > 0 {
		x.ops = append(x.ops, engine.Op{Kind: engine.Failed, Log: q.log, Seqs: failed})
	}
	return x, nil
}

// bury makes a dead letter of it.
func (x *Settling) bury(it *item, reason string) {
	x.dead = append(x.dead, it)
	q := x.c.q
	var ops []engine.Op
	if q.hooks.Dead != nil {
		ops = q.hooks.Dead(it.rec, it.attempts+1, reason)
	}
	if len(ops) == 0 && q.hooks.Dropped != nil {
		q.hooks.Dropped(reason, 1)
	}
	x.ops = append(x.ops, ops...)
}

// Ops returns what the engine has to do.
func (x *Settling) Ops() []engine.Op { return x.ops }

// Done says how the batch ended: with nil the records are settled, with an error they are held as before,
// or back in the queue if the consumer has left meanwhile.
func (x *Settling) Done(err error) {
	q, c := x.c.q, x.c
	q.mu.Lock()
	defer q.mu.Unlock()
	if err != nil {
		for _, it := range append(x.items, x.dead...) {
			if c.gone {
				q.giveBack(c, it)
			} else {
				c.held[it.rec.Seq] = it
			}
		}
		q.kick()
		return
	}
	for _, it := range x.dead {
		q.left(it)
	}
	for _, it := range x.items {
		switch x.outcome {
		case Accepted, Rejected:
			q.left(it)
		case Requeue:
			it.attempts++
			it.redelivered = true
			q.retry(it)
		case Released:
			it.redelivered = true
			q.lane(it).restore(it)
		}
	}
	n := len(x.items) + len(x.dead)
	q.unacked -= n
	c.o.Window.free(n)
	q.kick()
}

// left counts an item out that is settled.
func (q *Queue) left(it *item) {
	q.depth--
	q.bytes -= int64(len(it.rec.Msg.Body))
}

// retry puts a nacked item back, after its back-off.
func (q *Queue) retry(it *item) {
	if q.cfg.Backoff <= 0 {
		q.lane(it).restore(it)
		return
	}
	wait := q.cfg.Backoff
	for i := 1; i < it.attempts && wait < q.cfg.MaxBackoff; i++ {
		wait *= 2
	}
	it.until = time.Now().Add(min(wait, q.cfg.MaxBackoff))
	q.waiting = append(q.waiting, it)
	q.schedule()
}
