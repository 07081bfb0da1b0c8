package protocoltest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wyemq/wye/core"
	"github.com/wyemq/wye/core/coretest"
)

// disconnect: a client that says goodbye has closed in good order.
func disconnect(t *testing.T, s *Suite) {
	e := newEnv(t, s)
	c := e.connect()
	d, ok := c.Client.(Disconnecter)
	if !ok {
		t.Fatal("the Client is no Disconnecter: implement it, or say in Suite.Missing why there is no Disconnect")
	}
	c.subscribe("topic/kit/a")
	if err := d.Disconnect(); err != nil {
		t.Fatalf("disconnect: %v", err)
	}
	c.peer.Close()
	if _, err, ok := c.peer.Closed(soon); !ok || err != nil {
		t.Errorf("after the client said goodbye and closed: ServeConn returned %v (has returned: %v), want nil", err, ok)
	}
	if n := e.broker.Stats().Sessions; n != 0 {
		t.Errorf("there are %d sessions after the client said goodbye", n)
	}
}

// lastWords: what a client sent before it closed counts, though the broker was writing to it at that moment and nothing
// can be written any more.
func lastWords(t *testing.T, s *Suite) {
	e := newEnv(t, s)
	plain := e.plain(core.Login{})
	if err := plain.Subscribe(e.ctx, &core.Subscription{ID: "1", Filter: "topic/kit/last"}); err != nil {
		t.Fatal(err)
	}
	c := e.connect()
	c.subscribe("topic/kit/last") // each message is written back to it
	synctest.Wait()
	const n = 500
	for i := range n {
		if err := c.Publish("topic/kit/last", fmt.Appendf(nil, "%d", i)); err != nil {
			t.Fatalf("publish: %v", err)
		}
	}
	c.peer.Close()
	for i := range n {
		if d := plain.Next(t); string(d.Body) != strconv.Itoa(i) {
			t.Fatalf("message %d of a client that closed after message %d is %q", i, n-1, d.Body)
		}
	}
}

// peerCloses: the session goes with its connection, and a broken connection is an error.
func peerCloses(t *testing.T, s *Suite) {
	e := newEnv(t, s)
	others := e.pair()
	before := e.broker.Stats()
	leave := func(what string, silent bool, how func(*Peer)) error {
		t.Helper()
		c := e.dial()
		if !silent {
			if err := c.Connect(Login{}); err != nil {
				t.Fatalf("connect: %v", err)
			}
			synctest.Wait()
			c.subscribe("topic/kit/a")
		}
		synctest.Wait()
		how(c.peer)
		_, err, ok := c.peer.Closed(soon)
		if !ok {
			t.Fatalf("%s: ServeConn has not returned after %s", what, soon)
		}
		after := e.broker.Stats()
		if after.Sessions != before.Sessions || after.Subscriptions != before.Subscriptions {
			t.Errorf("%s: there are %d sessions with %d subscriptions, before there were %d with %d",
				what, after.Sessions, after.Subscriptions, before.Sessions, before.Subscriptions)
		}
		return err
	}
	_, mustSayIt := s.Missing[Disconnect]
	if err := leave("the peer closes", false, (*Peer).Close); err != nil && mustSayIt {
		t.Errorf("the peer closes: ServeConn returned %v, want nil: without %s that is the orderly way to leave", err, Disconnect)
	}
	if err := leave("the connection breaks", false, (*Peer).Abort); err == nil && !s.Pipe.Stream {
		t.Error("the connection breaks: ServeConn returned nil, want an error")
	}
	_ = leave("the peer closes before the login", true, (*Peer).Close)
	_ = leave("the connection breaks before the login", true, (*Peer).Abort)
	others.exchange()
}

// halfMessage: half of a message is no message, and an error.
func halfMessage(t *testing.T, s *Suite) {
	e := newEnv(t, s)
	others := e.pair()
	plain := e.plain(core.Login{})
	if err := plain.Subscribe(e.ctx, &core.Subscription{ID: "1", Filter: "topic/kit/half/#"}); err != nil {
		t.Fatal(err)
	}
	c := e.connect()
	c.peer.Halve()
	_ = c.Publish("topic/kit/half", []byte("a body that is longer than all that comes before it on the wire, whatever it is"))
	_, err, ok := c.peer.Closed(soon)
	if !ok {
		t.Fatalf("ServeConn has not returned %s after the end of the input", soon)
	}
	if err == nil {
		t.Error("the input ended inside a message: ServeConn returned nil, want an error")
	}
	synctest.Wait()
	plain.Nothing(t)
	others.exchange()
}

// shutdown: when its context is done a protocol says goodbye and returns, whatever it was doing.
func shutdown(t *testing.T, s *Suite) {
	e := newEnv(t, s)
	idle, busy, early := e.connect(), e.connect(), e.dial()
	busy.subscribe("topic/kit/a")
	synctest.Wait()
	idle.mark()
	busy.mark()
	e.stop()
	idle.end("shutdown", core.ErrShutdown)
	busy.end("shutdown", core.ErrShutdown)
	if _, err, ok := early.peer.Closed(soon); !ok || !errors.Is(err, core.ErrShutdown) {
		t.Errorf("shutdown before the login: ServeConn returned %v (has returned: %v), want an error that wraps ErrShutdown", err, ok)
	}
	if n := e.broker.Stats().Sessions; n != 0 {
		t.Errorf("there are %d sessions after the shutdown", n)
	}
}

