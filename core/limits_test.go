package core_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/wyemq/wye/core"
	"github.com/wyemq/wye/core/coretest"
	"github.com/wyemq/wye/core/engine/memory"
)

// One session may have so many subscriptions; what it gives back it may use again.
func TestSubscriptionLimit(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		c, other := w.client(""), w.client("")
		w.sub(c, "topic/1")
		w.sub(c, jobs)
		err := c.Subscribe(w.ctx, &core.Subscription{ID: "3", Filter: "topic/3"})
		if !errors.Is(err, core.ErrLimit) || !strings.Contains(err.Error(), "2") {
			t.Errorf("one too many: %v", err)
		}
		w.sub(c, "topic/1") // replaces
		w.sub(other, "topic/3")
		w.ok(c.Unsubscribe(w.ctx, jobs))
		w.sub(c, "topic/3")
	}, coretest.Limits(func(l *core.Limits) { l.Subscriptions = 2 }))
}

// A body that is declared to be text is text.
func TestTextBody(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		c := w.client("")
		text := func(m *core.Message) { m.TextBody = true }
		if _, err := w.send(c, "topic/a", "\xff", text); !errors.Is(err, core.ErrInvalid) {
			t.Errorf("publish: %v", err)
		}
		_, err := w.send(c, "topic/a", "ü", text)
		w.ok(err)
	})
}

// NewBroker names everything that makes no sense.
func TestNewBroker(t *testing.T) {
	broken := core.DefaultLimits()
	broken.Credit, broken.SessionQueue, broken.OutboxOverflow = 0, -1, "explode"
	for name, c := range map[string]struct {
		o    core.Options
		want []string
	}{
		"no engine": {core.Options{}, []string{"engine"}},
		"limits":    {core.Options{Engine: memory.New(), Limits: broken}, []string{"limits.credit", "limits.session_queue", "-1", "outbox_overflow", "explode"}},
		"anonymous": {core.Options{Engine: memory.New(), Anonymous: "maybe"}, []string{"anonymous", "maybe", "loopback"}},
	} {
		t.Run(name, func(t *testing.T) {
			b, err := core.NewBroker(c.o)
			if err == nil {
				_ = b.Close(t.Context())
				t.Fatal("no error")
			}
			for _, want := range c.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("the error %q does not name %q", err, want)
				}
			}
		})
	}
}

func TestStats(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		c := coretest.Connect(t, w.b, core.Login{Protocol: "stomp"})
		other := coretest.Connect(t, w.b, core.Login{Protocol: "mqtt"})
		w.sub(c, "topic/a")
		w.sub(c, jobs, individual)
		w.pub(other, "topic/a", "four")
		w.pub(other, jobs, "1", "22")
		w.want(c, "four 1 22")
		s := w.b.Stats()
		if got, want := s.Protocols["stomp"], (core.ProtocolStats{Sessions: 1, Out: 3, OutBytes: 7}); got != want {
			t.Errorf("stomp: %+v, want %+v", got, want)
		}
		if got, want := s.Protocols["mqtt"], (core.ProtocolStats{Sessions: 1, In: 3, InBytes: 7}); got != want {
			t.Errorf("mqtt: %+v, want %+v", got, want)
		}
		if s.Sessions != 2 || s.Subscriptions != 2 || len(s.Queues) != 1 {
			t.Errorf("%+v", s)
		}
		want := core.QueueStats{VHost: "/", Name: jobs, Kind: "queue", Unacked: 2, Consumers: 1, Bytes: 3}
		if s.Queues[0] != want {
			t.Errorf("%+v, want %+v", s.Queues[0], want)
		}
		c.Gone()
		other.Gone()
		s = w.b.Stats()
		if s.Sessions != 0 || s.Subscriptions != 0 || s.Disconnects["closed"] != 2 {
			t.Errorf("after all have left: %+v", s)
		}
	})
}

// What the broker publishes itself passes no authorizer, and reaches everybody.
func TestInject(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		c := w.client("c")
		w.sub(c, "topic/$SYS/#")
		w.sub(c, "topic/$SYS/+", durable)
		w.b.Inject("", &core.Message{Destination: "topic/$SYS/x", Body: []byte("1"), Retain: true})
		w.want(c, "1 1")
		w.ok(c.Unsubscribe(w.ctx, "topic/$SYS/#"))
		w.sub(c, "topic/$SYS/#")
		w.want(c, "1")
	}, coretest.Authorize(coretest.DenyOn(core.OpPublish, "topic/$SYS/x")))
}

// Publishing to direct subscribers costs no memory for each of them.
func TestPublishAllocations(t *testing.T) {
	b := coretest.Broker(t)
	measure := func(dest string, subscribers int) float64 {
		conn := coretest.NewConn()
		for range subscribers {
			s, err := b.Connect(t.Context(), core.Login{Conn: conn}, func([]core.Delivery) error { return nil })
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = s.Close() }()
			if err := s.Subscribe(t.Context(), &core.Subscription{ID: "1", Filter: dest}); err != nil {
				t.Fatal(err)
			}
		}
		p, err := b.Connect(t.Context(), core.Login{Conn: conn}, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = p.Close() }()
		body := []byte("x")
		return testing.AllocsPerRun(200, func() {
			if err := p.Publish(context.Background(), &core.Message{Destination: dest, Body: body}, nil); err != nil {
				t.Fatal(err)
			}
		})
	}
	one, many := measure("topic/one", 1), measure("topic/many", 65)
	// The outboxes and writers allocate now and then, amortized; 64 allocations would be one for each.
	if perSubscriber := (many - one) / 64; perSubscriber > 0.5 {
		t.Errorf("%.2f allocations for each additional subscriber (1: %v, 65: %v)", perSubscriber, one, many)
	}
}
