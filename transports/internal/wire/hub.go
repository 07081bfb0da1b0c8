package wire

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/wyemq/wye/core"
)

// Hub is the register of a listener's connections. It enforces what concerns all of them, and has one
// clock for all of them.
type Hub struct {
	Limits Limits
	Name   string // of the listener
	Log    *slog.Logger
	// Ping is called for each connection about once a PingEvery; nil: never.
	PingEvery time.Duration
	Ping      func(*Conn)

	received, sent atomic.Uint64
	accepted       atomic.Uint64

	mu       sync.Mutex
	conns    map[*Conn]struct{}
	byAddr   map[string]int
	ended    map[string]uint64
	stopping bool
	work     sync.WaitGroup
}

// Stats is what a listener has counted.
type Stats struct {
	Open              int
	Accepted          uint64
	BytesIn, BytesOut uint64
	Ended             map[string]uint64 // by reason id
}

// Refused says why a connection is not admitted.
type Refused struct{ Msg string }

func (r *Refused) Error() string { return r.Msg }

// nextID numbers the connections of the process.
var nextID atomic.Uint64

// NewID returns the id of a new connection: "c17".
func NewID() string { return "c" + strconv.FormatUint(nextID.Add(1), 10) }

// Admit registers a connection, or refuses it with a *Refused, or core.ErrShutdown.
func (h *Hub) Admit(c *Conn, nc net.Conn, info core.ConnInfo) error {
	host := hostOf(info.Remote)
	h.mu.Lock()
	defer h.mu.Unlock()
	switch l := h.Limits; {
	case h.stopping:
		return core.ErrShutdown
	case l.MaxConnections > 0 && len(h.conns) >= l.MaxConnections:
		return &Refused{fmt.Sprintf("%d connections are open, which is all that is permitted (max_connections)", len(h.conns))}
	case l.MaxConnectionsPerAddress > 0 && h.byAddr[host] >= l.MaxConnectionsPerAddress:
		return &Refused{fmt.Sprintf("%d connections of %s are open, which is all that is permitted (max_connections_per_address)", h.byAddr[host], host)}
	}
	if h.conns == nil {
		h.conns, h.byAddr, h.ended = make(map[*Conn]struct{}), make(map[string]int), make(map[string]uint64)
	}
	c.hub, c.nc, c.Info_, c.started = h, nc, info, time.Now()
	c.Out.nc, c.timeout, c.Out.sent = nc, h.Limits.WriteTimeout, &h.sent
	c.lastRead.Store(c.started.UnixNano())
	h.conns[c] = struct{}{}
	h.byAddr[host]++
	h.accepted.Add(1)
	h.work.Add(1) // until leave
	return nil
}

// Go serves a connection that was admitted: serve is run on a goroutine of its own, its result is
// logged and counted once, and the connection leaves the register.
func (h *Hub) Go(c *Conn, serve func() error) {
	go func() { // leave tells stop, which waits
		h.leave(c, serve())
	}()
}

// Leave is for connections that were admitted and are not served after all.
func (h *Hub) Leave(c *Conn, err error) { h.leave(c, err) }

func (h *Hub) leave(c *Conn, err error) {
	defer h.work.Done()
	if errors.Is(err, io.EOF) {
		err = nil
	}
	host, reason := hostOf(c.Info_.Remote), core.ReasonID(err)
	h.mu.Lock()
	delete(h.conns, c)
	if h.byAddr[host]--; h.byAddr[host] <= 0 {
		delete(h.byAddr, host)
	}
	h.ended[reason]++
	h.mu.Unlock()
	level := slog.LevelInfo
	if err == nil || errors.Is(err, core.ErrShutdown) || reason == "connection_lost" {
		level = slog.LevelDebug
	}
	h.Log.Log(context.Background(), level, "connection closed", "conn", c.Info_.ID, "remote", c.Info_.Remote,
		"subprotocol", c.Info_.Subprotocol, "reason", reason, "error", err)
}

func hostOf(a net.Addr) string {
	if a == nil {
		return ""
	}
	host, _, err := net.SplitHostPort(a.String())
	if err != nil {
		return a.String()
	}
	return host
}

// Run is the clock; it ends with ctx, and with it every connection: reads return ErrShutdown. It returns when
// all are served, or when the shutdown timeout has passed and the rest was cut off.
func (h *Hub) Run(ctx context.Context) {
	tick := time.NewTicker(h.interval())
	defer tick.Stop()
	last := time.Now()
	for {
		select {
		case <-ctx.Done():
			h.stop()
			return
		case now := <-tick.C:
			ping := h.Ping != nil && now.Sub(last) >= h.PingEvery
			if ping {
				last = now
			}
			for _, c := range h.all() {
				c.check(now)
				if ping {
					h.Ping(c)
				}
			}
		}
	}
}

// interval is a fraction of the shortest time that is watched.
func (h *Hub) interval() time.Duration {
	shortest := 4 * time.Second
	for _, d := range []time.Duration{h.Limits.LoginTimeout, h.Limits.IdleTimeout, h.PingEvery} {
		if d > 0 {
			shortest = min(shortest, d)
		}
	}
	return max(shortest/4, 5*time.Millisecond)
}

func (h *Hub) all() []*Conn {
	h.mu.Lock()
	defer h.mu.Unlock()
	list := make([]*Conn, 0, len(h.conns))
	for c := range h.conns {
		list = append(list, c)
	}
	return list
}

func (h *Hub) stop() {
	h.mu.Lock()
	h.stopping = true
	h.mu.Unlock()
	for _, c := range h.all() {
		c.Close(core.ErrShutdown)
	}
	done := make(chan struct{})
	go func() { // ends at the latest when the connections were cut off below
		h.work.Wait()
		close(done)
	}()
	timeout := time.NewTimer(h.Limits.ShutdownTimeout)
	defer timeout.Stop()
	select {
	case <-done:
		return
	case <-timeout.C:
	}
	left := h.all()
	h.Log.Warn("connections cut off at shutdown", "connections", len(left))
	for _, c := range left {
		_ = c.nc.Close()
	}
	select {
	case <-done:
	case <-time.After(time.Second):
	}
}

// Stats returns the counters.
func (h *Hub) Stats() Stats {
	h.mu.Lock()
	defer h.mu.Unlock()
	s := Stats{
		Open: len(h.conns), Accepted: h.accepted.Load(), BytesIn: h.received.Load(), BytesOut: h.sent.Load(),
		Ended: make(map[string]uint64, len(h.ended)),
	}
	for k, n := range h.ended {
		s.Ended[k] = n
	}
	return s
}
