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

// Near the budget publishers are slowed; at it they wait, and are refused after a while, as is who wants to come in.
func TestShortOfMemory(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		p := w.client("p")
		took := func(fn func()) time.Duration {
			begun := time.Now()
			fn()
			return time.Since(begun)
		}
		w.b.Tight(500)
		if d := took(func() { w.pub(p, "topic/a", "x") }); d != 100*time.Millisecond {
			t.Errorf("half way, a publish took %v", d)
		}
		if err := w.b.Admit(); err != nil {
			t.Errorf("half way: %v", err)
		}
		w.b.Tight(1000)
		var err error
		if d := took(func() { _, err = w.send(p, "topic/a", "x") }); !errors.Is(err, core.ErrBusy) || d != 5*time.Second {
			t.Errorf("a publish: %v after %v", err, d)
		}
		if err := p.Commit(w.ctx, core.Transaction{Sends: []*core.Message{{Destination: "topic/a"}}}, nil); !errors.Is(err, core.ErrBusy) {
			t.Errorf("a transaction: %v", err)
		}
		if err := p.Hold(w.ctx, 1<<20); !errors.Is(err, core.ErrBusy) {
			t.Errorf("a message that is not complete: %v", err)
		}
		if err := p.Hold(w.ctx, 0); err != nil {
			t.Errorf("a message that is: %v", err)
		}
		if _, err := w.b.Connect(w.ctx, core.Login{Protocol: "test", Conn: coretest.NewConn()}, nil); !errors.Is(err, core.ErrBusy) {
			t.Errorf("a login: %v", err)
		}
		if err := w.b.Admit(); !errors.Is(err, core.ErrBusy) {
			t.Errorf("Admit: %v", err)
		}
		w.sub(p, "topic/b") // who is there goes on
		time.AfterFunc(time.Second, func() { w.b.Tight(0) })
		if d := took(func() { w.pub(p, "topic/b", "relieved") }); d > 1100*time.Millisecond {
			t.Errorf("relieved after a second, a publish took %v", d)
		}
		w.want(p, "relieved")
		w.client("q")
		if s := w.b.Stats().Limits["memory"]; s.Refused != 5 || s.Slowed < 4 {
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
		w.ok(half.Hold(w.ctx, 4<<20))
		synctest.Wait()
		w.b.Watch(math.MaxInt64 / 1000)
		if w.b.Memory().Outboxes != 0 {
			t.Error("outboxes are looked at while there is plenty")
		}
		runtime.GC()
		w.b.Watch(1) // no budget is smaller
		m := w.b.Memory()
		if m.Outboxes < 19<<20 || m.Incomplete != 4<<20 || m.Live < 20<<20 || m.Used > m.Heap || m.Used < min(m.Live, m.Heap) {
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
	if m := b.Memory(); m.Budget != 3<<30 || m.Used == 0 || m.Used > m.Heap {
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
