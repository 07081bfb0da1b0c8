package core_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/wyemq/wye/core"
	"github.com/wyemq/wye/core/coretest"
)

// DESIGN §4: direct topic subscriptions: at most once, in publisher order.
func TestDirectInPublisherOrder(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		a, b, to := w.client(""), w.client(""), w.client("")
		w.sub(to, "topic/a/+")
		const n = 500
		for i := range n {
			w.ok(a.Publish(w.ctx, &core.Message{Destination: "topic/a/1", Body: fmt.Append(nil, "a", i)}, nil))
			w.ok(b.Publish(w.ctx, &core.Message{Destination: "topic/a/2", Body: fmt.Append(nil, "b", i)}, nil))
		}
		next := map[string]int{}
		for _, d := range to.NextN(t, 2*n) {
			from := string(d.Body[:1])
			if got, want := string(d.Body), fmt.Sprint(from, next[from]); got != want {
				t.Fatalf("got %s, want %s", got, want)
			}
			next[from]++
			if d.Tag != 0 || d.Attempt != 1 || d.Redelivered {
				t.Fatalf("a direct delivery has tag %d, attempt %d, redelivered %v", d.Tag, d.Attempt, d.Redelivered)
			}
		}
		w.nothing(to)
	})
}

// DESIGN §4: bounded outbox; each policy, counted; other subscribers are never blocked.
func TestOutboxOverflow(t *testing.T) {
	for _, c := range []struct {
		policy string
		want   string // of 0 (which is being written), then 1 to 9 on topics that repeat after 3
		drops  uint64
		closed error
	}{
		{"drop_oldest", "0 6 7 8 9", 5, nil},
		{"drop_new", "0 1 2 3 4", 5, nil},
		{"conflate", "0 6 7 8 9", 5, nil},
		{"disconnect", "", 1, core.ErrSlowConsumer},
	} {
		t.Run(c.policy, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				from, slow, fast := w.client(""), w.client(""), w.client("")
				w.sub(slow, "topic/#")
				w.sub(fast, "topic/#")
				slow.Block()
				w.pub(from, "topic/x", "0")
				for i := 1; i < 10; i++ {
					w.pub(from, fmt.Sprint("topic/", i%3), fmt.Sprint(i))
					fast.Next(t)
				}
				synctest.Wait()
				fast.Next(t)
				if c.closed != nil {
					if err := slow.Conn.Closed(t); !errors.Is(err, c.closed) {
						t.Errorf("closed with %v, want %v", err, c.closed)
					}
				} else {
					slow.Unblock()
					w.want(slow, c.want)
				}
				if n := w.b.Stats().Drops["slow_consumer"]; n < c.drops || c.closed == nil && n != c.drops {
					t.Errorf("%d drops were counted, want %d", n, c.drops)
				}
			}, coretest.Limits(func(l *core.Limits) { l.OutboxMessages, l.OutboxOverflow = 4, c.policy }))
		})
	}
}

// The conflate policy keeps the newest of each destination.
func TestOutboxConflates(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		from, slow := w.client(""), w.client("")
		w.sub(slow, "topic/#")
		slow.Block()
		w.pub(from, "topic/x", "0")
		for i := 1; i < 10; i++ {
			w.pub(from, fmt.Sprint("topic/", i%2), fmt.Sprint(i))
		}
		slow.Unblock()
		ds := slow.NextN(t, 1)
		synctest.Wait()
		ds = append(ds, slow.NextN(t, slow.Len())...)
		last := map[string]string{}
		for _, d := range ds {
			last[d.Destination] = string(d.Body)
		}
		if last["topic/0"] != "8" || last["topic/1"] != "9" {
			t.Errorf("the last of each topic are %v, want 8 and 9", last)
		}
		if len(ds) >= 10 {
			t.Errorf("all %d came, nothing was conflated", len(ds))
		}
	}, coretest.Limits(func(l *core.Limits) { l.OutboxMessages, l.OutboxOverflow = 4, "conflate" }))
}

