package core_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wyemq/wye/core"
	"github.com/wyemq/wye/core/coretest"
	"github.com/wyemq/wye/core/engine"
)

// results records what done callbacks are called with.
type results struct {
	mu  sync.Mutex
	all []string
}

func (r *results) add(name string) func(core.Published, error) {
	return func(_ core.Published, err error) { r.say(name, err) }
}

func (r *results) done(name string) func(error) {
	return func(err error) { r.say(name, err) }
}

func (r *results) say(name string, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil {
		name += ":" + core.ReasonID(err)
	}
	r.all = append(r.all, name)
}

func (r *results) want(t *testing.T, want ...string) {
	t.Helper()
	synctest.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	if !slices.Equal(r.all, want) {
		t.Fatalf("done was called for %q, want %q", r.all, want)
	}
}

func msg(dest, body string) *core.Message {
	return &core.Message{Destination: dest, Body: []byte(body), Persistent: true}
}

// DESIGN §4: sent only when every queue has the message. §6: a protocol never waits for the disk; acks leave in the
// order of the publishes.
func TestDoneWaitsForTheEngine(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		c := w.client("")
		w.sub(c, "topic/direct")
		w.sub(c, jobs, individual)
		w.pub(c, jobs, "0")
		held := w.want(c, "0")[0]
		w.disk.Hold()
		var r results
		w.ok(c.Publish(w.ctx, msg(jobs, "1"), r.add("1")))
		w.ok(c.Publish(w.ctx, msg("topic/direct", "2"), r.add("2")))
		w.ok(c.Settle(w.ctx, core.Accepted, r.done("3"), held.Tag))
		w.ok(c.Commit(w.ctx, core.Transaction{Sends: []*core.Message{msg(jobs, "4")}}, r.done("4")))
		w.ok(c.Publish(w.ctx, msg("topic/nobody", "5"), r.add("5")))
		r.want(t)      // although 2 and 5 need no disk
		w.want(c, "2") // a direct subscriber does not wait for it either
		flushed := c.Conn.Flushed()
		w.disk.Release()
		r.want(t, "1", "2", "3", "4", "5")
		w.want(c, "1 4")
		if c.Conn.Flushed() == flushed {
			t.Error("what done wrote was not flushed")
		}
	})
}

// When the engine refuses, done says so, the queue has nothing, and its room is free again.
func TestEngineRefuses(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		c := w.client("")
		w.sub(c, jobs, individual)
		for _, fail := range []error{engine.ErrUnavailable, engine.ErrNotOwner, engine.ErrUnknown} {
			w.disk.Fail(fail)
			if _, err := w.send(c, jobs, "x"); !errors.Is(err, core.ErrUnavailable) {
				t.Errorf("%v: done was called with %v", fail, err)
			}
		}
		w.disk.Fail(engine.ErrFull)
		if _, err := w.send(c, jobs, "x"); !errors.Is(err, core.ErrQueueFull) {
			t.Errorf("full: done was called with %v", err)
		}
		w.disk.Fail(nil)
		w.nothing(c)
		w.queue(jobs, 0, 0)
		w.pub(c, jobs, "1", "2")
		w.want(c, "1 2")
	}, coretest.Queue("jobs", core.QueueConfig{MaxLength: 2}))
}

// An engine that takes its time delays nobody but those who asked to be told.
func TestSlowEngine(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		c := w.client("")
		w.disk.Delay(time.Second)
		began := time.Now()
		var r results
		for i := range 100 {
			w.ok(c.Publish(w.ctx, msg(jobs, fmt.Sprint(i)), r.add("")))
		}
		if took := time.Since(began); took > 0 {
			t.Errorf("Publish has waited %s", took)
		}
		w.ok(c.Drain(w.ctx))
		if took := time.Since(began); took != time.Second || len(r.all) != 100 {
			t.Errorf("after %s %d were done, want all after 1s", took, len(r.all))
		}
	})
}

// When the session ends first, done is called with ErrClosed.
func TestDoneAfterClose(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		c := w.client("")
		w.disk.Lose()
		var r results
		w.ok(c.Publish(w.ctx, msg(jobs, "1"), r.add("1")))
		w.ok(c.Publish(w.ctx, msg("topic/a", "2"), r.add("2")))
		c.Gone()
		r.want(t, "1:session_closed", "2")
		for name, err := range map[string]error{
			"Publish":   c.Publish(w.ctx, msg(jobs, "3"), nil),
			"Subscribe": c.Subscribe(w.ctx, &core.Subscription{ID: "1", Filter: jobs}),
			"Commit":    c.Commit(w.ctx, core.Transaction{}, nil),
		} {
			if !errors.Is(err, core.ErrClosed) {
				t.Errorf("%s on a closed session: %v", name, err)
			}
		}
	})
}

