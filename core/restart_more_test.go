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

// DESIGN §6: hundreds of publishes share one sync, and what is done is done in the order of the calls.
func TestDoneInOrder(t *testing.T) {
	inReborn(t, func(t *testing.T, w *reborn) {
		p := w.client("p")
		w.sub(p, "queue/q", individual)
		w.pub(p, "queue/q", "0")
		tag := w.want(p, "0")[0].Tag
		w.disk.Sync(syncing)
		var mu sync.Mutex
		var order []int
		done := func(n int) func(error) {
			return func(err error) {
				mu.Lock()
				defer mu.Unlock()
				if err != nil {
					t.Error(err)
				}
				order = append(order, n)
			}
		}
		published := func(n int) func(core.Published, error) { return func(_ core.Published, err error) { done(n)(err) } }
		n := 0
		next := func() int { n++; return n }
		for range 100 {
			dest := []string{"queue/other", "topic/nobody", p.Temp("t")}[n%3]
			w.ok(p.Publish(w.ctx, persistent(dest, "x"), published(next())))
			m := persistent("queue/other", "x")
			m.Persistent = false
			w.ok(p.Publish(w.ctx, m, published(next())))
			w.ok(p.Commit(w.ctx, core.Transaction{Sends: []*core.Message{persistent("queue/tx", "x")}}, done(next())))
			p.Put(fmt.Sprint(n), []byte("v"))
			w.ok(p.Sync(w.ctx, done(next())))
		}
		w.ok(p.Settle(w.ctx, core.Accepted, done(next()), tag))
		synctest.Wait()
		start := time.Now()
		w.ok(p.Drain(w.ctx))
		if took := time.Since(start); took != syncing {
			t.Errorf("all of it took %v, one sync takes %v", took, syncing)
		}
		mu.Lock()
		defer mu.Unlock()
		if len(order) != n || !slices.IsSorted(order) {
			t.Errorf("order %v", order)
		}
	})
}

// A durable subscription is confirmed when it is safe; one that cannot be stored does not exist.
func TestSubscribeWaitsForTheDisk(t *testing.T) {
	inReborn(t, func(t *testing.T, w *reborn) {
		c := w.client("c")
		w.disk.Sync(syncing)
		for _, s := range []*core.Subscription{
			{ID: "1", Filter: "topic/a", Durable: true},
			{ID: "2", Filter: "topic/a", Group: "g", Durable: true},
			{ID: "3", Filter: "topic/a", Meta: []byte("m")},
		} {
			start := time.Now()
			w.ok(c.Subscribe(w.ctx, s))
			if took := time.Since(start); took != syncing {
				t.Errorf("subscription %s took %v", s.ID, took)
			}
			start = time.Now()
			w.ok(c.Subscribe(w.ctx, s))
			if took := time.Since(start); took != 0 {
				t.Errorf("the same again took %v", took)
			}
		}
		start := time.Now()
		w.ok(c.Unsubscribe(w.ctx, "3"))
		if took := time.Since(start); took != syncing {
			t.Errorf("unsubscribing took %v", took)
		}
		w.disk.Fail(engine.ErrFull)
		err := c.Subscribe(w.ctx, &core.Subscription{ID: "4", Filter: "topic/b", Durable: true})
		if !errors.Is(err, core.ErrQueueFull) {
			t.Errorf("subscribe when the disk is full: %v", err)
		}
		w.disk.Fail(nil)
		if w.hasQueue("c:topic/b") {
			t.Error("the queue is there")
		}
		w.kill(0)
		subs, _ := w.client("c").Resumed()
		if len(subs) != 2 {
			t.Errorf("resumed %+v", subs)
		}
	})
}

