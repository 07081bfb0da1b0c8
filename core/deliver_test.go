package core_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/wyemq/wye/core"
	"github.com/wyemq/wye/core/coretest"
)

// intercept is what an interceptor does with a delivery.
type intercept func(ctx context.Context, c *core.Call, next func(context.Context, *core.Call) error) error

func swallow(context.Context, *core.Call, func(context.Context, *core.Call) error) error { return nil }

func refuse(context.Context, *core.Call, func(context.Context, *core.Call) error) error {
	return core.ErrDenied
}

// deliveries returns an interceptor that does this with the deliveries whose body is "odd", and nothing with others.
func deliveries(does intercept) coretest.Option {
	return coretest.Intercept(func(ctx context.Context, c *core.Call, next func(context.Context, *core.Call) error) error {
		if string(c.Message.Body) != "odd" {
			return next(ctx, c)
		}
		return does(ctx, c, next)
	}, core.OpDeliver)
}

// subscriptions are of each kind that there is, with the most a consumer may hold.
var subscriptions = map[string]struct {
	filter string
	credit int
	change []func(*core.Subscription)
}{
	"queue":            {jobs, 1024, nil},
	"queue individual": {jobs, 1, []func(*core.Subscription){individual, credit(1)}},
	"queue cumulative": {jobs, 1, []func(*core.Subscription){cumulative, credit(1)}},
	"topic":            {"topic/a", 1024, nil},
	"topic individual": {"topic/a", 1, []func(*core.Subscription){individual, credit(1)}},
	"topic group":      {"topic/a", 1024, []func(*core.Subscription){group("g")}},
	"group individual": {"topic/a", 1, []func(*core.Subscription){group("g"), individual, credit(1)}},
	"durable and kept": {"topic/a", 1, []func(*core.Subscription){durable, credit(1)}},
}

// What an interceptor keeps from a client is done with: nobody waits for its acknowledgement, and it comes no more. What is
// refused counts as dropped.
func TestInterceptorSettles(t *testing.T) {
	for name, sub := range subscriptions {
		for does, c := range map[string]struct {
			does    intercept
			dropped uint64 // of each
		}{"swallowed": {swallow, 0}, "refused": {refuse, 1}} {
			t.Run(name+" "+does, func(t *testing.T) {
				inWorld(t, func(t *testing.T, w *world) {
					s, odd := w.client("c"), sub.credit+10
					w.sub(s, sub.filter, sub.change...)
					for range odd {
						w.ok(s.Publish(w.ctx, msg(sub.filter, "odd"), nil))
					}
					w.pub(s, sub.filter, "even")
					for _, d := range w.want(s, "even") {
						if d.Tag != 0 {
							w.settle(s, core.Accepted, d)
						}
					}
					w.pub(s, sub.filter, "last")
					w.want(s, "last")
					for _, q := range w.b.Stats().Queues {
						if q.Ready != 0 || q.Unacked > 1 { // last
							t.Errorf("%s has %d ready and %d unacknowledged", q.Name, q.Ready, q.Unacked)
						}
					}
					if n := w.b.Stats().Drops[core.ErrDenied.ID()]; n != uint64(odd)*c.dropped {
						t.Errorf("%d of %d count as dropped", n, odd)
					}
				}, deliveries(c.does))
			})
		}
	}
}

// A login's own credit comes back, too: MQTT's Receive Maximum.
func TestInterceptorGivesLoginCreditBack(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		c := coretest.Connect(t, w.b, core.Login{Credit: 1})
		w.sub(c, jobs, individual)
		w.sub(c, "topic/a", individual)
		w.pub(c, jobs, "odd", "odd", "1")
		w.settle(c, core.Accepted, w.want(c, "1")...)
		w.pub(c, "topic/a", "odd", "odd", "2")
		w.want(c, "2")
	}, deliveries(swallow))
}

// Among deliveries that are acknowledged together, an interceptor settles its own and no others.
func TestInterceptorSettlesNoOther(t *testing.T) {
	for name, does := range map[string]intercept{"swallowed": swallow, "refused": refuse} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(_ *testing.T, w *world) {
				c := w.client("")
				w.pub(c, jobs, "1", "odd", "2", "odd", "3")
				w.sub(c, jobs, cumulative)
				ds := w.want(c, "1 2 3")
				w.queue(jobs, 0, 3)
				w.settle(c, core.Accepted, ds[0])
				w.queue(jobs, 0, 2)
				w.settle(c, core.Accepted, ds[2])
				w.queue(jobs, 0, 0)
			}, deliveries(does))
		})
	}
}

