package core_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/wyemq/wye/core"
	"github.com/wyemq/wye/core/coretest"
)

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

// A dead letter of a dead letter still says where the message was sent to.
func TestDeadLetterTwice(t *testing.T) {
	once := core.QueueConfig{MaxDeliveries: 1}
	inWorld(t, func(t *testing.T, w *world) {
		p, c := w.client(""), w.client("")
		w.pub(p, jobs, "job")
		for _, from := range []string{jobs, "queue/second"} {
			w.sub(c, from, individual)
			w.settle(c, core.Requeue, w.want(c, "job")...)
		}
		w.sub(c, "queue/DLQ.second", individual)
		d := w.want(c, "job")[0]
		var first string
		for _, h := range d.Header {
			if h.Name == "original-destination" {
				first += h.Value
			}
		}
		if first != jobs {
			t.Errorf("the original destination is %q", first)
		}
	}, coretest.Queue("jobs", core.QueueConfig{MaxDeliveries: 1, DeadLetter: "queue/second"}), coretest.Queue("second", once))
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

// Dead letters go to queues with a name that queues can have.
func TestDeadLetterNames(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		c := w.client("")
		for dead, want := range map[string]bool{
			"queue/a": true, "a": true, "none": true, "": true, "topic/a": false, "temp/x/y": false, "queue/": false, "queue/#": false, "queue/a\x00b": false, "a\xff": false,
		} {
			declared := &core.QueueConfig{DeadLetter: dead}
			err := c.PublishTo(w.ctx, msg("queue/q", "x"), declared, nil)
			if (err == nil) != want || err != nil && !errors.Is(err, core.ErrInvalid) {
				t.Errorf("SEND with %q: %v", dead, err)
			}
			err = c.Subscribe(w.ctx, &core.Subscription{ID: dead, Filter: "queue/q", Queue: declared})
			if (err == nil) != want || err != nil && !errors.Is(err, core.ErrInvalid) {
				t.Errorf("SUBSCRIBE with %q: %v", dead, err)
			}
		}
	})
}
