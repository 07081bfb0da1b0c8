package corefx_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/fx"
	"go.uber.org/goleak"

	"github.com/wyemq/wye/core"
	"github.com/wyemq/wye/core/config"
	"github.com/wyemq/wye/core/corefx"
	"github.com/wyemq/wye/core/engine"
	"github.com/wyemq/wye/core/engine/memory"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// events notes what happens, in order.
type events struct {
	mu   sync.Mutex
	list []string
}

func (e *events) add(what string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.list = append(e.list, what)
}

func (e *events) String() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return strings.Join(e.list, ", ")
}

// runner is a plugin that runs; fail ends it.
type runner struct {
	events *events
	early  error
	fail   chan error
	engine chan error
}

func (r *runner) Run(ctx context.Context, ready func()) error {
	if r.early != nil {
		return r.early
	}
	r.events.add("runner up")
	ready()
	select {
	case <-ctx.Done():
		r.events.add("runner down")
		return nil
	case err := <-r.fail:
		return err
	}
}

type fakeConfig struct {
	URI string `koanf:"uri"`
}

// fake is a transport without clients. Its uri says what goes wrong.
type fake struct {
	name, uri string
	events    *events
}

func (f *fake) Name() string { return f.name }

func (f *fake) Listen(context.Context) (net.Addr, error) {
	if strings.Contains(f.uri, "taken") {
		return nil, errors.New("listeners." + f.name + ".uri: taken")
	}
	f.events.add("listen " + f.name)
	return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 7}, nil
}

func (f *fake) Serve(ctx context.Context, _ core.Handler) error {
	if strings.Contains(f.uri, "breaks") {
		return errors.New("broken")
	}
	<-ctx.Done()
	f.events.add("closed " + f.name)
	return nil
}

// lastEngine notes when it is closed. It fails with its runner.
type lastEngine struct {
	engine.Engine
	events *events
	fail   chan error
}

func (e lastEngine) Run(ctx context.Context, ready func()) error {
	ready()
	select {
	case <-ctx.Done():
		return nil
	case err := <-e.fail:
		return err
	}
}

func (e lastEngine) Close(ctx context.Context) error {
	e.events.add("engine down")
	return e.Engine.Close(ctx)
}

type silent struct{}

func (silent) Name() string                               { return "silent" }
func (silent) Subprotocols() []string                     { return nil }
func (silent) ServeConn(context.Context, core.Conn) error { return nil }

// app is a program of fakes.
func app(ev *events, r *runner, listeners map[string]string) (*fx.App, *corefx.Server, *corefx.Readiness) {
	var s *corefx.Server
	var ready *corefx.Readiness
	a := fx.New(
		fx.NopLogger, corefx.Module(),
		corefx.Engine("last", func() struct{} { return struct{}{} },
			func(struct{}, *slog.Logger) (lastEngine, error) { return lastEngine{memory.New(), ev, r.engine}, nil }),
		corefx.Transport(func() fakeConfig { return fakeConfig{} },
			func(name string, c fakeConfig, _ *slog.Logger) (*fake, error) { return &fake{name, c.URI, ev}, nil }, "fake"),
		corefx.Protocol(func() silent { return silent{} }),
		corefx.Runner(func() *runner { return r }),
		fx.Supply(corefx.Input{
			Defaults: corefx.Defaults{Engine: "last", Listeners: listeners}, Sources: config.Sources{}, Log: io.Discard,
		}),
		fx.Invoke(func(lc fx.Lifecycle, s *corefx.Server) { s.Append(lc) }),
		fx.Populate(&s, &ready),
	)
	return a, s, ready
}

// TestLife starts and stops in order.
func TestLife(t *testing.T) {
	ev := &events{}
	a, _, ready := app(ev, &runner{events: ev}, map[string]string{"one.uri": "fake://"})
	if err := a.Err(); err != nil {
		t.Fatal(err)
	}
	if ready.Err() == nil {
		t.Error("ready before the start")
	}
	if err := a.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := ready.Err(); err != nil {
		t.Errorf("not ready: %v", err)
	}
	if err := a.Stop(t.Context()); err != nil {
		t.Error(err)
	}
	if ready.Err() == nil {
		t.Error("ready after the stop")
	}
	if got, want := ev.String(), "runner up, listen one, closed one, runner down, engine down"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// TestFailedStart takes down what was up.
func TestFailedStart(t *testing.T) {
	for _, c := range []struct {
		name      string
		early     error
		listeners map[string]string
		err       []string
		events    string
	}{
		{
			"listeners", nil,
			map[string]string{"a.uri": "fake://taken", "b.uri": "fake://", "c.uri": "fake://taken"},
			[]string{"listeners.a.uri: taken", "listeners.c.uri: taken"},
			"runner up, listen b, closed b, runner down, engine down",
		},
		{
			"runner", errors.New("no port for the admin server"),
			map[string]string{"a.uri": "fake://"},
			[]string{"no port for the admin server"},
			"engine down",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			ev := &events{}
			a, _, _ := app(ev, &runner{events: ev, early: c.early}, c.listeners)
			err := a.Start(t.Context())
			if err == nil {
				t.Fatal("no error")
			}
			for _, want := range c.err {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q is not in %v", want, err)
				}
			}
			if got := ev.String(); got != c.events {
				t.Errorf("got  %s\nwant %s", got, c.events)
			}
		})
	}
}

// TestFailure tells of a part that ends while it should not.
func TestFailure(t *testing.T) {
	for name, uri := range map[string]string{"runner": "fake://", "engine": "fake://", "listener": "fake://breaks"} {
		t.Run(name, func(t *testing.T) {
			ev := &events{}
			r := &runner{events: ev, fail: make(chan error, 1), engine: make(chan error, 1)}
			a, s, _ := app(ev, r, map[string]string{"a.uri": uri})
			if err := a.Start(t.Context()); err != nil {
				t.Fatal(err)
			}
			switch name {
			case "runner":
				r.fail <- errors.New("broken")
			case "engine":
				r.engine <- errors.New("broken")
			}
			select {
			case err := <-s.Failed():
				if !strings.Contains(err.Error(), "broken") {
					t.Errorf("got %v", err)
				}
			case <-time.After(10 * time.Second):
				t.Error("nobody was told")
			}
			if err := a.Stop(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
}
