package tcp

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/wyemq/wye/core"
	"github.com/wyemq/wye/transports/internal/wire"
)

// Transport is a TCP listener. Make it with New.
type Transport struct {
	name string
	cfg  Config
	log  *slog.Logger
	hub  wire.Hub

	mu       sync.Mutex
	listener net.Listener
	tls      *tls.Config
}

var _ core.Transport = (*Transport)(nil)

// New returns a listener called name. Nothing is bound yet.
func New(name string, cfg Config, log *slog.Logger) (*Transport, error) {
	if err := cfg.Validate("listeners." + name); err != nil {
		return nil, err
	}
	t := &Transport{name: name, cfg: cfg, log: log.With("listener", name)}
	t.hub.Limits, t.hub.Log = cfg.Limits, t.log
	return t, nil
}

// Name implements core.Transport.
func (t *Transport) Name() string { return t.name }

// Stats returns what the listener has counted. It may be called at any time.
func (t *Transport) Stats() Stats { return t.hub.Stats() }

// Addr returns the bound address, nil before Listen.
func (t *Transport) Addr() net.Addr {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.listener == nil {
		return nil
	}
	return t.listener.Addr()
}

// Listen implements core.Transport.
func (t *Transport) Listen(ctx context.Context) (net.Addr, error) {
	a, err := wire.ParseURI(t.cfg.URI, "tcp", "tls")
	if err != nil {
		return nil, fmt.Errorf("listeners.%s.uri: %w", t.name, err)
	}
	var cfg *tls.Config
	if a.Scheme == "tls" {
		if cfg, err = t.cfg.TLS.Config(t.log); err != nil {
			return nil, fmt.Errorf("listeners.%s.%w", t.name, err)
		}
	}
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", a.HostPort)
	if err != nil {
		return nil, fmt.Errorf("listeners.%s.uri: listen on %s: %w", t.name, t.cfg.URI, err)
	}
	addr := l.Addr()
	if t.cfg.ProxyProtocol {
		trusted, _ := wire.ParseNetworks(t.cfg.TrustedProxies) // validated
		l = &wire.ProxyListener{Listener: l, Trusted: trusted, Timeout: t.cfg.Limits.LoginTimeout}
	}
	t.mu.Lock()
	t.listener, t.tls = l, cfg
	t.mu.Unlock()
	return addr, nil
}

// Serve implements core.Transport. It is called once.
func (t *Transport) Serve(ctx context.Context, h core.Handler) error {
	t.mu.Lock()
	l := t.listener
	t.mu.Unlock()
	if l == nil {
		return errors.New("tcp: Serve before Listen")
	}
	return t.ServeListener(ctx, l, h)
}

// ServeListener is Serve for a listener that was made elsewhere, as by systemd; it is closed at the end. TLS
// and the PROXY protocol are that listener's business.
func (t *Transport) ServeListener(ctx context.Context, l net.Listener, h core.Handler) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	t.hub.Start(ctx)
	accepted := make(chan error, 1)
	var work sync.WaitGroup
	work.Go(func() {
		err := t.accept(ctx, l, h)
		cancel()
		accepted <- err
	})
	stop := context.AfterFunc(ctx, func() { _ = l.Close() })
	defer stop()
	t.hub.Run()
	work.Wait()
	return <-accepted
}

// acceptPause is how long a listener waits after a failure that may pass, as too many open files.
const acceptPause = 100 * time.Millisecond

func (t *Transport) accept(ctx context.Context, l net.Listener, h core.Handler) error {
	for {
		nc, err := l.Accept()
		switch {
		case err == nil:
			t.admit(nc, h)
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, net.ErrClosed):
			return fmt.Errorf("listener %s: %w", t.name, err)
		default:
			t.log.Warn("accept failed", "error", err)
			pause := time.NewTimer(acceptPause)
			select {
			case <-ctx.Done():
			case <-pause.C:
			}
			pause.Stop()
		}
	}
}

func (t *Transport) admit(nc net.Conn, h core.Handler) {
	info := &core.ConnInfo{ID: wire.NewID(), Listener: t.name, Transport: "tcp", Stream: true}
	if !wire.Proxied(nc) { // else what the header says is waited for by the connection's own goroutine
		info.Local, info.Remote = nc.LocalAddr(), nc.RemoteAddr()
	}
	if err := t.hub.Reserve(info.Remote); err != nil {
		t.hub.LogRefused(slog.LevelInfo, core.ReasonID(err), err, "remote", nc.RemoteAddr())
		if errors.Is(err, core.ErrShutdown) || !t.hub.ReserveToRefuse() {
			_ = nc.Close()
			return
		}
		info.Refused = err
	}
	c := &conn{hub: &t.hub, h: h}
	if t.tls != nil {
		nc = wire.TLSServer(nc, t.tls)
	}
	c.Attach(&t.hub, nc, info)
	c.nc = nc
	t.hub.Serve(&c.Conn, c)
}
