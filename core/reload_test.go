package core_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/wyemq/wye/core"
	"github.com/wyemq/wye/core/coretest"
)

// TestPrepare refuses what makes no sense, changes nothing before it is to, and then everybody at once.
func TestPrepare(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		c := coretest.Connect(t, w.b, core.Login{})
		for name, bad := range map[string]core.Options{
			"limits":      {Limits: core.Limits{Credit: 1}},
			"anonymous":   {Anonymous: "maybe"},
			"credentials": {Credentials: []string{"nowhere"}},
			"entrances":   {Entrances: map[string]core.Entrance{"x": {VHost: "nowhere"}}},
		} {
			if _, err := w.b.Prepare(bad); err == nil {
				t.Errorf("%s: no error", name)
			}
		}
		next := core.Options{Anonymous: core.AnonymousNever, Limits: core.DefaultLimits()}
		next.Limits.Subscriptions = 1
		change, err := w.b.Prepare(next)
		if err != nil {
			t.Fatal(err)
		}
		w.sub(c, "topic/a")
		w.sub(c, "topic/b")
		change.Apply()
		if got := w.b.Limits().Subscriptions; got != 1 {
			t.Errorf("%d subscriptions", got)
		}
		if err := c.Subscribe(w.ctx, &core.Subscription{ID: "more", Filter: "topic/c"}); !errors.Is(err, core.ErrLimit) {
			t.Errorf("one more subscription: %v", err)
		}
		if _, err := coretest.TryConnect(t, w.b, core.Login{}); !errors.Is(err, core.ErrLogin) {
			t.Errorf("nobody in particular: %v", err)
		}
		w.pub(c, "topic/b", "still here")
		c.Want(t, "still here")
	})
}

// mutable is an Authenticator that lets everybody in, and changes its mind.
type mutable struct {
	revoke func(again func(core.Principal) (core.Principal, error))
	during func() // a login
}

func (*mutable) Name() string { return "mutable" }

func (m *mutable) Authenticate(_ context.Context, l *core.Login) (core.Principal, error) {
	if m.during != nil {
		m.during()
	}
	return core.Principal{Name: l.User, Groups: []string{"news"}}, nil
}

func (m *mutable) OnRevoke(fn func(again func(core.Principal) (core.Principal, error))) {
	m.revoke = fn
}

// without takes a user out, and the groups from all others.
func without(user string) func(p core.Principal) (core.Principal, error) {
	return func(p core.Principal) (core.Principal, error) {
		if p.Name == user {
			return p, errors.New("gone")
		}
		p.Groups = nil
		return p, nil
	}
}

// TestRevoke ends the sessions of who is gone, and looks at the subscriptions of others again.
func TestRevoke(t *testing.T) {
	m := &mutable{}
	inMemory(t, func(t *testing.T, w *world) {
		ann, bob := coretest.Connect(t, w.b, core.Login{User: "ann"}), coretest.Connect(t, w.b, core.Login{User: "bob"})
		w.sub(bob, "topic/news")
		w.sub(bob, "topic/other")
		m.revoke(without("ann"))
		synctest.Wait()
		if err := ann.Conn.Why(); !errors.Is(err, core.ErrRevoked) || core.ReasonID(err) != "credentials_revoked" {
			t.Errorf("ann: %v", err)
		}
		if err := bob.Conn.Why(); err != nil {
			t.Errorf("bob: %v", err)
		}
		w.pub(bob, "topic/news", "unheard")
		w.pub(bob, "topic/other", "heard")
		bob.Want(t, "heard")
	}, coretest.Authorize(readers), func(o *core.Options) { o.Authenticators = []core.Authenticator{m} })
}

// TestLoginMeanwhile overlooks nobody who logs in while users change.
func TestLoginMeanwhile(t *testing.T) {
	m := &mutable{}
	inMemory(t, func(t *testing.T, w *world) {
		m.during = func() { m.revoke(without("ann")) }
		if _, err := coretest.TryConnect(t, w.b, core.Login{User: "ann", ClientID: "c"}); !errors.Is(err, core.ErrUnavailable) {
			t.Errorf("a login while users change: %v", err)
		}
		m.during = nil
		coretest.Connect(t, w.b, core.Login{User: "ann", ClientID: "c"})
	}, func(o *core.Options) { o.Authenticators = []core.Authenticator{m} })
}

// diary is an Observer that writes everything down.
type diary struct {
	mu    sync.Mutex
	lines []string
}

func (*diary) Name() string { return "diary" }

func (d *diary) Observe(e *core.Event) {
	d.mu.Lock()
	defer d.mu.Unlock()
	op := ""
	if e.Op != 0 {
		op = e.Op.String()
	}
	line := fmt.Sprint(e.Kind, " ", e.User, " ", e.Protocol, " ", e.Source, " ", e.Authenticator, " ", op, " ", e.Destination, " ", core.RuleOf(e.Err))
	if e.Err != nil {
		line += " " + core.ReasonID(e.Err)
	}
	d.lines = append(d.lines, strings.Join(strings.Fields(line), " "))
}

// TestObserver tells of logins, refusals with the rule, refreshes, revocations and the end.
func TestObserver(t *testing.T) {
	d := &diary{}
	rule := func(p *core.Principal, op core.Op, dest string) error {
		if op != core.OpConnect && len(p.Groups) == 0 {
			return core.Deny("news")
		}
		return nil
	}
	inMemory(t, func(t *testing.T, w *world) {
		if _, err := coretest.TryConnect(t, w.b, core.Login{Protocol: "stomp", User: "eve", Token: "x"}); !errors.Is(err, core.ErrLogin) {
			t.Errorf("eve: %v", err)
		}
		c := coretest.Connect(t, w.b, core.Login{Protocol: "mqtt", Token: "ann 600 news"})
		w.sub(c, "topic/a")
		if err := c.Refresh(w.ctx, core.Login{Token: "bob 600"}); !errors.Is(err, core.ErrDenied) {
			t.Errorf("bob's: %v", err)
		}
		if err := c.Refresh(w.ctx, core.Login{Token: "ann 600"}); err != nil {
			t.Error(err)
		}
		if _, err := w.send(c, "topic/a", "x"); !errors.Is(err, core.ErrDenied) {
			t.Errorf("send: %v", err)
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
		want := []string{
			"login_refused eve stomp connect func bad_credentials",
			"login ann mqtt connect func",
			"login_refused ann refresh bad_credentials",
			"refreshed ann mqtt refresh func",
			"revoked ann mqtt refresh func subscribe topic/a news not_authorized",
			"refused ann mqtt refresh func publish topic/a news not_authorized",
			"logout ann mqtt refresh func",
		}
		if got, want := strings.Join(d.lines, "\n"), strings.Join(want, "\n"); got != want {
			t.Errorf("got\n%s\nwant\n%s", got, want)
		}
	}, coretest.Authenticate(tokens), coretest.Authorize(rule), func(o *core.Options) { o.Observers = []core.Observer{d} })
}
