package wire

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"

	"github.com/wyemq/wye/core"
)

// LimitError says why a connection is not admitted. It is an ErrLimit, or an ErrRate.
type LimitError struct {
	msg    string
	reason error
	// Limit is the key of the limit in the configuration of the listener.
	Limit string
	// PerAddress says that it is the address that has too many, not the listener.
	PerAddress bool
}

func (e *LimitError) Error() string { return e.msg + " (" + e.Limit + ")" }

// Unwrap returns core.ErrLimit or core.ErrRate.
func (e *LimitError) Unwrap() error { return e.reason }

// mostRefusing is how many connections at a time are told, by their protocol, that there is no room for them. They have
// refuseTime to listen; further ones are closed without a word.
const (
	mostRefusing = 128
	refuseTime   = 2 * time.Second
)

// Reserve makes room for a connection from addr, which is nil when it is not known yet (see Readdress). The error is a
// *LimitError or ErrShutdown. Serve or Release must follow.
func (h *Hub) Reserve(addr net.Addr) error {
	host, l := hostOf(addr), h.bounds()
	h.mu.Lock()
	defer h.mu.Unlock()
	var err error
	switch {
	case h.ctx == nil:
		return fmt.Errorf("not started yet: %w", core.ErrUnavailable)
	case h.stopping:
		return core.ErrShutdown
	case l.MaxConnections > 0 && h.reserved >= l.MaxConnections:
		err = h.exceeded(&LimitError{
			msg: fmt.Sprintf("%d connections are open, which is all that is permitted", h.reserved), Limit: "max_connections", reason: core.ErrLimit,
		})
	default:
		err = h.claim(host)
	}
	if err != nil {
		return err
	}
	h.reserved++
	if !h.inPace("", l.MaxConnectionRate, time.Now()) { // last: an address that is too fast keeps no other one out
		h.release(addr)
		return h.exceeded(&LimitError{
			msg: fmt.Sprintf("more than %d connections come in a second", l.MaxConnectionRate), Limit: "max_connection_rate", reason: core.ErrRate,
		})
	}
	h.work.Add(1)
	return nil
}

// exceeded counts a connection that is not admitted.
func (h *Hub) exceeded(err *LimitError) error {
	h.count(core.ReasonID(err))
	h.reached(err.Limit)
	return err
}

// reached counts that a limit was.
func (h *Hub) reached(limit string) {
	if h.limits == nil {
		h.limits = make(map[string]uint64)
	}
	h.limits[limit]++
}

// Reached counts that a limit of the listener was reached.
func (h *Hub) Reached(limit string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.reached(limit)
}

// ReserveToRefuse makes room for a connection that is served only to be told why it is refused: ConnInfo.Refused must be
// set, and Remote must not be known to Attach. false: there are too many. Serve must follow.
func (h *Hub) ReserveToRefuse() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.ctx == nil || h.stopping || h.refusing >= mostRefusing {
		return false
	}
	h.refusing++
	h.work.Add(1)
	return true
}

// claim counts a connection of host, if one more is permitted. An unknown host is not counted.
func (h *Hub) claim(host string) error {
	l, now := h.bounds(), time.Now()
	if host == "" {
		return nil
	}
	if !h.inPace(host, l.MaxConnectionRatePerAddress, now) {
		return h.exceeded(&LimitError{
			msg:   fmt.Sprintf("more than %d connections of %s come in a second", l.MaxConnectionRatePerAddress, host),
			Limit: "max_connection_rate_per_address", reason: core.ErrRate, PerAddress: true,
		})
	}
	most := l.MaxConnectionsPerAddress
	switch {
	case most == 0:
		return nil
	case h.byAddr[host] >= most:
		return h.exceeded(&LimitError{
			msg:   fmt.Sprintf("%d connections of %s are open, which is all that is permitted", most, host),
			Limit: "max_connections_per_address", reason: core.ErrLimit, PerAddress: true,
		})
	case h.byAddr == nil:
		h.byAddr = make(map[string]int)
	}
	h.byAddr[host]++
	return nil
}