// However often an interceptor goes on, each message is delivered once, as it was passed on first, and none is lost.
func TestInterceptorDeliversOnce(t *testing.T) {
	twice := func(ctx context.Context, c *core.Call, next func(context.Context, *core.Call) error) error {
		if err := next(ctx, c); err != nil {
			return err
		}
		again := *c
		again.Message = c.Message.Clone()
		again.Message.Body = []byte("again")
		return next(ctx, &again)
	}
	for name, sub := range subscriptions {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(_ *testing.T, w *world) {
				c, p := w.client("c"), w.client("")
				w.sub(c, sub.filter, append(sub.change, credit(0))...)
				c.Block() // the first is under way, the others come together
				w.pub(p, sub.filter, "0", "1", "2", "3", "4")
				c.Unblock()
				for _, d := range w.want(c, "0 1 2 3 4") {
					if d.Tag != 0 {
						w.settle(c, core.Accepted, d)
					}
				}
				for _, q := range w.b.Stats().Queues {
					w.queue(q.Name, 0, 0)
				}
			}, coretest.Intercept(twice, core.OpDeliver))
		})
	}
}

// An error after a message was passed on changes nothing: it is the client's to acknowledge. It is logged once a session.
func TestInterceptorRefusesTooLate(t *testing.T) {
	late := func(ctx context.Context, c *core.Call, next func(context.Context, *core.Call) error) error {
		_ = next(ctx, c)
		return core.ErrDenied
	}
	for name, sub := range subscriptions {
		t.Run(name, func(t *testing.T) {
			var log bytes.Buffer
			inMemory(t, func(t *testing.T, w *world) {
				c := w.client("c")
				w.sub(c, sub.filter, append(sub.change, credit(0))...)
				w.pub(c, sub.filter, "1", "2", "3")
				for _, d := range w.want(c, "1 2 3") {
					if d.Tag != 0 {
						w.settle(c, core.Accepted, d)
					}
				}
				for _, q := range w.b.Stats().Queues {
					w.queue(q.Name, 0, 0)
				}
				if n := w.b.Stats().Drops[core.ErrDenied.ID()]; n != 0 {
					t.Errorf("%d count as dropped", n)
				}
				if n := strings.Count(log.String(), "interceptor has refused"); n != 1 {
					t.Errorf("logged %d times: %s", n, &log)
				}
			}, coretest.Intercept(late, core.OpDeliver), func(o *core.Options) { o.Log = slog.New(slog.NewTextHandler(&log, nil)) })
		})
	}
}

// Who looks at a queue is shown what the interceptors let through, and the end, and takes nothing.
func TestInterceptorOfBrowse(t *testing.T) {
	for name, does := range map[string]intercept{"swallowed": swallow, "refused": refuse} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(_ *testing.T, w *world) {
				c := w.client("")
				w.pub(c, jobs, "odd", "1", "odd")
				w.sub(c, jobs, func(s *core.Subscription) { s.Browse = true })
				w.want(c, "1 <end>")
				w.queue(jobs, 3, 0)
			}, deliveries(does))
		})
	}
}

// An interceptor that goes on with another message for each changes that one and no other.
func TestInterceptorChangesEach(t *testing.T) {
	inWorld(t, func(_ *testing.T, w *world) {
		c := w.client("")
		w.pub(c, jobs, "0", "odd", "2")
		w.sub(c, jobs, individual)
		for i, d := range w.want(c, "0 1 2") {
			if d.Record == 0 || d.Tag != uint64(i+1) {
				w.Errorf("the delivery of %s is %d, tag %d", d.Body, d.Record, d.Tag)
			}
		}
	}, deliveries(func(ctx context.Context, c *core.Call, next func(context.Context, *core.Call) error) error {
		changed := *c
		changed.Message = c.Message.Clone()
		changed.Message.Body = fmt.Append(nil, 1)
		return next(ctx, &changed)
	}))
}
