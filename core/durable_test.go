package core_test

import (
	"errors"
	"testing"
	"time"

	"github.com/wyemq/wye/core"
	"github.com/wyemq/wye/core/coretest"
)

// back returns the session of a client that comes back, with its subscriptions taken up again.
func (w *world) back(id string) *coretest.Client {
	w.Helper()
	c := w.client(id)
	subs, ok := c.Resumed()
	if !ok {
		w.Fatalf("nothing was found of client %s", id)
	}
	for i := range subs {
		w.ok(c.Subscribe(w.ctx, &subs[i]))
	}
	return c
}

// DESIGN §2: a durable subscription is a queue bound to a filter; it waits for its client.
func TestDurable(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		p, c := w.client(""), w.client("c")
		if _, ok := c.Resumed(); ok {
			t.Error("a new client has resumed something")
		}
		w.sub(c, "topic/a/#", durable, func(s *core.Subscription) { s.Meta = []byte("meta") })
		w.pub(p, "topic/a/1", "1", "2")
		ds := w.want(c, "1 2")
		w.settle(c, core.Accepted, ds[0])
		c.Gone()
		w.pub(p, "topic/a/2", "3")
		w.pub(p, "topic/b", "no")
		if s := w.b.Stats(); s.Kept != 1 || s.Sessions != 1 {
			t.Errorf("%d sessions are kept, %d connected", s.Kept, s.Sessions)
		}
		c = w.client("c")
		subs, ok := c.Resumed()
		if !ok || len(subs) != 1 || subs[0].ID != "topic/a/#" || string(subs[0].Meta) != "meta" {
			t.Fatalf("resumed %+v, %v", subs, ok)
		}
		w.nothing(c)
		w.ok(c.Subscribe(w.ctx, &subs[0]))
		for i, d := range w.want(c, "2 3") {
			if d.Redelivered != (i == 0) {
				t.Errorf("%s: redelivered %v", d.Body, d.Redelivered)
			}
			w.settle(c, core.Accepted, d)
		}
	})
}

// DESIGN §4: messages that are not persistent do not wait for a client that is away.
func TestDurableSkipsTransient(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		p, c := w.client(""), w.client("c")
		w.sub(c, "topic/a", durable)
		_, err := w.send(p, "topic/a", "online", transient)
		w.ok(err)
		w.settle(c, core.Accepted, w.want(c, "online")...)
		c.Gone()
		_, err = w.send(p, "topic/a", "offline", transient)
		w.ok(err)
		w.pub(p, "topic/a", "kept")
		w.want(w.back("c"), "kept")
	})
}

// A session is kept as long as its expiry says; then its queues go, too.
func TestSessionExpiry(t *testing.T) {
	for name, c := range map[string]struct {
		end  func(c *coretest.Client)
		wait time.Duration
		kept bool
	}{
		"just in time":     {func(*coretest.Client) {}, time.Hour - time.Second, true},
		"too late":         {func(*coretest.Client) {}, time.Hour + time.Second, false},
		"shortened":        {func(c *coretest.Client) { c.SetExpiry(time.Minute) }, 2 * time.Minute, false},
		"given up":         {func(c *coretest.Client) { c.SetExpiry(0) }, 0, false},
		"prolonged":        {func(c *coretest.Client) { c.SetExpiry(3 * time.Hour) }, 2 * time.Hour, true},
		"beyond the limit": {func(c *coretest.Client) { c.SetExpiry(1000 * time.Hour) }, 25 * time.Hour, false},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				cl := w.client("c")
				w.sub(cl, "topic/a", durable)
				c.end(cl)
				cl.Gone()
				w.sleep(c.wait)
				if has := w.hasQueue("c:topic/a"); has != c.kept {
					t.Errorf("the queue is there: %v, want %v", has, c.kept)
				}
				if _, ok := w.client("c").Resumed(); ok != c.kept {
					t.Errorf("resumed: %v, want %v", ok, c.kept)
				}
			}, coretest.Limits(func(l *core.Limits) { l.SessionExpiry = 24 * time.Hour }))
		})
	}
}