// pace is until when somebody would be busy who took, at the rate that is permitted, what has come.
type pace struct{ busy time.Time }

// step takes one of n a second; what comes in the time of burst may come at once.
func (p *pace) step(n int, burst time.Duration, now time.Time) bool {
	if p.busy.Sub(now) > burst-time.Second/time.Duration(n) {
		return false
	}
	if p.busy.Before(now) {
		p.busy = now
	}
	p.busy = p.busy.Add(time.Second / time.Duration(n))
	return true
}

func (h *Hub) inPace(host string, n int, now time.Time) bool {
	if n == 0 {
		return true
	}
	p := h.paces[host]
	ok := p.step(n, time.Second, now)
	if h.paces == nil {
		h.paces = make(map[string]pace)
	}
	h.paces[host] = p
	return ok
}

// forget drops the paces that permit everything. The clock calls it.
func (h *Hub) forget(now time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for host, p := range h.paces {
		if p.busy.Before(now) {
			delete(h.paces, host)
		}
	}
}

// Readdress counts c, for which Reserve was called without an address, as one of the address that
// its info has got meanwhile. If it may not be, it gives its place back, ConnInfo.Refused is set, and it goes on among those
// of ReserveToRefuse; it is closed if there are too many of them. It is called by Session.Serve.
func (h *Hub) Readdress(c *Conn) {
	h.mu.Lock()
	defer h.mu.Unlock()
	err := h.claim(hostOf(c.info.Remote))
	if err == nil {
		c.from = c.info.Remote
		return
	}
	if h.refusing >= mostRefusing {
		c.drop()
	}
	h.release(nil)
	h.refusing++
	c.info.Refused = err
	c.spare.Store(h.clock()) // from here on the clock looks at Refused
}

// Release gives back what Reserve has reserved.
func (h *Hub) Release(addr net.Addr) {
	h.mu.Lock()
	h.release(addr)
	h.mu.Unlock()
	h.work.Done()
}

func (h *Hub) release(addr net.Addr) {
	h.reserved--
	host := hostOf(addr)
	if h.byAddr == nil || host == "" {
		return
	}
	if h.byAddr[host]--; h.byAddr[host] <= 0 {
		delete(h.byAddr, host)
	}
}

// refusedLines is how many lines a second are written about connections that are refused, and those of refusedBurst at once.
const (
	refusedLines = 20
	refusedBurst = 20 * time.Second
)

// Refused tells that the connection was refused: the Doorkeeper, and the log unless there are too many of such lines; then
// their number comes with the next one. It does not count: see Reserve and Refuse.
func (h *Hub) Refused(level slog.Level, info *core.ConnInfo, err error) {
	h.tell(info, err)
	h.mu.Lock()
	ok, silent := h.lines.step(refusedLines, refusedBurst, time.Now()), h.silent
	h.silent = 0
	if !ok {
		h.silent = silent + 1
	}
	h.mu.Unlock()
	if !ok {
		return
	}
	attrs := []any{"remote", info.Remote}
	if info.Path != "" {
		attrs = append(attrs, "path", info.Path)
	}
	if silent > 0 {
		attrs = append(attrs, "lines_left_out", silent)
	}
	attrs = append(attrs, "reason", core.ReasonID(err), "error", err)
	if level == slog.LevelDebug {
		h.Log.Debug("connection refused", attrs...)
	} else {
		h.Log.Info("connection refused", attrs...)
	}
}

// tell tells the Doorkeeper of a connection that has come to nothing, if it is known why: who just goes was not refused, nor
// who is there when the listener ends.
func (h *Hub) tell(info *core.ConnInfo, err error) {
	h.mu.Lock()
	over := h.ctx == nil || h.ctx.Err() != nil
	h.mu.Unlock()
	if h.Doorkeeper != nil && !over && hasReason(err) && !errors.Is(err, core.ErrShutdown) {
		h.Doorkeeper.Refused(info, err)
	}
}
