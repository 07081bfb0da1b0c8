package wire

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/wyemq/wye/core"
)

// past is a deadline that wakes whoever waits.
var past = time.Unix(1, 0)

// Conn is what the connections of all transports have in common: the write side, limits, why and when
// the read side ends. A transport embeds it, calls Attach, and adds the framing.
type Conn struct {
	Out
	hub  *Hub
	nc   net.Conn
	info *core.ConnInfo
	rest rest
	from net.Addr // under which Reserve has counted it

	spare atomic.Int64 // since when it has no place and is served only to be told so, by the clock of the hub; 0: it has one

	started  int64         // unix nanoseconds, by the clock of the hub
	heard    atomic.Int64  // when the peer was last heard, by the same clock
	got      atomic.Uint64 // bytes
	beaten   int64         // last ping; belongs to the clock
	late     bool          // goodbye was said in the handler's place; belongs to the clock
	early    int64         // bytes received before login; belongs to the reader
	loggedIn atomic.Bool
	own      atomic.Bool // the protocol bounds reads itself
	ended    atomic.Bool // why is set
	bye      sync.Once

	mu      sync.Mutex
	why     error // what reads return
	leaving bool  // the last words were said; read deadlines are the transport's
}

// Attach makes nc the connection below and info what Info returns.
func (c *Conn) Attach(h *Hub, nc net.Conn, info *core.ConnInfo) {
	c.hub, c.nc, c.info, c.from = h, nc, info, info.Remote
	c.attach(nc, h.bounds().WriteTimeout, c.Close)
	c.started = h.clock()
	if info.Refused != nil { // counted among those only
		c.from = nil
		c.spare.Store(c.started)
	}
	c.beaten = c.started
	c.heard.Store(c.started)
}

// Info implements core.Conn.
func (c *Conn) Info() *core.ConnInfo { return c.info }

// LoggedIn implements core.Conn.
func (c *Conn) LoggedIn() { c.loggedIn.Store(true) }

// SetReadDeadline implements core.Conn.
func (c *Conn) SetReadDeadline(t time.Time) error {
	c.own.Store(!t.IsZero())
	c.rest.deadline.Store(unixOf(t))
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.why != nil || c.leaving {
		return nil // reads have ended for another reason, which stays
	}
	return c.nc.SetReadDeadline(t)
}

// Close implements core.Conn.
func (c *Conn) Close(err error) { c.close(err, c.hub.bounds().Linger) }

// close ends reads with err; writes work for the time given, or until Session.Goodbye was called.
func (c *Conn) close(err error, linger time.Duration) {
	if err == nil {
		err = io.EOF
	}
	c.mu.Lock()
	first := c.why == nil
	if first {
		c.why = err
		c.until.Store(time.Now().Add(linger).UnixNano())
		c.ended.Store(true)
		if !c.leaving {
			_ = c.nc.SetReadDeadline(past)
		}
	}
	c.mu.Unlock()
	if first {
		c.hub.wake(c)
	}
}

