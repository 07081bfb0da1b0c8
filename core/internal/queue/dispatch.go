package queue

import (
	"context"
	"time"

	"github.com/wyemq/wye/core/engine"
)

// kick makes sure that the runner looks at the queue. The caller holds mu.
func (q *Queue) kick() {
	if q.closed {
		return
	}
	if q.running {
		q.again = true
		return
	}
	q.running = true
	q.runs.Go(q.run)
}

// poke is kick from outside, by a goroutine that may hold the lock of another queue.
func (q *Queue) poke() {
	if q.mu.TryLock() {
		q.kick()
		q.mu.Unlock()
		return
	}
	q.pokeLater()
}

func (q *Queue) pokeLater() {
	time.AfterFunc(0, func() {
		q.mu.Lock()
		q.kick()
		q.mu.Unlock()
	})
}

// run hands out until nothing can be handed out. There is one at a time, so that deliveries stay in order.
func (q *Queue) run() {
	for {
		q.mu.Lock()
		if q.closed {
			q.running = false
			q.mu.Unlock()
			return
		}
		q.again = false
		dead, reasons := q.sweep()
		served := q.serve()
		browsing := q.browsers()
		if len(served) == 0 && len(browsing) == 0 && len(dead) == 0 && !q.again {
			q.running = false
			q.schedule()
			q.mu.Unlock()
			return
		}
		q.mu.Unlock()
		q.discard(dead, reasons)
		for _, c := range served {
			c.hand()
		}
		for _, c := range browsing {
			c.browse()
		}
	}
}

// hand gives a consumer what was gathered for it.
func (c *Consumer) hand() {
	c.busy.Lock()
	c.q.mu.Lock()
	gone := c.gone
	c.q.mu.Unlock()
	if !gone { // else Detach has put everything back
		c.o.Deliver(c.batch)
	}
	c.busy.Unlock()
	clear(c.batch)
	c.batch = c.batch[:0]
}

// add puts a record that was read into its lane.
func (q *Queue) add(r engine.Record) {
	it := &item{rec: r, attempts: int(r.Deliveries), redelivered: r.Redelivered, expires: r.Msg.Expires}
	if q.cfg.TTL > 0 {
		if ttl := r.Msg.Stored.Add(q.cfg.TTL); it.expires.IsZero() || ttl.Before(it.expires) {
			it.expires = ttl
		}
	}
	if !it.expires.IsZero() && (q.expires.IsZero() || it.expires.Before(q.expires)) {
		q.expires = it.expires
	}
	if q.hooks.Group != nil {
		it.group, it.last = q.hooks.Group(r.Msg)
	}
	q.lane(it).push(it)
}

// lane returns where an item stands. Messages of the normal priority are in one lane, so that queues without
// priorities pay nothing for them.
func (q *Queue) lane(it *item) *lane { return &q.lanes[9-min(it.rec.Msg.Priority, 9)] }

// fill reads ahead. It reports whether there is something new.
func (q *Queue) fill() bool {
	if !q.more {
		return false
	}
	have := 0
	for i := range q.lanes {
		have += q.lanes[i].len()
	}
	most := windowItems
	if q.selectors > 0 {
		most = selectorWindow
	}
	if have >= most {
		return false
	}
	recs, err := q.log.Next(min(batchItems, most-have), windowBytes)
	if err != nil || len(recs) == 0 {
		q.more = false
		return false
	}
	for _, r := range recs {
		q.add(r)
	}
	return true
}

// serve chooses who gets what, at most one batch, and returns the consumers that got something.
func (q *Queue) serve() (served []*Consumer) {
	if len(q.consumers) == 0 {
		return nil
	}
	for given := 0; given < batchItems; {
		c := q.next()
		if c == nil {
			if !q.fill() {
				break
			}
			if !q.expires.IsZero() && !q.expires.After(time.Now()) {
				q.again = true // what was read now has expired in the log: sweep it out before anybody gets it
				break
			}
			continue
		}
		if len(c.batch) == 1 {
			served = append(served, c)
		}
		given++
	}
	for i := range q.lanes {
		q.lanes[i].trim()
	}
	return served
}

// next gives one item to the consumer whose turn it is, and returns it; nil when nobody can take any.
func (q *Queue) next() *Consumer {
	n := len(q.consumers)
	exclusive := q.exclusive()
	for i := 0; i < n; {
		// Consumers of one priority take turns; a lower priority is served when no higher one can.
		j := i
		for j < n && q.consumers[j].o.Priority == q.consumers[i].o.Priority {
			j++
		}
		for k := range j - i {
			c := q.consumers[i+(q.turn+k)%(j-i)]
			if exclusive != nil && c != exclusive || !c.hasCredit() {
				continue
			}
			if it := q.find(c); it != nil && c.o.Window.take(q) {
				q.give(c, it)
				q.turn = (q.turn+k)%(j-i) + 1
				return c
			}
		}
		i = j
	}
	return nil
}

// exclusive returns the one consumer that is served, if one asks for that.
func (q *Queue) exclusive() *Consumer {
	any := false
	for _, c := range q.consumers {
		any = any || c.o.Exclusive
	}
	if !any {
		return nil
	}
	for _, c := range q.consumers {
		if !c.o.Browse && c.o.Exclusive {
			return c
		}
	}
	return nil
}

func (c *Consumer) hasCredit() bool { return !c.o.Browse && len(c.held) < c.o.Credit }

// find returns the first item that c may have.
func (q *Queue) find(c *Consumer) *item {
	for i := range q.lanes {
		l := &q.lanes[i]
		at := l.start(c.scan[i])
		for ; at < len(l.items); at++ {
			it := l.items[at]
			if it.taken || it.group != "" && !q.mayHave(c, it.group) || c.o.Match != nil && !c.o.Match(it.rec.Msg) {
				continue
			}
			c.scan[i] = scan{l.gen, at}
			return it
		}
		c.scan[i] = scan{l.gen, at}
	}
	return nil
}

