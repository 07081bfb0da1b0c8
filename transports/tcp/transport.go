package tcp

import (
	"context"
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
	*wire.Door

	log *slog.Logger
	hub wire.Hub
}

var _ core.Transport = (*Transport)(nil)

// New returns a listener called name. Nothing is bound yet.
func New(name string, cfg Config, log *slog.Logger) (*Transport, error) {
	if err := cfg.Validate("listeners." + name); err != nil {
		return nil, err
	}
	t := &Transport{log: log.With("listener", name)}
	t.Door = wire.NewDoor(name, cfg.Listen, schemes(), t.log)
	t.hub.Limits, t.hub.Log = cfg.Limits, t.log
	return t, nil
}

// Prepare makes the Transport reloadable: everything but the address may change, with the connections staying.
func (t *Transport) Prepare(next Config) (core.Change, error) {
	use, err := t.Door.Prepare(next.Listen)
	if err != nil {
		return core.Change{}, err
	}
	return core.Change{Apply: func() {
		use()
		t.hub.Change(next.Limits, 0)
	}}, nil
}

// Stats returns what the listener has counted. It may be called at any time.
func (t *Transport) Stats() Stats { return t.hub.Stats() }

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
	t.hub.Closing = func() { _ = l.Close() }
	t.hub.Doorkeeper, _ = h.(core.Doorkeeper)
	t.hub.Start(ctx)
	accepted := make(chan error, 1)
	var work sync.WaitGroup
	work.Go(func() { t.Watch(ctx) })
	work.Go(func() {
		err := t.accept(ctx, l, h)
		cancel()
		accepted <- err
	})
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
			return fmt.Errorf("listener %s: %w", t.Name(), err)
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
	info := &core.ConnInfo{ID: wire.NewID(), Listener: t.Name(), Transport: "tcp", Stream: true}
	if !wire.Proxied(nc) { // else what the header says is waited for by the connection's own goroutine
		info.Local, info.Remote = nc.LocalAddr(), nc.RemoteAddr()
	}
	if err := t.hub.Reserve(info.Remote); err != nil {
		served := !errors.Is(err, core.ErrShutdown) && t.hub.ReserveToRefuse()
		switch {
		case info.Remote != nil:
			t.hub.Refused(slog.LevelInfo, info, err)
		case !served: // nobody waits for the header
			t.hub.Refused(slog.LevelInfo, &core.ConnInfo{ID: info.ID, Listener: info.Listener, Transport: info.Transport, Remote: wire.Peer(nc)}, err)
		}
		if !served {
			_ = nc.Close()
			return
		}
		info.Refused = err
	}
	c := &conn{hub: &t.hub, h: h}
	c.Attach(&t.hub, nc, info)
	c.nc = nc
	t.hub.Serve(&c.Conn, c)
}
