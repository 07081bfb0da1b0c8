package corefx_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.uber.org/fx"

	"github.com/wyemq/wye/core"
	"github.com/wyemq/wye/core/config"
	"github.com/wyemq/wye/core/corefx"
	"github.com/wyemq/wye/core/engine/memory"
)

// lamp is a plugin whose brightness may change while it runs, and whose colour may not.
type lamp struct {
	cfg    lampConfig
	events *events
	told   func(key, change string)
}

type lampConfig struct {
	Brightness int    `koanf:"brightness"`
	Color      string `koanf:"color" restart:"true"`
	File       string `koanf:"file"`
}

func (l *lamp) Run(ctx context.Context, ready func()) error {
	ready()
	<-ctx.Done()
	return nil
}

// Prepare makes it corefx.Reloadable.
func (l *lamp) Prepare(next lampConfig) (core.Change, error) {
	if next.Brightness > 100 {
		return core.Change{}, errors.New("lamp.brightness: is too bright")
	}
	l.events.add(fmt.Sprint("prepare ", next.Brightness))
	c := core.Change{
		Apply: func() {
			l.cfg = next
			l.events.add("apply")
		},
		Discard: func() { l.events.add("discard") },
	}
	if next.File != "" {
		c.Files = map[string]string{"lamp.file": "one bulb more"}
	}
	return c, nil
}

// Reopen makes it a corefx.Reopener.
func (l *lamp) Reopen() { l.events.add("reopen") }

// OnFile makes it a corefx.Watcher.
func (l *lamp) OnFile(fn func(key, change string)) { l.told = fn }

// bulb takes what it is given at the start.
type bulb struct{ cfg bulbConfig }

type bulbConfig struct {
	Watts int `koanf:"watts"`
}

func (b *bulb) Run(ctx context.Context, ready func()) error {
	ready()
	<-ctx.Done()
	return nil
}

// ending is a transport that tells when it has ended.
type ending struct {
	*fake

	ended chan struct{}
}

func (e *ending) Serve(ctx context.Context, h core.Handler) error {
	defer func() { e.ended <- struct{}{} }()
	return e.fake.Serve(ctx, h)
}

// TestReloader prepares all, then applies all, or none; tells differences, what needs a restart as long as it does, and files.
func TestReloader(t *testing.T) {
	file := filepath.Join(t.TempDir(), "wye.yaml")
	write := func(yaml string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(yaml), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("lamp: {brightness: 10}\n")
	ev, ended := &events{}, make(chan struct{}, 2) // as many listeners as there are
	l := &lamp{events: ev}
	var reloader *corefx.Reloader
	a := fx.New(
		fx.NopLogger, corefx.Module(),
		corefx.Engine("memory", func() struct{} { return struct{}{} },
			func(struct{}, *slog.Logger) (*memory.Engine, error) { return memory.New(), nil }),
		corefx.Transport(func() fakeConfig { return fakeConfig{} },
			func(name string, c fakeConfig, _ *slog.Logger) (*ending, error) {
				return &ending{&fake{name, c.URI, ev}, ended}, nil
			}, "fake"),
		corefx.Protocol(func() silent { return silent{} }),
		corefx.Config("lamp", func() lampConfig { return lampConfig{Color: "white"} }), corefx.Runner(func() *lamp { return l }),
		corefx.Config("bulb", func() bulbConfig { return bulbConfig{40} }), corefx.Runner(func(c bulbConfig) *bulb { return &bulb{c} }),
		fx.Supply(corefx.Input{
			Defaults: corefx.Defaults{Engine: "memory", Listeners: map[string]string{"one.uri": "fake://a"}},
			Sources:  config.Sources{File: file}, Log: io.Discard,
		}),
		fx.Invoke(func(lc fx.Lifecycle, s *corefx.Server) { s.Append(lc) }),
		fx.Populate(&reloader),
	)
	if err := a.Err(); err != nil {
		t.Fatal(err)
	}
	var told []string
	reloader.OnReload(func(by string, done corefx.Reloaded, err error) {
		told = append(told, fmt.Sprint(by, " ", len(done.Changes), " ", len(done.Files), " ", err != nil))
	})
	if _, err := reloader.Reload(t.Context(), "early"); !errors.Is(err, core.ErrUnavailable) {
		t.Errorf("before the start: %v", err)
	}
	if err := a.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	ev.list = nil
	for _, c := range []struct {
		name, yaml string
		err        string
		changes    []string
		events     string
	}{
		{"nothing", "lamp: {brightness: 10}", "", nil, "reopen, prepare 10, apply"},
		{
			"live and at the start", "lamp: {brightness: 20, color: red}\nbulb: {watts: 60}", "",
			[]string{"bulb.watts 40 60 true", "lamp.brightness 10 20 false", `lamp.color "white" "red" true`},
			"reopen, prepare 20, apply",
		},
		{
			"again", "lamp: {brightness: 20, color: red, file: f}\nbulb: {watts: 60}", "",
			[]string{"bulb.watts 40 60 true", `lamp.color "white" "red" true`, `lamp.file "" "f" false`},
			"reopen, prepare 20, apply",
		},
		{"refused by the plugin", "lamp: {brightness: 200}", "lamp.brightness: is too bright", nil, "reopen"},
		{"refused by another one", "lamp: {brightness: 30}\nlisteners: {two: {uri: 'fake://taken'}}", "listeners.two.uri: taken", nil, "reopen, prepare 30, discard"},
		{"no such key", "lamps: {}", "lamps: unknown key", nil, "reopen"},
		{
			"a listener that takes no settings", "listeners: {one: {uri: 'fake://b'}}", "",
			[]string{"lamp.brightness 20 0 false", `lamp.file "f" "" false`, `listeners.one.uri "fake://a" "fake://b" false`},
			"reopen, prepare 0, listen one, apply, closed one",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			write(c.yaml)
			done, err := reloader.Reload(t.Context(), "test")
			if (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
				t.Errorf("error %v, want %s", err, c.err)
			}
			var changes []string
			for _, d := range done.Changes {
				changes = append(changes, fmt.Sprint(d.Key, " ", d.Old, " ", d.New, " ", d.Restart))
			}
			if !slices.Equal(changes, c.changes) {
				t.Errorf("changes %q, want %q", changes, c.changes)
			}
			if strings.HasSuffix(c.events, "closed one") {
				<-ended
			}
			if got := ev.String(); got != c.events {
				t.Errorf("got  %s\nwant %s", got, c.events)
			}
			ev.list = nil
		})
	}
	l.told("lamp.file", "changed by itself")
	for key, want := range map[string]bool{"lamp.brightness": false, "lamp.color": true, "bulb.watts": true, "limits.credit": false, "engine.dir": true} {
		if got := reloader.NeedsRestart(key); got != want {
			t.Errorf("%s needs a restart: %v", key, got)
		}
	}
	if err := a.Stop(t.Context()); err != nil {
		t.Error(err)
	}
	if _, err := reloader.Reload(t.Context(), "late"); !errors.Is(err, core.ErrUnavailable) {
		t.Errorf("after the end: %v", err)
	}
	if want := "early 0 0 true, test 0 0 false, test 3 0 false, test 3 1 false, test 0 0 true, test 0 0 true, test 0 0 true, test 3 0 false, file 0 1 false, late 0 0 true"; strings.Join(told, ", ") != want {
		t.Errorf("told %q\nwant %q", strings.Join(told, ", "), want)
	}
}
