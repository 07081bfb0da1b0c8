package core_test

import (
	"bytes"
	"context"
	"errors"
	"math"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wyemq/wye/core"
	"github.com/wyemq/wye/core/coretest"
)

// Near the budget whoever publishes much is slowed; at it he waits, and is refused after a while, as is who wants to come in.
// Who publishes little goes on, until nothing more goes.
func TestShortOfMemory(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		const half, full, over = 500, 1000, 2000
		greedy, modest := w.client("greedy"), w.client("modest")
		large := strings.Repeat("x", 192<<10) // one and a half of what goes at once
		took := func(fn func()) time.Duration {
			begun := time.Now()
			fn()
			return time.Since(begun)
		}
		for _, tight := range []int32{half, full} {
			w.b.Tight(tight)
			if d := took(func() { w.pub(modest, "topic/a", "1", "2", "3") }); d != 0 {
				t.Errorf("at %d, who publishes little waited %v", tight, d)
			}
		}
		w.b.Tight(half)
		if d := took(func() { w.pub(greedy, "topic/a", large, "x") }); d < 2*time.Second || d > 3*time.Second {
			t.Errorf("half way, who publishes much waited %v", d)
		}
		if err := w.b.Admit(); err != nil {
			t.Errorf("half way: %v", err)
		}
		w.b.Tight(full)
		var err error
		if d := took(func() { _, err = w.send(greedy, "topic/a", "x") }); !errors.Is(err, core.ErrBusy) || d < 5*time.Second || d > 5100*time.Millisecond {
			t.Errorf("full: %v after %v", err, d)
		}
		if _, err := w.b.Connect(w.ctx, core.Login{Protocol: "test", Conn: coretest.NewConn()}, nil); !errors.Is(err, core.ErrBusy) {
			t.Errorf("a login: %v", err)
		}
		if err := w.b.Admit(); !errors.Is(err, core.ErrBusy) {
			t.Errorf("Admit: %v", err)
		}
		w.b.Tight(over)
		if _, err := w.send(modest, "topic/a", "x"); !errors.Is(err, core.ErrBusy) {
			t.Errorf("over the budget, a publish: %v", err)
		}
		if err := modest.Commit(w.ctx, core.Transaction{Sends: []*core.Message{{Destination: "topic/a"}}}, nil); !errors.Is(err, core.ErrBusy) {
			t.Errorf("a transaction: %v", err)
		}
		if err := modest.Held(w.ctx, 1<<20); !errors.Is(err, core.ErrBusy) {
			t.Errorf("a message that is not complete: %v", err)
		}
		if err := modest.Held(w.ctx, 0); err != nil {
			t.Errorf("a message that is: %v", err)
		}
		w.sub(modest, "topic/b") // who is there goes on
		time.Sleep(time.Minute)
		time.AfterFunc(time.Second, func() { w.b.Tight(0) })
		if d := took(func() { w.pub(modest, "topic/b", "relieved") }); d < time.Second || d > 1100*time.Millisecond {
			t.Errorf("relieved after a second, a publish took %v", d)
		}
		w.want(modest, "relieved")
		w.client("q")
		if s := w.b.Stats().Limits["memory"]; s.Refused != 6 || s.Slowed < 4 {
			t.Errorf("counted: %+v", s)
		}
	})
}

// Who makes the broker hold the most goes first.
func TestShed(t *testing.T) {
	inMemory(t, func(t *testing.T, w *world) {
		stuck := make(chan struct{})
		defer close(stuck)
		open := func(id string) (*core.Session, *coretest.Conn) {
			conn := coretest.NewConn()
			s, err := w.b.Connect(w.ctx, core.Login{Protocol: "test", ClientID: id, Conn: conn}, func([]core.Delivery) error {
				<-stuck
				return nil
			})
			w.ok(err)
			t.Cleanup(func() { go s.Close() })
			return s, conn
		}
		greedy, greedyConn := open("greedy")
		half, halfConn := open("half")
		modest, modestConn := open("modest")
		w.ok(greedy.Subscribe(w.ctx, &core.Subscription{ID: "1", Filter: "topic/large"}))
		w.ok(modest.Subscribe(w.ctx, &core.Subscription{ID: "1", Filter: "topic/small"}))
		p := w.client("p")
		for range 20 {
			w.ok(p.Publish(w.ctx, &core.Message{Destination: "topic/large", Body: bytes.Repeat([]byte("x"), 1<<20)}, nil))
			w.ok(p.Publish(w.ctx, &core.Message{Destination: "topic/small", Body: []byte("x")}, nil))
		}
		w.ok(half.Held(w.ctx, 4<<20))
		synctest.Wait()
		w.b.Watch(math.MaxInt64 / 1000)
		if w.b.Memory().Outboxes != 0 {
			t.Error("outboxes are looked at while there is plenty")
		}
		runtime.GC()
		w.b.Watch(1) // no budget is smaller
		m := w.b.Memory()
		if m.Outboxes < 19<<20 || m.Incomplete != 4<<20 || m.Live < 20<<20 || m.Used > m.Heap+m.Foreign || m.Used < min(m.Live, m.Heap) {
			t.Errorf("known: %+v", m)
		}
		if err := greedyConn.Why(); !errors.Is(err, core.ErrSlowConsumer) || !strings.Contains(err.Error(), "limits.memory") {
			t.Errorf("who reads nothing: %v", err)
		}
		if err := halfConn.Why(); !errors.Is(err, core.ErrBusy) {
			t.Errorf("who holds half a message: %v", err)
		}
		if err := modestConn.Why(); err != nil {
			t.Errorf("who holds little: %v", err)
		}
		w.b.Tight(0)
	})
}