// The outbox is bounded in bytes, too; one message always fits.
func TestOutboxBytes(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		from, slow := w.client(""), w.client("")
		w.sub(slow, "topic/#")
		slow.Block()
		big := strings.Repeat("x", 600)
		w.pub(from, "topic/x", "0", big, "1", big+big)
		slow.Unblock()
		synctest.Wait()
		ds := slow.NextN(t, slow.Len())
		if len(ds) != 2 || len(ds[1].Body) != 1200 {
			t.Errorf("%d deliveries were kept, want the one under way and the newest", len(ds))
		}
	}, coretest.Limits(func(l *core.Limits) { l.OutboxBytes = 1000 }))
}

// A subscriber that fails is closed with its error, one that panics with an internal one; nobody else notices.
func TestDeliverFails(t *testing.T) {
	broken := errors.New("broken")
	for name, c := range map[string]struct {
		deliver core.DeliverFunc
		want    error
	}{
		"error": {func([]core.Delivery) error { return broken }, broken},
		"panic": {func([]core.Delivery) error { panic("oops") }, core.ErrInternal},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				from, other := w.client(""), w.client("")
				conn := coretest.NewConn()
				s, err := w.b.Connect(w.ctx, core.Login{Conn: conn}, c.deliver)
				w.ok(err)
				w.ok(s.Subscribe(w.ctx, &core.Subscription{ID: "1", Filter: "topic/a"}))
				w.sub(other, "topic/a")
				w.pub(from, "topic/a", "1", "2")
				if err := conn.Closed(t); !errors.Is(err, c.want) {
					t.Errorf("closed with %v, want %v", err, c.want)
				}
				w.want(other, "1 2")
				w.ok(s.Close())
			})
		})
	}
}

// DESIGN §3.3: a leading wildcard never matches a first level that starts with $.
func TestDollarTopics(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		c := w.client("")
		w.sub(c, "topic/#")
		w.sub(c, "topic/+/x")
		w.sub(c, "topic/$own/#", func(s *core.Subscription) { s.ID = "own" })
		w.pub(c, "topic/$own/x", "1")
		if d := c.Next(t); d.Sub.ID != "own" {
			t.Errorf("$own/x was delivered to %s", d.Sub.ID)
		}
		w.nothing(c)
	})
}

func TestFilters(t *testing.T) {
	for _, c := range []struct {
		filter  string
		yes, no []string
	}{
		{"topic/a/b", []string{"topic/a/b"}, []string{"topic/a", "topic/a/b/c", "topic/A/b"}},
		{"topic/a/+", []string{"topic/a/b", "topic/a/"}, []string{"topic/a", "topic/a/b/c"}},
		{"topic/a/#", []string{"topic/a", "topic/a/b", "topic/a/b/c"}, []string{"topic/b"}},
		{"topic/a/#/z", []string{"topic/a/z", "topic/a/b/z", "topic/a/b/c/z"}, []string{"topic/a/b", "topic/z"}},
		{"topic/+/+/c", []string{"topic/a/b/c"}, []string{"topic/a/c", "topic/a/b/c/d"}},
		{"topic/#", []string{"topic/a", "topic/a/b", "topic//"}, []string{"topic/$a"}},
	} {
		t.Run(c.filter, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				s := w.client("")
				w.sub(s, c.filter)
				for want, dests := range map[int][]string{1: c.yes, 0: c.no} {
					for _, dest := range dests {
						if r, err := w.send(s, dest, "x"); err != nil || r.Matched != want || s.Len() != want {
							t.Errorf("%s: matched %d, %d delivered, %v; want %d", dest, r.Matched, s.Len(), err, want)
						}
						s.NextN(t, s.Len())
					}
				}
			})
		})
	}
}

