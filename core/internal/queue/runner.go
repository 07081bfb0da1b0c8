package queue

import (
	"time"

	"github.com/wyemq/wye/core/engine"
)

// What is read ahead; see the package comment.
const (
	batchItems     = 256
	batchBytes     = 8 << 20
	windowItems    = 1024
	windowBytes    = 16 << 20
	selectiveItems = 100_000
	selectiveBytes = 64 << 20
	slabItems      = 64 // items allocated at once
)

// retryAfter is when the queue tries again what the engine refused.
const retryAfter = int64(time.Second)

// wake is called by the engine when the log has more.
func (q *Queue) wake() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.more, q.clock.unseen = true, true
	q.kick()
}

// kick makes sure that what there is to do is done, now or at its time.
func (q *Queue) kick() {
	switch {
	case q.closed:
	case q.running:
		q.again = true
	case q.hasWork():
		q.start()
	default:
		q.schedule()
	}
}

// hasWork is a guess that may be wrong on the side of yes.
func (q *Queue) hasWork() bool {
	if q.purging {
		return false
	}
	return (q.ready > 0 || q.more) && (q.anyHungry() || q.over()) || len(q.dead) > 0
}

func (q *Queue) anyHungry() bool {
	for _, cl := range q.classes {
		for _, c := range cl.members {
			if c.hungry() {
				return true
			}
		}
	}
	return false
}

func (q *Queue) start() {
	if q.running {
		q.again = true
		return
	}
	q.running = true
	q.runs.Add(1) // shut waits for it, having set closed before
	go q.run()
}

func (q *Queue) run() {
	defer q.runs.Done()
	for q.round() {
	}
}

// round does one turn of everything, and reports whether there may be more to do.
func (q *Queue) round() bool {
	q.mu.Lock()
	q.again = false
	if q.closed || q.purging || q.isLost() {
		q.running = false
		q.mu.Unlock()
		return false
	}
	now := q.clock.now()
	redo := q.revive(now)
	q.expire(now)
	want := q.ahead() || q.trim() || q.serve(now)
	sweep := q.clock.sweepDue(now)
	dead := q.dead
	q.dead = nil
	var browser *Consumer
	if len(q.browsers) > 0 {
		browser = q.browsers[0]
	}
	if !want && !sweep && len(q.served) == 0 && len(dead) == 0 && len(redo) == 0 && browser == nil && !q.again {
		q.running = false
		q.rest()
		q.mu.Unlock()
		return false
	}
	if want {
		q.more = false // until fill or wake know better
	}
	q.mu.Unlock()
	q.discard(dead)
	for _, d := range redo {
		q.depart(d)
	}
	for i, c := range q.served {
		c.hand()
		q.served[i] = nil
	}
	q.served = q.served[:0]
	if browser != nil {
		browser.look()
	}
	if want {
		q.fill()
	}
	if sweep {
		q.sweep(now)
	}
	return true
}

func (q *Queue) isLost() bool {
	select {
	case <-q.lost:
		return true
	default:
		return false
	}
}

// ahead reports whether to read before anything is handed out, because something urgent may have come.
func (q *Queue) ahead() bool {
	return q.mixed && q.more && q.ready < 2*windowItems && q.body < windowBytes && q.anyHungry()
}

// room reports whether the window may grow.
func (q *Queue) room() bool {
	if q.selective > 0 || q.groups.used {
		return q.ready < selectiveItems && q.body < selectiveBytes
	}
	return q.ready < windowItems && q.body < windowBytes
}

// fill reads ahead.
func (q *Queue) fill() {
	q.io.Lock()
	defer q.io.Unlock()
	recs, err := q.log.Next(batchItems, batchBytes)
	var slab []item
	for i, r := range recs { // before the lock: to load a record may take a while
		if len(slab) == 0 {
			slab = make([]item, min(len(recs)-i, slabItems))
		}
		q.init(&slab[0], r)
		q.read = append(q.read, &slab[0])
		slab = slab[1:]
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if err != nil {
		if !q.isLost() {
			q.clock.retry = q.clock.now() + retryAfter
		}
		return
	}
	q.more = q.more || len(recs) > 0
	for i, it := range q.read {
		q.read[i] = nil
		if q.leaving[it.rec.Seq] == nil { // else the sweeper was faster
			q.add(it)
		}
	}
	q.read = q.read[:0]
}

// add puts a record that was read into its lane.
func (q *Queue) add(it *item) {
	m := it.rec.Msg
	q.clock.noteExpiry(it.expires)
	q.mixed = q.mixed || m.Priority != engine.DefaultPriority
	if q.hooks.Group != nil {
		it.group, it.last = q.hooks.Group(m)
		q.groups.used = q.groups.used || it.group != ""
	}
	q.lanes[it.lane].push(it)
	q.ready++
	q.body += it.size()
}

// takeOut removes an item from its lane.
func (q *Queue) takeOut(lane, i int) *item {
	it := q.lanes[lane].take(i)
	q.ready--
	q.body -= it.size()
	return it
}

// rest gives memory back and sets the timer.
func (q *Queue) rest() {
	for i := range q.lanes {
		q.lanes[i].rest()
	}
	if cap(q.ring) > slotsIdle {
		q.ring, q.served = nil, nil
	}
	if cap(q.read) > slotsIdle {
		q.read = nil
	}
	q.schedule()
}
