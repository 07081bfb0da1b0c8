package core_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wyemq/wye/core"
	"github.com/wyemq/wye/core/coretest"
)

// Authenticators are asked in order; the first that does not skip decides; when all skip, nobody comes in.
func TestAuthenticators(t *testing.T) {
	who := func(name string, err error) core.AuthenticatorFunc {
		return func(context.Context, *core.Login) (core.Principal, error) {
			return core.Principal{Name: name, Groups: []string{"g"}}, err
		}
	}
	broken := errors.New("database is gone")
	for name, c := range map[string]struct {
		asked []core.AuthenticatorFunc
		want  string
		err   error
	}{
		"the first that decides": {[]core.AuthenticatorFunc{who("", core.ErrSkip), who("second", nil), who("third", nil)}, "second", nil},
		"the first refuses":      {[]core.AuthenticatorFunc{who("", core.ErrLogin), who("second", nil)}, "", core.ErrLogin},
		"the first fails":        {[]core.AuthenticatorFunc{who("", broken), who("second", nil)}, "", broken},
		"all skip":               {[]core.AuthenticatorFunc{who("", core.ErrSkip), who("", core.ErrSkip)}, "", core.ErrLogin},
	} {
		t.Run(name, func(t *testing.T) {
			opts := make([]coretest.Option, len(c.asked))
			for i, a := range c.asked {
				opts[i] = coretest.Authenticate(a)
			}
			inWorld(t, func(t *testing.T, w *world) {
				cl, err := coretest.TryConnect(t, w.b, core.Login{User: "u", Password: "p"})
				if !errors.Is(err, c.err) || c.err != nil && !errors.Is(err, core.ErrLogin) {
					t.Fatalf("login: %v, want %v", err, c.err)
				}
				if err == nil && cl.Principal().Name != c.want {
					t.Errorf("logged in as %q, want %q", cl.Principal().Name, c.want)
				}
			}, opts...)
		})
	}
}

// DESIGN §7: anonymous clients are served on loopback addresses only, until the operator says otherwise.
func TestAnonymous(t *testing.T) {
	loop := &net.TCPAddr{IP: net.IPv6loopback}
	far := &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1)}
	for _, c := range []struct {
		setting       core.Anonymous
		local, remote net.Addr
		served        bool
	}{
		{"", loop, loop, true},
		{"", loop, far, false}, // behind a proxy
		{"", far, loop, false},
		{"", far, far, false},
		{core.AnonymousLoopback, &net.UnixAddr{Net: "unix"}, &net.UnixAddr{Net: "unix"}, true},
		{core.AnonymousNever, loop, loop, false},
		{core.AnonymousAlways, far, far, true},
	} {
		t.Run(fmt.Sprint(c.setting, c.local, c.remote), func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				conn := &addressed{coretest.NewConn(), c.local, c.remote}
				s, err := w.b.Connect(w.ctx, core.Login{Conn: conn}, coretest.NewSink().Deliver)
				if (err == nil) != c.served || err != nil && !errors.Is(err, core.ErrLogin) {
					t.Errorf("login: %v", err)
				}
				if err == nil {
					w.ok(s.Close())
				}
			}, func(o *core.Options) { o.Anonymous = c.setting })
		})
	}
}

type addressed struct {
	*coretest.Conn
	local, remote net.Addr
}

func (a *addressed) Info() *core.ConnInfo { return &core.ConnInfo{Local: a.local, Remote: a.remote} }

// Who gives a user that nobody knows is refused, even where anonymous clients are served.
func TestUnknownUserIsNotAnonymous(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		if _, err := coretest.TryConnect(t, w.b, core.Login{User: "eve"}); !errors.Is(err, core.ErrLogin) {
			t.Errorf("login: %v", err)
		}
		coretest.Connect(t, w.b, core.Login{})
	}, coretest.Users(map[string]string{"ann": "x"}), func(o *core.Options) { o.Anonymous = core.AnonymousAlways })
}

func TestClientIDs(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		a, b := w.client(""), w.client("")
		if a.ID() == "" || a.ID() == b.ID() {
			t.Errorf("made up ids: %q and %q", a.ID(), b.ID())
		}
		if _, err := coretest.TryConnect(t, w.b, core.Login{ClientID: "\xff"}); !errors.Is(err, core.ErrInvalid) {
			t.Errorf("login with a client id that is not UTF-8: %v", err)
		}
		c := w.client("c")
		if c.ID() != "c" || c.Principal().ClientID != "c" || c.Principal().VHost != "/" {
			t.Errorf("%+v", c.Principal())
		}
	})
}

