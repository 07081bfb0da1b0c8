package core_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/wyemq/wye/core"
	"github.com/wyemq/wye/core/coretest"
	"github.com/wyemq/wye/core/engine"
)

// shop adds a virtual host of that name, with limits of its own.
func shop(o *core.Options) {
	o.VHosts = append(o.VHosts, core.VHost{Name: "shop", MaxRetained: 2, MaxQueues: 2})
}

// in opens a session in a virtual host.
func (w *world) in(vhost string) *coretest.Client {
	w.Helper()
	return coretest.Connect(w.T, w.b, core.Login{VHost: vhost})
}

// TestVHostRetained bounds the retained messages of one virtual host, and not those of others.
func TestVHostRetained(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		c, other := w.in("shop"), w.in("/")
		for i := range 5 {
			_, err := w.send(other, fmt.Sprint("topic/", i), "x", retain)
			w.ok(err)
		}
		for _, dest := range []string{"topic/0", "topic/0", "topic/1", "topic/1"} {
			_, err := w.send(c, dest, "x", retain)
			w.ok(err)
		}
		if _, err := w.send(c, "topic/2", "x", retain); !errors.Is(err, core.ErrLimit) {
			t.Errorf("one too many: %v", err)
		}
		_, err := w.send(c, "topic/1", "", retain)
		w.ok(err)
		w.sleep(time.Minute) // it is not counted at once
		_, err = w.send(c, "topic/2", "x", retain)
		w.ok(err)
		if _, err := w.send(c, "topic/3", "x", retain); !errors.Is(err, core.ErrLimit) {
			t.Errorf("one too many again: %v", err)
		}
	}, shop)
}

// TestLimitsOfAllVHosts: what is a limit in all is one of all virtual hosts together, what is one of each is not.
func TestLimitsOfAllVHosts(t *testing.T) {
	vhosts := func(o *core.Options) {
		o.VHosts = []core.VHost{{Name: "a"}, {Name: "b"}, {Name: "own", MaxSessions: 1, MaxQueues: 1, MaxRetained: 1}}
		o.Limits.VHostConnections, o.Limits.KeptSessions, o.Limits.Queues, o.Limits.RetainedMessages = 2, 2, 3, 3
	}
	inWorld(t, func(t *testing.T, w *world) {
		login := func(vhost, client string, expiry time.Duration) error {
			_, err := coretest.TryConnect(t, w.b, core.Login{VHost: vhost, ClientID: client, Expiry: expiry})
			return err
		}
		a, b, own := w.in("a"), w.in("b"), w.in("own")
		w.ok(login("a", "1", time.Hour))
		w.ok(login("b", "1", time.Hour))
		tooMuch(t, "a third connection", "limits.vhost_connections", login("a", "2", 0))
		tooMuch(t, "more than the vhost's own", "vhosts.max_sessions", login("own", "2", 0))
		w.ok(login("a", "1", time.Hour)) // takes over
		w.ok(login("/", "2", 0))
		tooMuch(t, "a third session that is kept", "limits.kept_sessions", login("/", "3", time.Hour))
		for _, what := range []struct{ dest, limit, own string }{
			{"queue/", "limits.queues", "vhosts.max_queues"}, {"topic/", "limits.retained_messages", "vhosts.max_retained"},
		} {
			send := func(c *coretest.Client, name string) error {
				_, err := w.send(c, what.dest+name, "x", retain)
				return err
			}
			w.ok(send(own, "1"))
			tooMuch(t, "another in the third", what.own, send(own, "2"))
			w.ok(send(a, "1"))
			w.ok(send(b, "1"))
			tooMuch(t, "one in the second", what.limit, send(b, "2"))
			w.ok(send(a, "1"))
		}
		for _, limit := range []string{"vhost_connections", "max_sessions", "kept_sessions", "queues", "max_queues", "retained_messages", "max_retained"} {
			if n := w.b.Stats().Limits[limit].Refused; n != 1 {
				t.Errorf("%s: %d refusals were counted", limit, n)
			}
		}
	}, vhosts)
}

// TestKeptSessionsAtOnce: however many log in at once, no more are kept than may be.
func TestKeptSessionsAtOnce(t *testing.T) {
	const most, many = 10, 200
	inWorld(t, func(t *testing.T, w *world) {
		var logins sync.WaitGroup
		var let atomic.Int64
		begin := make(chan struct{})
		for i := range many {
			logins.Go(func() {
				<-begin
				_, err := coretest.TryConnect(t, w.b, core.Login{ClientID: fmt.Sprint(i), Expiry: time.Hour})
				if err == nil {
					let.Add(1)
				} else if !errors.Is(err, core.ErrLimit) {
					t.Error(err)
				}
			})
		}
		close(begin)
		logins.Wait()
		if let.Load() != most {
			t.Errorf("%d were let in", let.Load())
		}
	}, coretest.Limits(func(l *core.Limits) { l.KeptSessions = most }))
}

