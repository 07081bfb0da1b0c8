package core_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wyemq/wye/core"
	"github.com/wyemq/wye/core/coretest"
)

// A publisher that is too fast waits, and what would have to wait too long is refused.
func TestPublishRate(t *testing.T) {
	for _, c := range []struct {
		limit  string
		change func(*core.Limits)
		body   string
	}{
		{"publish_rate", func(l *core.Limits) { l.PublishRate = 10 }, "x"},
		{"publish_bytes", func(l *core.Limits) { l.PublishBytes = 1000 }, strings.Repeat("x", 100)},
		{"user_publish_rate", func(l *core.Limits) { l.UserPublishRate = 10 }, "x"},
		{"user_publish_bytes", func(l *core.Limits) { l.UserPublishBytes = 1000 }, strings.Repeat("x", 100)},
	} {
		t.Run(c.limit, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				p := w.client("")
				begun := time.Now()
				w.pub(p, "topic/a", strings.Fields(strings.Repeat(c.body+" ", 41))...)
				if took := time.Since(begun); took < 2900*time.Millisecond || took > 3100*time.Millisecond {
					t.Errorf("41 publishes at 10 a second, 10 of them at once, took %v", took)
				}
				s := w.b.Stats().Limits[c.limit]
				if s.Slowed < 25 || s.Refused != 0 {
					t.Errorf("counted: %+v", s)
				}
				// Those of other publishers of the same user are before it, as far as the limit is the user's.
				var mu sync.Mutex
				var refused error
				for range 30 {
					q := w.client("")
					for range 11 {
						go func() {
							if err := q.Publish(w.ctx, &core.Message{Destination: "topic/a", Body: []byte(c.body)}, nil); err != nil {
								mu.Lock()
								refused = err
								mu.Unlock()
							}
						}()
					}
				}
				time.Sleep(time.Minute)
				mu.Lock()
				defer mu.Unlock()
				if ofUser := strings.HasPrefix(c.limit, "user"); ofUser != errors.Is(refused, core.ErrRate) || ofUser && !strings.Contains(refused.Error(), "limits."+c.limit) {
					t.Errorf("330 publishes of 30 sessions: %v", refused)
				}
			}, coretest.Limits(c.change))
		})
	}
}

// A transaction is published as one.
func TestCommitRate(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		p := w.client("")
		commit := func() {
			var tx core.Transaction
			for range 20 {
				tx.Sends = append(tx.Sends, &core.Message{Destination: "topic/a"})
			}
			w.ok(p.Commit(w.ctx, tx, nil))
		}
		begun := time.Now()
		commit()
		commit()
		if took := time.Since(begun); took != time.Second {
			t.Errorf("the second transaction of 20 messages waited %v at 10 a second", took)
		}
	}, coretest.Limits(func(l *core.Limits) { l.PublishRate = 10 }))
}

// Who is held back and ends does not wait to the end.
func TestHeldBackEnds(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		p := w.client("p")
		w.pub(p, "topic/a", "1", "2", "3")
		begun := time.Now()
		w.client("p") // takes over
		if took := time.Since(begun); took > 100*time.Millisecond {
			t.Errorf("the take-over took %v", took)
		}
	}, coretest.Limits(func(l *core.Limits) { l.PublishRate = 1 }))
}

// Who is refused again and again for a limit is slowed, whatever the limit is, and others are not.
func TestRefusalRate(t *testing.T) {
	for limit, act := range map[string]func(*world, *coretest.Client, int) error{
		"subscriptions": func(w *world, s *coretest.Client, i int) error {
			w.ok(s.HoldBack(w.ctx))
			return s.Subscribe(w.ctx, &core.Subscription{ID: fmt.Sprint(i), Filter: "topic/a"})
		},
		"headers": func(w *world, s *coretest.Client, _ int) error {
			return s.Publish(w.ctx, &core.Message{Destination: "topic/a", Header: make([]core.Field, 2)}, nil)
		},
		"transactions": func(w *world, s *coretest.Client, _ int) error {
			return s.Commit(w.ctx, core.Transaction{Sends: []*core.Message{{Destination: "topic/a", Header: make([]core.Field, 2)}}}, nil)
		},
		"queues": func(w *world, s *coretest.Client, i int) error {
			refused := make(chan error, 1)
			err := s.Publish(w.ctx, &core.Message{Destination: fmt.Sprint("queue/", i)}, func(_ core.Published, err error) { refused <- err })
			if err != nil {
				return err
			}
			return <-refused
		},
	} {
		t.Run(limit, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				s, other := w.client("s"), w.client("other")
				refuse := func(s *coretest.Client, n int) time.Duration {
					begun := time.Now()
					for i := range n {
						if err := act(w, s, i+1); i > 0 && !errors.Is(err, core.ErrLimit) {
							t.Fatalf("%d: %v", i, err)
						}
					}
					return time.Since(begun)
				}
				refuse(s, 102)
				if took := refuse(s, 50); took < 4800*time.Millisecond || took > 5200*time.Millisecond {
					t.Errorf("after 100 refusals 50 more took %v at 10 a second", took)
				}
				if took := refuse(other, 50); took > 0 {
					t.Errorf("another client was held back for %v", took)
				}
				if n := w.b.Stats().Limits["refusal_rate"].Slowed; n < 45 {
					t.Errorf("%d waits were counted", n)
				}
				time.Sleep(time.Minute)
				begun := time.Now()
				w.pub(s, "topic/b", "x")
				if took := time.Since(begun); took > 0 {
					t.Errorf("a minute later a publish took %v", took)
				}
			}, coretest.Limits(func(l *core.Limits) { l.RefusalRate, l.Subscriptions, l.Headers, l.Queues = 10, 1, 1, 1 }))
		})
	}
}