// A subscription that is resumed and cannot be stored as it is now loses nothing of what it had.
func TestResumedSubscriptionThatWasRefused(t *testing.T) {
	inReborn(t, func(t *testing.T, w *reborn) {
		c := w.client("c")
		w.sub(c, "topic/a", durable)
		c.Gone()
		w.pub(w.client(""), "topic/a", "1")
		c = w.client("c")
		synctest.Wait()
		w.disk.Fail(engine.ErrFull)
		subs, _ := c.Resumed()
		sub := subs[0]
		sub.Selector = "x = 1"
		if err := c.Subscribe(w.ctx, &sub); !errors.Is(err, core.ErrQueueFull) {
			t.Errorf("subscribe on a full disk: %v", err)
		}
		w.disk.Fail(nil)
		w.queue("c:topic/a", 1, 0)
		if err := c.Subscribe(w.ctx, &subs[0]); err != nil {
			t.Error(err)
		}
		w.want(c, "1")
		c.Gone()
		c = w.back("c")
		w.want(c, "1")
	})
}

// A value that the disk refused is not forgotten: the next chance takes it.
func TestValuesThatWereRefused(t *testing.T) {
	inReborn(t, func(t *testing.T, w *reborn) {
		c := w.client("c")
		sync := func() (outcome error) {
			called := 0
			w.ok(c.Sync(w.ctx, func(err error) { called++; outcome = err }))
			synctest.Wait()
			if called != 1 {
				t.Errorf("done was called %d times", called)
			}
			return outcome
		}
		c.Put("old", []byte("v"))
		w.ok(sync())
		w.disk.Fail(engine.ErrFull)
		c.Put("a", []byte("v"))
		c.Put("old", nil)
		if err := sync(); !errors.Is(err, core.ErrQueueFull) {
			t.Errorf("sync on a full disk: %v", err)
		}
		if err := c.PutNow(w.ctx, core.Value{Key: "b", Data: []byte("v")}); !errors.Is(err, core.ErrQueueFull) {
			t.Errorf("put now on a full disk: %v", err)
		}
		w.disk.Fail(nil)
		w.ok(sync())
		before, _ := w.disk.Commits()
		w.ok(sync())
		c.Put("never", []byte("v"))
		c.Put("never", nil)
		w.ok(sync())
		if after, _ := w.disk.Commits(); after != before {
			t.Errorf("%d commits without anything to tell", after-before)
		}
		w.kill(0)
		c = w.client("c")
		var found []string
		c.Keys("", func(k string, _ []byte) bool { found = append(found, k); return true })
		if slices.Sort(found); !slices.Equal(found, []string{"a", "b"}) {
			t.Errorf("found %v", found)
		}
	})
}

// What the disk refused of a session, it is told with the next thing that it takes.
func TestSessionThatWasRefused(t *testing.T) {
	for name, next := range map[string]func(w *reborn, c *coretest.Client){
		"subscribe": func(w *reborn, c *coretest.Client) { w.sub(c, "topic/b", durable) },
		"again":     func(w *reborn, c *coretest.Client) { w.sub(c, "topic/a", durable, credit(5)) },
		"publish":   func(w *reborn, c *coretest.Client) { w.pub(c, "queue/q", "x") },
		"sync":      func(w *reborn, c *coretest.Client) { w.ok(c.Sync(w.ctx, func(error) {})) },
		"leave":     func(_ *reborn, c *coretest.Client) { c.Gone() },
	} {
		t.Run(name, func(t *testing.T) {
			inReborn(t, func(t *testing.T, w *reborn) {
				c := w.client("c")
				w.sub(c, "topic/a", durable)
				c.Gone()
				w.disk.Fail(engine.ErrFull)
				c = w.client("c") // this it has not heard
				subs, _ := c.Resumed()
				w.ok(c.Subscribe(w.ctx, &subs[0]))
				c.Put("k", []byte("v"))
				synctest.Wait()
				w.disk.Fail(nil)
				w.sleep(59 * time.Minute)
				next(w, c)
				w.kill(10 * time.Minute)
				c = w.client("c")
				subs, _ = c.Resumed()
				if _, ok := c.Get("k"); !ok || len(subs) == 0 {
					t.Errorf("the value is there: %v, subscriptions: %+v", ok, subs)
				}
			})
		})
	}
}

