package queue

import "github.com/wyemq/wye/core/engine"

// condemned is an item that leaves without a consumer.
type condemned struct {
	it     *item
	reason string
}

// condemn takes note of an item that is in no lane any more.
func (q *Queue) condemn(it *item, reason string) {
	if q.leaving == nil {
		q.leaving = make(map[engine.Seq]*item)
	}
	q.leaving[it.rec.Seq] = it
	q.leavingBytes += it.size()
	q.dead = append(q.dead, condemned{it, reason})
}

// over reports whether drop_head or dead_letter have to make room.
func (q *Queue) over() bool {
	if q.cfg.Load().Overflow == OverflowReject {
		return false
	}
	return q.cfg.Load().MaxLength > 0 && q.depth-len(q.leaving) > q.cfg.Load().MaxLength ||
		q.cfg.Load().MaxBytes > 0 && q.bytes-q.leavingBytes > q.cfg.Load().MaxBytes
}

// trim makes room: the first of the least urgent leave. It reports whether more has to be read for that.
func (q *Queue) trim() (want bool) {
	for q.over() {
		lane := lanes - 1
		for lane >= 0 && q.lanes[lane].live == 0 {
			lane--
		}
		if lane < 0 {
			return q.more
		}
		q.condemn(q.takeOut(lane, q.lanes[lane].head), ReasonLength)
	}
	return false
}

// keeps reports whether what leaves for a reason becomes a dead letter.
func (q *Queue) keeps(reason string) bool {
	switch {
	case q.hooks.Dead == nil:
		return false
	case reason == reasonExpired:
		return q.cfg.Load().ExpiredToDLQ
	default:
		return q.cfg.Load().Overflow == OverflowDeadLetter
	}
}

// departure is items that leave together, and what is done for it. What the engine refuses is tried again as it is.
type departure struct {
	items   []condemned
	ops     []engine.Op
	dropped map[string]int // how many became no dead letter, by reason
}

// discard settles what leaves, in batches, with the dead letters that are made of it.
func (q *Queue) discard(dead []condemned) {
	for len(dead) > 0 {
		n := min(len(dead), batchItems)
		q.depart(q.departure(dead[:n]))
		dead = dead[n:]
	}
}

func (q *Queue) departure(dead []condemned) *departure {
	d := &departure{items: dead, dropped: make(map[string]int)}
	seqs := make([]engine.Seq, 0, len(dead))
	for _, x := range dead {
		seqs = append(seqs, x.it.rec.Seq)
		var moved []engine.Op
		if q.keeps(x.reason) {
			moved = q.hooks.Dead(x.it.rec, int(x.it.rec.Deliveries), x.reason)
		}
		if len(moved) == 0 {
			d.dropped[x.reason]++
		}
		d.ops = append(d.ops, moved...)
	}
	d.ops = append(d.ops, engine.Op{Kind: engine.Settle, Log: q.log, Seqs: seqs})
	return d
}

// depart is called by the runner.
func (q *Queue) depart(d *departure) {
	q.runs.Add(1) // so that shut waits
	q.eng.Commit(&engine.Batch{Ops: d.ops, Relaxed: true}, func(err error) {
		defer q.runs.Done()
		if err != nil && q.hooks.Undo != nil {
			q.hooks.Undo(d.ops)
		}
		q.departed(d, err)
		if err == nil && q.hooks.Dropped != nil {
			for reason, n := range d.dropped {
				q.hooks.Dropped(q, reason, n)
			}
		}
	})
}

// departed counts items out, or keeps them for another try; they stay out of the lanes.
func (q *Queue) departed(d *departure, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if err != nil {
		q.retries = append(q.retries, d)
		q.clock.retry = sooner(q.clock.retry, q.clock.now()+retryAfter)
		q.kick()
		return
	}
	for _, x := range d.items {
		delete(q.leaving, x.it.rec.Seq)
		q.leavingBytes -= x.it.size()
		q.left(x.it)
	}
	if len(q.leaving) == 0 {
		q.leaving = nil
	}
	q.kick()
}
