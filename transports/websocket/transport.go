package websocket

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"

	"github.com/wyemq/wye/core"
	"github.com/wyemq/wye/transports/internal/wire"
)

// Transport is a WebSocket listener. Make it with New.
type Transport struct {
	*wire.Door

	log  *slog.Logger
	hub  wire.Hub
	ours func(origin string) bool // may be nil
	now  atomic.Pointer[settings]
}

// settings are what may change while connections are served.
type settings struct {
	cfg     Config
	origins origins
}

// kind is what it is called in ConnInfo.
const kind = "websocket"

var _ core.Transport = (*Transport)(nil)

// New returns a listener called name. Nothing is bound yet.
func New(name string, cfg Config, log *slog.Logger) (*Transport, error) {
	if err := cfg.Validate("listeners." + name); err != nil {
		return nil, err
	}
	return newTransport(name, cfg, log), nil
}

func newTransport(name string, cfg Config, log *slog.Logger) *Transport {
	t := &Transport{log: log.With("listener", name)}
	t.now.Store(&settings{cfg, newOrigins(cfg)})
	t.Door = wire.NewDoor(name, cfg.Listen, schemes(), t.log, "http/1.1")
	t.hub.Limits, t.hub.Log, t.hub.PingEvery, t.hub.Ping = cfg.Limits, t.log, cfg.PingInterval, []byte{final | opPing, 0}
	return t
}

// Stats returns what the listener has counted. It may be called at any time.
func (t *Transport) Stats() Stats { return t.hub.Stats() }

// AllowOrigins lets pages connect whose origin ours says yes to, beside those of the configuration: those
// that the same program serves on another port. Call it before Serve.
func (t *Transport) AllowOrigins(ours func(origin string) bool) { t.ours = ours }

// Prepare makes the Transport reloadable: everything but the address may change, with the connections staying.
func (t *Transport) Prepare(next Config) (core.Change, error) {
	use, err := t.Door.Prepare(next.Listen)
	if err != nil {
		return core.Change{}, err
	}
	return core.Change{Apply: func() {
		use()
		t.now.Store(&settings{next, newOrigins(next)})
		t.hub.Change(next.Limits, next.PingInterval)
	}}, nil
}

// Serve implements core.Transport. It is called once.
func (t *Transport) Serve(ctx context.Context, h core.Handler) error {
	l, err := t.Listener()
	if err != nil {
		return err
	}
	return t.ServeListener(ctx, l, h)
}

// ServeListener is Serve for a listener that was made elsewhere, as by systemd; it is closed at the end. TLS
// and the PROXY protocol are that listener's business.
func (t *Transport) ServeListener(ctx context.Context, l net.Listener, h core.Handler) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	waiting := newWaiting(t)
	limits := t.hub.Settings() // what they are later, waiting and the hub look after
	srv := &http.Server{
		Handler:           newUpgrade(t, h),
		ReadHeaderTimeout: limits.LoginTimeout,
		IdleTimeout:       limits.LoginTimeout,
		WriteTimeout:      limits.LoginTimeout + limits.WriteTimeout,
		MaxHeaderBytes:    32 << 10,
		ErrorLog:          slog.NewLogLogger(t.log.Handler(), slog.LevelDebug),
		ConnState:         waiting.state,
		ConnContext:       waiting.context,
	}
	t.hub.Closing = func() { _ = srv.Close() } // plain HTTP; what is upgraded is no longer the server's
	t.hub.Doorkeeper, _ = h.(core.Doorkeeper)
	t.hub.Start(ctx)
	served := make(chan error, 1)
	var work sync.WaitGroup
	work.Go(func() { t.Watch(ctx) })
	work.Go(func() {
		err := srv.Serve(l)
		cancel()
		served <- err
	})
	t.hub.Run()
	work.Wait()
	if err := <-served; !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("listener %s: %w", t.Name(), err)
	}
	return nil
}

// Handler serves h as part of an application's own HTTP server, on whatever path it is mounted. cfg.URI, TLS
// and ProxyProtocol are not looked at. Connections end with ctx; wait returns when they have ended, bounded
// by the shutdown timeout.
func Handler(ctx context.Context, cfg Config, h core.Handler, log *slog.Logger) (handler http.Handler, wait func(), err error) {
	cfg.ProxyProtocol = false
	const key = "websocket"
	if err := errors.Join(cfg.ValidateServed(key), cfg.validate(key)); err != nil {
		return nil, nil, err
	}
	t := newTransport("http", cfg, log)
	t.hub.Doorkeeper, _ = h.(core.Doorkeeper)
	t.hub.Start(ctx)
	var work sync.WaitGroup
	work.Go(t.hub.Run)
	return newUpgrade(t, h), work.Wait, nil
}
