package queue

import (
	"context"
	"maps"
	"time"

	"github.com/wyemq/wye/core/engine"
)

const (
	sweepAfter = int64(time.Second) // how long what is not read yet may have been expired
	sweepChunk = 4096               // records that are looked at in one turn
	expireGap  = 10 * time.Millisecond
)

// clock is what the queue does at a time. All times are Unix nanoseconds; 0: never.
type clock struct {
	timer *time.Timer
	set   int64 // what timer is set to

	expires int64     // first expiry of what is ready, or earlier
	retry   int64     // when to ask the engine again after an error
	asOf    int64     // what Expire was told
	used    time.Time // last use, for ExpiresIdle

	// The sweep of what is in the log and not read: new records once, all when one of them expires.
	unseen   bool // there may be new ones
	anew     bool // all are to be looked at again
	sweepAt  int64
	sweeping bool
	from     engine.Seq // where it goes on
	first    int64      // first expiry among those that were seen
}

func (c *clock) now() int64 { return max(time.Now().UnixNano(), c.asOf) }

func (c *clock) noteExpiry(at int64) { c.expires = sooner(c.expires, at) }

// sooner returns the earlier of two times.
func sooner(a, b int64) int64 {
	if a == 0 || b != 0 && b < a {
		return b
	}
	return a
}

func (c *clock) stop() {
	if c.timer != nil {
		c.timer.Stop()
	}
	c.timer, c.set = nil, 0
}

// Expire takes out what has expired at now. The queue does that at its own times as well: to the moment for what is
// ready, and when a record is about to be handed out; within a second or so for what is in the log only.
func (q *Queue) Expire(now time.Time) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return
	}
	q.clock.asOf = max(q.clock.asOf, now.UnixNano())
	q.clock.sweepAt = sooner(q.clock.sweepAt, q.clock.asOf)
	q.start()
}

// schedule sets the timer to what is next.
func (q *Queue) schedule() {
	if q.closed || q.purging {
		return
	}
	c := &q.clock
	if c.unseen {
		c.unseen = false
		if q.unread() > 0 {
			c.sweepAt = sooner(c.sweepAt, time.Now().UnixNano()+sweepAfter)
		}
	}
	next := sooner(c.retry, c.sweepAt)
	next = sooner(next, c.expires)
	if len(q.waiting) > 0 {
		next = sooner(next, q.waiting[0].until)
	}
	if q.cfg.Load().ExpiresIdle > 0 && q.consumers == 0 && len(q.browsers) == 0 && !q.told {
		next = sooner(next, c.used.Add(q.cfg.Load().ExpiresIdle).UnixNano())
	}
	switch {
	case next == 0:
		c.stop()
	case c.set == 0 || next < c.set:
		c.stop()
		c.set = next
		c.timer = time.AfterFunc(max(time.Until(time.Unix(0, next)), 0), q.tick)
	}
}

// unread returns how many records are in the log only, or on their way there.
func (q *Queue) unread() int {
	return q.depth - q.ready - q.unacked - len(q.waiting) - len(q.leaving)
}

// tick is called by the timer.
func (q *Queue) tick() {
	q.mu.Lock()
	if q.closed {
		q.mu.Unlock()
		return
	}
	q.clock.timer, q.clock.set = nil, 0
	idle := q.cfg.Load().ExpiresIdle > 0 && q.consumers == 0 && len(q.browsers) == 0 &&
		time.Since(q.clock.used) >= q.cfg.Load().ExpiresIdle && q.tell()
	q.start()
	q.mu.Unlock()
	if idle {
		q.hooks.Idle()
	}
}

// tell reports whether the owner is to be told that the queue should go.
func (q *Queue) tell() bool {
	if q.told || q.closed || q.hooks.Idle == nil {
		return false
	}
	q.told = true
	return true
}

// revive puts back what has waited long enough, and returns what the engine is to be asked again.
func (q *Queue) revive(now int64) (again []*departure) {
	if q.clock.retry != 0 && q.clock.retry <= now {
		q.clock.retry, q.more = 0, true
		again, q.retries = q.retries, nil
	}
	var back []*item
	for len(q.waiting) > 0 && q.waiting[0].until <= now {
		it := q.waiting.pop()
		it.until = 0
		back = append(back, it)
	}
	q.restore(back)
	return again
}

// expire takes out of the lanes what has expired. How often depends on how much there is to look at.
func (q *Queue) expire(now int64) {
	c := &q.clock
	if c.expires == 0 || c.expires > now {
		return
	}
	var first int64
	for lane := range q.lanes {
		l := &q.lanes[lane]
		for at := l.head; l.live > 0 && at < len(l.slots); {
			it := l.slots[at].it
			switch {
			case it == nil || it.expires == 0:
				at++
			case it.expires > now:
				first = sooner(first, it.expires)
				at++
			default:
				q.condemn(q.takeOut(lane, at), reasonExpired)
				at = l.from(it.rec.Seq + 1)
			}
		}
	}
	if c.expires = first; first != 0 && q.ready > batchItems {
		c.expires = max(first, now+int64(expireGap)+int64(q.ready)*int64(time.Microsecond))
	}
}

// sweepDue reports whether the runner has to look for expired records in the log.
func (c *clock) sweepDue(now int64) bool {
	if c.sweeping || c.sweepAt == 0 || c.sweepAt > now {
		return c.sweeping
	}
	c.sweepAt, c.sweeping = 0, true
	if c.anew || c.first != 0 && c.first <= now {
		c.from, c.first, c.anew = 0, 0, false
	}
	return true
}

// sweep looks at some records of the log.
func (q *Queue) sweep(now int64) {
	q.io.Lock()
	defer q.io.Unlock()
	c := &q.clock // sweeping, from and first are the runner's while sweeping is set
	q.mu.Lock()
	q.parted = make(map[engine.Seq]struct{})
	q.mu.Unlock()
	var found []*item
	shown := 0
	err := q.log.Browse(context.Background(), c.from, func(r engine.Record) bool {
		c.from = r.Seq + 1
		switch at := q.expiry(r.Msg); {
		case at != 0 && at <= now:
			it := new(item)
			q.init(it, r)
			found = append(found, it)
		case at != 0:
			c.first = sooner(c.first, at)
		}
		shown++
		return shown < sweepChunk
	})
	q.mu.Lock()
	defer q.mu.Unlock()
	parted := q.parted
	q.parted = nil
	if len(found) > 0 {
		known := q.known()
		maps.Copy(known, parted) // Browse may have shown them before
		for _, it := range found {
			if _, ok := known[it.rec.Seq]; !ok {
				q.condemn(it, reasonExpired)
			}
		}
	}
	if shown < sweepChunk || err != nil {
		c.sweeping = false
		if c.first != 0 && !c.anew {
			c.sweepAt = max(c.first, now+sweepAfter)
		}
	}
}

// known returns the records that are not in the log only.
func (q *Queue) known() map[engine.Seq]struct{} {
	seqs := q.handed(nil)
	for seq := range q.leaving {
		seqs = append(seqs, seq)
	}
	for _, it := range q.waiting {
		seqs = append(seqs, it.rec.Seq)
	}
	known := make(map[engine.Seq]struct{}, len(seqs)+q.ready)
	for _, seq := range seqs {
		known[seq] = struct{}{}
	}
	for i := range q.lanes {
		for _, s := range q.lanes[i].slots[q.lanes[i].head:] {
			if s.it != nil {
				known[s.seq] = struct{}{}
			}
		}
	}
	return known
}
