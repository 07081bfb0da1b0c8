package core

import (
	"sync"
	"sync/atomic"
	"time"
)

// The most that waits for Release: what is published in about a millisecond.
const (
	heldPublishes  = 256
	heldDeliveries = 8192
)

// waker puts off the waking of sessions that get something to write, so that each is woken, and writes, once for many
// publishes of this one.
type waker struct {
	holding atomic.Bool
	awaited atomic.Bool  // somebody has promised to wake this session
	now     atomic.Int64 // when the first of what is held was published, in unix nanoseconds; 0: nothing is held

	mu         sync.Mutex
	promised   []*Session
	publishes  int // since the last time
	deliveries int
}

// Hold says that more publishes follow at once, so that the receivers need not be woken for each: they are at Release, and
// each of them has all of it to write at a time. For a protocol that has several messages from one read: it calls Hold
// before each Publish, and Release before it waits for anything, above all for the next read. Publish itself wakes the
// receivers before it does anything that may take long, and after some hundred messages.
func (s *Session) Hold() {
	if !s.waker.holding.Load() {
		s.waker.holding.Store(true)
	}
}

// Release wakes everybody who got something since Hold.
func (s *Session) Release() {
	if s.waker.holding.Load() {
		s.waker.holding.Store(false)
		s.wake()
	}
}

// wake keeps what s has promised.
func (s *Session) wake() {
	w := &s.waker
	w.now.Store(0)
	w.mu.Lock()
	w.publishes, w.deliveries = 0, 0
	if len(w.promised) == 0 {
		w.mu.Unlock()
		return
	}
	promised := w.promised
	w.promised = nil
	w.mu.Unlock()
	for i, to := range promised {
		to.waker.awaited.Store(false) // first: who comes later makes a promise of its own
		to.writer.kick()
		promised[i] = nil
	}
	if cap(promised) > 64 {
		return
	}
	w.mu.Lock()
	if w.promised == nil {
		w.promised = promised[:0]
	}
	w.mu.Unlock()
}

// waken wakes s, for which something was queued, unless somebody has promised to do so soon. from, who has published it, may
// be nil.
func (s *Session) waken(from *Session) {
	if s.waker.awaited.Load() {
		return
	}
	if from == nil || !from.waker.promise(s) {
		s.writer.kick()
	}
}

// promise promises to wake to when Release is called; false when nobody will call it.
func (w *waker) promise(to *Session) bool {
	if !w.holding.Load() {
		return false
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.holding.Load() { // Release has come in between
		return false
	}
	if to.waker.awaited.CompareAndSwap(false, true) {
		w.promised = append(w.promised, to)
	}
	return true
}

// clock returns the time. What is held is of one time, as it is taken from the network together.
func (w *waker) clock() time.Time {
	if !w.holding.Load() {
		return time.Now()
	}
	now := w.now.Load()
	if now == 0 {
		now = time.Now().UnixNano()
		w.now.Store(now)
	}
	return time.Unix(0, now)
}

// published counts a message and its deliveries, and wakes their receivers when they have waited long enough.
func (s *Session) published(deliveries int) {
	w := &s.waker
	if deliveries == 0 || !w.holding.Load() {
		return
	}
	w.mu.Lock()
	w.publishes++
	w.deliveries += deliveries
	enough := w.publishes >= heldPublishes || w.deliveries >= heldDeliveries
	w.mu.Unlock()
	if enough {
		s.wake()
	}
}
