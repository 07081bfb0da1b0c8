package queue

import (
	"slices"
	"sync"
)

// Window is credit that several consumers share: what one session may hold over all its subscriptions. A nil Window has
// no end.
type Window struct {
	mu      sync.Mutex // of what follows; it is taken with the lock of a queue held, never the other way round
	size    int
	left    int // less than none after it was made smaller
	waiting []*Queue
}

// NewWindow returns a window of n records.
func NewWindow(n int) *Window { return &Window{size: n, left: n} }

// Resize makes it one of n records. What consumers have beyond that they keep.
func (w *Window) Resize(n int) {
	w.mu.Lock()
	w.left += n - w.size
	w.size = n
	wake := w.waiting
	w.waiting = nil
	w.mu.Unlock()
	wakeAll(wake)
}

// take takes one; when there is none, q is woken as soon as there is.
func (w *Window) take(q *Queue) bool {
	if w == nil {
		return true
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.left > 0 {
		w.left--
		return true
	}
	if !slices.Contains(w.waiting, q) {
		w.waiting = append(w.waiting, q)
	}
	return false
}

// free gives n back, and returns the queues that the caller has to wake when it holds no lock.
func (w *Window) free(n int) []*Queue {
	if w == nil || n == 0 {
		return nil
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.left += n
	wake := w.waiting
	w.waiting = nil
	return wake
}

// wakeAll is called without any lock.
func wakeAll(queues []*Queue) {
	for _, q := range queues {
		q.mu.Lock()
		q.kick()
		q.mu.Unlock()
	}
}
