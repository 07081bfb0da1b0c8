// Package tcp serves protocols over plain TCP and TLS. A connection is one endless message; which
// protocol it speaks is told by the listener's configuration or by its first bytes. It knows no
// destination and no protocol.
package tcp

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/url"
	"sync"
	"time"

	"github.com/wyemq/wye/core"
	"github.com/wyemq/wye/transports/internal/wire"
)

// Config is a TCP listener.
type Config struct {
	// URI says scheme and address: tcp://127.0.0.1:61613, tls://0.0.0.0:8883.
	URI    string      `koanf:"uri"`
	TLS    wire.TLS    `koanf:"tls"`
	Limits wire.Limits `koanf:",squash"`
}

// DefaultConfig returns the defaults; URI has none.
func DefaultConfig() Config { return Config{Limits: wire.DefaultLimits()} }

// Validate names everything that makes no sense; key is that of the listener in the configuration.
func (c Config) Validate(key string) error {
	errs := []error{c.Limits.Validate(key)}
	u, err := url.Parse(c.URI)
	switch {
	case err != nil || u.Host == "" || u.Port() == "" || u.Scheme != "tcp" && u.Scheme != "tls":
		errs = append(errs, fmt.Errorf("%s.uri: must be tcp://host:port or tls://host:port, is %q", key, c.URI))
	case u.Scheme == "tls" && c.TLS.Empty():
		errs = append(errs, fmt.Errorf("%s.tls: cert_file and key_file are needed for tls", key))
	}
	return errors.Join(errs...)
}

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
	t.hub = wire.Hub{Limits: cfg.Limits, Name: name, Log: t.log}
	return t, nil
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

// Listen implements core.Transport.
func (t *Transport) Listen(ctx context.Context) (net.Addr, error) {
	u, err := url.Parse(t.cfg.URI)
	if err != nil {
		return nil, fmt.Errorf("listeners.%s.uri: %w", t.name, err)
	}
	if u.Scheme == "tls" {
		if t.tls, err = t.cfg.TLS.Config(); err != nil {
			return nil, fmt.Errorf("listeners.%s.%w", t.name, err)
		}
		t.tls.NextProtos = nil
	}
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", u.Host)
	if err != nil {
		return nil, fmt.Errorf("listeners.%s.uri: listen on %s: %w", t.name, t.cfg.URI, err)
	}
	t.mu.Lock()
	t.listener = l
	t.mu.Unlock()
	return l.Addr(), nil
}

// acceptPause is how long a listener waits after a failure that may pass, as too many open files.
const acceptPause = 100 * time.Millisecond

// Serve implements core.Transport.
func (t *Transport) Serve(ctx context.Context, h core.Handler) error {
	t.mu.Lock()
	l := t.listener
	t.mu.Unlock()
	if l == nil {
		return errors.New("tcp: Serve before Listen")
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	accepted := make(chan error, 1)
	go func() {
		err := t.accept(ctx, l, h)
		cancel()
		accepted <- err
	}()
	stop := context.AfterFunc(ctx, func() { _ = l.Close() })
	defer stop()
	t.hub.Run(ctx)
	return <-accepted
}

func (t *Transport) accept(ctx context.Context, l net.Listener, h core.Handler) error {
	for {
		nc, err := l.Accept()
		switch {
		case err == nil:
			t.admit(ctx, nc, h)
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, net.ErrClosed):
			return fmt.Errorf("listener %s: %w", t.name, err)
		default:
			t.log.Warn("accept failed", "error", err)
			select {
			case <-ctx.Done():
			case <-time.After(acceptPause):
			}
		}
	}
}

func (t *Transport) admit(ctx context.Context, nc net.Conn, h core.Handler) {
	info := core.ConnInfo{
		ID: wire.NewID(), Listener: t.name, Transport: "tcp", Local: nc.LocalAddr(), Remote: nc.RemoteAddr(), Stream: true,
	}
	if t.tls != nil {
		nc = tls.Server(nc, t.tls)
	}
	c := &conn{nc: nc, in: wire.NewReader(nc)}
	if err := t.hub.Admit(&c.Conn, nc, info); err != nil {
		t.log.Warn("connection refused", "remote", info.Remote, "reason", core.ErrLimit.ID(), "error", err)
		_ = nc.Close()
		return
	}
	t.hub.Go(&c.Conn, func() error { return c.serve(ctx, h) })
}

// conn is an accepted connection.
type conn struct {
	wire.Conn
	nc   net.Conn
	in   *wire.Reader
	read bool
}

var _ core.Conn = (*conn)(nil)

func (c *conn) serve(ctx context.Context, h core.Handler) error {
	defer c.nc.Close()
	if s, ok := c.nc.(*tls.Conn); ok {
		hctx, cancel := context.WithTimeout(ctx, c.LoginTimeout())
		err := s.HandshakeContext(hctx)
		cancel()
		if err != nil {
			return fmt.Errorf("tls: %w: %w", core.ErrInvalid, err)
		}
		state := s.ConnectionState()
		c.Info_.TLS = &state
	}
	err := h.ServeConn(ctx, c)
	c.finish(err)
	return err
}

// finish sends what is left, says that no more comes, and waits for the peer to do the same, bounded by the
// linger: a connection that is closed with bytes unread would take the last words with it.
func (c *conn) finish(err error) {
	if errors.Is(err, core.ErrSlowConsumer) {
		c.Hurry()
	}
	if c.Flush() != nil {
		return
	}
	if half, ok := c.nc.(interface{ CloseWrite() error }); ok && half.CloseWrite() != nil {
		return
	}
	c.Linger()
	_, _ = io.Copy(io.Discard, c.nc)
}

// NextReader implements core.Conn: there is one message, which does not end.
func (c *conn) NextReader() (core.Kind, io.Reader, error) {
	if why := c.Ended(); why != nil {
		return 0, nil, why
	}
	if c.read {
		return 0, nil, io.EOF
	}
	c.read = true
	return core.Binary, (*stream)(c), nil
}

// stream is what comes in.
type stream conn

func (s *stream) Read(p []byte) (int, error) {
	c := (*conn)(s)
	n, err := c.in.Read(p)
	if lim := c.Received(n, 0); lim != nil {
		return 0, lim
	}
	if err != nil {
		err = c.ReadError(err)
	}
	return n, err
}

// WriteMessage implements core.Conn: the parts, as they are.
func (c *conn) WriteMessage(_ core.Kind, parts ...[]byte) error { return c.Append(nil, parts...) }
