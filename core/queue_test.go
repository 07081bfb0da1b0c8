package core_test

import (
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

const jobs = "queue/jobs"

// DESIGN §4: a message leaves the queue when it is acknowledged, dead-lettered, expired or purged, never otherwise.
func TestQueueKeeps(t *testing.T) {
	inWorld(t, func(_ *testing.T, w *world) {
		p := w.client("")
		w.pub(p, jobs, "1", "2")
		p.Gone()
		w.sleep(24 * time.Hour)
		c := w.client("")
		w.sub(c, jobs, individual)
		ds := w.want(c, "1 2")
		w.queue(jobs, 0, 2)
		w.settle(c, core.Accepted, ds[0])
		w.queue(jobs, 0, 1)
		w.sleep(24 * time.Hour)
		c.Gone()
		w.queue(jobs, 1, 0)
		again := w.client("")
		w.sub(again, jobs, individual)
		w.settle(again, core.Accepted, w.want(again, "2")...)
		w.queue(jobs, 0, 0)
	})
}

// DESIGN §2: competing consumers; each message goes to one of them, in turn.
func TestQueueConsumersCompete(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		p, a, b := w.client(""), w.client(""), w.client("")
		w.sub(a, jobs, individual)
		w.sub(b, jobs, individual)
		for i := range 10 {
			w.pub(p, jobs, fmt.Sprint(i))
		}
		synctest.Wait()
		if a.Len() != 5 || b.Len() != 5 {
			t.Errorf("the consumers got %d and %d of 10", a.Len(), b.Len())
		}
	})
}

// DESIGN §4: auto: settled when written to the socket buffer.
func TestAckAuto(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		p, c := w.client(""), w.client("")
		w.sub(c, jobs)
		w.pub(p, jobs, "1")
		if d := w.want(c, "1")[0]; d.Tag != 0 {
			t.Error("there is a tag to settle")
		}
		w.queue(jobs, 0, 0)
		c.Block()
		w.pub(p, jobs, "2")
		w.queue(jobs, 0, 1) // not written yet
		c.Fail(errors.New("gone"))
		synctest.Wait()
		again := w.client("")
		w.sub(again, jobs)
		if d := w.want(again, "2")[0]; !d.Redelivered {
			t.Error("what a failed connection may have got is not marked as redelivered")
		}
	})
}

// DESIGN §4: client: cumulative within the subscription.
func TestAckCumulative(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		p, c := w.client(""), w.client("")
		w.sub(c, jobs, cumulative)
		w.sub(c, "queue/other", cumulative)
		w.pub(p, jobs, "1", "2", "3", "4")
		w.pub(p, "queue/other", "x")
		ds := w.want(c, "1 2 3 4 x")
		w.settle(c, core.Accepted, ds[2])
		w.queue(jobs, 0, 1)
		w.queue("queue/other", 0, 1)
		if err := c.Settle(w.ctx, core.Accepted, nil, ds[0].Tag); !errors.Is(err, core.ErrNotFound) {
			t.Errorf("settle what was settled with a later one: %v", err)
		}
		w.settle(c, core.Requeue, ds[3])
		w.want(c, "4")
	})
}

// DESIGN §4: client-individual: one. An unknown tag settles nothing.
func TestAckIndividual(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		p, c := w.client(""), w.client("")
		w.sub(c, jobs, individual)
		w.pub(p, jobs, "1", "2", "3")
		ds := w.want(c, "1 2 3")
		w.settle(c, core.Accepted, ds[1])
		w.queue(jobs, 0, 2)
		for _, tags := range [][]uint64{{ds[1].Tag}, {99}, {ds[0].Tag, 99}, {ds[0].Tag, ds[1].Tag}} {
			if err := c.Settle(w.ctx, core.Accepted, nil, tags...); !errors.Is(err, core.ErrNotFound) {
				t.Errorf("settle %v: %v", tags, err)
			}
		}
		w.queue(jobs, 0, 2)
		w.settle(c, core.Accepted, ds[0], ds[2])
		w.queue(jobs, 0, 0)
	})
}

