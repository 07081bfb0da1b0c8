package core_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/wyemq/wye/core"
	"github.com/wyemq/wye/core/coretest"
)

// DESIGN §4: a consumer that goes away returns its unacked messages to the front, in order; not as an attempt.
func TestConsumerGoesAway(t *testing.T) {
	for name, leave := range map[string]func(w *world, c *coretest.Client){
		"closes":       func(_ *world, c *coretest.Client) { c.Gone() },
		"unsubscribes": func(w *world, c *coretest.Client) { w.ok(c.Unsubscribe(w.ctx, jobs)) },
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				p, a, b := w.client(""), w.client(""), w.client("")
				w.sub(a, jobs, individual, credit(4))
				w.pub(p, jobs, "0", "1", "2", "3", "4", "5")
				ds := w.want(a, "0 1 2 3")
				w.settle(a, core.Accepted, ds[1])
				ds = append(ds, w.want(a, "4")...)
				leave(w, a)
				w.sub(b, jobs, individual)
				got := w.want(b, "0 2 3 4 5")
				for i, d := range got {
					if d.Attempt != 1 || d.Redelivered != (i < 4) {
						t.Errorf("%s: attempt %d, redelivered %v", d.Body, d.Attempt, d.Redelivered)
					}
					if i == 0 && d.Record != ds[0].Record {
						t.Error("the record number has changed with the repetition")
					}
				}
				if err := a.Settle(w.ctx, core.Accepted, nil, ds[0].Tag); err == nil {
					t.Error("what was returned could be settled")
				}
			})
		})
	}
}

// DESIGN §4: a consumer never holds more unacked messages than its credit; default 100.
func TestCredit(t *testing.T) {
	inWorld(t, func(_ *testing.T, w *world) {
		p, c, d := w.client(""), w.client(""), w.client("")
		w.sub(c, jobs, individual, credit(3))
		for i := range 300 {
			w.pub(p, jobs, fmt.Sprint(i))
		}
		ds := w.want(c, "0 1 2")
		w.settle(c, core.Accepted, ds[1])
		w.want(c, "3")
		w.settle(c, core.Accepted, ds[0], ds[2])
		w.want(c, "4 5")
		w.sub(d, jobs, individual)
		w.want(d, numbers(6, 106))
	})
}

// The credit of a login bounds all its subscriptions together (MQTT's Receive Maximum).
func TestLoginCredit(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		p := w.client("")
		c := coretest.Connect(t, w.b, core.Login{Credit: 2})
		w.sub(c, "queue/a", individual)
		w.sub(c, "topic/b", individual)
		w.pub(p, "queue/a", "1")
		w.pub(p, "topic/b", "2", "3")
		w.pub(p, "queue/a", "4")
		ds := w.want(c, "1 2")
		w.settle(c, core.Accepted, ds[0])
		ds = append(ds, c.Next(t))
		w.nothing(c)
		w.settle(c, core.Accepted, ds[1], ds[2])
		c.Next(t)
		w.nothing(c)
	})
}

// Exclusive: one consumer gets everything, the next takes over.
func TestExclusive(t *testing.T) {
	exclusive := func(s *core.Subscription) { s.Exclusive = true }
	inWorld(t, func(_ *testing.T, w *world) {
		p, a, b := w.client(""), w.client(""), w.client("")
		w.sub(a, jobs, individual, exclusive)
		w.sub(b, jobs, individual, exclusive)
		w.pub(p, jobs, "1", "2")
		w.want(a, "1 2")
		w.nothing(b)
		a.Gone()
		w.want(b, "1 2")
	})
}

// Sole: nobody beside it, and not beside somebody.
func TestSole(t *testing.T) {
	sole := &core.Subscription{ID: "1", Filter: jobs, Sole: true}
	inWorld(t, func(t *testing.T, w *world) {
		a, b := w.client(""), w.client("")
		w.sub(a, jobs)
		if err := b.Subscribe(w.ctx, sole); !errors.Is(err, core.ErrInUse) {
			t.Errorf("sole beside another: %v", err)
		}
		a.Gone()
		w.ok(b.Subscribe(w.ctx, sole))
		c := w.client("")
		if err := c.Subscribe(w.ctx, &core.Subscription{ID: "1", Filter: jobs}); !errors.Is(err, core.ErrInUse) {
			t.Errorf("beside a sole one: %v", err)
		}
	})
}

