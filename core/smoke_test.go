package core_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/wyemq/wye/core"
	"github.com/wyemq/wye/core/engine/memory"
)

type nullConn struct {
	mu  sync.Mutex
	err error
}

func (*nullConn) NextReader() (core.Kind, io.Reader, error) { select {} }
func (*nullConn) WriteMessage(core.Kind, ...[]byte) error   { return nil }
func (*nullConn) Flush() error                              { return nil }
func (*nullConn) SetReadDeadline(time.Time) error           { return nil }
func (*nullConn) LoggedIn()                                 {}
func (c *nullConn) Close(err error)                         { c.mu.Lock(); c.err = err; c.mu.Unlock() }

func (*nullConn) Info() *core.ConnInfo {
	a := &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1}
	return &core.ConnInfo{ID: "c1", Local: a, Remote: a}
}

type client struct {
	*core.Session
	got chan core.Delivery
}

func connect(t testing.TB, b *core.Broker, l core.Login) *client {
	t.Helper()
	c := &client{got: make(chan core.Delivery, 100000)}
	l.Conn = &nullConn{}
	l.Protocol = "test"
	s, err := b.Connect(t.Context(), l, func(ds []core.Delivery) error {
		for _, d := range ds {
			c.got <- d
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	c.Session = s
	t.Cleanup(func() { s.Close() })
	return c
}

func (c *client) next(t testing.TB) core.Delivery {
	t.Helper()
	select {
	case d := <-c.got:
		return d
	case <-time.After(2 * time.Second):
		t.Fatal("nothing came")
		panic("unreachable")
	}
}

func newBroker(t testing.TB) *core.Broker {
	b, err := core.NewBroker(core.Options{Engine: memory.New()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close(context.Background()) })
	return b
}

func TestSmoke(t *testing.T) {
	b := newBroker(t)
	ctx := t.Context()
	p, d, q := connect(t, b, core.Login{}), connect(t, b, core.Login{}), connect(t, b, core.Login{ClientID: "dur", Expiry: time.Hour})
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(d.Subscribe(ctx, &core.Subscription{ID: "1", Filter: "topic/a/+"}))
	must(q.Subscribe(ctx, &core.Subscription{ID: "x", Filter: "topic/a/#", Ack: core.AckIndividual, Durable: true}))
	for i := range 10 {
		done := make(chan error, 1)
		must(p.Publish(ctx, &core.Message{Destination: "topic/a/b", Persistent: true, Body: fmt.Append(nil, i)}, func(r core.Published, err error) {
			if r.Matched != 2 {
				t.Errorf("matched %d", r.Matched)
			}
			done <- err
		}))
		must(<-done)
		if got := d.next(t); string(got.Body) != fmt.Sprint(i) {
			t.Errorf("got %s", got.Body)
		}
		got := q.next(t)
		if string(got.Body) != fmt.Sprint(i) || got.Redelivered || got.Attempt != 1 {
			t.Errorf("got %+v", got)
		}
		if i < 5 {
			must(q.Settle(ctx, core.Accepted, nil, got.Tag))
		}
	}
	q.Close()
	must(p.Publish(ctx, &core.Message{Destination: "topic/a/b", Persistent: true, Body: []byte("10")}, nil))
	q2 := connect(t, b, core.Login{ClientID: "dur", Expiry: time.Hour})
	subs, ok := q2.Resumed()
	if !ok || len(subs) != 1 {
		t.Fatalf("resumed %v %v", subs, ok)
	}
	must(q2.Subscribe(ctx, &subs[0]))
	for i := 5; i <= 10; i++ {
		got := q2.next(t)
		if string(got.Body) != fmt.Sprint(i) || got.Redelivered != (i < 10) {
			t.Errorf("%d: got %s %v", i, got.Body, got.Redelivered)
		}
	}
	d.next(t) // 10
	// retained, queue, nack, dead letter
	must(p.Publish(ctx, &core.Message{Destination: "topic/r", Retain: true, Body: []byte("kept")}, nil))
	must(d.Subscribe(ctx, &core.Subscription{ID: "r", Filter: "topic/+"}))
	if got := d.next(t); !got.FromRetained || string(got.Body) != "kept" {
		t.Errorf("got %+v", got)
	}
	must(p.Publish(ctx, &core.Message{Destination: "queue/jobs", Persistent: true, Body: []byte("job")}, nil))
	w := connect(t, b, core.Login{})
	must(w.Subscribe(ctx, &core.Subscription{ID: "w", Filter: "queue/jobs", Ack: core.AckIndividual}))
	for i := 1; i <= 10; i++ {
		got := w.next(t)
		if got.Attempt != i || got.Redelivered != (i > 1) {
			t.Errorf("attempt %d, want %d", got.Attempt, i)
		}
		must(w.Settle(ctx, core.Requeue, nil, got.Tag))
	}
	must(w.Subscribe(ctx, &core.Subscription{ID: "dlq", Filter: "queue/DLQ.jobs"}))
	if got := w.next(t); string(got.Body) != "job" {
		t.Errorf("got %+v", got)
	} else if r, _ := got.Get("dead-letter-reason"); r != "max_deliveries" {
		t.Errorf("headers %v", got.Header)
	}
	done := make(chan error, 1)
	must(p.Commit(ctx, core.Transaction{Sends: []*core.Message{{Destination: "queue/jobs", Body: []byte("1")}, {Destination: "queue/jobs", Body: []byte("2")}}}, func(err error) { done <- err }))
	must(<-done)
	a, c := w.next(t), w.next(t)
	if string(a.Body)+string(c.Body) != "12" {
		t.Errorf("got %s %s", a.Body, c.Body)
	}
	must(p.Publish(ctx, &core.Message{Destination: "queue/jobs", Visible: time.Now().Add(50 * time.Millisecond), Body: []byte("later")}, nil))
	if got := w.next(t); string(got.Body) != "later" {
		t.Errorf("got %s", got.Body)
	}
}