// No login is kept longer than the limit.
func TestSessionExpiryLimit(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		c := w.client("c") // for an hour, says the login
		w.sub(c, "topic/a", durable)
		c.Gone()
		w.sleep(time.Minute + time.Second)
		if w.hasQueue("c:topic/a") {
			t.Error("the queue is still there")
		}
	}, coretest.Limits(func(l *core.Limits) { l.SessionExpiry = time.Minute }))
}

// CleanStart throws away what was kept.
func TestCleanStart(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		c := w.client("c")
		w.sub(c, "topic/a", durable)
		c.Put("k", []byte("v"))
		c.Gone()
		c = coretest.Connect(t, w.b, core.Login{ClientID: "c", CleanStart: true, Expiry: time.Hour})
		if subs, ok := c.Resumed(); ok || len(subs) > 0 {
			t.Errorf("resumed %v", subs)
		}
		if _, ok := c.Get("k"); ok || w.hasQueue("c:topic/a") {
			t.Error("something was left of the session before")
		}
	})
}

// What a resumed session had and does not take up again goes on waiting, until it is unsubscribed.
func TestResumedAndUnsubscribed(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		p, c := w.client(""), w.client("c")
		w.sub(c, "topic/a", durable)
		c.Gone()
		c = w.client("c")
		w.pub(p, "topic/a", "1")
		c.Gone()
		c = w.client("c")
		w.queue("c:topic/a", 1, 0)
		w.ok(c.Unsubscribe(w.ctx, "topic/a"))
		if w.hasQueue("c:topic/a") {
			t.Error("the queue is still there")
		}
		c.Gone()
		if subs, _ := w.client("c").Resumed(); len(subs) > 0 {
			t.Errorf("resumed %v", subs)
		}
	})
}

// Values of the protocol are kept with the session.
func TestSessionValues(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		c := w.client("c")
		c.Put("p/1", []byte("one"))
		c.Put("p/2", []byte("two"))
		c.Put("q", []byte("three"))
		c.Put("p/2", nil)
		c.Gone()
		c = w.client("c")
		found := map[string]string{}
		c.Keys("p/", func(k string, v []byte) bool { found[k] = string(v); return true })
		if v, ok := c.Get("q"); len(found) != 1 || found["p/1"] != "one" || !ok || string(v) != "three" {
			t.Errorf("kept %v and %q", found, v)
		}
	})
}

// A subscription that is to be acknowledged and is not durable goes with its session.
func TestNotDurable(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		p, c := w.client(""), w.client("c")
		w.sub(c, "topic/a", individual)
		w.pub(p, "topic/a", "1")
		d := w.want(c, "1")[0]
		w.settle(c, core.Requeue, d)
		if d := w.want(c, "1")[0]; d.Attempt != 2 || !d.Redelivered {
			t.Errorf("attempt %d, redelivered %v", d.Attempt, d.Redelivered)
		}
		c.Gone()
		if w.hasQueue("c:topic/a") {
			t.Error("the queue is still there")
		}
	})
}

// The queue of a client that is away is bounded: the oldest leave.
func TestSessionQueueIsBounded(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		p, c := w.client(""), w.client("c")
		w.sub(c, "topic/a", durable)
		c.Gone()
		w.pub(p, "topic/a", "1", "2", "3", "4", "5")
		w.want(w.back("c"), "3 4 5")
		if n := w.b.Stats().Drops["max_length"]; n != 2 {
			t.Errorf("%d drops were counted, want 2", n)
		}
	}, coretest.Limits(func(l *core.Limits) { l.SessionQueue = 3 }))
}

// DESIGN §2: members of a group share, other subscriptions get everything.
func TestShared(t *testing.T) {
	for name, mode := range map[string]func(*core.Subscription){"auto": func(*core.Subscription) {}, "acked": individual} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				p, a, b, x, all := w.client(""), w.client("a"), w.client("b"), w.client("x"), w.client("all")
				w.sub(a, "topic/#", mode, group("g"))
				w.sub(b, "topic/#", mode, group("g"))
				w.sub(x, "topic/#", mode, group("other"))
				w.sub(all, "topic/#", mode)
				w.pub(p, "topic/1", "1", "2", "3", "4")
				w.want(all, "1 2 3 4")
				w.want(x, "1 2 3 4")
				if a.Len() != 2 || b.Len() != 2 {
					t.Errorf("the members of one group got %d and %d of 4", a.Len(), b.Len())
				}
			})
		})
	}
}