// Consumers of a higher priority are served first, while they have credit.
func TestConsumerPriority(t *testing.T) {
	inWorld(t, func(_ *testing.T, w *world) {
		p, low, high := w.client(""), w.client(""), w.client("")
		w.sub(low, jobs, individual)
		w.sub(high, jobs, individual, credit(2), func(s *core.Subscription) { s.Priority = 1 })
		w.pub(p, jobs, "1", "2", "3")
		w.want(high, "1 2")
		w.want(low, "3")
	})
}

// Browse shows everything once, then the end, and takes nothing.
func TestBrowse(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		p, c, b := w.client(""), w.client(""), w.client("")
		w.pub(p, jobs, "1", "2", "3")
		w.sub(b, jobs, func(s *core.Subscription) { s.Browse = true })
		ds := w.want(b, "1 2 3 <end>")
		if !ds[3].EndOfBrowse || ds[0].Tag != 0 {
			t.Errorf("the end is %+v", ds[3])
		}
		w.queue(jobs, 3, 0)
		w.sub(c, jobs, individual)
		w.want(c, "1 2 3")
		w.nothing(b)
	})
}

// Passive refuses a queue that is not there.
func TestPassive(t *testing.T) {
	passive := &core.Subscription{ID: "1", Filter: jobs, Passive: true}
	inWorld(t, func(t *testing.T, w *world) {
		c := w.client("")
		if err := c.Subscribe(w.ctx, passive); !errors.Is(err, core.ErrNotFound) {
			t.Errorf("subscribe: %v", err)
		}
		w.pub(c, jobs, "1")
		w.ok(c.Subscribe(w.ctx, passive))
		w.want(c, "1")
	})
}

// Messages of one group go to one consumer, until it leaves or the group closes.
func TestMessageGroups(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		p, a, b := w.client(""), w.client(""), w.client("")
		w.sub(a, jobs, individual)
		w.sub(b, jobs, individual)
		for i := range 12 {
			_, err := w.send(p, jobs, fmt.Sprintf("%c%d", 'x'+i%3, i), header("JMSXGroupID", fmt.Sprint(i%3)))
			w.ok(err)
		}
		owner := map[string]*coretest.Client{}
		for _, c := range []*coretest.Client{a, b} {
			for _, d := range c.NextN(t, c.Len()) {
				g, _ := d.Get("JMSXGroupID")
				if owner[g] != nil && owner[g] != c {
					t.Errorf("group %s was split", g)
				}
				owner[g] = c
			}
		}
		if len(owner) != 3 {
			t.Errorf("%d groups were delivered, want 3", len(owner))
		}
		a.Gone()
		for _, d := range b.NextN(t, b.Len()) {
			if !d.Redelivered {
				t.Errorf("%s is new", d.Body)
			}
		}
		w.queue(jobs, 0, 12)
	})
}

// JMSXGroupSeq -1 closes a group: the next message of that name may go to another consumer.
func TestMessageGroupCloses(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		p, a, b := w.client(""), w.client(""), w.client("")
		w.sub(a, jobs, individual)
		w.sub(b, jobs, individual)
		send := func(body, seq string) {
			_, err := w.send(p, jobs, body, header("JMSXGroupID", "g"), header("JMSXGroupSeq", seq))
			w.ok(err)
		}
		for i := range 10 {
			send(fmt.Sprint(i), "1")
		}
		if a.Len() != 10 && b.Len() != 10 {
			t.Fatalf("the group was split: %d and %d", a.Len(), b.Len())
		}
		send("last", "-1")
		for i := range 10 {
			send(fmt.Sprint(i), "-1") // each a group of its own
		}
		if n := min(a.Len(), b.Len()); n == 0 {
			t.Error("one consumer got all groups")
		}
	})
}