// Ended returns what reads return since Close, or nil.
func (c *Conn) Ended() error {
	if !c.ended.Load() {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.why
}

// Fail ends reads with err, or with what they have ended with before, and returns that.
func (c *Conn) Fail(err error) error {
	c.Close(err)
	return c.Ended()
}

// Clip shortens p so that a peer that is not logged in cannot have more read for it than it may send:
// what follows the login in the same segment is not counted against the limit.
func (c *Conn) Clip(p []byte) []byte {
	if c.loggedIn.Load() {
		return p
	}
	left := max(c.hub.bounds().MaxMessageSizeBeforeLogin-c.early, 1)
	if int64(len(p)) > left {
		return p[:left]
	}
	return p
}

// Received counts n bytes that were read for the protocol.
func (c *Conn) Received(n int) error {
	if c.loggedIn.Load() {
		return nil
	}
	limit := c.hub.bounds().MaxMessageSizeBeforeLogin
	if c.early += int64(n); c.early > limit {
		c.hub.Reached("max_message_size_before_login")
		return c.Fail(fmt.Errorf("more than %d bytes before login (max_message_size_before_login): %w", limit, core.ErrTooBig))
	}
	return nil
}

// HeldBack implements core.Holder.
func (c *Conn) HeldBack() { c.heard.Store(c.hub.clock()) }

// Heard notes n bytes from the network: any byte is a sign of life.
func (c *Conn) Heard(n int) {
	c.got.Add(uint64(n))
	c.heard.Store(c.hub.clock())
}

// Leave ends the connection's life as far as the protocol is concerned: last is sent after all that was
// written, then the direction is closed, and what the peer still sends is read and dropped until it
// closes its side, bounded by the linger. Without that the system would drop the last words together
// with the connection. If the peer takes nothing, the rest is not waited for.
func (c *Conn) Leave(last []byte) {
	end := time.Now().Add(c.hub.bounds().Linger)
	c.mu.Lock()
	c.leaving = true
	_ = c.nc.SetReadDeadline(past)
	c.mu.Unlock()
	c.until.Store(end.UnixNano())
	if !c.Seal(last) || c.Flush() != nil {
		return
	}
	_ = c.nc.SetWriteDeadline(end) // close_notify of TLS
	nc := lower(c.nc)              // what comes is not looked at
	if closeWrite(c.nc) != nil || nc != c.nc && closeWrite(nc) != nil {
		return
	}
	_ = nc.SetReadDeadline(end)
	buf, _ := readBuffers.Get().(*[]byte)
	defer readBuffers.Put(buf)
	for {
		n, err := nc.Read(*buf)
		c.got.Add(uint64(n))
		if err != nil {
			return
		}
	}
}

// closeWrite says that nothing more comes, if nc can.
func closeWrite(nc net.Conn) error {
	if half, ok := nc.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}

// lower returns the connection below TLS.
func lower(nc net.Conn) net.Conn {
	if t, ok := nc.(*tls.Conn); ok {
		nc = t.NetConn()
	}
	if s, ok := nc.(*steady); ok {
		nc = s.Conn
	}
	return nc
}

// drop closes the connection at once.
func (c *Conn) drop() { _ = lower(c.nc).Close() }

// cause returns why the connection ended, when the handler returned err: a reason given to Close counts
// more than an error without one.
func (c *Conn) cause(err error) error {
	if errors.Is(err, io.EOF) {
		err = nil
	}
	why := c.Ended()
	if why == nil || errors.Is(why, io.EOF) {
		return err
	}
	if err == nil || !hasReason(err) {
		return why
	}
	return err
}

func hasReason(err error) bool {
	var r *core.Reason
	return errors.As(err, &r)
}

// check is called by the clock: it ends a connection that is not logged in in time or silent for too
// long. It reports whether the time for last words is over and somebody has to see to it.
func (c *Conn) check(now time.Time) (late bool) {
	l := c.hub.bounds()
	n := now.UnixNano()
	if until := c.until.Load(); until != 0 {
		return n > until
	}
	switch silent, spare := time.Duration(n-c.heard.Load()), c.spare.Load(); {
	case spare != 0:
		if time.Duration(n-spare) > min(l.LoginTimeout, refuseTime) {
			c.Close(c.info.Refused)
		}
	case !c.loggedIn.Load():
		if time.Duration(n-c.started) > l.LoginTimeout {
			c.hub.Reached("login_timeout")
			c.Close(fmt.Errorf("nobody logged in within %s (login_timeout): %w", l.LoginTimeout, core.ErrLoginTimeout))
		}
	case l.IdleTimeout > 0 && !c.own.Load() && silent > l.IdleTimeout:
		c.Close(fmt.Errorf("nothing was heard for %s (idle_timeout): %w", l.IdleTimeout, core.ErrHeartbeat))
	}
	return false
}