// A session with the same client id is closed with ErrTakenOver first, and waited for.
func TestTakeover(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		p, old := w.client(""), w.client("c")
		w.sub(old, "topic/a", durable)
		w.pub(p, "topic/a", "1")
		w.want(old, "1")
		c := w.back("c")
		if err := old.Conn.Why(); !errors.Is(err, core.ErrTakenOver) || !errors.Is(old.Err(), core.ErrTakenOver) {
			t.Errorf("the old session was closed with %v, says %v", err, old.Err())
		}
		if d := w.want(c, "1")[0]; !d.Redelivered {
			t.Error("what the old session held is not marked as redelivered")
		}
		if s := w.b.Stats(); s.Sessions != 2 || s.Disconnects["taken_over"] != 1 {
			t.Errorf("%d sessions, disconnects %v", s.Sessions, s.Disconnects)
		}
	})
}

// A protocol that hangs cannot keep its client out for ever.
func TestTakeoverOfHangingSession(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		p := w.client("")
		old, err := w.b.Connect(w.ctx, core.Login{ClientID: "c", Expiry: time.Hour, Conn: coretest.NewConn()}, coretest.NewSink().Deliver)
		w.ok(err)
		w.ok(old.Subscribe(w.ctx, &core.Subscription{ID: "topic/a", Filter: "topic/a", Durable: true, Ack: core.AckIndividual}))
		w.pub(p, "topic/a", "1")
		began := time.Now()
		c := w.back("c")
		if took := time.Since(began); took > 10*time.Second {
			t.Errorf("the new session had to wait %s", took)
		}
		w.want(c, "1")
		w.ok(old.Close())
	})
}

// Nor can one whose DeliverFunc does not return: it can do nothing any more, and who comes next is served.
func TestTakeoverOfStuckSession(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		p, sink := w.client(""), coretest.NewSink()
		old, err := w.b.Connect(w.ctx, core.Login{ClientID: "c", Conn: coretest.NewConn()}, sink.Deliver)
		w.ok(err)
		w.ok(old.Subscribe(w.ctx, &core.Subscription{ID: "1", Filter: "topic/a"}))
		sink.Block()
		w.pub(p, "topic/a", "1")
		ctx, cancel := context.WithTimeout(w.ctx, time.Second)
		defer cancel()
		_, err = w.b.Connect(ctx, core.Login{ClientID: "c"}, coretest.NewSink().Deliver)
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("login that gives up: %v", err)
		}
		began := time.Now()
		w.client("c")
		if took := time.Since(began); took > 10*time.Second {
			t.Errorf("the new session had to wait %s", took)
		}
		if err := old.Subscribe(w.ctx, &core.Subscription{ID: "2", Filter: "topic/a"}); !errors.Is(err, core.ErrClosed) {
			t.Errorf("the old session may still subscribe: %v", err)
		}
		sink.Unblock()
	})
}

// A take-over storm ends with one session, and every other one was closed.
func TestTakeoverStorm(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		const n = 50
		var mu sync.Mutex
		var all []*coretest.Client
		var wg sync.WaitGroup
		for range n {
			wg.Go(func() {
				c, err := coretest.TryConnect(t, w.b, core.Login{ClientID: "c"})
				if err != nil {
					t.Errorf("connect: %v", err)
					return
				}
				mu.Lock()
				defer mu.Unlock()
				all = append(all, c)
			})
		}
		wg.Wait()
		synctest.Wait()
		open := 0
		for _, c := range all {
			if c.Conn.Why() == nil {
				open++
			}
		}
		if open != 1 || len(all) != n || w.b.Stats().Sessions != 1 {
			t.Errorf("%d of %d connections are open, %d sessions", open, len(all), w.b.Stats().Sessions)
		}
	})
}

