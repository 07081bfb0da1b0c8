package core_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wyemq/wye/core"
	"github.com/wyemq/wye/core/coretest"
	"github.com/wyemq/wye/core/engine"
	"github.com/wyemq/wye/core/engine/memory"
)

func withSession(sub *core.Subscription) { sub.WithSession = true }

// shares subscribes c to the group g of topic/a, which is with its sessions.
func (w *world) shares(c *coretest.Client) {
	w.Helper()
	w.sub(c, "topic/a", durable, group("g"), withSession)
}

// A session that is connected and has not subscribed again will do so: the end of another one does not delete what waits.
func TestGroupWaitsForConnected(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		p, a, b := w.client(""), w.client("a"), w.client("b")
		w.shares(a)
		w.shares(b)
		a.Gone()
		b.Gone()
		w.pub(p, "topic/a", "1", "2")
		a = w.client("a")
		b = coretest.Connect(t, w.b, core.Login{ClientID: "b", CleanStart: true, Expiry: time.Hour})
		w.queue("g:topic/a", 2, 0)
		if err := b.DeleteGroup(w.ctx, "g", "topic/a"); !errors.Is(err, core.ErrInUse) {
			t.Errorf("delete what another session will come back to: %v", err)
		}
		w.shares(a)
		w.want(a, "1 2")
	})
}

// So it is with one that is never subscribed to again, until its session ends or gives it up.
func TestGroupEndsWithoutSubscribe(t *testing.T) {
	for name, end := range map[string]func(w *world, c *coretest.Client){
		"expiry 0":    func(_ *world, c *coretest.Client) { c.SetExpiry(0); c.Gone() },
		"unsubscribe": func(w *world, c *coretest.Client) { w.ok(c.Unsubscribe(w.ctx, "topic/a")) },
		"delete":      func(w *world, c *coretest.Client) { w.ok(c.DeleteGroup(w.ctx, "g", "topic/a")) },
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				a := w.client("a")
				w.shares(a)
				a.Gone()
				a = w.client("a")
				w.queue("g:topic/a", 0, 0)
				end(w, a)
				if w.hasQueue("g:topic/a") {
					t.Error("the group is still there")
				}
			})
		})
	}
}

// The last member may be one that needs nothing to last.
func TestGroupEndsWithLastMember(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		a, b := w.client("a"), w.client("")
		w.shares(a)
		w.sub(b, "topic/a", individual, group("g"))
		a.SetExpiry(0)
		a.Gone()
		w.pub(b, "topic/a", "1")
		w.want(b, "1")
		b.Gone()
		if w.hasQueue("g:topic/a") {
			t.Error("the group is still there")
		}
	})
}

// Sessions that have expired while the broker was away do not end what others wait for.
func TestGroupOverRestart(t *testing.T) {
	inBoth(t, func(_ *testing.T, w *reborn, again func(time.Duration)) {
		login := func(id string, expiry time.Duration) *coretest.Client {
			c := coretest.Connect(w.T, w.b, core.Login{User: "u", Password: "p", ClientID: id, Expiry: expiry})
			w.shares(c)
			return c
		}
		for i := range 20 {
			login(fmt.Sprint("a", i), time.Hour).Gone()
		}
		for i := range 500 {
			coretest.Connect(w.T, w.b, core.Login{ClientID: fmt.Sprint("m", i), Expiry: time.Hour}).Gone()
		}
		login("z", 24*time.Hour).Gone()
		w.pub(w.client(""), "topic/a", "1", "2")
		again(2 * time.Hour)
		w.queue("g:topic/a", 2, 0)
		z := login("z", time.Hour)
		w.want(z, "1 2")
		z.Gone()
		again(2 * time.Hour)
		if w.hasQueue("g:topic/a") {
			w.Error("the group is still there")
		}
	}, coretest.Users(map[string]string{"u": "p"}), func(o *core.Options) { o.Anonymous = core.AnonymousAlways })
}

