package core_test

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wyemq/wye/core"
	"github.com/wyemq/wye/core/coretest"
)

// asked notes what authorizers are asked, and refuses what is in no.
type asked struct{ all, no []string }

func (a *asked) decide(_ *core.Principal, op core.Op, dest string) error {
	what := op.String() + " " + dest
	a.all = append(a.all, what)
	if slices.Contains(a.no, what) {
		return core.ErrDenied
	}
	return nil
}

// TestOperations wants each step that a client takes asked for under its own name, before anything is done.
func TestOperations(t *testing.T) {
	bind := &core.QueueConfig{DeadLetter: "theirs"}
	for name, c := range map[string]struct {
		do   func(w *world, c *coretest.Client) error
		want string
	}{
		"publish": {func(w *world, c *coretest.Client) error { _, err := w.send(c, "topic/a", "x"); return err }, "publish topic/a"},
		"retain": {
			func(w *world, c *coretest.Client) error { _, err := w.send(c, "topic/a", "x", retain); return err },
			"publish topic/a, retain topic/a",
		},
		"clear":   {func(w *world, c *coretest.Client) error { _, err := w.send(c, "topic/a", "", retain); return err }, "publish topic/a, retain topic/a"},
		"send":    {func(w *world, c *coretest.Client) error { _, err := w.send(c, jobs, "x"); return err }, "publish " + jobs + ", create " + jobs},
		"declare": {func(w *world, c *coretest.Client) error { return c.PublishTo(w.ctx, msg(jobs, "x"), bind, nil) }, "publish " + jobs + ", publish queue/theirs, create " + jobs},
		"commit": {func(w *world, c *coretest.Client) error {
			return c.Commit(w.ctx, core.Transaction{Sends: []*core.Message{msg("topic/a", "1"), msg(jobs, "2")}}, nil)
		}, "publish topic/a, publish " + jobs + ", create " + jobs},
		"subscribe": {func(w *world, c *coretest.Client) error {
			return c.Subscribe(w.ctx, &core.Subscription{ID: "1", Filter: "topic/#"})
		}, "subscribe topic/#"},
		"consume": {func(w *world, c *coretest.Client) error {
			return c.Subscribe(w.ctx, &core.Subscription{ID: "1", Filter: jobs})
		}, "consume " + jobs + ", create " + jobs},
		"browse": {func(w *world, c *coretest.Client) error {
			return c.Subscribe(w.ctx, &core.Subscription{ID: "1", Filter: jobs, Browse: true})
		}, "browse " + jobs + ", create " + jobs},
		"group": {func(w *world, c *coretest.Client) error {
			return c.Subscribe(w.ctx, &core.Subscription{ID: "1", Filter: "topic/a", Group: "g/h", Queue: bind})
		}, "subscribe topic/a, consume group/g%2Fh, publish queue/theirs"},
		"delete": {func(w *world, c *coretest.Client) error {
			if err := c.DeleteGroup(w.ctx, "g", "topic/a"); !errors.Is(err, core.ErrNotFound) {
				return err
			}
			return nil
		}, "subscribe topic/a, delete group/g"},
		"own queue": {func(w *world, c *coretest.Client) error {
			return c.Subscribe(w.ctx, &core.Subscription{ID: "1", Filter: c.Temp("r")})
		}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			a := &asked{}
			inWorld(t, func(t *testing.T, w *world) {
				cl := w.client("")
				a.all = nil
				w.ok(c.do(w, cl))
				if got := strings.Join(a.all, ", "); got != c.want {
					t.Errorf("asked %q, want %q", got, c.want)
				}
			}, coretest.Authorize(a.decide))
			if c.want == "" {
				return
			}
			for no := range strings.SplitSeq(c.want, ", ") {
				a := &asked{no: []string{no}}
				inWorld(t, func(t *testing.T, w *world) {
					if err := c.do(w, w.client("")); !errors.Is(err, core.ErrDenied) {
						t.Errorf("without %q: %v", no, err)
					}
					if s := w.b.Stats(); len(s.Queues) > 0 || s.Subscriptions > 0 || s.Retained > 0 {
						t.Errorf("without %q something was done: %+v", no, s)
					}
				}, coretest.Authorize(a.decide))
			}
		})
	}
}