// Session state costs no commits of its own while messages flow, and none at all on an engine that forgets.
func TestNoCommitsBeside(t *testing.T) {
	inReborn(t, func(t *testing.T, w *reborn) {
		p, c := w.client("p"), w.client("c")
		w.sub(c, "topic/a", durable, credit(1000))
		before, _ := w.disk.Commits()
		for i := range 100 {
			p.Put(fmt.Sprint(i%10), []byte{byte(i)})
			w.pub(p, "topic/a", "x")
			c.Put(fmt.Sprint(i%10), []byte{byte(i)})
			w.settle(c, core.Accepted, c.NextN(t, 1)...)
		}
		if after, _ := w.disk.Commits(); after-before != 200 {
			t.Errorf("%d commits for 100 publishes and 100 settlements", after-before)
		}
	})
	inMemory(t, func(t *testing.T, w *world) {
		c := coretest.Connect(t, w.b, core.Login{ClientID: "c", Expiry: time.Hour, Will: msg("topic/w", "w"), WillDelay: time.Hour})
		w.sub(c, "topic/a", durable)
		w.sub(c, "topic/a", durable, group("g"), func(s *core.Subscription) { s.ID = "g" })
		c.Put("k", []byte("v"))
		w.ok(c.Sync(w.ctx, func(error) {}))
		w.ok(c.PutNow(w.ctx, core.Value{Key: "l", Data: []byte("v")}))
		c.SetExpiry(time.Minute)
		c.DropWill()
		w.ok(c.Unsubscribe(w.ctx, "topic/a"))
		c.Gone()
		w.sleep(time.Hour)
		if n := w.disk.Commits(); n != 0 {
			t.Errorf("%d commits", n)
		}
	})
}

// What a client has thrown away does not come back.
func TestRestartForgotten(t *testing.T) {
	for name, forget := range map[string]func(w *reborn, c *coretest.Client){
		"clean start": func(w *reborn, _ *coretest.Client) {
			coretest.Connect(w.T, w.b, core.Login{ClientID: "c", CleanStart: true}).Gone()
		},
		"expiry 0":       func(_ *reborn, c *coretest.Client) { c.SetExpiry(0) },
		"expiry 0, gone": func(_ *reborn, c *coretest.Client) { c.SetExpiry(0); c.Gone() },
		"resumed with expiry 0": func(w *reborn, c *coretest.Client) {
			c.Gone()
			c = coretest.Connect(w.T, w.b, core.Login{ClientID: "c"})
			subs, _ := c.Resumed()
			w.ok(c.Subscribe(w.ctx, &subs[0]))
			w.want(c, "1")
		},
	} {
		t.Run(name, func(t *testing.T) {
			inBoth(t, func(t *testing.T, w *reborn, again func(time.Duration)) {
				c := w.client("c")
				w.sub(c, "topic/a", durable)
				c.Put("k", []byte("v"))
				w.pub(w.client(""), "topic/a", "1")
				w.want(c, "1")
				forget(w, c)
				again(0)
				if w.hasQueue("c:topic/a") {
					t.Error("the queue is there")
				}
				c = w.client("c")
				if _, ok := c.Resumed(); ok {
					t.Error("the session is there")
				}
				if _, ok := c.Get("k"); ok {
					t.Error("the value is there")
				}
			})
		})
	}
}