func TestUserConnections(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		login := func(user, client string) (*core.Session, error) {
			return w.b.Connect(w.ctx, core.Login{Protocol: "test", User: user, Password: "secret", ClientID: client, Conn: coretest.NewConn()}, nil)
		}
		first, err := login("ali", "1")
		w.ok(err)
		_, err = login("ali", "2")
		w.ok(err)
		if _, err = login("ali", "3"); !errors.Is(err, core.ErrLimit) || !strings.Contains(err.Error(), "limits.user_connections") {
			t.Errorf("the third of ali: %v", err)
		}
		bea, err := login("bea", "4")
		w.ok(err)
		w.ok(bea.Close())
		w.ok(first.Close())
		third, err := login("ali", "3")
		w.ok(err)
		w.ok(third.Close())
		if n := w.b.Stats().Limits["user_connections"].Refused; n != 1 {
			t.Errorf("%d refusals were counted", n)
		}
	}, coretest.Users(map[string]string{"ali": "secret", "bea": "secret"}), coretest.Limits(func(l *core.Limits) { l.UserConnections = 2 }))
}

// Durable queues count for the user who has made them, and are given back with them.
func TestUserDurableQueues(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		c, other := w.client("a"), w.client("b")
		w.sub(c, "topic/a", durable)
		w.pub(c, "queue/1", "x")
		w.sub(c, "topic/free", individual) // not durable
		refused := func(what string, err error) {
			t.Helper()
			if !errors.Is(err, core.ErrLimit) || !strings.Contains(err.Error(), "limits.user_durable_queues") {
				t.Errorf("%s: %v", what, err)
			}
		}
		_, err := w.send(c, "queue/2", "x")
		refused("a queue by sending to it", err)
		refused("a queue by consuming it", c.Subscribe(w.ctx, &core.Subscription{ID: "q", Filter: "queue/2"}))
		refused("a durable subscription", other.Subscribe(w.ctx, &core.Subscription{ID: "d", Filter: "topic/b", Durable: true}))
		refused("a durable group", other.Subscribe(w.ctx, &core.Subscription{ID: "g", Filter: "topic/b", Group: "g", Durable: true}))
		w.pub(other, "queue/1", "y") // is there
		w.ok(c.Unsubscribe(w.ctx, "topic/a"))
		w.sub(other, "topic/b", durable)
	}, coretest.Limits(func(l *core.Limits) { l.UserDurableQueues = 2 }))
}

