package core_test

import (
	"testing"
	"time"

	"github.com/wyemq/wye/core"
	"github.com/wyemq/wye/core/coretest"
)

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
				if n := w.b.Stats().Drops["expired"]; n != 1 {
					t.Errorf("%d messages were counted as expired, want 1", n)
				}
			})
		})
	}
}

// DESIGN §4: expired messages of a queue go to its DLQ if so configured; a queue may have a time to live of its own.
func TestExpiredToDeadLetter(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		p, c := w.client(""), w.client("")
		_, err := w.send(p, jobs, "short", expires(time.Minute))
		w.ok(err)
		w.pub(p, jobs, "old")
		w.sleep(time.Hour + 2*time.Second)
		w.queue(jobs, 0, 0)
		w.sub(c, "queue/DLQ.jobs", individual)
		for _, d := range w.want(c, "short old") {
			if why, _ := d.Get("dead-letter-reason"); why != "expired" || !d.Expires.IsZero() {
				t.Errorf("the reason is %q, the dead letter expires %v", why, d.Expires)
			}
		}
	}, coretest.Queue("jobs", core.QueueConfig{TTL: time.Hour, ExpiredToDLQ: true}))
}
