package queue

// Configure makes the queue behave as cfg says from now on: what waits already too, so that records may expire or make room
// at once. Priorities stay in use once they were.
func (q *Queue) Configure(cfg Config) {
	cfg = cfg.complete()
	q.mu.Lock()
	defer q.mu.Unlock()
	old := q.cfg.Swap(&cfg)
	if q.closed {
		return
	}
	q.mixed = q.mixed || cfg.Priorities
	if old.TTL != cfg.TTL {
		q.age()
	}
	q.start() // to make room
}

// age works out anew when records expire.
func (q *Queue) age() {
	renew := func(it *item) {
		it.expires = q.expiry(it.rec.Msg)
		q.clock.noteExpiry(it.expires)
	}
	for i := range q.lanes {
		for _, s := range q.lanes[i].slots[q.lanes[i].head:] {
			if s.it != nil {
				renew(s.it)
			}
		}
	}
	for _, it := range q.waiting {
		renew(it)
	}
	q.clock.anew, q.clock.sweepAt = true, q.clock.now()
}