// Durable queues of clients without a name count for their address, of IPv6 for their network, over a restart too.
func TestDurableQueuesByAddress(t *testing.T) {
	inBoth(t, func(t *testing.T, w *reborn, again func(time.Duration)) {
		var all []*core.Session
		from := func(address, client string) *core.Session {
			remote := &net.TCPAddr{IP: net.ParseIP(address), Port: 1}
			c := &placedConn{coretest.NewConn(), core.ConnInfo{ID: "c", Remote: remote, Local: remote}}
			s, err := w.b.Connect(w.ctx, core.Login{Protocol: "x", ClientID: client, Expiry: time.Hour, Conn: c}, nil)
			w.ok(err)
			all = append(all, s)
			return s
		}
		leave := func() {
			for _, s := range all {
				w.ok(s.Close())
			}
		}
		defer leave()
		queue := func(s *core.Session, name string) error {
			return s.Subscribe(w.ctx, &core.Subscription{ID: "q" + name, Filter: "queue/" + name, Ack: core.AckIndividual})
		}
		topic := func(s *core.Session, name string) error {
			return s.Subscribe(w.ctx, &core.Subscription{ID: name, Filter: "topic/" + name, Ack: core.AckIndividual, Durable: true})
		}
		for address, near := range map[string]string{"192.0.2.1": "192.0.2.1", "2001:db8::1": "2001:db8::ffff"} {
			s := from(address, "first "+address)
			w.ok(queue(s, "of "+address))
			w.ok(topic(s, "of "+address))
			tooMuch(t, "a third", "limits.user_durable_queues", queue(s, "x"))
			tooMuch(t, "one of another client", "limits.user_durable_queues", topic(from(near, "second "+address), "x"))
		}
		w.ok(queue(from("192.0.2.2", "elsewhere"), "y"))
		leave()
		again(time.Minute)
		for _, address := range []string{"192.0.2.1", "2001:db8::2"} {
			tooMuch(t, "after a restart", "limits.user_durable_queues", queue(from(address, ""), "z"))
		}
		s := from("192.0.2.1", "first 192.0.2.1")
		w.ok(topic(s, "of 192.0.2.1")) // is there
		w.ok(s.Unsubscribe(w.ctx, "of 192.0.2.1"))
		w.ok(queue(s, "z"))
	}, coretest.Limits(func(l *core.Limits) { l.UserDurableQueues = 2 }))
}

func TestPrivateQueues(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		c := w.client("c")
		w.sub(c, "topic/1", individual)
		w.sub(c, "topic/2", durable)
		w.sub(c, "topic/3") // has none
		third := func() error {
			return c.Subscribe(w.ctx, &core.Subscription{ID: "x", Filter: "topic/x", Ack: core.AckIndividual})
		}
		if err := third(); !errors.Is(err, core.ErrLimit) || !strings.Contains(err.Error(), "limits.private_queues") {
			t.Errorf("the third: %v", err)
		}
		w.sub(c, "topic/1", individual, credit(7)) // replaces
		w.ok(c.Unsubscribe(w.ctx, "topic/1"))
		w.ok(third())
		w.ok(c.Unsubscribe(w.ctx, "x"))
		w.sub(c, "topic/2") // no longer durable: gives its queue up
		w.ok(third())
		w.sub(c, "topic/4", durable)
		c.Gone()
		again := w.client("c")
		w.sub(again, "topic/4", durable)
	}, coretest.Limits(func(l *core.Limits) { l.PrivateQueues = 2 }))
}

func TestKeptSessions(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.client("a").Gone()
		b := w.client("b")
		login := core.Login{Protocol: "test", ClientID: "c", Expiry: time.Hour, Conn: coretest.NewConn()}
		if _, err := w.b.Connect(w.ctx, login, nil); !errors.Is(err, core.ErrLimit) || !strings.Contains(err.Error(), "limits.kept_sessions") {
			t.Errorf("the third: %v", err)
		}
		w.client("").Gone() // is not kept
		w.client("a").Gone()
		b.SetExpiry(0)
		w.client("c").Gone()
		w.sleep(2 * time.Hour)
		w.client("d").Gone()
	}, coretest.Limits(func(l *core.Limits) { l.KeptSessions = 2 }))
}

// A session holds no more unsettled deliveries than it may, whatever its subscriptions ask for.
func TestUnacked(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		c, p := w.client(""), w.client("")
		w.sub(c, "queue/a", individual, credit(1000))
		w.sub(c, "queue/b", individual, credit(1000))
		w.pub(p, "queue/a", "1", "2", "3")
		w.pub(p, "queue/b", "4", "5", "6")
		got := w.want(c, "1 2 3 4")
		w.settle(c, core.Accepted, got[0])
		w.want(c, "5")
	}, coretest.Limits(func(l *core.Limits) { l.Unacked = 4 }))
}

func TestHeaders(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		p := w.client("")
		w.pub(p, "topic/a", "none")
		many := func(m *core.Message) {
			for i := range 3 {
				header(fmt.Sprint(i), "x")(m)
			}
		}
		for limit, change := range map[string]func(*core.Message){"headers": many, "header_bytes": header("x", strings.Repeat("x", 3000))} {
			if _, err := w.send(p, "topic/a", "x", change); !errors.Is(err, core.ErrLimit) || !strings.Contains(err.Error(), "limits."+limit) {
				t.Errorf("%s: %v", limit, err)
			}
		}
		_, err := w.send(p, "topic/a", "x", header("x", strings.Repeat("x", 1500)))
		w.ok(err)
	}, coretest.Limits(func(l *core.Limits) { l.Headers, l.HeaderBytes = 2, 2000 }))
}