// Authorizers: all must agree; they see the canonical name, the filter for subscriptions.
func TestAuthorizers(t *testing.T) {
	var mu sync.Mutex
	var asked []string
	spy := func(p *core.Principal, op core.Op, dest string) error {
		mu.Lock()
		defer mu.Unlock()
		asked = append(asked, fmt.Sprint(p.Name, " ", op, " ", dest))
		return nil
	}
	inMemory(t, func(t *testing.T, w *world) {
		ann := coretest.Connect(t, w.b, core.Login{User: "ann", Password: "x", ClientID: "a/b"})
		w.sub(ann, "topic/a/+")
		w.pub(ann, "topic/a/1", "1")
		if _, err := w.send(ann, "topic/no", "x"); !errors.Is(err, core.ErrDenied) {
			t.Errorf("publish: %v", err)
		}
		if err := ann.Subscribe(w.ctx, &core.Subscription{ID: "1", Filter: "topic/secret/#"}); !errors.Is(err, core.ErrDenied) {
			t.Errorf("subscribe: %v", err)
		}
		if err := ann.Authorize(w.ctx, core.OpPublish, "topic/no"); !errors.Is(err, core.ErrDenied) {
			t.Errorf("authorize: %v", err)
		}
		want := "[ann connect client/a%2Fb ann subscribe topic/a/+ ann publish topic/a/1 ann publish topic/no ann subscribe topic/secret/# ann publish topic/no]"
		if got := fmt.Sprint(asked); got != want {
			t.Errorf("the authorizer was asked %s, want %s", got, want)
		}
		if d := w.want(ann, "1")[0]; d.User != "ann" || d.Publisher != ann.ID() || d.Seq == 0 || d.Timestamp.IsZero() {
			t.Errorf("published by %q %q, number %d, at %v", d.User, d.Publisher, d.Seq, d.Timestamp)
		}
	}, coretest.Users(map[string]string{"ann": "x"}), coretest.Authorize(spy),
		coretest.Authorize(coretest.DenyOn(core.OpPublish, "topic/no")),
		coretest.Authorize(coretest.DenyOn(core.OpSubscribe, "topic/secret/#")))
}

// Interceptors wrap operations, in order, and may refuse or change.
func TestInterceptors(t *testing.T) {
	var mu sync.Mutex
	var calls []string
	note := func(name string) func(context.Context, *core.Call, func(context.Context, *core.Call) error) error {
		return func(ctx context.Context, c *core.Call, next func(context.Context, *core.Call) error) error {
			mu.Lock()
			calls = append(calls, name+" "+c.Op.String())
			mu.Unlock()
			return next(ctx, c)
		}
	}
	change := func(ctx context.Context, c *core.Call, next func(context.Context, *core.Call) error) error {
		if string(c.Message.Body) == "no" {
			return fmt.Errorf("not this one: %w", core.ErrDenied)
		}
		m := c.Message.Clone()
		m.Body = append([]byte(c.Op.String()+"-"), m.Body...)
		changed := *c
		changed.Message = m
		return next(ctx, &changed)
	}
	inMemory(t, func(t *testing.T, w *world) {
		c := w.client("")
		w.sub(c, "topic/a")
		w.pub(c, "topic/a", "1")
		w.want(c, "deliver-publish-1")
		if _, err := w.send(c, "topic/a", "no"); !errors.Is(err, core.ErrDenied) {
			t.Errorf("publish: %v", err)
		}
		w.ok(c.Commit(w.ctx, core.Transaction{Sends: []*core.Message{msg("topic/a", "2")}}, nil))
		w.want(c, "deliver-publish-2")
		err := c.Commit(w.ctx, core.Transaction{Sends: []*core.Message{msg("topic/a", "3"), msg("topic/a", "no")}}, nil)
		if !errors.Is(err, core.ErrDenied) {
			t.Errorf("commit: %v", err)
		}
		w.ok(c.PublishTo(w.ctx, msg(jobs, "4"), &core.QueueConfig{MaxLength: 1}, nil))
		if _, err := w.send(c, jobs, "5"); !errors.Is(err, core.ErrQueueFull) {
			t.Errorf("the declaration of the queue was lost on the way: %v", err)
		}
		c.Gone()
		want := "[a connect b connect a subscribe a publish a deliver a publish" + // 1, no
			" a publish a deliver a publish a publish a publish a publish a disconnect]" // 2, 3 and no, 4, 5
		if got := fmt.Sprint(calls); got != want {
			t.Errorf("called %s, want %s", got, want)
		}
	}, coretest.Intercept(note("a"), core.OpConnect, core.OpPublish, core.OpSubscribe, core.OpDeliver, core.OpDisconnect),
		coretest.Intercept(note("b"), core.OpConnect),
		coretest.Intercept(change, core.OpPublish, core.OpDeliver))
}

// An interceptor that refuses a login leaves nothing behind.
func TestInterceptorRefusesLogin(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		if _, err := coretest.TryConnect(t, w.b, core.Login{ClientID: "c"}); !errors.Is(err, core.ErrLimit) {
			t.Errorf("login: %v", err)
		}
		if n := w.b.Stats().Sessions; n != 0 {
			t.Errorf("%d sessions", n)
		}
	}, coretest.Intercept(func(context.Context, *core.Call, func(context.Context, *core.Call) error) error {
		return core.ErrLimit
	}, core.OpConnect))
}