// Everything that looks into messages does so in those that were read from the disk, too.
func TestRestartLooksIntoMessages(t *testing.T) {
	inBoth(t, func(t *testing.T, w *reborn, again func(time.Duration)) {
		p := w.client("p")
		for i := range 4 {
			color := []string{"red", "blue"}[i%2]
			_, err := w.send(p, "queue/q", fmt.Sprint(i), header("color", color), header("JMSXGroupID", color), level(i))
			w.ok(err)
		}
		_, err := w.send(p, "queue/expiring", "short", expires(time.Minute))
		w.ok(err)
		_, err = w.send(p, "queue/expiring", "long", expires(time.Hour))
		w.ok(err)
		_, err = w.send(p, "topic/r", "kept", retain)
		w.ok(err)
		copied := w.client("copied")
		w.sub(copied, "topic/r", durable, credit(1))
		w.want(copied, "kept")
		again(30 * time.Minute)
		b := w.client("")
		w.sub(b, "queue/q", func(s *core.Subscription) { s.Browse, s.Selector = true, "color = 'blue'" })
		w.want(b, "1 3 <end>")
		c := w.client("")
		w.sub(c, "queue/q", individual, selector("color = 'red' AND JMSPriority > 0"))
		w.want(c, "2")
		x, y := w.client(""), w.client("")
		w.sub(x, "queue/q", individual, credit(1))
		w.want(x, "3")
		w.sub(y, "queue/q", individual, credit(5))
		w.nothing(y) // 1 is of the group of x, 0 of that of c
		w.sub(c, "queue/expiring", individual)
		w.want(c, "long")
		if d := w.want(w.back("copied"), "kept")[0]; !d.FromRetained || !d.Redelivered {
			t.Errorf("got %+v", d)
		}
	})
}

// A queue stays as it was declared; what the configuration says now goes before.
func TestRestartDeclared(t *testing.T) {
	declared := func(s *core.Subscription) {
		s.Queue = &core.QueueConfig{MaxLength: 2, Overflow: "drop_head", MaxDeliveries: 1}
	}
	inReborn(t, func(t *testing.T, w *reborn) {
		w.sub(w.client(""), "queue/declared", declared, credit(1), individual)
		w.sub(w.client(""), "queue/configured", declared, credit(1), individual)
		w.opts = append(w.opts, coretest.Queue("configured", core.QueueConfig{MaxLength: 1, Overflow: "reject"}))
		w.kill(0)
		if !w.hasQueue("queue/declared") {
			t.Error("an empty queue is forgotten")
		}
		p, c := w.client(""), w.client("")
		w.pub(p, "queue/declared", "1", "2", "3")
		w.pub(p, "queue/configured", "1")
		if _, err := w.send(p, "queue/configured", "2"); !errors.Is(err, core.ErrQueueFull) {
			t.Errorf("the configuration does not count: %v", err)
		}
		w.sub(c, "queue/declared", individual, credit(1))
		w.settle(c, core.Requeue, w.want(c, "2")...)
		w.want(c, "3")
		w.queue("queue/DLQ.declared", 1, 0)
	})
}

// Attempts are counted over restarts, and end in the dead letter queue.
func TestRestartAttempts(t *testing.T) {
	inBoth(t, func(t *testing.T, w *reborn, again func(time.Duration)) {
		w.pub(w.client(""), "queue/q", "x")
		for i := range 3 {
			c := w.client("")
			w.sub(c, "queue/q", individual)
			d := w.want(c, "x")[0]
			if d.Attempt != i+1 || d.Redelivered != (i > 0) {
				t.Errorf("attempt %d, redelivered %v, in round %d", d.Attempt, d.Redelivered, i)
			}
			w.settle(c, core.Requeue, d)
			again(time.Minute)
		}
		c := w.client("")
		w.sub(c, "queue/DLQ.q", individual)
		d := w.want(c, "x")[0]
		attempts, _ := d.Get("dead-letter-attempts")
		reason, _ := d.Get("dead-letter-reason")
		if attempts != "3" || reason != "max_deliveries" {
			t.Errorf("%s attempts, %s", attempts, reason)
		}
	}, coretest.Queue("q", core.QueueConfig{MaxDeliveries: 3}))
}

// write puts something on the disk that no broker would, or would have finished later.
func (w *reborn) write(ops ...engine.Op) {
	w.Helper()
	w.ok(w.b.Close(context.WithoutCancel(w.ctx)))
	e := w.disk.Open()
	e.Commit(&engine.Batch{Ops: ops}, func(err error) {
		if err != nil {
			w.Error(err)
		}
	})
	w.ok(e.Close(w.ctx))
}

