package protocoltest

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wyemq/wye/core"
	"github.com/wyemq/wye/core/coretest"
	"github.com/wyemq/wye/core/engine"
	"github.com/wyemq/wye/core/engine/memory"
)

// acks: what was not acknowledged when the connection broke is delivered again, says so, and comes in
// order; what was is not.
func acks(t *testing.T, s *Suite) {
	e := newEnv(t, s)
	plain := e.plain(core.Login{})
	const n, done = 10, 4
	for i := range n {
		e.publish(plain, &core.Message{Destination: "queue/kit", Body: fmt.Appendf(nil, "%d", i), Persistent: true})
	}
	first := e.connect()
	a := first.acker()
	var ds []Delivery
	for i := range n {
		d := first.expect("queue/kit", fmt.Appendf(nil, "%d", i))
		if d.Redelivered {
			t.Errorf("message %d: the first delivery says that it is a repetition", i)
		}
		ds = append(ds, d)
	}
	for _, d := range ds[:done] {
		if err := a.Ack(d); err != nil {
			t.Fatalf("ack: %v", err)
		}
	}
	synctest.Wait()
	first.peer.Abort()
	if _, _, ok := first.peer.Closed(soon); !ok {
		t.Fatalf("ServeConn has not returned %s after the connection broke", soon)
	}
	second := e.connect()
	a = second.acker()
	lacks := e.lacks(Redelivered)
	for i := done; i < n; i++ {
		d := second.expect("queue/kit", fmt.Appendf(nil, "%d", i))
		if !d.Redelivered && !lacks {
			t.Errorf("message %d: the second delivery does not say that it may be a repetition", i)
		}
		if err := a.Ack(d); err != nil {
			t.Fatalf("ack: %v", err)
		}
	}
	second.quiet()
	for _, q := range e.broker.Stats().Queues {
		if q.Name == "queue/kit" && q.Ready+q.Unacked > 0 {
			t.Errorf("%d messages are ready and %d unacknowledged after everything was acknowledged", q.Ready, q.Unacked)
		}
	}
}

func (c *conn) acker() Acker {
	c.e.t.Helper()
	a, ok := c.Client.(Acker)
	if !ok {
		c.e.t.Fatal("the Client is no Acker: implement it, or say in Suite.Missing why there are no Acks")
	}
	if err := a.SubscribeAck("queue/kit"); err != nil {
		c.e.t.Fatalf("subscribe with acknowledgements: %v", err)
	}
	synctest.Wait()
	return a
}

// confirms: the broker's confirmation means that the engine has the message; when the engine refuses it,
// the client is told.
func confirms(t *testing.T, s *Suite) {
	disk := coretest.NewEngine(memory.New())
	e := newEnv(t, s, func(o *core.Options) { o.Engine = disk })
	t.Cleanup(disk.Release)
	keeper := e.plain(core.Login{ClientID: "keeper", Expiry: time.Hour})
	err := keeper.Subscribe(e.ctx, &core.Subscription{ID: "1", Filter: "topic/kit/#", Durable: true, Ack: core.AckIndividual})
	if err != nil {
		t.Fatal(err)
	}
	c := e.connect()
	cf := c.confirmer()
	publish := func() <-chan error {
		result := make(chan error, 1)
		go func() { result <- cf.PublishConfirmed("topic/kit/a", []byte("x")) }()
		synctest.Wait()
		return result
	}
	disk.Hold()
	result := publish()
	select {
	case err := <-result:
		t.Fatalf("PublishConfirmed returned %v before the engine had the message", err)
	default:
	}
	disk.Release()
	if err := <-result; err != nil {
		t.Fatalf("PublishConfirmed: %v", err)
	}
	keeper.Next(t)
	disk.Fail(engine.ErrUnavailable)
	if err := <-publish(); err == nil {
		t.Error("PublishConfirmed returned nil although the engine has refused the message")
	}
	if _, err, over := c.peer.Closed(0); over && !errors.Is(err, core.ErrUnavailable) {
		t.Errorf("the engine refuses: ServeConn returned %v, want an error that wraps ErrUnavailable", err)
	}
	disk.Fail(nil)
	synctest.Wait()
	keeper.Nothing(t)
}

func (c *conn) confirmer() Confirmer {
	c.e.t.Helper()
	cf, ok := c.Client.(Confirmer)
	if !ok {
		c.e.t.Fatal("the Client is no Confirmer: implement it, or say in Suite.Missing why there are no Confirms")
	}
	return cf
}