// What a member held when it left goes to the others; the group goes with its last member.
func TestSharedMemberLeaves(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		p, a, b := w.client(""), w.client("a"), w.client("b")
		w.sub(a, "topic/a", individual, group("g"))
		w.pub(p, "topic/a", "1", "2")
		w.want(a, "1 2")
		w.sub(b, "topic/a", individual, group("g"))
		a.Gone()
		for _, d := range w.want(b, "1 2") {
			if !d.Redelivered {
				t.Errorf("%s is not marked as redelivered", d.Body)
			}
		}
		b.Gone()
		if w.hasQueue("g:topic/a") {
			t.Error("the queue of a group without members is still there")
		}
	})
}

// A durable group is kept without any member, until it is deleted.
func TestSharedDurable(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		p, a := w.client(""), w.client("a")
		w.sub(a, "topic/a", durable, group("g"))
		if err := a.DeleteGroup(w.ctx, "g", "topic/a"); !errors.Is(err, core.ErrInUse) {
			t.Errorf("delete a group with members: %v", err)
		}
		a.SetExpiry(0)
		a.Gone()
		w.pub(p, "topic/a", "1")
		w.sleep(100 * 24 * time.Hour)
		b := w.client("b")
		w.sub(b, "topic/a", durable, group("g"))
		w.want(b, "1")
		w.ok(b.Unsubscribe(w.ctx, "topic/a"))
		w.queue("g:topic/a", 1, 0)
		w.ok(b.DeleteGroup(w.ctx, "g", "topic/a"))
		if w.hasQueue("g:topic/a") {
			t.Error("the group is still there")
		}
		if err := b.DeleteGroup(w.ctx, "g", "topic/a"); !errors.Is(err, core.ErrNotFound) {
			t.Errorf("delete it again: %v", err)
		}
	})
}

// One that is with its sessions goes with the last of them, which may be away until then.
func TestSharedWithSession(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		p, a, b := w.client(""), w.client("a"), w.client("b")
		with := func(sub *core.Subscription) { sub.WithSession = true }
		w.sub(a, "topic/a", durable, group("g"), with)
		w.sub(b, "topic/a", durable, group("g"), with)
		b.Gone()
		a.SetExpiry(0)
		a.Gone()
		w.pub(p, "topic/a", "1")
		w.queue("g:topic/a", 1, 0)
		b = w.client("b")
		b.SetExpiry(time.Hour)
		b.Gone()
		w.sleep(30 * time.Minute)
		if !w.hasQueue("g:topic/a") {
			t.Error("the group ended before its last session")
		}
		w.sleep(31 * time.Minute)
		if w.hasQueue("g:topic/a") {
			t.Error("the group is still there")
		}
	})
}

// Temporary queues: anybody may send, the session that made them may receive, and they go with it.
func TestTemp(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		c, other := w.client(""), w.client("")
		reply := c.Temp("reply")
		if reply == other.Temp("reply") || reply != c.Temp("reply") {
			t.Error("temporary names must differ between sessions and not within one")
		}
		w.sub(c, reply, individual)
		w.pub(other, reply, "1")
		w.settle(c, core.Accepted, w.want(c, "1")...)
		if err := other.Subscribe(w.ctx, &core.Subscription{ID: "1", Filter: reply}); !errors.Is(err, core.ErrDenied) {
			t.Errorf("subscribe to somebody's temporary queue: %v", err)
		}
		w.pub(other, c.Temp("second"), "waits")
		w.sub(c, c.Temp("second"))
		w.want(c, "waits")
		c.Gone()
		if w.hasQueue(reply) {
			t.Error("the queue is still there")
		}
		if _, err := w.send(other, reply, "2"); !errors.Is(err, core.ErrNotFound) {
			t.Errorf("publish to a temporary queue that is gone: %v", err)
		}
		if _, err := w.send(other, "temp/made-up/x", "3"); !errors.Is(err, core.ErrNotFound) {
			t.Errorf("publish to a temporary queue that never was: %v", err)
		}
	})
}