func TestBadNames(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		c := w.client("")
		for _, dest := range []string{"", "a", "topic", "topics/a", "topic/a/+", "topic/#", "queue/", "queue/a/+", "topic/a\x00", "topic/\xff"} {
			if _, err := w.send(c, dest, "x"); !errors.Is(err, core.ErrInvalid) {
				t.Errorf("publish to %q: %v", dest, err)
			}
		}
		for _, filter := range []string{"", "a/+", "queue/+", "queue/#", "topic/a+", "topic/a#/b", "topic/\x00", "exchange/a"} {
			if err := c.Subscribe(w.ctx, &core.Subscription{ID: "1", Filter: filter}); !errors.Is(err, core.ErrInvalid) {
				t.Errorf("subscribe to %q: %v", filter, err)
			}
		}
	})
}

// STYLE §2: overlapping subscriptions of one session give one delivery each, side by side.
func TestOverlapping(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		c := w.client("")
		w.sub(c, "topic/a/+")
		w.sub(c, "topic/a/#")
		w.sub(c, "topic/a/b")
		if r, _ := w.send(c, "topic/a/b", "x"); r.Matched != 3 {
			t.Errorf("matched %d subscriptions, want 3", r.Matched)
		}
		seen := map[string]bool{}
		for _, d := range c.NextN(t, 3) {
			seen[d.Sub.ID] = true
		}
		if len(seen) != 3 {
			t.Errorf("delivered to %v, want each subscription once", seen)
		}
		w.nothing(c)
	})
}

func TestNoLocal(t *testing.T) {
	for name, change := range map[string]func(*core.Subscription){
		"direct": func(s *core.Subscription) { s.NoLocal = true },
		"acked":  func(s *core.Subscription) { s.NoLocal, s.Ack = true, core.AckIndividual },
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(_ *testing.T, w *world) {
				c, other := w.client("c"), w.client("other")
				w.sub(c, "topic/a", change)
				w.pub(c, "topic/a", "own")
				w.pub(other, "topic/a", "theirs")
				w.want(c, "theirs")
			})
		})
	}
}

func TestUnsubscribe(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		c := w.client("")
		w.sub(c, "topic/a")
		c.Block()
		w.pub(c, "topic/a", "1", "2", "3")
		w.ok(c.Unsubscribe(w.ctx, "topic/a"))
		c.Unblock()
		w.want(c, "1") // which was under way
		w.pub(c, "topic/a", "4")
		w.nothing(c)
		if err := c.Unsubscribe(w.ctx, "topic/a"); !errors.Is(err, core.ErrNotFound) {
			t.Errorf("unsubscribe again: %v", err)
		}
	})
}

// Subscribe with an ID that is in use replaces the subscription, or refuses another filter.
func TestSubscribeAgain(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		c := w.client("")
		first := w.sub(c, "topic/a")
		second := w.sub(c, "topic/a", func(s *core.Subscription) { s.Data = "second" })
		w.pub(c, "topic/a", "1")
		if d := c.Next(t); d.Sub != second || d.Sub == first {
			t.Error("the delivery points at the subscription that was replaced")
		}
		w.nothing(c)
		err := c.Subscribe(w.ctx, &core.Subscription{ID: "topic/a", Filter: "topic/b"})
		if !errors.Is(err, core.ErrInUse) {
			t.Errorf("the same ID with another filter: %v", err)
		}
		w.pub(c, "topic/a", "2")
		w.want(c, "2")
	})
}

// Encoded makes a wire form once for each key, however many ask for it.
func TestEncoded(t *testing.T) {
	m := &core.Message{Body: []byte("x")}
	calls := 0
	enc := func(m *core.Message) []byte { calls++; return append([]byte("<"), m.Body...) }
	for range 3 {
		if got := string(m.Encoded("a", enc)); got != "<x" {
			t.Errorf("encoded %q", got)
		}
		m.Encoded("b", enc)
	}
	if calls != 2 {
		t.Errorf("encoded %d times for 2 keys", calls)
	}
	if n := testing.AllocsPerRun(100, func() { m.Encoded("a", enc) }); n > 0 {
		t.Errorf("Encoded allocates %v times when it is there", n)
	}
	if m.Clone().Encoded("a", enc); calls != 3 {
		t.Error("a clone has kept the wire form")
	}
}
