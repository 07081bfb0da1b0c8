package core

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/wyemq/wye/core/destination"
	"github.com/wyemq/wye/core/engine"
)

// retainWait bounds how long a new subscription waits for retained messages that are being stored.
const retainWait = 2 * time.Second

// retaining closes the gap between a retained message that was routed before a subscription was there,
// and the subscription that looks for retained messages before this one is stored. A publisher says
// begin before it routes and calls the result when the message is stored; a subscriber that is
// in the index waits for those that had begun.
type retaining struct {
	mu   sync.Mutex
	now  int
	busy [2]int
	done [2]chan struct{} // closed when busy gets to 0 while somebody waits

	turn sync.Mutex // of subscribers
}

func (r *retaining) begin() (end func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	slot := r.now
	r.busy[slot]++
	return func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.busy[slot]--
		if r.busy[slot] == 0 && r.done[slot] != nil {
			close(r.done[slot])
			r.done[slot] = nil
		}
	}
}

func (r *retaining) wait(ctx context.Context) {
	r.mu.Lock()
	nobody := r.busy[0] == 0 && r.busy[1] == 0
	r.mu.Unlock()
	if nobody {
		return
	}
	r.turn.Lock()
	defer r.turn.Unlock()
	for range 2 {
		r.mu.Lock()
		old := r.now
		r.now = 1 - old
		if r.busy[old] == 0 {
			r.mu.Unlock()
			continue
		}
		done := make(chan struct{})
		r.done[old] = done
		r.mu.Unlock()
		timeout := time.NewTimer(retainWait)
		select {
		case <-done:
		case <-ctx.Done():
		case <-timeout.C:
		}
		timeout.Stop()
	}
}

// mayRetain refuses a retained message of a new topic when there are too many.
func (v *vhost) mayRetain(ctx context.Context, m *Message) error {
	r := v.b.eng.Retained()
	if r.Len() < v.b.o.Limits.RetainedMessages {
		return nil
	}
	known := false
	err := r.Match(ctx, v.retainKey(m.Destination), func(*engine.Message) bool { known = true; return false })
	if err != nil || known {
		return engineErr(err)
	}
	return fmt.Errorf("%d retained messages are the most there may be: %w", v.b.o.Limits.RetainedMessages, ErrLimit)
}

// retainKey names the retained message of a topic in the engine.
func (v *vhost) retainKey(dest string) string {
	return v.token + "/" + strings.TrimPrefix(dest, "topic/")
}

// sendRetained gives the retained messages that match to a new subscription. Groups get none: no
// member could know which of them is meant. [MQTT-4.8.2 non-normative]
func (a *attachment) sendRetained(ctx context.Context) error {
	if a.sub.Load().Group != "" || !strings.HasPrefix(a.sub.Load().Filter, "topic/") {
		return nil
	}
	v, b := a.s.v, a.s.b
	v.retaining.wait(ctx)
	err := b.eng.Retained().Match(ctx, v.retainKey(a.sub.Load().Filter), func(em *engine.Message) bool {
		m := b.message(em)
		if !destination.Match(a.sub.Load().Filter, m.Destination) || m.expired(timeNow()) || !a.wants(m, nil) {
			return true
		}
		if a.entry != nil {
			a.offer(Delivery{Message: m, Sub: a.sub.Load(), Attempt: 1, FromRetained: true})
			a.s.writer.kick()
			return !a.s.closed.Load()
		}
		a.enqueueRetained(m)
		return !a.s.closed.Load()
	})
	if err == nil && b.durable && a.bound != nil && !a.bound.volatile() {
		err = b.barrier(ctx)
	}
	if err != nil {
		return fmt.Errorf("retained messages of %s: %w", a.sub.Load().Filter, engineErr(err))
	}
	return nil
}

// enqueueRetained appends a copy of a retained message to the subscription's queue.
func (a *attachment) enqueueRetained(m *Message) {
	c := m.Clone()
	c.fromRetained = true
	if a.bound.q.Reserve(c.size(), uint8(c.Priority.Level())) != nil {
		return
	}
	bytes, b := c.size(), a.s.b
	b.eng.Commit(&engine.Batch{Relaxed: !m.Persistent, Ops: []engine.Op{{
		Kind: engine.Append, Logs: []engine.LogID{a.bound.id}, Msg: b.record(c, a.bound.stored()),
	}}}, func(err error) {
		if err != nil {
			a.bound.q.Unreserve(bytes)
		}
	})
}

// barrier returns when everything is done that this goroutine has committed before.
func (b *Broker) barrier(ctx context.Context) error {
	done := make(chan error, 1)
	b.eng.Commit(&engine.Batch{Relaxed: true}, func(err error) { done <- err })
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}
