package growth

import (
	"context"
	"fmt"
	"time"

	"github.com/wyemq/wye/core"
)

// retained messages grow in number.
func retained() Curve {
	const scan = "+ between names"
	return Curve{
		Name: "retained", Title: "A subscribe, by how many messages are retained", X: "retained messages",
		Y: "CPU ns per retained message delivered", Steps: append([]int{1}, decades(1_000_000)[1:]...), Few: decades(1000),
		Sentence: "A subscription walks the names it can match: one name is found at once, and all of them cost the same each, once they are too many for the caches. A '+' " +
			"above a name has to look below each of its siblings, whether the name is there or not.",
		Allowed: map[string]string{scan: "it looks at every sibling for one that has the name: an index of suffixes would cost every publish"},
		measure: func(ctx context.Context, g *gauge, steps []int) error {
			h, err := open(ctx, "")
			if err != nil {
				return err
			}
			defer h.close()
			pub, err := h.connect()
			if err != nil {
				return err
			}
			if err := h.retain(pub, "topic/r/needle/deep"); err != nil {
				return err
			}
			have := 0
			for _, n := range steps {
				for ; have < n; have++ {
					if err := h.retain(pub, fmt.Sprintf("topic/r/%d", have)); err != nil {
						return err
					}
				}
				for _, c := range []struct {
					name, filter string
					found        int
				}{{"one name", "topic/r/0", 1}, {"all, by #", "topic/r/#", n + 1}, {scan, "topic/r/+/deep", 1}} {
					if err := h.catchUp(g, c.name, c.filter, n, c.found); err != nil {
						return err
					}
				}
			}
			return nil
		},
	}
}

// retain publishes a retained message.
func (h *house) retain(s *core.Session, dest string) error {
	return s.Publish(h.ctx, &core.Message{Destination: dest, Body: body, Retain: true}, nil)
}

// catchUp measures a subscription that is sent what is retained.
func (h *house) catchUp(g *gauge, name, filter string, x, found int) error {
	s, err := h.connect()
	if err != nil {
		return err
	}
	return g.measure(name, x, float64(found), func() error {
		from := h.got.Load()
		if err := h.subscribe(s, filter); err != nil {
			return err
		}
		if err := h.wait(from, found); err != nil {
			return err
		}
		return s.Unsubscribe(h.ctx, filter)
	})
}

// sessions that are kept grow in number.
func sessions() Curve {
	return Curve{
		Name: "sessions", Title: "A login and a publish, by how many sessions are kept", X: "sessions kept, each with a durable subscription",
		Y: "CPU ns per login, or per message", Steps: append([]int{1}, decades(100_000)[1:]...), Few: decades(1000),
		Sentence: "A session is found by its client id and is not looked at while its client is away; to use one that was not used lately " +
			"is to fetch it from memory, which is what grows a little.",
		measure: func(ctx context.Context, g *gauge, steps []int) error {
			client := func(i int) string { return fmt.Sprintf("client-%d", i) }
			topic := func(i int) string { return fmt.Sprintf("topic/kept/%d", i) }
			visit := func(h *house, id string, filter string) error {
				l := core.Login{Protocol: "growth", ClientID: id}
				if filter != "" {
					l.Expiry = time.Hour
				}
				s, err := h.b.Connect(ctx, l, func([]core.Delivery) error { return nil })
				if err != nil {
					return err
				}
				defer s.Close()
				if filter == "" {
					return nil
				}
				return s.Subscribe(ctx, &core.Subscription{ID: "1", Filter: filter, Ack: core.AckIndividual, Durable: true})
			}
			return grown(ctx, steps, func(h *house, i int) error { return visit(h, client(i), topic(i)) }, func(h *house, n int) error {
				at := 0
				next := func(int) string { at++; return topic(at * 7919 % n) }
				if err := g.measure("login of another", n, 1, func() error { return visit(h, "another", "") }); err != nil {
					return err
				}
				err := g.measure("login of one of them", n, 1, func() error { at++; i := at * 7919 % n; return visit(h, client(i), topic(i)) })
				if err != nil {
					return err
				}
				s, err := h.connect()
				if err != nil {
					return err
				}
				return g.measure("publish to one of them", n, batch, func() error { return h.publish(s, batch, next) })
			})
		},
	}
}
