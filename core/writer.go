package core

import (
	"context"
	"errors"
	"runtime"
	"runtime/debug"
	"slices"
	"sync/atomic"
	"time"
)

// writer runs the one goroutine that calls a session's done callbacks and its DeliverFunc. The
// goroutine exists only while there is something to write: an idle session costs none.
type writer struct {
	s       *Session
	start   func() // is run: made once, so that starting the goroutine allocates nothing
	state   atomic.Int32
	closing atomic.Bool
	stopped chan struct{}
}

// The states of a writer.
const (
	idle int32 = iota
	running
	again // running, and something has come since it looked
	over
)

// kick makes sure that what was just queued is worked off.
func (w *writer) kick() {
	for {
		switch w.state.Load() {
		case idle:
			if w.state.CompareAndSwap(idle, running) {
				go w.start() // stop waits for it
				return
			}
		case running:
			if w.state.CompareAndSwap(running, again) {
				return
			}
		default:
			return
		}
	}
}

// stop waits for the goroutine and keeps a new one from starting. What is queued stays undelivered.
func (w *writer) stop() {
	w.closing.Store(true)
	if w.state.CompareAndSwap(idle, over) {
		close(w.stopped)
	}
	<-w.stopped
}

func (w *writer) run() {
	yielded := false
	for {
		w.work()
		switch {
		case w.state.CompareAndSwap(again, running):
			yielded = false
		case !yielded && !w.closing.Load():
			// Let publishers that are about to run add to this batch: one write for many.
			yielded = true
			runtime.Gosched()
		default:
			w.s.flush()
			if w.rest() {
				return
			}
		}
	}
}

// work works off what was queued before it is called.
func (w *writer) work() {
	if w.closing.Load() {
		return
	}
	s := w.s
	s.acks.fire()
	if batch := s.out.Take(s.b.policy.Load()); batch != nil {
		s.write(batch.Items())
		s.b.policy.Load().Free(batch)
	}
}

// rest puts the writer to sleep; false when it was kicked meanwhile.
func (w *writer) rest() bool {
	if !w.state.CompareAndSwap(running, idle) {
		w.state.Store(running)
		return false
	}
	if w.closing.Load() && w.state.CompareAndSwap(idle, over) {
		close(w.stopped)
	}
	return true
}

func (s *Session) flush() {
	if s.conn == nil || s.writer.closing.Load() {
		return
	}
	s.unwritten(s.conn.Flush())
}

// unwritten ends the session when a write has failed, but for a peer that has gone: the protocol shall read what it
// has said before, and then sees the end.
func (s *Session) unwritten(err error) {
	if err != nil && !errors.Is(err, ErrGone) {
		s.end(err)
	}
}

// panicked ends the session whose protocol has panicked in the writer's goroutine; no other one suffers.
func (s *Session) panicked(r any) {
	args := []any{"client", s.principal.ClientID, "panic", r, "stack", string(debug.Stack())}
	if s.conn != nil {
		args = append(args, "conn", s.conn.Info().ID, "remote", s.conn.Info().Remote)
	}
	s.b.log.Error("panic while writing to a client", args...)
	s.end(ErrInternal)
}

// write hands deliveries to the protocol, without those that have expired, and settles those that
// are settled by being written.
func (s *Session) write(ds []Delivery) {
	defer func() {
		if r := recover(); r != nil {
			s.panicked(r)
		}
	}()
	ds = s.fresh(ds)
	if len(ds) == 0 {
		return
	}
	if s.b.chains[OpDeliver] != nil {
		if ds = s.intercepted(ds); len(ds) == 0 {
			return
		}
	}
	if err := s.deliver(ds); err != nil {
		s.unwritten(err)
		return
	}
	bytes := 0
	for i := range ds {
		if ds[i].Message != nil {
			bytes += len(ds[i].Body)
		}
	}
	s.counters.out.Add(uint64(len(ds)))
	s.counters.outBytes.Add(uint64(bytes))
	s.settleWritten(ds)
}

// fresh leaves out deliveries that expired while they waited: queues get theirs back, to do with them as
// they are told.
func (s *Session) fresh(ds []Delivery) []Delivery {
	expires := false
	for i := range ds {
		if m := ds[i].Message; m != nil && !m.Expires.IsZero() {
			expires = true
			break
		}
	}
	if !expires {
		return ds
	}
	now := time.Now()
	dropped := 0
	kept := slices.DeleteFunc(ds, func(d Delivery) bool {
		switch {
		case d.Message == nil || !d.expired(now):
			return false
		case d.source == nil:
			dropped++
		case !d.source.sub.Load().Browse:
			s.settleUnwritten(Released, &d)
		}
		return true
	})
	s.v.stats.dropped(ErrExpired.ID(), dropped)
	return kept
}

// intercepted runs OpDeliver for each delivery, and leaves out those that go no further. The end of a browse has no message
// to look at.
func (s *Session) intercepted(ds []Delivery) []Delivery {
	kept := ds[:0]
	for _, d := range ds {
		if d.EndOfBrowse || s.passes(&d) {
			kept = append(kept, d)
		}
	}
	return kept
}

// passes reports whether d is to be written, perhaps with another message. Else it is settled: the queue would hand it out for
// ever, or wait for an acknowledgement that cannot come.
func (s *Session) passes(d *Delivery) bool {
	var passed atomic.Pointer[Message] // the first: a delivery is one, however often an interceptor goes on
	call := &Call{Op: OpDeliver, Principal: s.Principal(), Message: d.Message, Subscription: d.Sub}
	err := s.b.intercept(s.b.ctx, call, func(_ context.Context, c *Call) error {
		passed.CompareAndSwap(nil, c.Message)
		return nil
	})
	if m := passed.Load(); m != nil {
		if err != nil && s.firstTime("refused after it was passed on") {
			s.b.log.Warn("interceptor has refused a message that it had passed on", "client", s.principal.ClientID, "error", err)
		}
		d.Message = m
		return true
	}
	if err != nil {
		s.v.stats.dropped(ReasonID(err), 1)
	}
	if d.source != nil && !d.source.sub.Load().Browse {
		s.settleUnwritten(Accepted, d)
	}
	return false
}