// DESIGN §4: NACK: redelivered up to max_deliveries, then dead-lettered with headers that say why, whence and how often.
func TestNackAndDeadLetter(t *testing.T) {
	for name, c := range map[string]struct {
		config core.QueueConfig
		tries  int
		dlq    string
	}{
		"default":         {core.QueueConfig{}, 10, "queue/DLQ.jobs"},
		"max_deliveries":  {core.QueueConfig{MaxDeliveries: 3}, 3, "queue/DLQ.jobs"},
		"own dead letter": {core.QueueConfig{MaxDeliveries: 2, DeadLetter: "queue/morgue"}, 2, "queue/morgue"},
		"dropped":         {core.QueueConfig{MaxDeliveries: 2, DeadLetter: "none"}, 2, ""},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				p, worker := w.client(""), w.client("")
				w.sub(worker, jobs, individual)
				_, err := w.send(p, jobs, "job", header("kind", "test"))
				w.ok(err)
				for try := 1; try <= c.tries; try++ {
					d := w.want(worker, "job")[0]
					if d.Attempt != try || d.Redelivered != (try > 1) {
						t.Errorf("attempt %d, redelivered %v; want %d", d.Attempt, d.Redelivered, try)
					}
					w.settle(worker, core.Requeue, d)
				}
				w.nothing(worker)
				w.queue(jobs, 0, 0)
				if c.dlq == "" {
					if n := w.b.Stats().Drops["max_deliveries"]; n != 1 {
						t.Errorf("%d drops were counted, want 1", n)
					}
					return
				}
				w.sub(worker, c.dlq, individual)
				d := w.want(worker, "job")[0]
				for name, want := range map[string]string{
					"dead-letter-reason": "max_deliveries", "dead-letter-queue": jobs,
					"dead-letter-attempts": fmt.Sprint(c.tries), "original-destination": jobs, "kind": "test",
				} {
					if got, _ := d.Get(name); got != want {
						t.Errorf("header %s is %q, want %q", name, got, want)
					}
				}
				if d.Destination != c.dlq || d.Redelivered {
					t.Errorf("the dead letter is on %s, redelivered %v", d.Destination, d.Redelivered)
				}
			}, coretest.Queue("jobs", c.config))
		})
	}
}

// Rejected goes to the dead letter queue at once, and a dead letter never becomes one again.
func TestReject(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		p, worker := w.client(""), w.client("")
		w.sub(worker, jobs, individual)
		w.pub(p, jobs, "job")
		w.settle(worker, core.Rejected, w.want(worker, "job")...)
		w.sub(worker, "queue/DLQ.jobs", individual)
		d := w.want(worker, "job")[0]
		if why, _ := d.Get("dead-letter-reason"); why != "rejected" {
			t.Errorf("the reason is %q", why)
		}
		for range 20 {
			w.settle(worker, core.Requeue, d)
			d = w.want(worker, "job")[0]
		}
		w.queue("queue/DLQ.jobs", 0, 1)
	})
}

// DESIGN §4: optional back-off.
func TestBackoff(t *testing.T) {
	inWorld(t, func(_ *testing.T, w *world) {
		p, worker := w.client(""), w.client("")
		w.sub(worker, jobs, individual)
		w.pub(p, jobs, "job")
		for _, wait := range []time.Duration{time.Second, 2 * time.Second, 4 * time.Second, 5 * time.Second, 5 * time.Second} {
			w.settle(worker, core.Requeue, w.want(worker, "job")...)
			w.sleep(wait - time.Millisecond)
			w.nothing(worker)
			w.sleep(time.Millisecond)
		}
		w.want(worker, "job")
	}, coretest.Queue("jobs", core.QueueConfig{Backoff: time.Second, MaxBackoff: 5 * time.Second}))
}

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