// A group that somebody has made to stay, before or after others, stays when their sessions end.
func TestGroupStays(t *testing.T) {
	stays := func(w *reborn) {
		c := w.client("")
		w.sub(c, "topic/a", durable, group("g"))
		c.Gone()
	}
	with := func(w *reborn) {
		c := w.client("a")
		w.shares(c)
		c.Gone()
	}
	changes := func(w *reborn) {
		c := w.client("a")
		w.shares(c)
		w.sub(c, "topic/a", durable, group("g"))
		c.Gone()
	}
	for name, use := range map[string][]func(*reborn){"before": {stays, with}, "after": {with, stays}, "changed": {changes, with}} {
		t.Run(name, func(t *testing.T) {
			inBoth(t, func(t *testing.T, w *reborn, again func(time.Duration)) {
				for _, fn := range use {
					fn(w)
				}
				w.pub(w.client(""), "topic/a", "1")
				again(time.Minute)
				with(w)
				again(2 * time.Hour)
				w.queue("g:topic/a", 1, 0)
				b := w.client("b")
				w.shares(b)
				w.ok(b.Unsubscribe(w.ctx, "topic/a"))
				w.queue("g:topic/a", 1, 0)
				w.ok(b.DeleteGroup(w.ctx, "g", "topic/a"))
				w.shares(b)
				w.ok(b.Unsubscribe(w.ctx, "topic/a"))
				if w.hasQueue("g:topic/a") {
					t.Error("the next group of that name stays as well")
				}
			})
		})
	}
}

// dropping takes its time to drop a log.
type dropping struct{ engine.Engine }

func (e dropping) Drop(ctx context.Context, id engine.LogID) error {
	time.Sleep(time.Second)
	return e.Engine.Drop(ctx, id)
}

// Who subscribes while the queue of the group is deleted gets another one.
func TestGroupMadeAnew(t *testing.T) {
	for name, open := range map[string]func(t *testing.T) engine.Engine{
		"memory": func(*testing.T) engine.Engine { return dropping{memory.New()} },
		"disk":   func(t *testing.T) engine.Engine { t.Helper(); return dropping{coretest.NewDisk(t).Open()} },
	} {
		for kind, change := range map[string]func(*core.Subscription){
			"durable": func(sub *core.Subscription) { durable(sub); withSession(sub) },
			"not":     individual,
		} {
			t.Run(name+" "+kind, func(t *testing.T) {
				on(t, open, func(t *testing.T, w *world) {
					a, b := w.client(""), w.client("")
					w.sub(a, "topic/a", change, group("g"))
					left := make(chan error)
					go func() { left <- a.Unsubscribe(w.ctx, "topic/a") }()
					synctest.Wait()
					w.sub(b, "topic/a", durable, group("g"))
					w.ok(<-left)
					if r, err := w.send(b, "topic/a", "1"); err != nil || r.Matched != 1 {
						t.Errorf("matched %d, %v", r.Matched, err)
					}
					w.want(b, "1")
				})
			})
		}
	}
}

// So it is whenever the subscription comes.
func TestGroupEndsMeanwhile(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		p := w.client("")
		for i := range 300 {
			a, b := w.client(""), w.client("")
			w.shares(a)
			sub := &core.Subscription{ID: "s", Filter: "topic/a", Group: "g", Ack: core.AckIndividual}
			if i%2 == 0 {
				sub.Durable, sub.WithSession = true, true
			}
			var both sync.WaitGroup
			both.Go(a.Gone)
			err := b.Subscribe(w.ctx, sub)
			both.Wait()
			w.ok(err)
			if r, err := w.send(p, "topic/a", "1"); err != nil || r.Matched != 1 {
				t.Fatalf("matched %d, %v, in round %d", r.Matched, err, i)
			}
			w.settle(b, core.Accepted, w.want(b, "1")...)
			b.Gone()
			if w.hasQueue("g:topic/a") {
				t.Fatalf("the group is still there after round %d", i)
			}
		}
	})
}