// TestTemporary keeps what belongs to one session from all others, whatever the authorizers say, and does not ask for what is
// one's own.
func TestTemporary(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		owner, other := w.client(""), w.client("")
		own := owner.Temp("r")
		token, _, _ := strings.Cut(strings.TrimPrefix(own, "temp/"), "/")
		topic := "topic/$temp/" + token + "/r"
		w.sub(owner, own)
		w.sub(owner, topic)
		_ = other.Temp("mine")
		for _, filter := range []string{own, topic, "topic/$temp/#", "topic/$temp/+/r", "topic/$temp", "topic/$temp/" + token, "topic/$temp/" + token + "/#"} {
			err := other.Subscribe(w.ctx, &core.Subscription{ID: filter, Filter: filter})
			if filter != "topic/$temp" && !errors.Is(err, core.ErrDenied) {
				t.Errorf("%s: %v", filter, err)
			}
		}
		w.sub(other, "topic/#")
		w.sub(other, "topic/+/"+token+"/r")
		w.pub(other, topic, "1")
		w.pub(other, own, "2")
		w.want(owner, "1 2")
		w.nothing(other)
	})
}

// TestOwners keeps client ids, and what is kept under them, to the user who had them first.
func TestOwners(t *testing.T) {
	users := coretest.Users(map[string]string{"ann": "a", "bob": "b"})
	login := func(user, password string) core.Login {
		return core.Login{User: user, Password: password, ClientID: "phone", Expiry: time.Hour}
	}
	inWorld(t, func(t *testing.T, w *world) {
		ann := coretest.Connect(t, w.b, login("ann", "a"))
		w.sub(ann, "topic/a", durable)
		if _, err := coretest.TryConnect(t, w.b, login("bob", "b")); !errors.Is(err, core.ErrDenied) {
			t.Errorf("take over: %v", err)
		}
		w.pub(ann, "topic/a", "1")
		w.want(ann, "1")
		ann.Gone()
		clean := login("bob", "b")
		clean.CleanStart = true
		for _, l := range []core.Login{login("bob", "b"), clean} {
			if _, err := coretest.TryConnect(t, w.b, l); !errors.Is(err, core.ErrDenied) {
				t.Errorf("resume, clean %t: %v", l.CleanStart, err)
			}
		}
		if n := w.b.Stats().Sessions; n != 0 {
			t.Errorf("%d sessions are left of refused logins", n)
		}
		again := coretest.Connect(t, w.b, login("ann", "a"))
		if _, ok := again.Resumed(); !ok {
			t.Error("the session of ann has gone")
		}
	}, users)
	anonymous := coretest.Authenticate(func(_ context.Context, l *core.Login) (core.Principal, error) {
		return core.Principal{Name: l.User}, nil
	})
	inWorld(t, func(t *testing.T, w *world) {
		nobody := coretest.Connect(t, w.b, login("", ""))
		w.sub(nobody, "topic/a", durable)
		nobody.Gone()
		bob := coretest.Connect(t, w.b, login("bob", ""))
		if _, ok := bob.Resumed(); ok {
			t.Error("a user was given the session of a client without a name")
		}
	}, anonymous)
}

// TestExpires ends a session with its credentials.
func TestExpires(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		c := w.client("")
		w.sub(c, "topic/a")
		time.Sleep(time.Minute - time.Nanosecond)
		synctest.Wait()
		w.ok(c.Err())
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		if err := c.Conn.Why(); !errors.Is(err, core.ErrTokenExpired) || core.ReasonID(err) != "token_expired" {
			t.Errorf("ended with %v", err)
		}
	}, coretest.Authenticate(func(context.Context, *core.Login) (core.Principal, error) {
		return core.Principal{Name: "ann", Expires: time.Now().Add(time.Minute)}, nil
	}))
}

// conn is a connection with information about it.
type conn struct {
	core.Conn
	info core.ConnInfo
}

