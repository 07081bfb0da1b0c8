package websocket

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"

	"github.com/gorilla/websocket"

	"github.com/wyemq/wye/core"
	"github.com/wyemq/wye/transports/internal/wire"
)

// upgrade turns HTTP requests into connections.
type upgrade struct {
	t       *Transport
	h       core.Handler
	ctx     context.Context
	known   []string
	proxies []netip.Prefix
	up      websocket.Upgrader
}

// gorillaBuffer is gorilla's own read buffer: frame heads. What is read ahead is in wire.Reader.
const gorillaBuffer = 256

func (u *upgrade) init() {
	u.proxies, _ = u.t.cfg.proxies() // validated
	u.up = websocket.Upgrader{
		ReadBufferSize:    gorillaBuffer,
		WriteBufferSize:   gorillaBuffer,
		WriteBufferPool:   &sync.Pool{},
		CheckOrigin:       func(*http.Request) bool { return true }, // decided before
		EnableCompression: u.t.cfg.Compression,
		Error:             func(w http.ResponseWriter, _ *http.Request, status int, err error) { refuse(w, status, err.Error()) },
	}
}

func refuse(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, _ = fmt.Fprintln(w, text)
}

// ServeHTTP implements http.Handler. It returns as soon as the connection is upgraded, which lets the
// HTTP server's goroutine and buffers go.
func (u *upgrade) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !websocket.IsWebSocketUpgrade(r) {
		u.help(w, r)
		return
	}
	log := u.t.log.With("remote", r.RemoteAddr, "path", r.URL.Path)
	if err := u.t.rule.check(r); err != nil {
		log.Info("connection refused", "reason", "foreign_origin", "error", err)
		refuse(w, http.StatusForbidden, err.Error())
		return
	}
	offered := websocket.Subprotocols(r)
	chosen, ok := u.h.Select(offered)
	if len(offered) > 0 && !ok {
		err := fmt.Sprintf("none of the subprotocols offered (%s) is known here; known are: %s",
			strings.Join(offered, ", "), strings.Join(u.known, ", "))
		log.Info("connection refused", "reason", "unknown_subprotocol", "error", err)
		refuse(w, http.StatusBadRequest, err)
		return
	}
	c := &conn{}
	taken := &hijacker{ResponseWriter: w, c: c}
	info := u.info(r, chosen)
	if err := u.t.hub.Admit(&c.Conn, nil, info); err != nil {
		log.Warn("connection refused", "reason", core.ErrLimit.ID(), "error", err)
		refuse(w, http.StatusServiceUnavailable, err.Error())
		return
	}
	head := http.Header{}
	if chosen != "" {
		head.Set("Sec-Websocket-Protocol", chosen)
	}
	ws, err := u.up.Upgrade(taken, r, head)
	if err != nil {
		u.t.hub.Leave(&c.Conn, fmt.Errorf("upgrade: %w: %w", core.ErrInvalid, err))
		return
	}
	c.start(ws, r.TLS)
	u.t.hub.Go(&c.Conn, func() error { return c.serve(u.ctx, u.h) })
}

// help answers what is no WebSocket request.
func (u *upgrade) help(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET")
		refuse(w, http.StatusMethodNotAllowed, "This is a WebSocket endpoint: only GET is served.")
		return
	}
	w.Header().Set("Upgrade", "websocket")
	w.Header().Set("Connection", "Upgrade")
	scheme := "ws"
	if r.TLS != nil {
		scheme = "wss"
	}
	refuse(w, http.StatusUpgradeRequired, fmt.Sprintf(
		"This is the WebSocket endpoint of a message broker. Connect to %s://%s%s with one of these subprotocols: %s.",
		scheme, r.Host, r.URL.Path, strings.Join(u.known, ", ")))
}

// kept are the headers that an Authenticator may need; the request itself is let go.
var kept = []string{"Authorization", "Cookie", "Origin", "User-Agent"}

func (u *upgrade) info(r *http.Request, chosen string) core.ConnInfo {
	info := core.ConnInfo{
		ID: wire.NewID(), Listener: u.t.name, Transport: "websocket",
		Subprotocol: strings.Clone(chosen), Path: strings.Clone(r.URL.Path), Remote: u.remote(r),
	}
	if a, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr); ok {
		info.Local = a
	}
	for _, k := range kept {
		if v := r.Header.Values(k); len(v) > 0 {
			if info.Header == nil {
				info.Header = make(http.Header)
			}
			for _, s := range v {
				info.Header.Add(k, strings.Clone(s))
			}
		}
	}
	return info
}

// remote returns the client's address: the rightmost of X-Forwarded-For that is no trusted proxy, if the
// request comes from one.
func (u *upgrade) remote(r *http.Request) net.Addr {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return textAddr(r.RemoteAddr)
	}
	addr := peer.Addr().Unmap()
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for _, hop := range slices.Backward(hops) {
		if !u.trusted(addr) {
			break
		}
		next, err := netip.ParseAddr(strings.TrimSpace(hop))
		if err != nil {
			break
		}
		addr = next.Unmap()
	}
	if addr == peer.Addr().Unmap() {
		return net.TCPAddrFromAddrPort(peer)
	}
	return &net.TCPAddr{IP: addr.AsSlice(), Zone: addr.Zone()}
}

func (u *upgrade) trusted(a netip.Addr) bool {
	return slices.ContainsFunc(u.proxies, func(p netip.Prefix) bool { return p.Contains(a) })
}

// textAddr is an address that is no IP address, as of a unix socket.
type textAddr string

func (textAddr) Network() string  { return "unix" }
func (a textAddr) String() string { return string(a) }

// hijacker hands gorilla a net.Conn of ours in the place of the server's.
type hijacker struct {
	http.ResponseWriter
	c *conn
}

// Hijack implements http.Hijacker.
func (h *hijacker) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	inner, ok := h.ResponseWriter.(http.Hijacker)
	if !ok {
		return nil, nil, errors.New("the HTTP server cannot hand over its connection (HTTP/2?)")
	}
	nc, rw, err := inner.Hijack()
	if err != nil {
		return nil, nil, err
	}
	return h.c.own(nc, rw), rw, nil
}
