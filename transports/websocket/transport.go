package websocket

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"

	"github.com/wyemq/wye/core"
	"github.com/wyemq/wye/transports/internal/wire"
)

// Transport is a WebSocket listener. Make it with New.
type Transport struct {
	name string
	cfg  Config
	log  *slog.Logger
	hub  wire.Hub
	rule origins

	mu       sync.Mutex
	listener net.Listener
	ctx      context.Context // of Serve or Handler; nil before
}

var _ core.Transport = (*Transport)(nil)

// New returns a listener called name. Nothing is bound yet.
func New(name string, cfg Config, log *slog.Logger) (*Transport, error) {
	if err := cfg.Validate("listeners." + name); err != nil {
		return nil, err
	}
	return newTransport(name, cfg, log), nil
}

func newTransport(name string, cfg Config, log *slog.Logger) *Transport {
	t := &Transport{name: name, cfg: cfg, log: log.With("listener", name)}
	t.hub = wire.Hub{Limits: cfg.Limits, Name: name, Log: t.log, PingEvery: cfg.PingInterval}
	if cfg.PingInterval > 0 {
		t.hub.Ping = ping
	}
	t.rule = newOrigins(cfg)
	return t
}

// Name implements core.Transport.
func (t *Transport) Name() string { return t.name }

// Stats returns what the listener has counted.
func (t *Transport) Stats() wire.Stats { return t.hub.Stats() }

// Addr returns the bound address, nil before Listen.
func (t *Transport) Addr() net.Addr {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.listener == nil {
		return nil
	}
	return t.listener.Addr()
}

// AllowOrigins lets pages connect whose origin ours says yes to, beside those of the configuration: those
// that the same program serves on another port. Call it before Serve.
func (t *Transport) AllowOrigins(ours func(origin string) bool) { t.rule.ours = ours }

// Listen implements core.Transport.
func (t *Transport) Listen(ctx context.Context) (net.Addr, error) {
	scheme, addr, err := hostPort(t.cfg.URI)
	if err != nil {
		return nil, fmt.Errorf("listeners.%s.uri: %w", t.name, err)
	}
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("listeners.%s.uri: listen on %s: %w", t.name, t.cfg.URI, err)
	}
	if scheme == "wss" {
		cfg, err := t.cfg.TLS.Config()
		if err != nil {
			_ = l.Close()
			return nil, fmt.Errorf("listeners.%s.%w", t.name, err)
		}
		l = tls.NewListener(l, cfg)
	}
	t.mu.Lock()
	t.listener = l
	t.mu.Unlock()
	return l.Addr(), nil
}

// Serve implements core.Transport.
func (t *Transport) Serve(ctx context.Context, h core.Handler) error {
	t.mu.Lock()
	l := t.listener
	t.mu.Unlock()
	if l == nil {
		return errors.New("websocket: Serve before Listen")
	}
	srv := &http.Server{
		Handler:           t.handler(ctx, h),
		ReadHeaderTimeout: t.cfg.Limits.LoginTimeout,
		IdleTimeout:       t.cfg.Limits.LoginTimeout,
		MaxHeaderBytes:    32 << 10,
		ErrorLog:          slog.NewLogLogger(t.log.Handler(), slog.LevelDebug),
	}
	served := make(chan error, 1)
	go func() { served <- srv.Serve(l) }()
	var err error
	select {
	case <-ctx.Done():
		_ = srv.Close() // plain HTTP; upgraded connections are no longer the server's
		<-served
	case err = <-served:
	}
	done, cancel := context.WithCancel(ctx)
	if err != nil {
		cancel()
	}
	t.hub.Run(done)
	cancel()
	if err != nil {
		return fmt.Errorf("listener %s: %w", t.name, err)
	}
	return nil
}

// Handler serves h as part of an application's own HTTP server, whatever the path. Connections end with ctx;
// wait returns when they have ended.
func Handler(ctx context.Context, cfg Config, h core.Handler, log *slog.Logger) (handler http.Handler, wait func()) {
	t := newTransport("http", cfg, log)
	done := make(chan struct{})
	handler = t.handler(ctx, h)
	go func() {
		defer close(done)
		t.hub.Run(ctx)
	}()
	return handler, func() { <-done }
}

// handler starts the clock when it is used by Serve's caller; it only upgrades.
func (t *Transport) handler(ctx context.Context, h core.Handler) http.Handler {
	u := &upgrade{t: t, h: h, ctx: ctx, known: h.Subprotocols()}
	u.init()
	return u
}
