package core

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

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

// mayRetain refuses a retained message of a new topic when there are too many.
func (v *vhost) mayRetain(ctx context.Context, m *Message) error {
	r := v.b.o.Engine.Retained()
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
