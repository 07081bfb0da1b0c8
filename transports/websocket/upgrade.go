package websocket

import (
	"bufio"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/gorilla/websocket"

	"github.com/wyemq/wye/core"
	"github.com/wyemq/wye/transports/internal/wire"
)

// upgrade turns HTTP requests into connections, or says why not.
type upgrade struct {
	t  *Transport
	h  core.Handler
	up websocket.Upgrader
}

var _ http.Handler = (*upgrade)(nil)

// gorillaBuffer is the least that gorilla takes over from whoever hijacks.
const gorillaBuffer = 257

func newUpgrade(t *Transport, h core.Handler) *upgrade {
	return &upgrade{t: t, h: h, up: websocket.Upgrader{
		WriteBufferSize: gorillaBuffer,
		WriteBufferPool: &sync.Pool{},                             // never asked: gorilla writes no messages
		CheckOrigin:     func(*http.Request) bool { return true }, // decided before
		Error:           func(w http.ResponseWriter, _ *http.Request, status int, err error) { reply(w, status, err.Error()) },
	}}
}

// known lists the subprotocols that are served.
func (u *upgrade) known() string { return strings.Join(u.h.Subprotocols(), ", ") }

func reply(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	_, _ = fmt.Fprintln(w, text)
}

// secure sets the headers that keep a browser from doing anything with an answer but showing it.
func (u *upgrade) secure(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Security-Policy", "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY") // for browsers that know no frame-ancestors
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Cache-Control", "no-store") // the URL may hold a ticket
	if hsts := u.t.now.Load().cfg.HSTS; r.TLS != nil && hsts > 0 {
		h.Set("Strict-Transport-Security", fmt.Sprintf("max-age=%d", int64(hsts.Seconds())))
	}
}

// client returns the address of whoever asks, as the proxies tell it that are trusted.
func (u *upgrade) client(r *http.Request) net.Addr {
	return u.t.Trusted().Requester(r, u.t.now.Load().cfg.ProxyHeader)
}

// ServeHTTP implements http.Handler. It returns as soon as the connection is upgraded, which lets the
// HTTP server's goroutine and buffers go.
func (u *upgrade) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	handled(r)
	u.secure(w, r)
	remote := u.client(r)
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		w.Header().Set("Connection", "close") // what follows may be a body, or HTTP/2
		u.refuse(w, r, remote, http.StatusMethodNotAllowed, core.ErrInvalid,
			fmt.Sprintf("this is a WebSocket endpoint, connect with GET, not %s", clip(r.Method)))
		return
	}
	if !websocket.IsWebSocketUpgrade(r) {
		u.help(w, r)
		return
	}
	if err := handshake(r); err != nil {
		u.refuse(w, r, remote, http.StatusBadRequest, core.ErrInvalid, err.Error())
		return
	}
	if err := u.t.now.Load().origins.check(r, u.t.ours); err != nil {
		u.refuse(w, r, remote, http.StatusForbidden, errOrigin, err.Error())
		return
	}
	offered, bearer := offers(r)
	chosen := ""
	if len(offered) > 0 {
		var ok bool
		if chosen, ok = u.h.Select(offered); !ok {
			u.refuse(w, r, remote, http.StatusBadRequest, errSubprotocol,
				fmt.Sprintf("none of the subprotocols offered (%s) is known here; known are: %s", clip(strings.Join(offered, ", ")), u.known()))
			return
		}
	}
	if d := u.t.hub.Doorkeeper; d != nil {
		if err := d.Admit(); err != nil {
			u.t.hub.Refuse(slog.LevelInfo, u.asked(r, remote), err)
			full(w, err)
			return
		}
	}
	if err := u.t.hub.Reserve(remote); err != nil {
		u.t.hub.Refused(slog.LevelInfo, u.asked(r, remote), err)
		full(w, err)
		return
	}
	u.accept(w, r, remote, chosen, bearer)
}

// handshake checks what gorilla does not look at: RFC 6455, section 4.2.1, asks for HTTP/1.1, and what a body is to one
// hop would be frames to the next.
func handshake(r *http.Request) error {
	if !r.ProtoAtLeast(1, 1) {
		return fmt.Errorf("a WebSocket handshake needs HTTP/1.1, this is %s", r.Proto)
	}
	if r.ContentLength != 0 {
		return errors.New("a WebSocket handshake has no body")
	}
	return nil
}

// accept hijacks the connection, for which there is a place in the hub.
func (u *upgrade) accept(w http.ResponseWriter, r *http.Request, remote net.Addr, chosen, bearer string) {
	c := &conn{h: u.h, most: u.t.hub.Settings().MaxMessageSize}
	info := u.info(r, chosen)
	info.Remote, info.Bearer = remote, bearer
	head := http.Header{}
	if chosen != "" {
		head.Set("Sec-Websocket-Protocol", chosen)
	}
	up := u.up
	up.EnableCompression = u.t.now.Load().cfg.Compression
	ws, err := up.Upgrade(&hijacker{ResponseWriter: w, take: func(nc net.Conn) (net.Conn, *bufio.Reader) { return c.take(&u.t.hub, nc, info) }}, r, head)
	if err != nil {
		u.t.hub.Release(remote)
		u.t.hub.Refuse(slog.LevelInfo, u.asked(r, remote), &refusal{err.Error(), core.ErrInvalid})
		return
	}
	c.open(ws)
	u.t.hub.Serve(&c.Conn, c)
}

