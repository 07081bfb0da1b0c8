package core_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wyemq/wye/core"
	"github.com/wyemq/wye/core/coretest"
	"github.com/wyemq/wye/core/engine"
)

// DESIGN §4: retained messages are core state, matched by wildcards, cleared by an empty body.
func TestRetained(t *testing.T) {
	for name, mode := range map[string]func(*core.Subscription){"direct": func(*core.Subscription) {}, "acked": individual, "durable": durable} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				p, c := w.client("p"), w.client("c")
				for _, dest := range []string{"topic/r/1", "topic/r/2", "topic/$r/3", "topic/x"} {
					_, err := w.send(p, dest, dest[len(dest)-1:], retain)
					w.ok(err)
				}
				_, err := w.send(p, "topic/r/1", "1-new", retain)
				w.ok(err)
				_, err = w.send(p, "topic/r/2", "", retain)
				w.ok(err)
				if n := w.b.Stats().Retained; n != 3 {
					t.Errorf("%d are retained, want 3", n)
				}
				w.sub(c, "topic/+/+", mode)
				d := w.want(c, "1-new")[0]
				if !d.FromRetained || d.Destination != "topic/r/1" || !d.Retain || d.Publisher != "p" {
					t.Errorf("from retained %v, on %s, retain %v, by %q", d.FromRetained, d.Destination, d.Retain, d.Publisher)
				}
				_, err = w.send(p, "topic/r/1", "live", retain)
				w.ok(err)
				if d := w.want(c, "live")[0]; d.FromRetained {
					t.Error("a live message says that it was retained")
				}
			})
		})
	}
}

// The publisher of the clearing message reaches live subscribers all the same.
func TestRetainedCleared(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		c := w.client("")
		w.sub(c, "topic/a")
		_, err := w.send(c, "topic/a", "", retain)
		w.ok(err)
		if d := c.Next(t); len(d.Body) != 0 || d.FromRetained {
			t.Errorf("got %q", d.Body)
		}
	})
}

func TestRetainedModes(t *testing.T) {
	for _, c := range []struct {
		mode          core.RetainedMode
		first, second string
	}{
		{core.RetainedAlways, "r", "r"},
		{core.RetainedIfNew, "r", ""},
		{core.RetainedNever, "", ""},
	} {
		t.Run(fmt.Sprint(c.mode), func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				cl := w.client("c")
				_, err := w.send(cl, "topic/a", "r", retain)
				w.ok(err)
				mode := func(s *core.Subscription) { s.Retained = c.mode }
				w.sub(cl, "topic/a", mode)
				w.want(cl, c.first)
				w.sub(cl, "topic/a", mode)
				w.want(cl, c.second)
				w.sub(cl, "topic/+", durable, mode)
				for _, d := range w.want(cl, c.first) {
					w.settle(cl, core.Accepted, d)
				}
				cl.Gone()
				cl = w.client("c")
				w.sub(cl, "topic/+", durable, mode)
				w.want(cl, c.second)
			})
		})
	}
}

// Retained messages expire; groups get none; selectors and no-local hold for them, too.
func TestRetainedRules(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		c := w.client("c")
		_, err := w.send(c, "topic/short", "short", retain, expires(time.Minute))
		w.ok(err)
		_, err = w.send(c, "topic/red", "red", retain, header("color", "red"))
		w.ok(err)
		w.sleep(2 * time.Minute)
		w.sub(c, "topic/+", group("g"))
		w.nothing(c)
		w.sub(c, "topic/red", selector("color = 'blue'"))
		w.nothing(c)
		w.sub(c, "topic/#")
		w.want(c, "red")
	})
}

// The number of retained messages is bounded.
func TestRetainedLimit(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		c := w.client("")
		for i := range 2 {
			_, err := w.send(c, fmt.Sprint("topic/", i), "x", retain)
			w.ok(err)
		}
		if _, err := w.send(c, "topic/2", "x", retain); !errors.Is(err, core.ErrLimit) {
			t.Errorf("one too many: %v", err)
		}
		_, err := w.send(c, "topic/1", "again", retain) // takes the place of another
		w.ok(err)
		_, err = w.send(c, "topic/1", "", retain)
		w.ok(err)
		_, err = w.send(c, "topic/2", "x", retain)
		w.ok(err)
	}, coretest.Limits(func(l *core.Limits) { l.RetainedMessages = 2 }))
}

// Between a retained message that is being stored and a new subscription there is no gap, and it comes once.
func TestRetainedAndSubscribeAtOnce(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		p, c := w.client(""), w.client("")
		w.disk.Hold()
		m := msg("topic/a", "x")
		m.Retain = true
		w.ok(p.Publish(w.ctx, m, nil))
		subscribed := make(chan error)
		go func() { subscribed <- c.Subscribe(w.ctx, &core.Subscription{ID: "1", Filter: "topic/a"}) }()
		synctest.Wait()
		w.disk.Release()
		w.ok(<-subscribed)
		w.want(c, "x")
	})
}

// Retain means nothing for a queue.
func TestRetainOnQueue(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		c := w.client("")
		_, err := w.send(c, jobs, "x", retain)
		w.ok(err)
		if n := w.b.Stats().Retained; n != 0 {
			t.Errorf("%d are retained", n)
		}
		w.sub(c, jobs)
		w.want(c, "x")
	})
}

