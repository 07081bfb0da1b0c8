package wire

import (
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/wyemq/wye/core"
)

// Conn is what the connections of all transports have in common: the write side, why and when the
// read side ends, limits. A transport embeds it and adds the framing.
type Conn struct {
	Out
	Info_ core.ConnInfo
	hub   *Hub
	nc    net.Conn

	started  time.Time
	lastRead atomic.Int64 // unix nanoseconds
	loggedIn atomic.Bool
	own      atomic.Bool // the protocol sets read deadlines itself
	early    int64       // bytes received before login; belongs to the reader

	mu     sync.Mutex
	closed bool
	why    error
}

// Info implements core.Conn.
func (c *Conn) Info() *core.ConnInfo { return &c.Info_ }

// LoggedIn implements core.Conn.
func (c *Conn) LoggedIn() { c.loggedIn.Store(true) }

// SetReadDeadline implements core.Conn.
func (c *Conn) SetReadDeadline(t time.Time) error {
	c.own.Store(true)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil // reads have ended for another reason, which stays
	}
	return c.nc.SetReadDeadline(t)
}

// Close implements core.Conn.
func (c *Conn) Close(err error) {
	if err == nil {
		err = io.EOF
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return
	}
	c.closed, c.why = true, err
	if c.nc != nil {
		_ = c.nc.SetReadDeadline(time.Unix(1, 0)) // wakes the reader
	}
}

// Ended returns why reads have ended by Close, or nil.
func (c *Conn) Ended() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.why
}

// ReadError returns what the reader is told when reading failed with err.
func (c *Conn) ReadError(err error) error {
	if why := c.Ended(); why != nil {
		return why
	}
	if failed := c.Failed(); failed != nil && errors.Is(failed, core.ErrSlowConsumer) {
		return failed
	}
	return err
}

// Received counts n bytes that came in for a message which has total bytes so far.
func (c *Conn) Received(n int, total int64) error {
	if n > 0 {
		c.lastRead.Store(time.Now().UnixNano())
		c.hub.received.Add(uint64(n))
	}
	l := &c.hub.Limits
	if !c.loggedIn.Load() {
		if c.early += int64(n); c.early > l.MaxMessageSizeBeforeLogin {
			return fmt.Errorf("more than %d bytes before login: %w", l.MaxMessageSizeBeforeLogin, core.ErrTooBig)
		}
	}
	if !c.Info_.Stream && total > l.MaxMessageSize {
		return fmt.Errorf("message of more than %d bytes (max_message_size): %w", l.MaxMessageSize, core.ErrTooBig)
	}
	return nil
}

// Alive notes a sign of life that is no data.
func (c *Conn) Alive() { c.lastRead.Store(time.Now().UnixNano()) }

// Take makes nc the connection below, when it was not known at Admit.
func (c *Conn) Take(nc net.Conn) {
	c.nc = nc
	c.Out.nc = nc
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		_ = nc.SetReadDeadline(time.Unix(1, 0))
	}
}

// Hurry shortens the time that the last words may take, for a peer that does not read anyway.
func (c *Conn) Hurry() { c.timeout = 100 * time.Millisecond }

// Linger bounds the reads that wait for the peer's goodbye.
func (c *Conn) Linger() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	_ = c.nc.SetReadDeadline(time.Now().Add(c.hub.Limits.Linger))
}

// Beat sends b from the listener's clock: on a goroutine of its own when the connection is busy
// sending, because the clock waits for nobody.
func (c *Conn) Beat(b []byte) {
	if !c.sending.TryLock() {
		return // bytes are leaving: the peer hears from us
	}
	c.sending.Unlock()
	if c.Append(b) == nil {
		c.hub.work.Go(func() { _ = c.Flush() })
	}
}

// check ends a connection that is not logged in in time or silent for too long.
func (c *Conn) check(now time.Time) {
	l := &c.hub.Limits
	if !c.loggedIn.Load() {
		if now.Sub(c.started) > l.LoginTimeout {
			c.Close(fmt.Errorf("%s have passed: %w", l.LoginTimeout, core.ErrLoginTimeout))
		}
		return
	}
	if l.IdleTimeout <= 0 || c.own.Load() && c.Info_.Stream {
		return
	}
	if silent := now.Sub(time.Unix(0, c.lastRead.Load())); silent > l.IdleTimeout {
		c.Close(fmt.Errorf("silent for %s (idle_timeout): %w", silent.Round(time.Second), core.ErrHeartbeat))
	}
}

// LoginTimeout returns that of the listener.
func (c *Conn) LoginTimeout() time.Duration { return c.hub.Limits.LoginTimeout }