// A crash may leave a log without a definition, which is a queue, or without a subscription, which is nothing.
func TestRestartLeftovers(t *testing.T) {
	inReborn(t, func(t *testing.T, w *reborn) {
		w.write(engine.Op{
			Kind: engine.Append, Logs: []engine.LogID{"q/%2F/a/b", "s/%2F/c/1", "g/%2F/g/topic%2Fa"},
			Msg: &engine.Message{Dest: "queue/a/b", Body: []byte("x"), Header: core.Encode(&core.Message{}), Priority: 4},
		}, engine.Op{Kind: engine.Put, Bucket: "subscriptions", Key: "%2F/c/1", Value: []byte{0}}, engine.Op{
			Kind: engine.Put, Bucket: "values", Key: "%2F/c/1", Value: []byte{0},
		})
		w.start()
		if n := len(w.b.Stats().Queues); n != 1 {
			t.Errorf("%d queues", n)
		}
		c := w.client("")
		w.sub(c, "queue/a/b")
		w.want(c, "x")
		w.restart(0)
		e := 0
		w.ok(w.b.Close(context.WithoutCancel(w.ctx)))
		disk := w.disk.Open()
		for _, prefix := range []engine.LogID{"s/", "g/"} {
			w.ok(disk.Logs(w.ctx, string(prefix), func(engine.LogID, engine.Stats) bool { e++; return true }))
		}
		if e != 0 {
			t.Errorf("%d logs are left of nobody", e)
		}
		w.ok(disk.Close(w.ctx))
	})
}

// What cannot be read is not guessed at: the broker does not start, and says what it was about.
func TestRestartUnreadable(t *testing.T) {
	for bucket, key := range map[string]string{"queues": "q/%2F/a", "sessions": "%2F/c", "subscriptions": "%2F/ok/1"} {
		t.Run(bucket, func(t *testing.T) {
			inReborn(t, func(t *testing.T, w *reborn) {
				w.client("ok")
				w.write(engine.Op{Kind: engine.Put, Bucket: bucket, Key: key, Value: []byte{200, 1, 2}})
				e := w.disk.Open()
				b, err := core.NewBroker(core.Options{Engine: e})
				if err == nil {
					t.Error("it has started")
					w.ok(b.Close(w.ctx))
				}
				w.ok(e.Close(w.ctx))
			})
		})
	}
}

// A message whose head cannot be read is delivered with what the engine knows of it.
func TestRestartUnreadableHead(t *testing.T) {
	inReborn(t, func(t *testing.T, w *reborn) {
		w.write(engine.Op{Kind: engine.Append, Logs: []engine.LogID{"q/%2F/a"}, Msg: &engine.Message{
			Dest: "queue/a", Body: []byte("x"), Header: []byte{200}, Priority: 7, Expires: time.Now().Add(time.Hour),
		}})
		w.start()
		c := w.client("")
		w.sub(c, "queue/a")
		d := w.want(c, "x")[0]
		if d.Destination != "queue/a" || d.Priority.Level() != 7 || !d.Expires.Equal(time.Now().Add(time.Hour)) {
			t.Errorf("got %+v", d.Message)
		}
	})
}

// The queue of a group is not deleted under a member whose session is kept, before a restart and after it.
func TestRestartGroupThatIsAwaited(t *testing.T) {
	inBoth(t, func(t *testing.T, w *reborn, again func(time.Duration)) {
		a, b := w.client("a"), w.client("b")
		w.sub(a, "topic/a", durable, group("g"))
		w.sub(b, "topic/a", durable, group("g"))
		a.Gone()
		for i := range 2 {
			w.ok(b.Unsubscribe(w.ctx, "topic/a"))
			if err := b.DeleteGroup(w.ctx, "g", "topic/a"); !errors.Is(err, core.ErrInUse) {
				t.Errorf("round %d: delete a group that somebody will come back to: %v", i, err)
			}
			if i == 0 {
				again(time.Minute)
				b = w.client("b")
				w.sub(b, "topic/a", durable, group("g"))
			}
		}
		w.sleep(2 * time.Hour)
		w.disk.Sync(syncing)
		start := time.Now()
		w.ok(b.DeleteGroup(w.ctx, "g", "topic/a"))
		if took := time.Since(start); took != syncing {
			t.Errorf("it took %v", took)
		}
	})
}