// Reasons of this transport alone.
var (
	errOrigin      = core.NewReason("foreign_origin", 1008, "foreign origin")
	errSubprotocol = core.NewReason("unknown_subprotocol", 1002, "unknown subprotocol")
)

// refusal is a text, as it is answered, with a reason.
type refusal struct {
	text   string
	reason *core.Reason
}

func (r *refusal) Error() string { return r.text }

// Unwrap returns the reason.
func (r *refusal) Unwrap() error { return r.reason }

// refuse counts, logs and answers.
func (u *upgrade) refuse(w http.ResponseWriter, r *http.Request, remote net.Addr, status int, reason *core.Reason, text string) {
	u.t.hub.Refuse(slog.LevelInfo, u.asked(r, remote), &refusal{text, reason})
	reply(w, status, text)
}

// asked is what is told of a request that comes to nothing.
func (u *upgrade) asked(r *http.Request, remote net.Addr) *core.ConnInfo {
	return &core.ConnInfo{Listener: u.t.Name(), Transport: kind, Remote: remote, Path: clip(strings.Clone(r.URL.Path))}
}

// longest is how much of what a client says comes back to it, or goes into the log.
const longest = 200

func clip(s string) string {
	if len(s) <= longest {
		return s
	}
	return strings.ToValidUTF8(s[:longest], "") + "…"
}

// full answers when the hub has no place.
func full(w http.ResponseWriter, err error) {
	status := http.StatusServiceUnavailable
	if limit := new(wire.LimitError); errors.As(err, &limit) && limit.PerAddress {
		status = http.StatusTooManyRequests
	}
	w.Header().Set("Retry-After", "5")
	reply(w, status, err.Error())
}

// help answers what is no WebSocket request.
func (u *upgrade) help(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Upgrade", "websocket")
	w.Header().Set("Connection", "Upgrade")
	scheme := "ws"
	if r.TLS != nil {
		scheme = "wss"
	}
	reply(w, http.StatusUpgradeRequired, fmt.Sprintf(
		"This is the WebSocket endpoint of a message broker. Connect to %s://%s%s with one of these subprotocols: %s.",
		scheme, r.Host, r.URL.EscapedPath(), u.known()))
}

// bearerPrefix begins a subprotocol that is none but a token: the only thing beside the URL that scripts in a browser can
// say before the connection stands. It is neither chosen nor logged.
const bearerPrefix = "bearer."

// mostOffers is how many subprotocols are looked at.
const mostOffers = 64

// offers lists the subprotocols that the client offers: the header may be there several times
// (RFC 6455, section 11.3.4).
func offers(r *http.Request) (list []string, bearer string) {
	for _, v := range r.Header.Values("Sec-Websocket-Protocol") {
		for s := range strings.SplitSeq(v, ",") {
			if len(list) == mostOffers {
				return list, bearer
			}
			s = strings.TrimSpace(s)
			if token, ok := strings.CutPrefix(s, bearerPrefix); ok {
				bearer = strings.Clone(token)
			} else if s != "" && !slices.Contains(list, s) {
				list = append(list, s)
			}
		}
	}
	return list, bearer
}

// kept are the headers that an Authenticator may need; the request itself is let go.
var kept = [...]string{"Authorization", "Cookie", "Origin", "User-Agent"}

// forwarded reports whether a proxy says that it has passed r on. A client that says so itself loses by it.
func forwarded(r *http.Request) bool {
	for _, k := range []string{"Forwarded", "X-Forwarded-For", "X-Real-Ip", "Via"} {
		if len(r.Header.Values(k)) > 0 {
			return true
		}
	}
	return false
}

// info copies what is kept, because the strings of a request share one piece of memory.
func (u *upgrade) info(r *http.Request, chosen string) *core.ConnInfo {
	info := &core.ConnInfo{
		ID: wire.NewID(), Listener: u.t.Name(), Transport: kind,
		Subprotocol: strings.Clone(chosen), Path: strings.Clone(r.URL.Path), Host: strings.Clone(r.Host), TLS: r.TLS,
		Header: make(http.Header), Forwarded: forwarded(r), Ticket: strings.Clone(r.URL.Query().Get("ticket")),
	}
	if a, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr); ok {
		info.Local = a
	}
	for _, k := range kept {
		for _, v := range r.Header.Values(k) {
			info.Header[k] = append(info.Header[k], strings.Clone(v))
		}
	}
	return info
}

// hijacker hands gorilla a net.Conn of ours in the place of the server's.
type hijacker struct {
	http.ResponseWriter
	take func(net.Conn) (net.Conn, *bufio.Reader)
}

// Hijack implements http.Hijacker.
func (h *hijacker) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	nc, rw, err := http.NewResponseController(h.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, fmt.Errorf("the HTTP server cannot hand over its connection: %w", err)
	}
	if rw.Reader.Buffered() == 0 { // else gorilla refuses
		nc, rw.Reader = h.take(nc)
	}
	return nc, rw, nil
}