// Run tells the runtime of the budget while it runs, and takes that back.
func TestRunWatches(t *testing.T) {
	before := debug.SetMemoryLimit(-1)
	b := coretest.Broker(t, coretest.Limits(func(l *core.Limits) { l.Memory = 3 << 30 }))
	ctx, cancel := context.WithCancel(t.Context())
	ready, ended := make(chan struct{}), make(chan error)
	go func() { ended <- b.Run(ctx, func() { close(ready) }) }()
	<-ready
	if now := debug.SetMemoryLimit(-1); now > 3<<30 {
		t.Errorf("the limit of the runtime is %d", now)
	}
	if m := b.Memory(); m.Budget != 3<<30 || m.Used == 0 || m.Used > m.Heap+m.Foreign {
		t.Errorf("known: %+v", m)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if now := debug.SetMemoryLimit(-1); now != before {
		t.Errorf("the limit of the runtime is %d, was %d", now, before)
	}
}

// The limit that the runtime was given from outside is never raised, whatever a reload makes of the budget.
func TestReloadOfMemory(t *testing.T) {
	const outside = 1 << 30
	before := debug.SetMemoryLimit(outside)
	defer debug.SetMemoryLimit(before)
	inMemory(t, func(t *testing.T, w *world) {
		ctx, cancel := context.WithCancel(w.ctx)
		ended := make(chan error, 1)
		go func() { ended <- w.b.Run(ctx, func() {}) }()
		for _, step := range []struct{ budget, least, most int64 }{
			{2 << 30, outside, outside}, {512 << 20, 128 << 20, 512 << 20}, {4 << 30, outside, outside},
		} {
			w.relimit(func(l *core.Limits) { l.Memory = step.budget })
			w.sleep(time.Second)
			if now := debug.SetMemoryLimit(-1); now < step.least || now > step.most {
				t.Errorf("a budget of %d: the limit of the runtime is %d", step.budget, now)
			}
		}
		cancel()
		w.ok(<-ended)
		if now := debug.SetMemoryLimit(-1); now != outside {
			t.Errorf("the limit of the runtime is %d at the end", now)
		}
	}, coretest.Limits(func(l *core.Limits) { l.Memory = 2 << 30 }))
}

// When the budget is taken away where nobody knows how much memory there is, the runtime gets back the limit that it had.
func TestReloadWithoutMemory(t *testing.T) {
	const outside, budget = 1 << 40, 512 << 20
	before := debug.SetMemoryLimit(outside)
	defer debug.SetMemoryLimit(before)
	inMemory(t, func(t *testing.T, w *world) {
		ctx, cancel := context.WithCancel(w.ctx)
		ended := make(chan error, 1)
		go func() { ended <- w.b.RunUnknown(ctx, func() {}) }()
		for _, step := range []int64{budget, 0, budget, 0} {
			w.relimit(func(l *core.Limits) { l.Memory = step })
			w.sleep(time.Second)
			if now := debug.SetMemoryLimit(-1); (step > 0) != (now <= budget) || step == 0 && now != outside {
				t.Errorf("a budget of %d: the limit of the runtime is %d", step, now)
			}
			if m := w.b.Memory(); m.Budget != step {
				t.Errorf("a budget of %d: known is %+v", step, m)
			}
		}
		cancel()
		w.ok(<-ended)
	})
}
