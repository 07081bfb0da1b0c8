package corefx_test

import (
	"context"
	"io"
	"log/slog"
	"strings"
	"testing"

	"go.uber.org/dig"
	"go.uber.org/fx"

	"github.com/wyemq/wye/core"
	"github.com/wyemq/wye/core/config"
	"github.com/wyemq/wye/core/corefx"
	"github.com/wyemq/wye/core/engine/memory"
)

// trace notes which authorizers were asked, in order.
type trace struct{ names []string }

// gate is an authenticator, authorizer and interceptor that lets everything pass.
type gate struct {
	name  string
	trace *trace
}

func (g gate) Name() string { return g.name }

func (g gate) Authorize(_ context.Context, _ *core.Principal, op core.Op, _ string) error {
	if op != core.OpPublish {
		return nil
	}
	g.trace.names = append(g.trace.names, g.name)
	return nil
}

func (g gate) Authenticate(context.Context, *core.Login) (core.Principal, error) {
	return core.Principal{Name: g.name}, nil
}

// graph builds a broker of plugins and settings.
func graph(set []string, opts ...fx.Option) (*core.Broker, error) {
	var b *core.Broker
	app := fx.New(
		fx.NopLogger, corefx.Module(), fx.Options(opts...),
		corefx.Engine("memory", func() struct{} { return struct{}{} },
			func(struct{}, *slog.Logger) (*memory.Engine, error) { return memory.New(), nil }),
		fx.Supply(corefx.Input{
			Defaults: corefx.Defaults{Engine: "memory"}, Sources: config.Sources{Set: set}, Log: io.Discard,
		}),
		fx.Populate(&b),
	)
	return b, dig.RootCause(app.Err())
}

func authorizer(name string, tr *trace) fx.Option {
	return corefx.Authorizer(func() gate { return gate{name, tr} })
}

// TestOrder gives the order of authorizers in the configuration, which alone counts.
func TestOrder(t *testing.T) {
	for _, c := range []struct {
		name string
		set  string
		want []string // asked, in order
		err  []string
	}{
		{"given", "auth.authorizers=b,c,a", []string{"b", "c", "a"}, nil},
		{"reversed", "auth.authorizers=a,c,b", []string{"a", "c", "b"}, nil},
		{"none given", "auth.authorizers=", nil, []string{`"a" is missing`, `"b" is missing`, `"c" is missing`}},
		{"unknown", "auth.authorizers=a,b,c,dd", nil, []string{`auth.authorizers: unknown name "dd", there are: a, b, c`}},
		{"missing", "auth.authorizers=a,c", nil, []string{`auth.authorizers: "b" is missing`}},
		{"doubled", "auth.authorizers=a,b,a,c", nil, []string{`auth.authorizers: "a" is there twice`}},
	} {
		t.Run(c.name, func(t *testing.T) {
			tr := &trace{}
			b, err := graph([]string{c.set, "auth.anonymous=true"}, authorizer("a", tr), authorizer("b", tr), authorizer("c", tr))
			if len(c.err) == 0 {
				if err != nil {
					t.Fatal(err)
				}
				publish(t, b)
				if got := strings.Join(tr.names, ","); got != strings.Join(c.want, ",") {
					t.Errorf("asked %s, want %v", got, c.want)
				}
				return
			}
			if err == nil {
				t.Fatal("no error")
			}
			for _, want := range c.err {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q is not in %v", want, err)
				}
			}
		})
	}
}

// publish sends one message as an anonymous client.
func publish(t *testing.T, b *core.Broker) {
	t.Helper()
	s, err := b.Connect(t.Context(), core.Login{Protocol: "test"}, func([]core.Delivery) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Publish(t.Context(), &core.Message{Destination: "topic/a"}, nil); err != nil {
		t.Error(err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if err := b.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

// TestSingle needs no order, but takes one.
func TestSingle(t *testing.T) {
	for _, set := range []string{"auth.authenticators=", "auth.authenticators=only"} {
		if _, err := graph([]string{set}, corefx.Authenticator(func() gate { return gate{name: "only"} })); err != nil {
			t.Errorf("%s: %v", set, err)
		}
	}
}

// TestNamesakes refuses two plugins of one name, whatever the configuration says.
func TestNamesakes(t *testing.T) {
	tr := &trace{}
	_, err := graph([]string{"auth.authorizers=a"}, authorizer("a", tr), authorizer("a", tr))
	if err == nil || !strings.Contains(err.Error(), `two plugins are called "a"`) {
		t.Errorf("got %v", err)
	}
}

// TestDefaultOrder is that of the program, for what it knows; one plugin more comes last, two have to be given an order.
func TestDefaultOrder(t *testing.T) {
	first := func(set []string, names ...string) (string, error) {
		var b *core.Broker
		opts := []fx.Option{
			fx.NopLogger, corefx.Module(),
			corefx.Engine("memory", func() struct{} { return struct{}{} },
				func(struct{}, *slog.Logger) (*memory.Engine, error) { return memory.New(), nil }),
			fx.Supply(corefx.Input{
				Defaults: corefx.Defaults{Engine: "memory", Authenticators: []string{"c", "gone", "a", "b"}}, Sources: config.Sources{Set: set}, Log: io.Discard,
			}),
			fx.Populate(&b),
		}
		for _, name := range names {
			opts = append(opts, corefx.Authenticator(func() gate { return gate{name, nil} }))
		}
		if err := fx.New(opts...).Err(); err != nil {
			return "", dig.RootCause(err)
		}
		s, err := b.Connect(t.Context(), core.Login{}, nil)
		if err != nil {
			return "", err
		}
		defer func() { _ = b.Close(t.Context()) }()
		defer func() { _ = s.Close() }()
		return s.Principal().Name, nil
	}
	for _, c := range []struct {
		set   []string
		names []string
		want  string
		err   string
	}{
		{nil, []string{"a", "b", "c"}, "c", ""},
		{nil, []string{"b", "a"}, "a", ""},
		{nil, []string{"strange", "b"}, "b", ""},
		{nil, []string{"strange"}, "strange", ""},
		{nil, []string{"strange", "stranger", "b"}, "", `"strange" is missing`},
		{[]string{"auth.authenticators=strange,b"}, []string{"strange", "b"}, "strange", ""},
		{[]string{"auth.authenticators=b"}, []string{"strange", "b"}, "", `"strange" is missing`},
	} {
		got, err := first(c.set, c.names...)
		if got != c.want || (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
			t.Errorf("%v of %v: %q, %v", c.set, c.names, got, err)
		}
	}
}
