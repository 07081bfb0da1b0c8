package core_test

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wyemq/wye/core"
	"github.com/wyemq/wye/core/coretest"
	"github.com/wyemq/wye/core/engine"
	"github.com/wyemq/wye/core/engine/memory"
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

// A message that is published with the declaration of its queue makes it so.
func TestPublishTo(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		c := w.client("")
		for i := range 2 {
			w.ok(c.PublishTo(w.ctx, msg(jobs, fmt.Sprint(i)), &core.QueueConfig{MaxLength: 1}, nil))
		}
		w.queue(jobs, 1, 0)
		if err := c.PublishTo(w.ctx, msg("queue/no", "x"), &core.QueueConfig{}, nil); !errors.Is(err, core.ErrDenied) {
			t.Errorf("publish: %v", err)
		}
	}, coretest.Authorize(coretest.DenyOn(core.OpPublish, "queue/no")))
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

// A declaration that comes too late changes nothing, and is told once.
func TestDeclaredOtherwise(t *testing.T) {
	var log bytes.Buffer
	b, err := core.NewBroker(core.Options{Engine: memory.New(), Anonymous: core.AnonymousAlways, Log: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	s, err := b.Connect(t.Context(), core.Login{}, coretest.NewSink().Deliver)
	if err != nil {
		t.Fatal(err)
	}
	for i, attempts := range []int{1, 1, 2, 3} {
		sub := &core.Subscription{ID: fmt.Sprint(i), Filter: jobs, Ack: core.AckIndividual, Queue: &core.QueueConfig{MaxDeliveries: attempts}}
		if err := s.Subscribe(t.Context(), sub); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(s.Close(), b.Close(t.Context())); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(log.String(), "queue declared otherwise"); n != 1 || !strings.Contains(log.String(), "MaxDeliveries:2") {
		t.Errorf("%d warnings in\n%s", n, &log)
	}
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
