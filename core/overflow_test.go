package core_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/wyemq/wye/core"
	"github.com/wyemq/wye/core/coretest"
)

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
		w.queue("c:topic/+", 0, 1)
		w.queue("full:topic/a", 0, 1)
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

// Large headers count against limits of bytes, ordinary ones do not; and a private queue has such a limit.
func TestHeadersCount(t *testing.T) {
	large := header("h", strings.Repeat("h", 2000))
	inWorld(t, func(t *testing.T, w *world) {
		p := w.client("")
		w.pub(p, jobs, "1234567890")
		if _, err := w.send(p, jobs, "", large); !errors.Is(err, core.ErrQueueFull) {
			t.Errorf("a message with headers of 2000 bytes and no body: %v", err)
		}
		if _, err := w.send(p, jobs, "1", header("h", "h")); err != nil {
			t.Errorf("a message with a short header: %v", err)
		}
	}, coretest.Queue("jobs", core.QueueConfig{MaxBytes: 2000}))
	inWorld(t, func(t *testing.T, w *world) {
		p, c := w.client(""), w.client("c")
		w.sub(c, "topic/a", durable, credit(1))
		for i := range 5 {
			_, err := w.send(p, "topic/a", fmt.Sprint(i), large)
			w.ok(err)
		}
		w.settle(c, core.Accepted, w.want(c, "0")...)
		w.settle(c, core.Accepted, w.want(c, "4")...) // of those that waited the oldest have gone
	}, coretest.Limits(func(l *core.Limits) { l.SessionQueueBytes = 5000 }))
}