// mayHave reports whether c may have messages of a group: it has the group, or nobody has.
func (q *Queue) mayHave(c *Consumer, group string) bool {
	owner := q.groups[group]
	return owner == nil || owner == c
}

// give makes it c's.
func (q *Queue) give(c *Consumer, it *item) {
	it.taken = true
	q.lane(it).holes++
	c.held[it.rec.Seq] = it
	q.unacked++
	if it.group != "" {
		q.pin(c, it)
	}
	c.batch = append(c.batch, Delivery{Record: it.rec, Attempt: it.attempts + 1, Redelivered: it.redelivered})
}

// pin keeps a group with its consumer until the consumer leaves or the group closes. Beyond maxGroups the
// oldest knowledge is given up: all groups are assigned anew.
func (q *Queue) pin(c *Consumer, it *item) {
	if it.last {
		delete(q.groups, it.group)
		for i := range q.lanes {
			q.lanes[i].gen++ // others may have passed over what is free now
		}
		return
	}
	if q.groups == nil || len(q.groups) >= maxGroups {
		q.groups = make(map[string]*Consumer)
	}
	q.groups[it.group] = c
}

// sweep takes out what has expired, what has waited out its back-off, and what overflows.
func (q *Queue) sweep() (dead []*item, reasons []string) {
	now := time.Now()
	if len(q.waiting) > 0 {
		kept := q.waiting[:0]
		for _, it := range q.waiting {
			if it.until.After(now) {
				kept = append(kept, it)
			} else {
				q.lane(it).restore(it)
			}
		}
		clear(q.waiting[len(kept):])
		q.waiting = kept
	}
	if !q.expires.IsZero() && !q.expires.After(now) {
		dead, reasons = q.expire(now)
	}
	for q.over() {
		it := q.oldest()
		if it == nil {
			break
		}
		it.taken = true
		q.lane(it).holes++
		q.left(it)
		dead, reasons = append(dead, it), append(reasons, "max_length")
	}
	return dead, reasons
}

// oldest returns the item that has to make room first: the first of the lowest priority.
func (q *Queue) oldest() *item {
	for {
		for i := len(q.lanes) - 1; i >= 0; i-- {
			l := &q.lanes[i]
			l.trim()
			for _, it := range l.items[l.head:] {
				if !it.taken {
					return it
				}
			}
		}
		if !q.fill() {
			return nil
		}
	}
}

func (q *Queue) expire(now time.Time) (dead []*item, reasons []string) {
	q.expires = time.Time{}
	for i := range q.lanes {
		q.lanes[i].remove(func(it *item) bool {
			switch {
			case it.taken || it.expires.IsZero():
				return false
			case it.expires.After(now):
				if q.expires.IsZero() || it.expires.Before(q.expires) {
					q.expires = it.expires
				}
				return false
			}
			q.left(it)
			dead, reasons = append(dead, it), append(reasons, "expired")
			return true
		})
	}
	return dead, reasons
}

// Expire is for owners that sweep at their own times; a queue sweeps by itself as well.
func (q *Queue) Expire(time.Time) {
	q.mu.Lock()
	q.kick()
	q.mu.Unlock()
}

// discard settles what left without a consumer, as dead letters where that is asked for.
func (q *Queue) discard(dead []*item, reasons []string) {
	if len(dead) == 0 {
		return
	}
	var ops []engine.Op
	seqs := make([]engine.Seq, 0, len(dead))
	for i, it := range dead {
		seqs = append(seqs, it.rec.Seq)
		keep := reasons[i] == "expired" && q.cfg.ExpiredToDLQ || reasons[i] == "max_length" && q.cfg.Overflow == "dead_letter"
		var moved []engine.Op
		if keep && q.hooks.Dead != nil {
			moved = q.hooks.Dead(it.rec, it.attempts, reasons[i])
		}
		if len(moved) == 0 && q.hooks.Dropped != nil {
			q.hooks.Dropped(reasons[i], 1)
		}
		ops = append(ops, moved...)
	}
	ops = append(ops, engine.Op{Kind: engine.Settle, Log: q.log, Seqs: seqs})
	q.eng.Commit(&engine.Batch{Ops: ops, Relaxed: true}, func(error) {})
}

// schedule sets the timer for the next expiry or end of a back-off. The caller holds mu.
func (q *Queue) schedule() {
	next := q.expires
	for _, it := range q.waiting {
		if next.IsZero() || it.until.Before(next) {
			next = it.until
		}
	}
	if q.timer != nil {
		q.timer.Stop()
		q.timer = nil
	}
	if !next.IsZero() && !q.closed {
		q.timer = time.AfterFunc(max(time.Until(next), 0), func() { q.Expire(time.Time{}) })
	}
}

// browsers returns the consumers that have something to look at.
func (q *Queue) browsers() (list []*Consumer) {
	for _, c := range q.consumers {
		if c.o.Browse && !c.browseEnd {
			list = append(list, c)
		}
	}
	return list
}

// browse shows c everything that is in the log, and the end.
func (c *Consumer) browse() {
	c.busy.Lock()
	defer c.busy.Unlock()
	var batch []Delivery
	_ = c.q.log.Browse(context.Background(), c.browsed, func(r engine.Record) bool {
		if c.o.Match == nil || c.o.Match(r.Msg) {
			batch = append(batch, Delivery{Record: r, Attempt: int(r.Deliveries) + 1, Redelivered: r.Redelivered})
		}
		return true
	})
	batch = append(batch, Delivery{End: true})
	c.browseEnd = true
	c.o.Deliver(batch)
}