// takeover: a session whose client id another one takes is told, ends, and makes room quickly.
func takeover(t *testing.T, s *Suite) {
	var mu sync.Mutex
	var last string
	e := newEnv(t, s, coretest.Intercept(func(ctx context.Context, c *core.Call, next func(context.Context, *core.Call) error) error {
		mu.Lock()
		last = c.Principal.ClientID
		mu.Unlock()
		return next(ctx, c)
	}, core.OpConnect))
	old := e.connect()
	old.subscribe("topic/kit/a")
	mu.Lock()
	id := last
	mu.Unlock()
	others := e.pair()
	old.mark()
	began := time.Now()
	e.plain(core.Login{ClientID: id})
	old.end("taken over by a session of the core", core.ErrTakenOver)
	if waited := time.Since(began); waited > soon/2 {
		t.Errorf("the new session had to wait %s for the old one", waited)
	}
	others.exchange()
	if e.lacks(ClientIDs) {
		return
	}
	first, second := e.dial(), e.dial()
	if err := first.Connect(Login{ClientID: "kit"}); err != nil {
		t.Fatalf("connect: %v", err)
	}
	first.mark()
	if err := second.Connect(Login{ClientID: "kit"}); err != nil {
		t.Fatalf("connect with a client id that is in use: %v", err)
	}
	first.end("taken over", core.ErrTakenOver)
	second.subscribe("topic/kit/b")
	second.publish("topic/kit/b", []byte("x"))
	second.expect("topic/kit/b", []byte("x"))
	others.exchange()
}

// slowConsumer: a client that does not read costs bounded memory and its own connection.
func slowConsumer(t *testing.T, s *Suite) {
	const outbox, rounds, size = 64, 40, 8 << 10
	e := newEnv(t, s, coretest.Limits(func(l *core.Limits) { l.OutboxMessages = outbox }))
	o := s.Pipe.withDefaults()
	slow, fast, plain := e.connect(), e.connect(), e.plain(core.Login{})
	slow.subscribe("topic/kit/slow/+")
	fast.subscribe("topic/kit/slow/+")
	body := make([]byte, size)
	for i := range body {
		body[i] = 'a' + byte(i%26)
	}
	for round := range rounds {
		for i := range outbox / 2 {
			e.publish(plain, &core.Message{Destination: fmt.Sprintf("topic/kit/slow/%d", round*outbox+i), Body: body})
		}
		for i := range outbox / 2 {
			fast.expect(fmt.Sprintf("topic/kit/slow/%d", round*outbox+i), body)
		}
	}
	if most := o.Buffer + o.Gather + 2*(size+1<<10); slow.peer.Waiting() > most {
		t.Errorf("%d bytes wait for a client that does not read, the buffers hold %d", slow.peer.Waiting(), most)
	}
	if n := e.broker.Stats().Drops[core.ErrSlowConsumer.ID()]; n < rounds*outbox/4 {
		t.Errorf("%d messages of %d were dropped for a client that does not read: the protocol has kept the others", n, rounds*outbox/2)
	}
	_, err, ok := slow.peer.Closed(o.WriteTimeout + soon)
	if !ok || !errors.Is(err, core.ErrSlowConsumer) {
		t.Errorf("ServeConn of a client that does not read returned %v (has returned: %v), want an error that wraps ErrSlowConsumer", err, ok)
	}
	e.publish(plain, &core.Message{Destination: "topic/kit/slow/last", Body: []byte("last")})
	fast.expect("topic/kit/slow/last", []byte("last"))
}

// garbage: random bytes end their own connection with an error, and nothing else.
func garbage(t *testing.T, s *Suite) {
	e := newEnv(t, s)
	others := e.pair()
	rnd := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // the same garbage each time
	for i := range 30 {
		c := e.dial()
		if i%2 == 1 {
			if err := c.Connect(Login{}); err != nil {
				t.Fatalf("connect: %v", err)
			}
		}
		data := make([]byte, 16+rnd.IntN(2000))
		for j := range data {
			data[j] = byte(rnd.Uint32())
		}
		e.feed(c, data, core.Kind(1+i/2%2))
		if _, err, ok := c.peer.Closed(soon); ok && err == nil {
			t.Errorf("ServeConn returned nil for %d random bytes, want an error", len(data))
		}
	}
	others.exchange()
}

// feed sends data and the end, and waits until ServeConn has returned.
func (e *env) feed(c *conn, data []byte, k core.Kind) {
	e.t.Helper()
	if err := c.peer.Send(k, data); err != nil && !errors.Is(err, io.ErrClosedPipe) {
		e.t.Fatalf("send: %v", err)
	}
	synctest.Wait()
	c.peer.CloseSend()
	for range 2 { // what is answered may wait for a reader
		c.peer.ReceiveAll()
		synctest.Wait()
	}
	if _, _, ok := c.peer.Closed(soon); !ok {
		e.t.Fatalf("ServeConn has not returned %s after the end of the input", soon)
	}
}
