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
	if q.cfg.Overflow == OverflowReject {
		return false
	}
	return q.cfg.MaxLength > 0 && q.depth-len(q.leaving) > q.cfg.MaxLength ||
		q.cfg.MaxBytes > 0 && q.bytes-q.leavingBytes > q.cfg.MaxBytes
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
		q.condemn(q.takeOut(lane, q.lanes[lane].head), reasonLength)
	}
	return false
}

// keeps reports whether what leaves for a reason becomes a dead letter.
func (q *Queue) keeps(reason string) bool {
	switch {
	case q.hooks.Dead == nil:
		return false
	case reason == reasonExpired:
		return q.cfg.ExpiredToDLQ
	default:
		return q.cfg.Overflow == OverflowDeadLetter
	}
}

// discard settles what leaves, in batches, with the dead letters that are made of it.
func (q *Queue) discard(dead []condemned) {
	for len(dead) > 0 {
		n := min(len(dead), batchItems)
		q.discardBatch(dead[:n])
		dead = dead[n:]
	}
}

func (q *Queue) discardBatch(dead []condemned) {
	var ops []engine.Op
	seqs := make([]engine.Seq, 0, len(dead))
	dropped := make(map[string]int)
	for _, d := range dead {
		seqs = append(seqs, d.it.rec.Seq)
		var moved []engine.Op
		if q.keeps(d.reason) {
			moved = q.hooks.Dead(d.it.rec, int(d.it.rec.Deliveries), d.reason)
		}
		if len(moved) == 0 {
			dropped[d.reason]++
		}
		ops = append(ops, moved...)
	}
	ops = append(ops, engine.Op{Kind: engine.Settle, Log: q.log, Seqs: seqs})
	q.runs.Add(1) // by the runner, so that shut waits
	q.eng.Commit(&engine.Batch{Ops: ops, Relaxed: true}, func(err error) {
		defer q.runs.Done()
		if err != nil && q.hooks.Undo != nil {
			q.hooks.Undo(ops)
		}
		q.discarded(dead, err)
		if err == nil && q.hooks.Dropped != nil {
			for reason, n := range dropped {
				q.hooks.Dropped(reason, n)
			}
		}
	})
}

// discarded counts them out, or keeps them for another try.
func (q *Queue) discarded(dead []condemned, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, d := range dead {
		delete(q.leaving, d.it.rec.Seq)
		q.leavingBytes -= d.it.size()
		switch {
		case err == nil:
			q.left(d.it)
		case d.it.read: // else Next will give it again
			d.it.until = q.clock.now() + retryAfter
			q.waiting.push(d.it)
		}
	}
	if len(q.leaving) == 0 {
		q.leaving = nil
	}
	q.kick()
}
