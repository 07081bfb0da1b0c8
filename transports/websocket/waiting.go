package websocket

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/wyemq/wye/core"
	"github.com/wyemq/wye/transports/internal/wire"
)

// waiting knows the connections that are not upgraded. There may be some more of them than may be served, because each
// is to be told why not; but not any number. Those that end without a request that could be answered, which the HTTP
// server says nothing about, it logs.
type waiting struct {
	t *Transport

	mu    sync.Mutex
	conns map[net.Conn]*attempt
}

// attempt is a connection that is not upgraded.
type attempt struct {
	begun time.Time
	// told says that the last request was answered, or that it was logged why not; guarded by waiting.mu.
	told bool
	// bytes says that something came; guarded by waiting.mu.
	bytes bool
}

type attemptKey struct{}

func newWaiting(t *Transport) *waiting {
	return &waiting{t: t, conns: make(map[net.Conn]*attempt)}
}

// most is how many connections may be in the handshake now.
func (w *waiting) most() int { return handshakes(w.t.hub.Settings().MaxConnections) }

// handshakes returns how many connections may be in the handshake.
func handshakes(most int) int {
	if most == 0 {
		return 1 << 20
	}
	return max(most/4, 256)
}

// context is http.Server.ConnContext: requests tell by it that they have come to the handler.
func (w *waiting) context(ctx context.Context, nc net.Conn) context.Context {
	return context.WithValue(ctx, attemptKey{}, func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		if a := w.conns[nc]; a != nil {
			a.told = true
		}
	})
}

// handled is called by the handler: what becomes of r is told by it.
func handled(r *http.Request) {
	if tell, ok := r.Context().Value(attemptKey{}).(func()); ok { // not in an application's own server
		tell()
	}
}

// state is http.Server.ConnState.
func (w *waiting) state(nc net.Conn, s http.ConnState) {
	w.mu.Lock()
	a, full := w.conns[nc], false
	switch s {
	case http.StateNew:
		full = len(w.conns) >= w.most()
		w.conns[nc] = &attempt{begun: time.Now(), told: full}
	case http.StateActive:
		a.bytes, a.told = true, false
	case http.StateIdle:
		a.bytes, a.told, a.begun = false, true, time.Now() // a request was answered: the rest is nobody's business
	case http.StateHijacked, http.StateClosed:
		delete(w.conns, nc)
	}
	w.mu.Unlock()
	switch {
	case full:
		w.t.hub.Reached("handshakes")
		w.refuse(wire.Peer(nc), slog.LevelInfo, fmt.Errorf("%d connections are in the handshake: %w", w.most(), core.ErrLimit))
		_ = nc.Close()
	case s == http.StateClosed && a != nil && !a.told:
		w.ended(nc, a)
	}
}

// ended tells of a connection that is closed and has not come to the handler.
func (w *waiting) ended(nc net.Conn, a *attempt) {
	login, opened := w.t.hub.Settings().LoginTimeout, wire.Open(nc)
	from := nc.RemoteAddr()
	switch {
	case time.Since(a.begun) >= login:
		w.refuse(from, slog.LevelInfo, fmt.Errorf("no HTTP request within %s (login_timeout): %w", login, core.ErrLoginTimeout))
	case opened != nil && !errors.Is(opened, io.EOF):
		w.refuse(from, slog.LevelInfo, opened)
	case insecure(nc) != nil:
		w.refuse(from, slog.LevelInfo, fmt.Errorf("tls handshake: %w: %w", core.ErrInvalid, insecure(nc)))
	case a.bytes:
		w.refuse(from, slog.LevelInfo, fmt.Errorf("what came is no HTTP request that can be answered: %w", core.ErrInvalid))
	default:
		w.refuse(from, slog.LevelDebug, errors.New("closed without a request"))
	}
}

// insecure returns why a connection that is closed never became a secure one, unless the client just went.
func insecure(nc net.Conn) error {
	t, ok := nc.(*tls.Conn)
	if !ok || t.ConnectionState().HandshakeComplete {
		return nil
	}
	err := t.Handshake() // it has failed: this is its outcome
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

func (w *waiting) refuse(from net.Addr, level slog.Level, err error) {
	w.t.hub.Refuse(level, &core.ConnInfo{Listener: w.t.Name(), Transport: kind, Remote: from}, err)
}