// Delayed messages are routed when it is time, in that order, to who is there then.
func TestDelayed(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		p, c := w.client(""), w.client("")
		at := func(d time.Duration) func(*core.Message) {
			return func(m *core.Message) { m.Visible = time.Now().Add(d) }
		}
		_, err := w.send(p, "topic/a", "late", at(2*time.Minute))
		w.ok(err)
		_, err = w.send(p, "topic/a", "early", at(time.Minute))
		w.ok(err)
		_, err = w.send(p, jobs, "job", at(time.Minute))
		w.ok(err)
		_, err = w.send(p, "topic/a", "now", at(-time.Minute))
		w.ok(err)
		p.Gone() // nobody need stay
		w.sub(c, "topic/a")
		w.sub(c, jobs, individual)
		w.sleep(time.Minute - time.Millisecond)
		w.nothing(c)
		w.sleep(10 * time.Millisecond)
		got := []string{string(c.Next(t).Body), string(c.Next(t).Body)}
		if s := strings.Join(got, " "); s != "early job" && s != "job early" {
			t.Errorf("got %s", s)
		}
		w.sleep(time.Minute)
		d := w.want(c, "late")[0]
		if since := time.Since(d.Timestamp); since > time.Minute || !d.Visible.IsZero() {
			t.Errorf("routed %s ago, visible %v", since, d.Visible)
		}
	})
}

// A delayed message that has expired when it is time is dropped.
func TestDelayedAndExpired(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		c := w.client("")
		w.sub(c, "topic/a")
		_, err := w.send(c, "topic/a", "x", expires(time.Minute), func(m *core.Message) { m.Visible = time.Now().Add(time.Hour) })
		w.ok(err)
		w.sleep(2 * time.Hour)
		w.nothing(c)
	})
}

// Repeated messages: so often after the first time, or at the times of a crontab line.
func TestRepeat(t *testing.T) {
	for name, c := range map[string]struct {
		repeat core.Repeat
		wait   time.Duration
		times  int
	}{
		"period": {core.Repeat{Period: time.Minute, Count: 3}, time.Hour, 4},
		"early":  {core.Repeat{Period: time.Minute, Count: 3}, 90 * time.Second, 2},
		"ever":   {core.Repeat{Period: time.Minute, Count: -1}, time.Hour - time.Second, 60},
		"cron":   {core.Repeat{Cron: "*/10 * * * *"}, time.Hour - time.Second, 5},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) { // fake time begins at midnight
				cl := w.client("")
				w.sub(cl, jobs)
				_, err := w.send(cl, jobs, "x", func(m *core.Message) { m.Repeat = &c.repeat })
				w.ok(err)
				w.sleep(c.wait)
				if n := cl.Len(); n != c.times {
					t.Errorf("it came %d times in %s, want %d", n, c.wait, c.times)
				}
			})
		})
	}
}

func TestBadRepeat(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		c := w.client("")
		for _, r := range []core.Repeat{
			{Cron: "* * *"},
			{Cron: "61 * * * *"},
			{Cron: "0 0 30 2 *"},
			{Count: -1},
			{Count: 3},
			{Count: -1, Period: time.Microsecond},
			{Count: -1, Period: -time.Minute},
		} {
			if _, err := w.send(c, jobs, "x", func(m *core.Message) { m.Repeat = &r }); !errors.Is(err, core.ErrInvalid) {
				t.Errorf("repeat %+v: %v", r, err)
			}
		}
	})
}

// replacing publishes something newer between the moment at which a retained message is read and the one at which the
// new subscription gets it.
type replacing struct {
	engine.Engine

	publish func()
}

func (r *replacing) Retained() engine.Retained { return replaced{r.Engine.Retained(), r} }

type replaced struct {
	engine.Retained

	r *replacing
}

func (r replaced) Match(ctx context.Context, filter string, fn func(*engine.Message) bool) error {
	return r.Retained.Match(ctx, filter, func(m *engine.Message) bool {
		if publish := r.r.publish; publish != nil {
			r.r.publish = nil
			publish()
		}
		return fn(m)
	})
}

// Who subscribes while a retained message is replaced must not get the old one behind the new one, and take it for
// the state of the topic. Other topics are not concerned, nor are messages that are not retained.
func TestRetainedIsNotStale(t *testing.T) {
	for name, mode := range map[string]func(*core.Subscription){"direct": func(*core.Subscription) {}, "acked": individual, "durable": durable} {
		t.Run(name, func(t *testing.T) {
			disk := &replacing{}
			inWorld(t, func(t *testing.T, w *world) {
				p, c := w.client("p"), w.client("c")
				for _, dest := range []string{"topic/r/1", "topic/r/2"} {
					_, err := w.send(p, dest, "old", retain)
					w.ok(err)
				}
				disk.publish = func() {
					for dest, opt := range map[string]func(*core.Message){"topic/r/1": retain, "topic/r/2": func(*core.Message) {}} {
						_, err := w.send(p, dest, "new", opt)
						w.ok(err)
					}
				}
				w.sub(c, "topic/r/#", mode)
				got := make(map[string]string)
				for range 3 {
					d := c.Next(t)
					got[d.Destination] += string(d.Body) + " "
				}
				if want := "map[topic/r/1:new  topic/r/2:new old ]"; fmt.Sprint(got) != want {
					t.Errorf("got %v, want %v", got, want)
				}
				w.nothing(c)
			}, func(o *core.Options) { disk.Engine, o.Engine = o.Engine, disk })
		})
	}
}
