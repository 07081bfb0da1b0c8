package core_test

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/wyemq/wye/core"
	"github.com/wyemq/wye/core/coretest"
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
