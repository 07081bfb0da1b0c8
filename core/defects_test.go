package core_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wyemq/wye/core"
	"github.com/wyemq/wye/core/coretest"
)

// A client that comes back while the will of its old connection is being published finds its session.
func TestReconnectWhileClosing(t *testing.T) {
	b := coretest.Broker(t)
	crowd := coretest.Connect(t, b, core.Login{})
	for i := range 2000 {
		if err := crowd.Subscribe(t.Context(), &core.Subscription{ID: fmt.Sprint(i), Filter: "topic/will"}); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 100 {
		will := &core.Message{Destination: "topic/will", Body: []byte("w")}
		c := coretest.Connect(t, b, core.Login{ClientID: "c", Expiry: time.Hour, Will: will})
		if _, ok := c.Resumed(); !ok && i > 0 {
			t.Fatalf("the session is lost after %d times", i)
		}
		c.Conn.Close(nil)
		for b.Stats().Sessions > 1 {
			runtime.Gosched()
		}
	}
}

// A connection whose protocol hangs takes nothing from the session that has taken over.
func TestHungTakeover(t *testing.T) {
	inWorld(t, func(_ *testing.T, w *world) {
		p := w.client("")
		hang := make(chan struct{})
		conn := coretest.NewConn()
		old, err := w.b.Connect(w.ctx, core.Login{ClientID: "c", Expiry: time.Minute, Conn: conn}, func([]core.Delivery) error { <-hang; return nil })
		w.ok(err)
		w.ok(old.Subscribe(w.ctx, &core.Subscription{ID: "topic/a", Filter: "topic/a", Ack: core.AckIndividual, Durable: true}))
		w.pub(p, "topic/a", "1")
		c := w.client("c")
		w.sub(c, "topic/a", durable)
		close(hang)
		synctest.Wait()
		w.sleep(2 * time.Minute)
		w.pub(p, "topic/a", "2")
		w.want(c, "1 2")
	})
}

// A will that is denied costs the login, not the session that is kept.
func TestDeniedWillKeepsSession(t *testing.T) {
	inWorld(t, func(_ *testing.T, w *world) {
		c := w.client("c")
		w.sub(c, "topic/a", durable)
		c.Gone()
		_, err := coretest.TryConnect(w.T, w.b, core.Login{ClientID: "c", Expiry: time.Hour, Will: &core.Message{Destination: "topic/no"}})
		if err == nil {
			w.Fatal("login with a will that is denied")
		}
		if _, ok := w.client("c").Resumed(); !ok {
			w.Error("session lost")
		}
	}, coretest.Authorize(func(_ *core.Principal, op core.Op, dest string) error {
		if dest == "topic/no" {
			return core.ErrDenied
		}
		return nil
	}))
}

// A done that panics while its session closes does not keep the session half closed.
func TestPanickingDoneAtClose(t *testing.T) {
	inWorld(t, func(_ *testing.T, w *world) {
		c := w.client("c")
		w.disk.Hold()
		w.ok(c.Publish(w.ctx, &core.Message{Destination: "queue/a", Persistent: true}, func(core.Published, error) { panic("done") }))
		func() {
			defer func() { _ = recover() }()
			c.Conn.Close(nil)
			_ = c.Close()
		}()
		w.disk.Release()
		w.client("c")
	})
}

// What an interceptor refuses is refused in a transaction, too.
func TestCommitIsIntercepted(t *testing.T) {
	inWorld(t, func(_ *testing.T, w *world) {
		c := w.client("")
		err := c.Commit(w.ctx, core.Transaction{Sends: []*core.Message{{Destination: "queue/a", Body: []byte("no")}}}, func(error) {})
		if !errors.Is(err, core.ErrDenied) {
			w.Errorf("got %v", err)
		}
		w.queue("queue/a", 0, 0)
	}, coretest.Intercept(func(ctx context.Context, c *core.Call, next func(context.Context, *core.Call) error) error {
		if string(c.Message.Body) == "no" {
			return core.ErrDenied
		}
		return next(ctx, c)
	}, core.OpPublish))
}

// What waits for a client that unsubscribes is not written any more.
func TestNothingAfterUnsubscribe(t *testing.T) {
	inWorld(t, func(_ *testing.T, w *world) {
		c, p := w.client(""), w.client("")
		w.sub(c, "queue/a", individual)
		c.Block()
		w.pub(p, "queue/a", "1")
		w.pub(p, "queue/a", "2")
		w.ok(c.Unsubscribe(w.ctx, "queue/a"))
		c.Unblock()
		w.want(c, "1")
		w.nothing(c)
	})
}

// A subscription whose replacement is refused is over once.
func TestFailedReplacement(t *testing.T) {
	inWorld(t, func(_ *testing.T, w *world) {
		c, o := w.client(""), w.client("")
		w.sub(c, "queue/a", individual)
		w.sub(o, "queue/a", individual)
		err := c.Subscribe(w.ctx, &core.Subscription{ID: "queue/a", Filter: "queue/a", Ack: core.AckIndividual, Sole: true})
		if !errors.Is(err, core.ErrInUse) {
			w.Fatal(err)
		}
		w.pub(o, "queue/a", "1", "2")
		c.Gone()
		if n := w.b.Stats().Subscriptions; n != 1 {
			w.Errorf("%d subscriptions", n)
		}
	})
}

// A durable subscription that is replaced by a direct one leaves no queue behind.
func TestNoLongerDurable(t *testing.T) {
	inWorld(t, func(_ *testing.T, w *world) {
		c, p := w.client("c"), w.client("")
		w.sub(c, "topic/a", durable)
		w.sub(c, "topic/a")
		if w.hasQueue("c:topic/a") {
			w.Error("the queue is left")
		}
		w.pub(p, "topic/a", "1")
		w.want(c, "1")
		c.Gone()
		c = w.client("c")
		subs, _ := c.Resumed()
		if len(subs) != 0 {
			w.Error(subs)
		}
		w.sub(c, "topic/a", durable)
		c.Gone()
		c = w.client("c")
		w.sub(c, "topic/a") // the first of the resumed session
		if w.hasQueue("c:topic/a") {
			w.Error("the queue is left")
		}
	})
}

// Repetitions are a period apart, whatever the time of the first.
func TestRepeatWithoutVisible(t *testing.T) {
	inWorld(t, func(_ *testing.T, w *world) {
		c := w.client("")
		w.sub(c, "topic/a")
		w.ok(c.Publish(w.ctx, &core.Message{Destination: "topic/a", Body: []byte("1"), Repeat: &core.Repeat{Period: 10 * time.Second, Count: 2}}, nil))
		w.want(c, "1")
		w.sleep(10 * time.Second)
		w.want(c, "1")
	})
}

// Repetitions that were missed, or too many to bear, are not made up for.
func TestRepeatFromLongAgo(t *testing.T) {
	inWorld(t, func(_ *testing.T, w *world) {
		c := w.client("")
		w.sub(c, "topic/a")
		m := &core.Message{
			Destination: "topic/a", Body: []byte("1"), Visible: time.Unix(1, 0),
			Repeat: &core.Repeat{Period: time.Hour, Count: -1},
		}
		w.ok(c.Publish(w.ctx, m, nil))
		w.want(c, "1")
		w.sleep(time.Hour)
		w.want(c, "1")
		m = &core.Message{Destination: "topic/a", Repeat: &core.Repeat{Count: -1}}
		if err := c.Publish(w.ctx, m, nil); !errors.Is(err, core.ErrInvalid) {
			w.Errorf("no period: %v", err)
		}
	})
}

// A delayed message that the engine could not move is tried again.
func TestDelayedSurvivesFailure(t *testing.T) {
	inWorld(t, func(_ *testing.T, w *world) {
		c := w.client("")
		_, err := w.send(c, "queue/a", "1", func(m *core.Message) { m.Visible = time.Now().Add(time.Minute) })
		w.ok(err)
		w.disk.Fail(core.ErrUnavailable)
		w.sleep(time.Minute)
		w.disk.Fail(nil)
		w.sleep(time.Minute)
		w.queue("queue/a", 1, 0)
	})
}

// An interceptor that panics when a session ends keeps nobody waiting who closes it once more, and does not end the
// process, although the goroutine is the broker's own that closes a session which hangs.
func TestPanickingDisconnect(t *testing.T) {
	inWorld(t, func(_ *testing.T, w *world) {
		c := w.client("c")
		w.ok(c.Close())
		w.ok(c.Close())
		hang := make(chan struct{})
		old, err := w.b.Connect(w.ctx, core.Login{ClientID: "h", Conn: coretest.NewConn()}, func([]core.Delivery) error { <-hang; return nil })
		w.ok(err)
		w.ok(old.Subscribe(w.ctx, &core.Subscription{ID: "1", Filter: "topic/a"}))
		w.pub(w.client(""), "topic/a", "1")
		w.client("h") // takes over from a session that does not end
		close(hang)
		synctest.Wait()
	}, coretest.Intercept(func(context.Context, *core.Call, func(context.Context, *core.Call) error) error {
		panic("at the end")
	}, core.OpDisconnect))
}

// Nobody's publish fails because a subscription with a queue of its own ends at that moment.
func TestPublishWhileOthersLeave(t *testing.T) {
	b := coretest.Broker(t)
	p := coretest.Connect(t, b, core.Login{})
	stop := make(chan struct{})
	var churn sync.WaitGroup
	for i := range 4 {
		c := coretest.Connect(t, b, core.Login{})
		churn.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				id := fmt.Sprint(i, "-", n)
				if err := c.Subscribe(t.Context(), &core.Subscription{ID: id, Filter: "topic/a", Ack: core.AckIndividual}); err != nil {
					t.Error(err)
					return
				}
				if err := c.Unsubscribe(t.Context(), id); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	failed := make(chan error, 1)
	note := func(_ core.Published, err error) {
		if err != nil {
			select {
			case failed <- err:
			default:
			}
		}
	}
	for range 20_000 {
		if err := p.Publish(t.Context(), &core.Message{Destination: "topic/a", Body: []byte("x"), Persistent: true}, note); err != nil {
			t.Fatal(err)
		}
	}
	close(stop)
	churn.Wait()
	if err := p.Drain(t.Context()); err != nil {
		t.Error(err)
	}
	select {
	case err := <-failed:
		t.Errorf("a publish was refused: %v", err)
	default:
	}
}
