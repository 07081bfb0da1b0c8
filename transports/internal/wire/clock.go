package wire

import (
	"context"
	"maps"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/wyemq/wye/core"
)

// clock returns the time of the last tick, or the exact one when the clock does not run.
func (h *Hub) clock() int64 {
	if now := h.now.Load(); now != 0 {
		return now
	}
	return time.Now().UnixNano()
}

// Start makes ctx that of all connections, and admits them. It is called once, before Run.
func (h *Hub) Start(ctx context.Context) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ctx = ctx
}

// Run is the clock. When the ctx of Start is done it ends every connection, with ErrShutdown, and
// returns when all are served, or when the shutdown timeout has passed and the rest was cut off.
func (h *Hub) Run() {
	interval := h.interval()
	tick := time.NewTicker(interval)
	defer tick.Stop()
	h.now.Store(time.Now().UnixNano())
	defer h.now.Store(0)
	var beds sync.WaitGroup
	defer beds.Wait()
	defer func() { h.bed.close() }()
	done := h.ctx.Done()
	var served, cut <-chan time.Time // served is closed, cut fires
	for {
		select {
		case now := <-tick.C:
			h.now.Store(now.UnixNano())
			h.sweep(now, &beds)
			if i := h.interval(); i != interval {
				interval = i
				tick.Reset(i)
			}
		case <-done:
			done = nil
			if h.Closing != nil {
				h.Closing()
			}
			served = h.stop()
			timer := time.NewTimer(h.bounds().ShutdownTimeout)
			defer timer.Stop()
			cut = timer.C
		case <-served:
			return
		case <-cut:
			if !h.cut() {
				return
			}
			cut = time.After(h.bounds().Linger) // for handlers to notice
		}
	}
}

// interval is a fraction of the shortest time that is watched.
func (h *Hub) interval() time.Duration {
	shortest := 4 * time.Second
	for _, d := range []time.Duration{h.bounds().LoginTimeout, h.bounds().IdleTimeout, h.bounds().Linger, h.pingEvery()} {
		if d > 0 {
			shortest = min(shortest, d)
		}
	}
	return max(shortest/4, 5*time.Millisecond)
}

// sweep looks after each connection. The list is a copy, because nothing is called with mu held.
func (h *Hub) sweep(now time.Time, beds *sync.WaitGroup) {
	h.mu.Lock()
	h.list = h.list[:0]
	for c := range h.conns {
		h.list = append(h.list, c)
	}
	h.mu.Unlock()
	h.forget(now)
	for i, c := range h.list {
		h.list[i] = nil
		if c.check(now) {
			h.late(c)
			continue
		}
		if h.tired(c, now) && (h.bed != nil || h.makeBed(beds)) {
			c.nudge()
		}
		if h.pingEvery() > 0 && time.Duration(now.UnixNano()-c.beaten) >= h.pingEvery() {
			c.beaten = now.UnixNano()
			h.beat(c)
		}
	}
}

// beat sends the ping, on a goroutine of its own, because the clock waits for nobody. The connection
// holds a place in work, so that the count cannot be 0 here while Run waits for it.
func (h *Hub) beat(c *Conn) {
	if !c.Beat(h.Ping) {
		return
	}
	h.mu.Lock()
	_, open := h.conns[c]
	if open {
		h.work.Add(1)
	}
	h.mu.Unlock()
	if open {
		go func() { // Run waits for it
			defer h.work.Done()
			_ = c.Flush() // the connection hears of a failure by itself
		}()
	}
}

// late says goodbye in the place of a handler that does not return, and ends its writes.
func (h *Hub) late(c *Conn) {
	h.mu.Lock()
	s, open := h.conns[c]
	if open {
		h.work.Add(1)
	}
	h.mu.Unlock()
	if !open {
		return
	}
	c.until.Store(time.Now().Add(h.bounds().Linger).UnixNano())
	if c.late { // nor did that help
		c.cut(net.ErrClosed)
		c.drop()
		h.work.Done()
		return
	}
	c.late = true
	_ = c.nc.SetWriteDeadline(past) // for a writer that began before Close
	go func() {                     // Run waits for it
		defer h.work.Done()
		c.bye.Do(func() { s.Goodbye(c.cause(nil)) })
		c.drop()
	}()
}

// stop ends all reads. The channel is closed when nothing is served any more.
func (h *Hub) stop() <-chan time.Time {
	h.mu.Lock()
	h.stopping = true
	list := slices.Collect(maps.Keys(h.conns))
	h.mu.Unlock()
	for _, c := range list {
		c.close(core.ErrShutdown, h.bounds().ShutdownTimeout)
	}
	served := make(chan time.Time)
	go func() { // outlives Run only if a handler never returns, which is then logged
		h.work.Wait()
		close(served)
	}()
	return served
}

// cut closes what is open. It reports whether that is worth waiting for: not for the second time.
func (h *Hub) cut() bool {
	h.mu.Lock()
	list := slices.Collect(maps.Keys(h.conns))
	again := h.cutOff
	h.cutOff = true
	h.mu.Unlock()
	if again {
		h.Log.Error("handlers did not return at shutdown", "connections", len(list))
		return false
	}
	h.Log.Warn("connections cut off at shutdown", "connections", len(list))
	for _, c := range list {
		c.cut(core.ErrShutdown)
		c.drop()
	}
	return true
}
