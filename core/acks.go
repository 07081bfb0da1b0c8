package core

import (
	"context"
	"sync"
)

// ackOrder calls the done callbacks of a session in the order of their calls, whenever their
// outcomes come in. Callbacks whose outcome is known at once, with nothing before them, are
// called at once; the others by the session's writer.
type ackOrder struct {
	kick     func()
	full     func()    // somebody has to wait
	panicked func(any) // a callback did

	mu     sync.Mutex
	room   sync.Cond
	queue  []*pending
	head   int
	firing bool
	over   bool
}

// pending is one call whose outcome is to come.
type pending struct {
	published func(Published, error)
	done      func(error)
	result    Published
	err       error
	ready     bool
}

func (p *pending) call() {
	switch {
	case p.published != nil:
		p.published(p.result, p.err)
	case p.done != nil:
		p.done(p.err)
	}
}

// run calls the callback of p. A panic must end neither the process, from the writer where no Mux
// recovers, nor the way of Close.
func (o *ackOrder) run(p *pending) {
	defer func() {
		if r := recover(); r != nil {
			o.panicked(r)
		}
	}()
	p.call()
}

func (o *ackOrder) init(kick, full func(), panicked func(any)) {
	o.kick, o.full, o.panicked = kick, full, panicked
	o.room.L = &o.mu
}

// direct reports whether nothing is under way, so that the caller may call its done itself.
func (o *ackOrder) direct() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.head == len(o.queue) && !o.firing
}

// begin appends p and runs start, which begins what p stands for, under the same lock: what is started
// first is acknowledged first. It waits while there are limit under way.
func (o *ackOrder) begin(ctx context.Context, limit int, p *pending, start func()) error {
	o.mu.Lock()
	if len(o.queue)-o.head >= limit {
		o.mu.Unlock()
		o.full()
		o.mu.Lock()
		stop := context.AfterFunc(ctx, func() {
			o.mu.Lock()
			defer o.mu.Unlock()
			o.room.Broadcast()
		})
		defer stop()
		for len(o.queue)-o.head >= limit && !o.over && ctx.Err() == nil {
			o.room.Wait()
		}
	}
	defer o.mu.Unlock()
	if o.over {
		return ErrClosed
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	o.queue = append(o.queue, p)
	start()
	return nil
}

// finish says how p ended. It may be called from any goroutine, never from within start.
func (o *ackOrder) finish(p *pending, err error) {
	o.mu.Lock()
	if o.over {
		o.mu.Unlock()
		return
	}
	p.err, p.ready = err, true
	first := o.head < len(o.queue) && o.queue[o.head].ready
	o.mu.Unlock()
	if first {
		o.kick()
	}
}

// fire calls the callbacks whose turn it is. Only the writer calls it.
func (o *ackOrder) fire() (any bool) {
	o.mu.Lock()
	for o.head < len(o.queue) && o.queue[o.head].ready {
		p := o.queue[o.head]
		o.queue[o.head] = nil
		o.head++
		o.firing = true
		o.mu.Unlock()
		o.run(p)
		any = true
		o.mu.Lock()
	}
	o.firing = false
	if o.head == len(o.queue) {
		if cap(o.queue) > 64 {
			o.queue = nil
		}
		o.queue, o.head = o.queue[:0], 0
	} else if o.head > 256 {
		o.queue = append(o.queue[:0], o.queue[o.head:]...)
		o.head = 0
	}
	if any {
		o.room.Broadcast()
	}
	o.mu.Unlock()
	return any
}

// wait returns when nothing is under way.
func (o *ackOrder) wait(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() {
		o.mu.Lock()
		defer o.mu.Unlock()
		o.room.Broadcast()
	})
	defer stop()
	o.mu.Lock()
	defer o.mu.Unlock()
	for (o.head < len(o.queue) || o.firing) && !o.over && ctx.Err() == nil {
		o.room.Wait()
	}
	return ctx.Err()
}

// abandon calls what is left with ErrClosed, or its outcome if that is known.
func (o *ackOrder) abandon() {
	o.mu.Lock()
	o.over = true
	left := o.queue[o.head:]
	o.queue, o.head = nil, 0
	for _, p := range left {
		if !p.ready {
			p.err = ErrClosed
		}
	}
	o.room.Broadcast()
	o.mu.Unlock()
	for _, p := range left {
		o.run(p)
	}
}

// Drain waits until no publish or settlement of the session is under way and every done was
// called, or until ctx is done. Protocols call it before they say goodbye; not from a done.
func (s *Session) Drain(ctx context.Context) error { return s.acks.wait(ctx) }