// DESIGN §4: a publisher ahead of the broker is slowed, not by memory growth.
func TestPublisherIsSlowed(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		c, other := w.client(""), w.client("")
		w.disk.Hold()
		for range 3 {
			w.ok(c.Publish(w.ctx, msg(jobs, "x"), nil))
		}
		ctx, cancel := context.WithTimeout(w.ctx, time.Minute)
		defer cancel()
		if err := c.Publish(ctx, msg(jobs, "4"), nil); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("the fourth publish with three under way: %v", err)
		}
		w.ok(other.Publish(w.ctx, msg(jobs, "other"), nil)) // each session for itself
		result := make(chan error)
		go func() { result <- c.Publish(w.ctx, msg(jobs, "5"), nil) }()
		synctest.Wait()
		select {
		case err := <-result:
			t.Fatalf("Publish returned %v with three under way", err)
		default:
		}
		w.disk.Release()
		w.ok(<-result)
		w.queue(jobs, 5, 0)
	}, coretest.Limits(func(l *core.Limits) { l.UnackedPublishes = 3 }))
}

// A publish that waits for room ends with its session.
func TestPublishWaitsAndSessionEnds(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		c := w.client("")
		w.disk.Hold()
		w.ok(c.Publish(w.ctx, msg(jobs, "1"), nil))
		result := make(chan error)
		go func() { result <- c.Publish(w.ctx, msg(jobs, "2"), nil) }()
		synctest.Wait()
		c.Gone()
		if err := <-result; !errors.Is(err, core.ErrClosed) {
			t.Errorf("Publish returned %v", err)
		}
		w.disk.Release()
		w.queue(jobs, 1, 0)
	}, coretest.Limits(func(l *core.Limits) { l.UnackedPublishes = 1 }))
}

// DESIGN §4: messages that are not persistent do not make anybody wait for the disk's promise.
func TestRelaxed(t *testing.T) {
	inMemory(t, func(t *testing.T, w *world) {
		c := w.client("")
		var relaxed []bool
		w.disk.FailOn(func(b *engine.Batch) error { relaxed = append(relaxed, b.Relaxed); return nil })
		_, err := w.send(c, jobs, "1", transient)
		w.ok(err)
		_, err = w.send(c, jobs, "2")
		w.ok(err)
		w.disk.FailOn(nil)
		if !slices.Equal(relaxed, []bool{true, false}) {
			t.Errorf("relaxed batches: %v, want that of the first message only", relaxed)
		}
	})
}

// A done that panics ends its session with ErrInternal, and the process goes on.
func TestDonePanics(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		c, other := w.client(""), w.client("")
		w.ok(c.Publish(w.ctx, msg(jobs, "1"), func(core.Published, error) { panic("oops") }))
		if err := c.Conn.Closed(t); !errors.Is(err, core.ErrInternal) {
			t.Errorf("closed with %v", err)
		}
		w.sub(other, jobs)
		w.want(other, "1")
	})
}

// DESIGN §4: SEND, ACK and NACK inside a transaction: one atomic batch.
func TestTransaction(t *testing.T) {
	inMemory(t, func(t *testing.T, w *world) {
		c, direct := w.client(""), w.client("")
		w.sub(c, jobs, individual)
		w.sub(direct, "topic/news")
		w.pub(c, jobs, "1", "2", "3")
		ds := w.want(c, "1 2 3")
		commits := w.disk.Commits()
		var batch *engine.Batch
		w.disk.FailOn(func(b *engine.Batch) error { batch = b; return nil })
		var r results
		w.ok(c.Commit(w.ctx, core.Transaction{
			Sends:   []*core.Message{msg("queue/out", "a"), msg("topic/news", "b"), msg("queue/out", "c")},
			Settles: []core.Settlement{{Outcome: core.Accepted, Tag: ds[0].Tag}, {Outcome: core.Requeue, Tag: ds[2].Tag}},
		}, r.done("tx")))
		r.want(t, "tx")
		w.disk.FailOn(nil)
		if n := w.disk.Commits() - commits; n != 1 || batch.Relaxed {
			t.Errorf("%d batches were committed, relaxed %v; want one that is not", n, batch.Relaxed)
		}
		w.want(direct, "b")
		if d := w.want(c, "3")[0]; d.Attempt != 2 {
			t.Errorf("attempt %d after a nack", d.Attempt)
		}
		w.queue(jobs, 0, 2)
		w.sub(c, "queue/out")
		w.want(c, "a c")
	})
}

