package wire

import (
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/wyemq/wye/core"
)

// restAfter is how long a peer must be silent for its connection to be put to rest, if the Hub does not say otherwise.
const restAfter = time.Second

// The phases of a connection. Between busy and waiting it is the reader who changes them, waiting to nudged and resting
// to busy whoever has a reason to.
const (
	busy    int32 = iota // a goroutine serves it
	waiting              // that goroutine waits for the peer, between two reads
	nudged               // it was asked to stop waiting
	resting              // there is no such goroutine; wake starts one
)

// rest is what a Conn knows of its rest.
type rest struct {
	resume   func() error // nil: the protocol waits by itself
	phase    atomic.Int32
	deadline atomic.Int64 // of reads, unix nanoseconds; 0: none
	fd       int          // while resting
	known    bool         // the bed has seen the connection before
}

// Rest implements core.Rester.
func (c *Conn) Rest(resume func() error) {
	if (*bed)(nil).able(c) {
		c.rest.resume = resume
	}
}

// Await waits until in has something to read, or an error, which the next Read then tells. It returns core.ErrResting
// when the goroutine is to go: the peer is silent.
func (c *Conn) Await(in *Reader) error {
	if in.Buffered() > 0 || c.rest.resume == nil {
		return nil
	}
	c.rest.phase.Store(waiting)
	in.wait()
	if c.rest.phase.Swap(busy) != nudged {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.why != nil {
		return nil
	}
	_ = c.nc.SetReadDeadline(timeOf(c.rest.deadline.Load())) // a connection that is gone is noticed when it is read
	if in.forgive(os.ErrDeadlineExceeded) {
		return core.ErrResting
	}
	return nil
}

// timeOf is the inverse of unixOf.
func timeOf(nanos int64) time.Time {
	if nanos == 0 {
		return time.Time{}
	}
	return time.Unix(0, nanos)
}

func unixOf(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixNano()
}

// nudge makes a reader that has waited for long stop.
func (c *Conn) nudge() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.why == nil && !c.leaving && c.rest.phase.CompareAndSwap(waiting, nudged) {
		_ = c.nc.SetReadDeadline(past)
	}
}

// tired is called by the clock: it reports whether c is to be put to rest, and wakes a connection at rest whose deadline
// has passed.
func (h *Hub) tired(c *Conn, now time.Time) bool {
	switch c.rest.phase.Load() {
	case waiting:
		return now.UnixNano()-c.heard.Load() >= int64(h.restAfter())
	case resting:
		if d := c.rest.deadline.Load(); d != 0 && now.UnixNano() >= d {
			h.wake(c)
		}
	}
	return false
}

// makeBed makes the bed, with the first connection that needs it. It reports whether there is one.
func (h *Hub) makeBed(work *sync.WaitGroup) bool {
	if h.bedless {
		return false
	}
	if h.bed = newBed(h); h.bed == nil {
		h.bedless = true
		return false
	}
	work.Go(h.bed.run)
	return true
}

func (h *Hub) restAfter() time.Duration {
	if h.RestAfter > 0 {
		return h.RestAfter
	}
	return restAfter
}

// lay puts c to rest, and reports whether its goroutine can go.
func (h *Hub) lay(c *Conn) bool {
	if !h.bed.watch(c) {
		return false
	}
	if c.ended.Load() { // Close may have come before there was anybody to wake
		h.wake(c)
	}
	return true
}

// wake gives c a goroutine, if it rests.
func (h *Hub) wake(c *Conn) {
	if !c.rest.phase.CompareAndSwap(resting, busy) {
		return
	}
	h.bed.forget(c)
	h.mu.Lock()
	s := h.conns[c]
	h.mu.Unlock()
	go h.serve(c, s, c.rest.resume) // Run waits for it: its place in work was kept
}
