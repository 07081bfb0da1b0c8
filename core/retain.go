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
	underway *underway // of the broker
	room     retainRoom

	mu   sync.Mutex
	now  int
	busy [2]int
	done [2]chan struct{} // closed when busy gets to 0 while somebody waits

	turn sync.Mutex // of subscribers
}

// begin is told that m may become retained, and end whether it has. counted says that it has taken room.
func (r *retaining) begin(m *Message, counted bool) (end func(kept bool)) {
	bytes := m.size()
	r.underway.add(1, bytes)
	r.mu.Lock()
	defer r.mu.Unlock()
	slot := r.now
	r.busy[slot]++
	return func(kept bool) {
		r.underway.add(-1, -bytes)
		if counted {
			r.room.taken(kept)
		}
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

// catchUp keeps what is retained from reaching a new subscription behind what has replaced it: the subscription
// would take the old message for the state of the topic. Publishers note their topic before they hand over.
type catchUp struct {
	mu    sync.Mutex
	newer map[string]struct{} // topics whose retained message was replaced meanwhile
}

func (c *catchUp) note(topic string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.newer == nil {
		c.newer = make(map[string]struct{})
	}
	c.newer[topic] = struct{}{}
}

// unlessNewer runs hand, which hands over what is retained for topic, unless something newer is on its way already;
// what comes meanwhile comes behind it.
func (c *catchUp) unlessNewer(topic string, hand func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, newer := c.newer[topic]; !newer {
		hand()
	}
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
	v, b, e := a.s.v, a.s.b, a.entry
	if e == nil {
		e = a.bound.entry
	}
	newer := new(catchUp)
	e.catching.Store(newer) // before the wait: who publishes from now on notes it, who has begun is waited for
	defer e.catching.Store(nil)
	v.retaining.wait(ctx)
	appended := false
	err := b.eng.Retained().Match(ctx, v.retainKey(a.sub.Load().Filter), func(em *engine.Message) bool {
		m := b.message(em)
		if !destination.Match(a.sub.Load().Filter, m.Destination) || m.expired(timeNow()) || !a.wants(m, nil) {
			return true
		}
		if a.entry != nil {
			a.offerRetained(m, newer)
		} else {
			newer.unlessNewer(m.Destination, func() { a.appendRetained(m); appended = true })
		}
		return !a.s.closed.Load()
	})
	if appended && b.durable && !a.bound.volatile() {
		b.barrier(ctx)
	}
	if err != nil {
		return fmt.Errorf("retained messages of %s: %w", a.sub.Load().Filter, engineErr(err))
	}
	return nil
}

// offerRetained hands m to a direct subscription.
func (a *attachment) offerRetained(m *Message, newer *catchUp) {
	dropped, ok := 0, true
	newer.unlessNewer(m.Destination, func() {
		d := Delivery{Message: m, Sub: a.sub.Load(), Attempt: 1, FromRetained: true}
		dropped, ok = a.s.out.Push(a.s.b.policy.Load(), d, int64(d.size()))
	})
	a.s.offered(dropped, ok)
	a.s.writer.kick()
}

// appendRetained puts a copy of m into the queue of the subscription.
func (a *attachment) appendRetained(m *Message) {
	c := m.Clone()
	c.fromRetained = true
	bytes := c.size()
	if a.bound.q.Reserve(bytes, uint8(c.Priority.Level())) != nil {
		return
	}
	a.s.b.eng.Commit(&engine.Batch{Relaxed: !m.Persistent, Ops: []engine.Op{{
		Kind: engine.Append, Logs: []engine.LogID{a.bound.id}, Msg: a.s.b.record(c, a.bound.stored()),
	}}}, func(err error) {
		if err != nil {
			a.bound.q.Unreserve(bytes)
		}
	})
}

// barrier returns when everything has ended that this goroutine has committed before.
func (b *Broker) barrier(ctx context.Context) {
	done := make(chan struct{})
	b.eng.Commit(&engine.Batch{Relaxed: true}, func(error) { close(done) })
	select {
	case <-done:
	case <-ctx.Done():
	}
}