// Failed logins make the next one wait, and are then turned away unseen; a token has not to wait.
func TestFailedLogins(t *testing.T) {
	asked := 0
	count := coretest.Authenticate(func(context.Context, *core.Login) (core.Principal, error) {
		asked++
		return core.Principal{}, core.ErrSkip
	})
	inMemory(t, func(t *testing.T, w *world) {
		login := func(l core.Login) (time.Duration, error) {
			begun := time.Now()
			l.Conn = coretest.NewConn()
			s, err := w.b.Connect(w.ctx, l, nil)
			if err == nil {
				w.ok(s.Close())
			}
			return time.Since(begun), err
		}
		wrong, right := core.Login{User: "ali", Password: "wrong"}, core.Login{User: "ali", Password: "secret"}
		for i, want := range []time.Duration{0, 0, time.Second, 2 * time.Second} {
			if took, err := login(wrong); !errors.Is(err, core.ErrLogin) || took != want {
				t.Errorf("try %d: %v after %v, want %v", i+1, err, took, want)
			}
		}
		before := asked
		if took, err := login(right); !errors.Is(err, core.ErrTries) || took != 0 || asked != before {
			t.Errorf("the fifth try: %v after %v, asked %d times", err, took, asked-before)
		}
		if took, err := login(core.Login{Token: "wrong"}); !errors.Is(err, core.ErrLogin) || took != 0 {
			t.Errorf("a token: %v after %v", err, took)
		}
		time.Sleep(11 * time.Minute)
		if took, err := login(right); err != nil || took != 0 {
			t.Errorf("later: %v after %v", err, took)
		}
	}, count, coretest.Users(map[string]string{"ali": "secret"}))
}

// However many clients reach a limit, the log stays short, and says how much was left out.
func TestLimitLog(t *testing.T) {
	var lines strings.Builder
	log := slog.New(slog.NewTextHandler(&lines, nil))
	inMemory(t, func(t *testing.T, w *world) {
		for range 1000 {
			c := w.client("")
			for range 10 {
				_ = c.Subscribe(w.ctx, &core.Subscription{ID: "1", Filter: "topic/1", Ack: core.AckIndividual})
				_ = c.Subscribe(w.ctx, &core.Subscription{ID: "2", Filter: "topic/2", Ack: core.AckIndividual})
			}
			c.Gone()
		}
		time.Sleep(time.Minute)
		c := w.client("")
		for _, id := range []string{"1", "2"} {
			_ = c.Subscribe(w.ctx, &core.Subscription{ID: id, Filter: "topic/" + id, Ack: core.AckIndividual})
		}
		synctest.Wait()
		text := lines.String()
		if n := strings.Count(text, "limit reached"); n < 2 || n > 60 {
			t.Errorf("%d lines", n)
		}
		if !strings.Contains(text, "lines_left_out=9") || !strings.Contains(text, "limit=private_queues") {
			t.Errorf("the log:\n%s", text)
		}
		if n := w.b.Stats().Limits["private_queues"].Refused; n != 10_001 {
			t.Errorf("%d refusals were counted", n)
		}
	}, func(o *core.Options) { o.Log = log }, coretest.Limits(func(l *core.Limits) { l.PrivateQueues = 1 }))
}

// All selectors together are bounded. One that is small is still let in where large ones have filled it up, and what has
// ended counts no longer.
func TestSelectorsInAll(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		large := "a = 1" + strings.Repeat(" OR a = 1", 60)
		a, b := w.client(""), w.client("")
		w.sub(a, "topic/1", selector(large))
		subscribe := func(text string) error {
			return b.Subscribe(w.ctx, &core.Subscription{ID: "x", Filter: "topic/x", Selector: text})
		}
		if err := subscribe(large); !errors.Is(err, core.ErrLimit) || !strings.Contains(err.Error(), "limits.selectors_in_all") {
			t.Errorf("a large one: %v", err)
		}
		w.ok(subscribe("a = 1"))
		w.ok(b.Unsubscribe(w.ctx, "x"))
		w.ok(a.Unsubscribe(w.ctx, "topic/1"))
		w.ok(subscribe(large))
		b.Gone()
		b = w.client("")
		w.ok(subscribe(large))
	}, coretest.Limits(func(l *core.Limits) { l.SelectorsInAll = 300 }))
}
