package core_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wyemq/wye/core"
	"github.com/wyemq/wye/core/coretest"
)

// tokens knows tokens such as "ann 60 news": a user, seconds and the group that may read topic/news.
func tokens(_ context.Context, l *core.Login) (core.Principal, error) {
	f := strings.Fields(l.Token)
	if len(f) < 2 {
		return core.Principal{}, core.ErrLogin
	}
	d, err := time.ParseDuration(f[1] + "s")
	return core.Principal{Name: f[0], Expires: time.Now().Add(d), Groups: f[2:]}, err
}

// readers lets who is in the group news read it.
func readers(p *core.Principal, op core.Op, dest string) error {
	if op == core.OpSubscribe && dest == "topic/news" && len(p.Groups) == 0 {
		return fmt.Errorf("rule news: %w", core.ErrDenied)
	}
	return nil
}

// TestRefresh puts a new token in the place of the old one, and tells the client before either ends.
func TestRefresh(t *testing.T) {
	for name, change := range map[string]func(*core.Subscription){"direct": func(*core.Subscription) {}, "queue": individual} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				c := coretest.Connect(t, w.b, core.Login{Token: "ann 600 news"})
				other := coretest.Connect(t, w.b, core.Login{Token: "bob 6000"})
				w.sub(c, "topic/$auth/#", change)
				w.sub(other, "topic/$auth/#", change)
				time.Sleep(9*time.Minute - time.Second)
				w.nothing(c)
				time.Sleep(time.Second)
				synctest.Wait()
				told := c.Next(t)
				var notice struct {
					At string  `json:"expires_at"`
					In float64 `json:"expires_in"`
				}
				if err := json.Unmarshal(told.Body, &notice); err != nil || told.Destination != core.ExpiringTopic || notice.In != 60 || notice.At == "" {
					t.Errorf("%s %s: %v", told.Destination, told.Body, err)
				}
				if _, err := w.send(c, core.RefreshTopic, " ann 100 news\n"); err != nil {
					t.Error(err)
				}
				time.Sleep(80 * time.Second) // past the end of the first, and a fifth before that of the second
				synctest.Wait()
				if got := c.Next(t); !strings.Contains(string(got.Body), `"expires_in":20`) {
					t.Errorf("%s", got.Body)
				}
				w.ok(c.Err())
				time.Sleep(20 * time.Second)
				synctest.Wait()
				if err := c.Conn.Why(); !errors.Is(err, core.ErrTokenExpired) {
					t.Errorf("ended with %v", err)
				}
				w.nothing(other)
			}, coretest.Authenticate(tokens))
		})
	}
}

// TestRefreshRefused keeps the old credentials when the new ones are no good, or another user's.
func TestRefreshRefused(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		c := coretest.Connect(t, w.b, core.Login{Token: "ann 600 news"})
		before := c.Principal()
		for _, body := range []string{"", "rubbish", "bob 600 news", "ann x"} {
			if _, err := w.send(c, core.RefreshTopic, body); !errors.Is(err, core.ErrDenied) {
				t.Errorf("%q: %v", body, err)
			}
		}
		if c.Principal() != before {
			t.Error("the credentials have changed")
		}
		for _, dest := range []string{core.ExpiringTopic, core.RevokedTopic, "topic/$auth/x"} { // nobody speaks for the broker
			if _, err := w.send(c, dest, "x"); !errors.Is(err, core.ErrDenied) {
				t.Errorf("%s: %v", dest, err)
			}
		}
		err := c.Commit(w.ctx, core.Transaction{Sends: []*core.Message{msg(core.ExpiringTopic, "x")}}, nil)
		if !errors.Is(err, core.ErrDenied) {
			t.Errorf("commit: %v", err)
		}
		if _, err := coretest.TryConnect(t, w.b, core.Login{Token: "ann 600", Will: msg(core.ExpiringTopic, "x")}); !errors.Is(err, core.ErrDenied) {
			t.Errorf("will: %v", err)
		}
	}, coretest.Authenticate(tokens))
}

// TestRevoked ends what new credentials, or new rules, do not permit any more, and nothing else.
func TestRevoked(t *testing.T) {
	var closed atomic.Bool
	rules := &changing{decide: func(p *core.Principal, op core.Op, dest string) error {
		if closed.Load() && op == core.OpSubscribe && dest == "topic/open" {
			return core.ErrDenied
		}
		return readers(p, op, dest)
	}}
	inWorld(t, func(t *testing.T, w *world) {
		closed.Store(false)
		c := coretest.Connect(t, w.b, core.Login{Token: "ann 600 news", ClientID: "c", Expiry: time.Hour})
		sender := coretest.Connect(t, w.b, core.Login{Token: "bob 6000"})
		w.sub(c, "topic/news", durable)
		w.sub(c, "topic/open")
		w.sub(c, core.RevokedTopic)
		w.ok(c.Refresh(w.ctx, core.Login{Token: "ann 600"}))
		synctest.Wait()
		if got := c.Next(t); string(got.Body) != `{"subscription":"topic/news"}` {
			t.Errorf("%s", got.Body)
		}
		w.pub(sender, "topic/news", "1")
		w.pub(sender, "topic/open", "2")
		w.want(c, "2")
		if n := len(w.b.Stats().Queues); n != 0 {
			t.Errorf("%d queues are left", n)
		}
		closed.Store(true)
		rules.fn()
		synctest.Wait()
		if got := c.Next(t); string(got.Body) != `{"subscription":"topic/open"}` {
			t.Errorf("%s", got.Body)
		}
		w.pub(sender, "topic/open", "3")
		w.nothing(c)
		w.ok(c.Err())
	}, coretest.Authenticate(tokens), func(o *core.Options) { o.Authorizers = append(o.Authorizers, rules) })
}

