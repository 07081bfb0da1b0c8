package wire

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"runtime/debug"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/wyemq/wye/core"
)

// Session is a connection as the Hub runs it; it embeds Conn.
type Session interface {
	// Serve runs the handler and returns its error. It is called once.
	Serve(ctx context.Context) error
	// Goodbye sends the last words, bounded by the linger. It is called once: when Serve has
	// returned, or when Serve has not returned although the linger after Close has passed.
	Goodbye(err error)
}

// Hub is the register of a listener's connections. It enforces what concerns all of them, and has one
// clock for all of them: a connection costs no timer. Set the exported fields before the first use;
// from then on there is Change.
type Hub struct {
	Limits Limits
	Log    *slog.Logger
	// PingEvery is how often Ping is sent to each connection; 0: never.
	PingEvery time.Duration
	Ping      []byte
	// RestAfter is how long a peer is silent before its connection is served without a goroutine, if its protocol
	// can; 0: a second.
	RestAfter time.Duration
	// Closing ends the coming of connections. It is called at the end, before those that there are hear of it, so that who comes
	// back at once does not come here. Nil: nothing is to be done.
	Closing func()
	// Doorkeeper is told who is refused. It may be nil.
	Doorkeeper core.Doorkeeper

	bed     *bed                     // of Run, made when it is needed; nil: nothing has rested yet
	bedless bool                     // the system gives none; belongs to the clock
	changed atomic.Pointer[settings] // by Change; nil: the fields above hold

	now  atomic.Int64 // the clock, unix nanoseconds, as of the last tick; 0: it does not run
	work sync.WaitGroup

	mu       sync.Mutex
	ctx      context.Context // of Run; nil before
	stopping bool
	reserved int // connections, those in the making included
	accepted uint64
	in, out  uint64 // bytes of connections that have ended
	conns    map[*Conn]Session
	refusing int // connections that are only told that they are refused
	byAddr   map[string]int
	paces    map[string]pace // by address; "": all
	ended    map[string]uint64
	limits   map[string]uint64
	lines    pace    // of the log, about what was refused
	silent   int     // that were left out
	list     []*Conn // of the clock, used again
	cutOff   bool
}

// ids numbers connections. ConnInfo.ID is unique in the process, whatever the number of listeners, so
// this is the process's.
var ids atomic.Uint64

// NewID returns the id of a new connection: "c17".
func NewID() string { return "c" + strconv.FormatUint(ids.Add(1), 10) }

// Serve runs s, for which Reserve was called, on a goroutine that Run waits for. Its end is counted and
// logged once.
func (h *Hub) Serve(c *Conn, s Session) {
	h.mu.Lock()
	if h.conns == nil {
		h.conns = make(map[*Conn]Session)
	}
	h.conns[c] = s
	if c.spare.Load() == 0 {
		h.accepted++
	}
	ctx, stopping := h.ctx, h.stopping
	h.mu.Unlock()
	if stopping {
		c.close(core.ErrShutdown, h.bounds().ShutdownTimeout)
	}
	go h.serve(c, s, func() error { return s.Serve(ctx) }) // Run waits for it: Reserve has counted it in work
}

// serve runs c, from the beginning or from where it came to rest, to its end or until it rests.
func (h *Hub) serve(c *Conn, s Session, run func() error) {
	err := h.run(c, run)
	for errors.Is(err, core.ErrResting) {
		if h.lay(c) {
			return
		}
		err = h.run(c, c.rest.resume)
	}
	defer h.work.Done()
	err = c.cause(err)
	if !c.loggedIn.Load() && c.info.Refused == nil { // else it was told when that was found
		h.tell(c.info, err)
	}
	c.bye.Do(func() { s.Goodbye(err) })
	c.drop()
	h.leave(c, err)
}

// run calls serve. A panic costs this connection only.
func (h *Hub) run(c *Conn, serve func() error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			h.Log.Error("panic while serving a connection", "conn", c.info.ID, "remote", c.info.Remote, "panic", r, "stack", string(debug.Stack()))
			err = fmt.Errorf("panic: %w", core.ErrInternal)
		}
	}()
	return serve()
}

func (h *Hub) leave(c *Conn, err error) {
	reason := core.ReasonID(err)
	h.mu.Lock()
	delete(h.conns, c)
	if c.spare.Load() != 0 {
		h.refusing--
	} else {
		h.release(c.from)
	}
	if c.info.Refused == nil { // else it was counted when that was found
		h.count(reason)
	}
	h.in += c.got.Load()
	h.out += c.sent.Load()
	h.mu.Unlock()
	level := slog.LevelInfo
	switch {
	case err == nil || errors.Is(err, core.ErrShutdown) || !hasReason(err):
		level = slog.LevelDebug
	case errors.Is(err, core.ErrInternal):
		level = slog.LevelWarn
	}
	if !h.Log.Enabled(context.Background(), level) {
		return
	}
	h.Log.Log(context.Background(), level, "connection closed", "conn", c.info.ID, "remote", c.info.Remote,
		"subprotocol", c.info.Subprotocol, "reason", reason, "error", err)
}

// hostOf is what counts as one address: of IPv6, whoever has one has all of a network of 2^64.
func hostOf(a net.Addr) string {
	if a == nil {
		return ""
	}
	port, err := netip.ParseAddrPort(a.String())
	if err != nil {
		return a.String() // of no network
	}
	ip := port.Addr().Unmap().WithZone("")
	if ip.Is4() {
		return ip.String()
	}
	network, _ := ip.Prefix(64) // fails for the zero Addr only
	return network.String()
}