// Released returns a delivery without counting an attempt.
func TestRelease(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		p, c := w.client(""), w.client("")
		w.sub(c, jobs, individual)
		w.pub(p, jobs, "job")
		for range 20 {
			d := w.want(c, "job")[0]
			if d.Attempt != 1 {
				t.Fatalf("attempt %d", d.Attempt)
			}
			w.settle(c, core.Released, d)
		}
	})
}

// DESIGN §4: redelivered messages come before newer ones.
func TestRedeliveredBeforeNewer(t *testing.T) {
	inWorld(t, func(_ *testing.T, w *world) {
		p, c := w.client(""), w.client("")
		w.sub(c, jobs, individual, credit(2))
		w.pub(p, jobs, "1", "2", "3", "4")
		ds := w.want(c, "1 2")
		w.settle(c, core.Requeue, ds...)
		w.want(c, "1 2")
	})
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

// DESIGN §4: priority overrides, on for queues that have ever seen a non-default priority.
func TestPriority(t *testing.T) {
	inWorld(t, func(_ *testing.T, w *world) {
		p, c := w.client(""), w.client("")
		for i, n := range []int{4, 9, 0, 4, 9, 5} {
			_, err := w.send(p, jobs, fmt.Sprintf("%d-%d", n, i), level(n))
			w.ok(err)
		}
		w.sub(c, jobs, individual)
		w.want(c, "9-1 9-4 5-5 4-0 4-3 0-2")
	})
}

// DESIGN §4: selectors, on queues, topics and durable subscriptions; a non-matching head blocks nobody.
func TestSelector(t *testing.T) {
	for name, change := range map[string]func(*core.Subscription){
		jobs:             individual,
		"topic/a":        func(*core.Subscription) {},
		"topic/a acked":  individual,
		"topic/a kept":   durable,
		"topic/a shared": group("g"),
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(_ *testing.T, w *world) {
				dest, _, _ := strings.Cut(name, " ")
				p, c := w.client(""), w.client("c")
				w.sub(c, dest, change, selector("color = 'red' AND size BETWEEN 2 AND 3"))
				for i, color := range []string{"blue", "red", "red", "blue", "red"} {
					_, err := w.send(p, dest, fmt.Sprint(i), header("color", color), header("size", fmt.Sprint(i)))
					w.ok(err)
				}
				w.want(c, "2")
				if dest == jobs {
					w.queue(jobs, 4, 1)
				}
			})
		})
	}
}

// DESIGN §4: a bad selector is an error that shows the position.
func TestBadSelector(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		c := w.client("")
		err := c.Subscribe(w.ctx, &core.Subscription{ID: "1", Filter: jobs, Selector: "a = = 1"})
		if !errors.Is(err, core.ErrInvalid) || !strings.Contains(err.Error(), "a = = 1") && !strings.ContainsAny(err.Error(), "456") {
			t.Errorf("subscribe: %v", err)
		}
		if n := w.b.Stats().Subscriptions; n != 0 {
			t.Errorf("there are %d subscriptions", n)
		}
	})
}

// DESIGN §4: expiry is honoured at enqueue, at delivery and by a sweeper.
func TestExpiry(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		p, c := w.client(""), w.client("")
		_, err := w.send(p, jobs, "late", expires(0))
		w.ok(err)
		w.queue(jobs, 0, 0)

		_, err = w.send(p, jobs, "swept", expires(time.Minute))
		w.ok(err)
		w.pub(p, jobs, "stays")
		w.queue(jobs, 2, 0)
		w.sleep(time.Minute + 2*time.Second)
		w.queue(jobs, 1, 0) // nobody has looked

		_, err = w.send(p, jobs, "fresh", expires(time.Minute))
		w.ok(err)
		w.sub(c, jobs, individual, credit(1))
		d := w.want(c, "stays")[0]
		w.sleep(time.Minute)
		w.settle(c, core.Accepted, d)
		w.nothing(c)
		if n := w.b.Stats().Drops["expired"]; n != 3 {
			t.Errorf("%d messages were counted as expired, want 3", n)
		}
	})
}