// TestVHostQueues bounds the queues of one virtual host, and not those of others.
func TestVHostQueues(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		for vhost, want := range map[string]bool{"shop": false, "/": true} {
			c := w.in(vhost)
			for i := range 3 {
				_, err := w.send(c, fmt.Sprint("queue/", i), "x")
				if allowed := err == nil; allowed != (want || i < 2) || !allowed && !errors.Is(err, core.ErrLimit) {
					t.Errorf("%s: queue %d: %v", vhost, i, err)
				}
			}
		}
	}, shop)
}

// TestVHostPurge purges in one virtual host, and knows what is not there.
func TestVHostPurge(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		for _, vhost := range []string{"shop", "/"} {
			_, err := w.send(w.in(vhost), "queue/q", "x")
			w.ok(err)
		}
		for _, c := range []struct {
			vhost string
			want  uint64
			err   error
		}{{"shop", 1, nil}, {"shop", 0, nil}, {"", 1, nil}, {"other", 0, core.ErrNotFound}} {
			if n, err := w.b.Purge(w.ctx, c.vhost, "queue/q"); n != c.want || !errors.Is(err, c.err) {
				t.Errorf("%q: purged %d, %v", c.vhost, n, err)
			}
		}
		w.b.Inject("other", &core.Message{Destination: "topic/x"})
		if s := w.b.Stats(); len(s.VHosts) != 2 {
			t.Errorf("virtual hosts have come to be: %+v", s.VHosts)
		}
	}, shop)
}

// TestVHostAway keeps what belongs to a virtual host that is not configured any more.
func TestVHostAway(t *testing.T) {
	inReborn(t, func(t *testing.T, w *reborn) {
		c := w.in("shop")
		_, err := w.send(c, "queue/q", "kept", func(m *core.Message) { m.Persistent = true })
		w.ok(err)
		c.Gone()
		var log bytes.Buffer
		with := w.opts
		w.opts = []coretest.Option{func(o *core.Options) { o.Log = slog.New(slog.NewTextHandler(&log, nil)) }}
		w.restart(time.Minute)
		if !strings.Contains(log.String(), "not configured") || !strings.Contains(log.String(), "vhost=shop") {
			t.Errorf("the log says %s", log.String())
		}
		if _, err := coretest.TryConnect(t, w.b, core.Login{VHost: "shop"}); !errors.Is(err, core.ErrDenied) {
			t.Errorf("its clients are elsewhere: %v", err)
		}
		if n, err := w.b.Purge(w.ctx, "", "queue/q"); !errors.Is(err, core.ErrNotFound) {
			t.Errorf("what belongs to it is elsewhere: %d, %v", n, err)
		}
		w.opts = with
		w.restart(time.Minute)
		w.sub(w.in("/"), "queue/q")
		c = w.in("shop")
		w.sub(c, "queue/q")
		w.want(c, "kept")
	}, shop)
}

// TestStoreNames holds the names under which virtual hosts are stored: what is there has them, that of "/" since there is a store.
func TestStoreNames(t *testing.T) {
	inReborn(t, func(t *testing.T, w *reborn) {
		for _, vhost := range []string{"/", "shop"} {
			c := coretest.Connect(t, w.b, core.Login{VHost: vhost, ClientID: "a b", Expiry: time.Hour})
			w.sub(c, "topic/t/#", individual, durable)
			w.sub(c, "topic/g/#", individual, durable, group("x/y"))
			_, err := w.send(c, "queue/jobs/eu", "x", func(m *core.Message) { m.Persistent = true })
			w.ok(err)
			_, err = w.send(c, "topic/kept/x", "x", retain)
			w.ok(err)
			c.Put("key", []byte("value"))
			c.Gone()
		}
		synctest.Wait()
		w.ok(w.b.Close(context.WithoutCancel(w.ctx)))
		e := w.disk.Open()
		var got []string
		w.ok(e.Logs(w.ctx, "", func(id engine.LogID, _ engine.Stats) bool {
			got = append(got, string(id))
			return true
		}))
		for _, bucket := range []string{"queues", "sessions", "subscriptions", "values"} {
			e.State().Watch(bucket, func(key string, _ []byte, _ uint64) { got = append(got, bucket+" "+key) })()
		}
		for _, vhost := range []string{"%2F", "shop"} {
			w.ok(e.Retained().Match(w.ctx, vhost+"/#", func(*engine.Message) bool { got = append(got, "retained "+vhost); return true }))
		}
		w.ok(e.Close(w.ctx))
		slices.Sort(got)
		var want []string
		for _, token := range []string{"%2F", "shop"} {
			want = append(want, "q/"+token+"/jobs/eu", "s/"+token+"/a%20b/topic/t/#", "g/"+token+"/x%2Fy/topic/g/#", "queues q/"+token+"/jobs/eu",
				"queues g/"+token+"/x%2Fy/topic/g/#", "sessions "+token+"/a%20b", "subscriptions "+token+"/a%20b/topic/t/#",
				"subscriptions "+token+"/a%20b/topic/g/#", "values "+token+"/a%20b/key", "retained "+token)
		}
		want = append(want, "x/delayed")
		slices.Sort(want)
		if d := cmp.Diff(want, got); d != "" {
			t.Error(d)
		}
		w.start()
	}, func(o *core.Options) { o.VHosts = []core.VHost{{Name: "shop"}} })
}