// TestRevokedMeanwhile ends a subscription that was allowed by rules which change before it has begun.
func TestRevokedMeanwhile(t *testing.T) {
	var closed atomic.Bool
	rules := &changing{decide: func(_ *core.Principal, op core.Op, _ string) error {
		if closed.Load() && op == core.OpSubscribe {
			return core.ErrDenied
		}
		return nil
	}}
	late := func(ctx context.Context, c *core.Call, next func(context.Context, *core.Call) error) error {
		closed.Store(true)
		rules.fn()
		synctest.Wait()
		return next(ctx, c)
	}
	inWorld(t, func(t *testing.T, w *world) {
		closed.Store(false)
		c := w.client("")
		w.sub(c, "topic/a")
		w.pub(w.client(""), "topic/a", "1")
		w.nothing(c)
	}, func(o *core.Options) { o.Authorizers = append(o.Authorizers, rules) }, coretest.Intercept(late, core.OpSubscribe))
}

// changing is an authorizer that may change its mind.
type changing struct {
	decide func(*core.Principal, core.Op, string) error
	fn     func()
}

func (*changing) Name() string         { return "changing" }
func (c *changing) OnChange(fn func()) { c.fn = fn }
func (c *changing) Authorize(_ context.Context, p *core.Principal, op core.Op, dest string) error {
	return c.decide(p, op, dest)
}

// TestDisconnectDenied ends the session of whoever is refused, if the operator wants it.
func TestDisconnectDenied(t *testing.T) {
	for name, do := range map[string]func(w *world, c *coretest.Client) error{
		"publish": func(w *world, c *coretest.Client) error { return c.Publish(w.ctx, msg("topic/no", "x"), nil) },
		"commit": func(w *world, c *coretest.Client) error {
			return c.Commit(w.ctx, core.Transaction{Sends: []*core.Message{msg("topic/no", "x")}}, nil)
		},
		"subscribe": func(w *world, c *coretest.Client) error {
			return c.Subscribe(w.ctx, &core.Subscription{ID: "1", Filter: "topic/no"})
		},
	} {
		for _, ends := range []bool{true, false} {
			inWorld(t, func(t *testing.T, w *world) {
				c := w.client("")
				if err := do(w, c); !errors.Is(err, core.ErrDenied) {
					t.Errorf("%s: %v", name, err)
				}
				if got := errors.Is(c.Conn.Why(), core.ErrDenied); got != ends {
					t.Errorf("%s: ended %t, want %t", name, got, ends)
				}
			}, func(o *core.Options) { o.DisconnectDenied = ends }, coretest.Authorize(func(_ *core.Principal, op core.Op, dest string) error {
				if dest == "topic/no" {
					return core.ErrDenied
				}
				return nil
			}))
		}
	}
}

// TestAboveAuth lets nobody publish where a subscription to what the broker says of credentials, or of itself, hears it.
func TestAboveAuth(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		c, mal := w.client(""), w.client("")
		w.sub(c, "topic/$auth/#")
		w.sub(c, "topic/$SYS/#")
		for _, dest := range []string{"topic/$auth", "topic/$auth/expiring", "topic/$auth/", "topic/$SYS", "topic/$SYS/broker/version"} {
			if _, err := w.send(mal, dest, "forged", retain); !errors.Is(err, core.ErrDenied) {
				t.Errorf("%s: %v", dest, err)
			}
			err := mal.Commit(w.ctx, core.Transaction{Sends: []*core.Message{msg(dest, "forged")}}, nil)
			if !errors.Is(err, core.ErrDenied) {
				t.Errorf("%s in a transaction: %v", dest, err)
			}
			if _, err := w.send(mal, dest, "forged", func(m *core.Message) { m.Visible = time.Now().Add(time.Second) }); !errors.Is(err, core.ErrDenied) {
				t.Errorf("%s later: %v", dest, err)
			}
			if _, err := coretest.TryConnect(t, w.b, core.Login{Will: msg(dest, "forged")}); !errors.Is(err, core.ErrDenied) {
				t.Errorf("%s as a will: %v", dest, err)
			}
		}
		w.sleep(time.Minute)
		w.nothing(c)
		for _, dest := range []string{"topic/$author", "topic/$SYSTEM/x", "topic/a/$SYS"} {
			_, err := w.send(mal, dest, "x")
			w.ok(err)
		}
	})
}