func (c *conn) Info() *core.ConnInfo { return &c.info }

// TestCredentials takes them from one place only, the first that has some.
func TestCredentials(t *testing.T) {
	basic := "Basic " + base64.StdEncoding.EncodeToString([]byte("bea:p:w"))
	for _, c := range []struct {
		name    string
		login   core.Login
		auth    string
		cookie  string
		bearer  string
		ticket  string
		sources []string
		want    string
	}{
		{name: "none", want: "[|||] from "},
		{name: "protocol first", login: core.Login{User: "ann", Password: "x"}, auth: basic, cookie: "c", bearer: "b", ticket: "t", want: "[ann|x||] from connect"},
		{name: "token of the protocol", login: core.Login{Token: "y"}, auth: basic, want: "[||y|] from connect"},
		{name: "user alone", login: core.Login{User: "ann"}, auth: basic, want: "[ann|||] from connect"},
		{name: "ticket", auth: basic, cookie: "c", bearer: "b", ticket: "t", want: "[|||t] from ticket"},
		{name: "basic", auth: basic, cookie: "c", bearer: "b", want: "[bea|p:w||] from authorization"},
		{name: "bearer", auth: "bearer  t.o.k ", cookie: "c", bearer: "b", want: "[||t.o.k|] from authorization"},
		{name: "another scheme", auth: "Negotiate abc", bearer: "b", want: "[||b|] from subprotocol"},
		{name: "bad basic", auth: "Basic %%%", bearer: "b", want: "bad_credentials"},
		{name: "basic without colon", auth: "Basic " + base64.StdEncoding.EncodeToString([]byte("x")), want: "bad_credentials"},
		{name: "subprotocol", cookie: "c", bearer: "b", want: "[||b|] from subprotocol"},
		{name: "cookie", cookie: "c", want: "[||c|] from cookie"},
		{name: "another order", cookie: "c", bearer: "b", sources: []string{"cookie", "subprotocol"}, want: "[||c|] from cookie"},
		{name: "not looked at", login: core.Login{User: "ann"}, sources: []string{"cookie"}, want: "[|||] from "},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := ""
			b := coretest.Broker(t, func(o *core.Options) { o.Credentials, o.Cookie = c.sources, "wye" },
				coretest.Authenticate(func(_ context.Context, l *core.Login) (core.Principal, error) {
					got = fmt.Sprintf("[%s|%s|%s|%s] from %s", l.User, l.Password, l.Token, l.Ticket, l.Source)
					return core.Principal{}, nil
				}))
			info := core.ConnInfo{Bearer: c.bearer, Ticket: c.ticket, Remote: &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1)}, Header: http.Header{}}
			if c.auth != "" {
				info.Header.Set("Authorization", c.auth)
			}
			if c.cookie != "" {
				info.Header.Set("Cookie", "other=1; wye="+c.cookie)
			}
			c.login.Conn = &conn{coretest.NewConn(), info}
			s, err := b.Connect(t.Context(), c.login, nil)
			if err != nil {
				got = core.ReasonID(err)
			} else {
				if r := s.Principal().Remote.String(); r != "192.0.2.1" {
					t.Errorf("remote %s", r)
				}
				_ = s.Close()
			}
			if got != c.want {
				t.Errorf("credentials %s, want %s", got, c.want)
			}
		})
	}
	if _, err := core.NewBroker(core.Options{Engine: coretest.NewEngine(nil), Credentials: []string{"post"}}); err == nil {
		t.Error("credentials from nowhere were not refused")
	}
}

// TestClaims are worked on once.
func TestClaims(t *testing.T) {
	type key struct{}
	c := core.NewClaims(map[string]any{"a": 1})
	n := 0
	for range 2 {
		if got := c.Memo(key{}, func(c *core.Claims) any { n++; v, _ := c.Get("a"); return v }); got != 1 {
			t.Errorf("memo %v", got)
		}
	}
	if n != 1 {
		t.Errorf("worked %d times", n)
	}
	if _, ok := (*core.Claims)(nil).Get("a"); ok {
		t.Error("nil has a claim")
	}
}