// What an OpDeliver interceptor drops of a queue is settled, or the queue would hand it out for ever.
func TestInterceptorDropsDelivery(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		c := w.client("")
		w.sub(c, jobs, individual, credit(1))
		w.pub(c, jobs, "no", "yes")
		w.want(c, "yes")
		w.queue(jobs, 0, 1)
	}, coretest.Intercept(func(ctx context.Context, c *core.Call, next func(context.Context, *core.Call) error) error {
		if string(c.Message.Body) == "no" {
			return core.ErrDenied
		}
		return next(ctx, c)
	}, core.OpDeliver))
}

// An interceptor that goes on twice publishes twice; the publisher is told once.
func TestInterceptorRepeats(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		c := w.client("")
		w.sub(c, jobs)
		told := make(chan error, 2) // as often as that goes wrong
		w.ok(c.Publish(w.ctx, msg(jobs, "again"), func(_ core.Published, err error) { told <- err }))
		w.want(c, "again again")
		synctest.Wait()
		if n := len(told); n != 1 {
			t.Errorf("told %d times", n)
		}
	}, coretest.Intercept(func(ctx context.Context, c *core.Call, next func(context.Context, *core.Call) error) error {
		return errors.Join(next(ctx, c), next(ctx, c))
	}, core.OpPublish))
}

// An interceptor that swallows a message lets its publisher have the receipt, once and in its turn; so does one that goes on
// and refuses then, or that takes an error away.
func TestInterceptorSwallows(t *testing.T) {
	for name, c := range map[string]struct {
		want    string // of the publisher, and what comes through
		through string
		does    func(ctx context.Context, c *core.Call, next func(context.Context, *core.Call) error) error
	}{
		"swallows": {"<nil>", "", func(context.Context, *core.Call, func(context.Context, *core.Call) error) error { return nil }},
		"refuses": {"not authorized", "", func(context.Context, *core.Call, func(context.Context, *core.Call) error) error {
			return core.ErrDenied
		}},
		"too late": {"<nil>", " odd", func(ctx context.Context, c *core.Call, next func(context.Context, *core.Call) error) error {
			return errors.Join(next(ctx, c), core.ErrDenied)
		}},
		"takes away": {"<nil>", "", func(ctx context.Context, c *core.Call, next func(context.Context, *core.Call) error) error {
			ended, cancel := context.WithCancel(ctx)
			cancel()
			_ = next(ended, c) // which does not take it
			return nil
		}},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				s := w.client("")
				w.sub(s, jobs)
				told := make(chan string, 9) // more than there are
				for _, body := range []string{"first", "odd", "last"} {
					done := func(_ core.Published, err error) { told <- body + ": " + fmt.Sprint(err) }
					if err := s.Publish(w.ctx, msg(jobs, body), done); err != nil {
						done(core.Published{}, err)
					}
					if body == "odd" {
						_ = s.Publish(w.ctx, msg("topic/nobody", "odd"), nil) // nobody wants to know
					}
				}
				w.want(s, "first"+c.through+" last")
				synctest.Wait()
				close(told)
				got := make(map[string]int)
				for one := range told {
					got[one]++
				}
				if len(got) != 3 || got["first: <nil>"] != 1 || got["last: <nil>"] != 1 || got["odd: "+c.want] != 1 {
					t.Errorf("told %v, want %s of the odd one", got, c.want)
				}
			}, coretest.Intercept(func(ctx context.Context, call *core.Call, next func(context.Context, *core.Call) error) error {
				if string(call.Message.Body) != "odd" {
					return next(ctx, call)
				}
				return c.does(ctx, call, next)
			}, core.OpPublish))
		})
	}
}

// Close ends all sessions with ErrShutdown, waits for them, and lets nobody in any more.
func TestBrokerClose(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		a, b := w.client("a"), w.client("")
		w.sub(a, "topic/a", durable)
		w.pub(b, jobs, "1")
		w.ok(w.b.Close(w.ctx))
		for _, c := range []*coretest.Client{a, b} {
			if err := c.Conn.Why(); !errors.Is(err, core.ErrShutdown) {
				t.Errorf("closed with %v", err)
			}
		}
		if _, err := coretest.TryConnect(t, w.b, core.Login{}); !errors.Is(err, core.ErrShutdown) {
			t.Errorf("login after it: %v", err)
		}
		w.ok(w.b.Close(w.ctx)) // again
	})
}

// Close does not wait for ever for a protocol that hangs.
func TestBrokerCloseIsBounded(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		s, err := w.b.Connect(w.ctx, core.Login{Conn: coretest.NewConn()}, coretest.NewSink().Deliver)
		w.ok(err)
		ctx, cancel := context.WithTimeout(w.ctx, 3*time.Second)
		defer cancel()
		began := time.Now()
		_ = w.b.Close(ctx)
		if took := time.Since(began); took > 3*time.Second {
			t.Errorf("Close took %s", took)
		}
		w.ok(s.Close())
	})
}