// A delivery that waited too long for a blocked client is not written; the queue may have it back.
func TestExpiryInOutbox(t *testing.T) {
	for name, dest := range map[string]string{"direct": "topic/a", "queue": jobs} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(_ *testing.T, w *world) {
				p, c := w.client(""), w.client("")
				w.sub(c, dest)
				c.Block()
				w.pub(p, dest, "first")
				_, err := w.send(p, dest, "late", expires(time.Minute))
				w.ok(err)
				w.pub(p, dest, "last")
				w.sleep(2 * time.Minute)
				c.Unblock()
				w.want(c, "first last")
				if dest == jobs {
					w.queue(jobs, 0, 0)
				}
			})
		})
	}
}

// DESIGN §4: expired messages of a queue go to its DLQ if so configured; a queue may have a time to live of its own.
func TestExpiredToDeadLetter(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		p, c := w.client(""), w.client("")
		w.pub(p, jobs, "old")
		w.sleep(time.Hour + 2*time.Second)
		w.queue(jobs, 0, 0)
		w.sub(c, "queue/DLQ.jobs", individual)
		d := w.want(c, "old")[0]
		if why, _ := d.Get("dead-letter-reason"); why != "expired" {
			t.Errorf("the reason is %q", why)
		}
	}, coretest.Queue("jobs", core.QueueConfig{TTL: time.Hour, ExpiredToDLQ: true}))
}

// DESIGN §4: queue max_length and max_bytes with overflow reject, drop_head, dead_letter.
func TestQueueOverflow(t *testing.T) {
	for name, c := range map[string]struct {
		config     core.QueueConfig
		want, dead string
		refused    bool
	}{
		"reject":      {core.QueueConfig{MaxLength: 3}, "1 2 3", "", true},
		"bytes":       {core.QueueConfig{MaxBytes: 3}, "1 2 3", "", true},
		"drop_head":   {core.QueueConfig{MaxLength: 3, Overflow: "drop_head"}, "3 4 5", "", false},
		"dead_letter": {core.QueueConfig{MaxLength: 3, Overflow: "dead_letter"}, "3 4 5", "1 2", false},
		"bytes dead":  {core.QueueConfig{MaxBytes: 3, Overflow: "dead_letter"}, "3 4 5", "1 2", false},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				p, worker := w.client(""), w.client("")
				for i := 1; i <= 5; i++ {
					_, err := w.send(p, jobs, fmt.Sprint(i))
					if refused := errors.Is(err, core.ErrQueueFull); refused != (c.refused && i > 3) {
						t.Errorf("publish %d: %v", i, err)
					}
				}
				w.queue(jobs, 3, 0)
				w.sub(worker, jobs, individual)
				ds := w.want(worker, c.want)
				if c.dead != "" {
					w.sub(worker, "queue/DLQ.jobs", individual)
					dead := w.want(worker, c.dead)
					if why, _ := dead[0].Get("dead-letter-reason"); why != "max_length" {
						t.Errorf("the reason is %q", why)
					}
				}
				w.settle(worker, core.Accepted, ds[0])
				w.pub(p, jobs, "6") // there is room again
			}, coretest.Queue("jobs", c.config))
		})
	}
}

// A message for a full queue and others is refused as a whole.
func TestOverflowIsAllOrNothing(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		p, c := w.client(""), w.client("c")
		w.sub(c, "topic/a", group("full"), individual, func(s *core.Subscription) {
			s.Queue, s.Credit = &core.QueueConfig{MaxLength: 1, Overflow: "reject"}, 1
		})
		w.sub(c, "topic/+", durable)
		w.sub(c, "topic/#")
		w.pub(p, "topic/a", "1")
		c.NextN(t, 3)
		if _, err := w.send(p, "topic/a", "2"); !errors.Is(err, core.ErrQueueFull) {
			t.Errorf("publish: %v", err)
		}
		w.nothing(c)
	})
}