// All or nothing: whatever is wrong with a transaction, nothing of it has happened.
func TestTransactionFails(t *testing.T) {
	for name, c := range map[string]struct {
		change func(w *world, tx *core.Transaction)
		want   error
	}{
		"a tag is unknown": {func(_ *world, tx *core.Transaction) {
			tx.Settles = append(tx.Settles, core.Settlement{Outcome: core.Accepted, Tag: 99})
		}, core.ErrNotFound},
		"a queue is full":   {func(_ *world, tx *core.Transaction) { tx.Sends = append(tx.Sends, msg("queue/full", "x")) }, core.ErrQueueFull},
		"a send is denied":  {func(_ *world, tx *core.Transaction) { tx.Sends = append(tx.Sends, msg("topic/no", "x")) }, core.ErrDenied},
		"a name is invalid": {func(_ *world, tx *core.Transaction) { tx.Sends = append(tx.Sends, msg("topic/+", "x")) }, core.ErrInvalid},
		"the engine fails":  {func(w *world, _ *core.Transaction) { w.disk.Fail(engine.ErrUnavailable) }, core.ErrUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				cl, direct := w.client(""), w.client("")
				w.sub(cl, jobs, individual)
				w.sub(direct, "topic/news")
				w.pub(cl, "queue/full", "1")
				w.pub(cl, jobs, "1", "2")
				ds := w.want(cl, "1 2")
				tx := core.Transaction{
					Sends:   []*core.Message{msg("queue/out", "a"), msg("topic/news", "b")},
					Settles: []core.Settlement{{Outcome: core.Accepted, Tag: ds[0].Tag}, {Outcome: core.Rejected, Tag: ds[1].Tag}},
				}
				c.change(w, &tx)
				var outcome error
				called := false
				err := cl.Commit(w.ctx, tx, func(err error) { outcome, called = err, true })
				synctest.Wait()
				if err == nil {
					err = outcome
				} else if called {
					t.Error("done was called although Commit has returned an error")
				}
				if !errors.Is(err, c.want) {
					t.Errorf("commit: %v, want %v", err, c.want)
				}
				w.disk.Fail(nil)
				w.queue("queue/out", 0, 0)
				w.queue("queue/DLQ.jobs", 0, 0)
				w.queue("queue/full", 1, 0)
				w.queue(jobs, 0, 2)
				if name != "the engine fails" { // direct subscribers do not wait for the engine
					w.nothing(direct)
				}
				w.settle(cl, core.Accepted, ds...)
				w.queue(jobs, 0, 0)
			}, coretest.Queue("full", core.QueueConfig{MaxLength: 1}), coretest.Authorize(coretest.DenyOn(core.OpPublish, "topic/no")))
		})
	}
}

// Cumulative settlements in a transaction settle what is before them.
func TestTransactionCumulative(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		c := w.client("")
		w.sub(c, jobs, cumulative)
		w.pub(c, jobs, "1", "2", "3")
		ds := w.want(c, "1 2 3")
		tx := core.Transaction{Settles: []core.Settlement{{Outcome: core.Accepted, Tag: ds[0].Tag}, {Outcome: core.Accepted, Tag: ds[1].Tag}}}
		w.disk.Fail(engine.ErrUnavailable)
		var r results
		w.ok(c.Commit(w.ctx, tx, r.done("failed")))
		r.want(t, "failed:unavailable")
		w.disk.Fail(nil)
		w.ok(c.Commit(w.ctx, tx, r.done("done")))
		r.want(t, "failed:unavailable", "done")
		w.queue(jobs, 0, 1)
		w.settle(c, core.Accepted, ds[2])
	})
}

// An empty transaction is done, in its turn.
func TestEmptyTransaction(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		c := w.client("")
		w.disk.Hold()
		var r results
		w.ok(c.Publish(w.ctx, msg(jobs, "1"), r.add("1")))
		w.ok(c.Commit(w.ctx, core.Transaction{}, r.done("2")))
		r.want(t)
		w.disk.Release()
		r.want(t, "1", "2")
	})
}