// Purge drops what waits, not what is handed out.
func TestPurge(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		p, c := w.client(""), w.client("")
		w.sub(c, jobs, individual, credit(1))
		w.pub(p, jobs, "1", "2", "3")
		d := w.want(c, "1")[0]
		n, err := w.b.Purge(w.ctx, "", jobs)
		if n != 2 || err != nil {
			t.Errorf("purged %d, %v", n, err)
		}
		w.queue(jobs, 0, 1)
		w.settle(c, core.Requeue, d)
		w.settle(c, core.Accepted, w.want(c, "1")...)
		w.pub(p, jobs, "4")
		w.want(c, "4")
		if _, err := w.b.Purge(w.ctx, "", "queue/none"); !errors.Is(err, core.ErrNotFound) {
			t.Errorf("purge a queue that is not there: %v", err)
		}
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

// AutoDelete and ExpiresIdle delete queues that nobody uses.
func TestQueuesThatGo(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		c := w.client("")
		w.sub(c, "queue/auto", individual)
		w.pub(c, "queue/idle", "1")
		w.ok(c.Unsubscribe(w.ctx, "queue/auto"))
		if w.hasQueue("queue/auto") {
			t.Error("auto_delete: the queue is still there after its last consumer has left")
		}
		w.sleep(59 * time.Second)
		if !w.hasQueue("queue/idle") {
			t.Error("expires_idle: the queue went early")
		}
		w.sleep(2 * time.Second)
		if w.hasQueue("queue/idle") {
			t.Error("expires_idle: the queue is still there")
		}
		w.pub(c, "queue/idle", "2") // and is made anew
		w.sub(c, "queue/idle", individual)
		w.want(c, "2")
	}, coretest.Queue("auto", core.QueueConfig{AutoDelete: true}),
		coretest.Queue("idle", core.QueueConfig{ExpiresIdle: time.Minute}))
}

// A queue that a client declares is so when the client creates it, unless a policy says otherwise.
func TestDeclaredQueue(t *testing.T) {
	inWorld(t, func(_ *testing.T, w *world) {
		c := w.client("")
		declared := func(s *core.Subscription) { s.Queue = &core.QueueConfig{MaxDeliveries: 1} }
		w.sub(c, jobs, individual, declared)
		w.sub(c, "queue/strict", individual, declared)
		w.pub(c, jobs, "1")
		w.settle(c, core.Requeue, w.want(c, "1")...)
		w.nothing(c)
		w.queue("queue/DLQ.jobs", 1, 0)
		w.pub(c, "queue/strict", "2")
		w.settle(c, core.Requeue, w.want(c, "2")...)
		w.want(c, "2")
	}, coretest.Queue("strict", core.QueueConfig{MaxDeliveries: 5}))
}

// When the engine refuses a settlement, the delivery can be settled again, or is redelivered.
func TestSettleFails(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		p, c := w.client(""), w.client("")
		w.sub(c, jobs, individual)
		w.pub(p, jobs, "1", "2")
		ds := w.want(c, "1 2")
		w.disk.Fail(engine.ErrUnavailable)
		var outcome error
		w.ok(c.Settle(w.ctx, core.Rejected, func(err error) { outcome = err }, ds[0].Tag))
		synctest.Wait()
		if !errors.Is(outcome, core.ErrUnavailable) {
			t.Errorf("done was called with %v", outcome)
		}
		w.disk.Fail(nil)
		w.queue(jobs, 0, 2)
		w.queue("queue/DLQ.jobs", 0, 0)
		w.settle(c, core.Accepted, ds[0])
		w.settle(c, core.Accepted, ds[1])
		w.queue(jobs, 0, 0)
	})
}
