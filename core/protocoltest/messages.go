package protocoltest

import (
	"bytes"
	"fmt"
	"strconv"
	"testing"
	"testing/synctest"

	"github.com/wyemq/wye/core"
)

// burst is how many messages a burst has.
const burst = 1000

// roundtrip: what one client publishes, those who have subscribed receive, unharmed and once.
func roundtrip(t *testing.T, s *Suite) {
	e := newEnv(t, s)
	from, to, other := e.connect(), e.connect(), e.connect()
	to.subscribe("topic/kit/a")
	to.subscribe("topic/kit/w/+")
	other.subscribe("topic/kit/b")
	for _, body := range s.Bodies {
		from.publish("topic/kit/a", body)
		to.expect("topic/kit/a", body)
		from.publish("topic/kit/w/1", body)
		to.expect("topic/kit/w/1", body)
	}
	to.publish("topic/kit/a", []byte("own"))
	to.expect("topic/kit/a", []byte("own"))
	for _, c := range []*conn{from, to, other} {
		c.quiet()
	}
}

// interop: the core sees what the protocol publishes, and the other way round.
func interop(t *testing.T, s *Suite) {
	e := newEnv(t, s)
	c := e.connect()
	c.subscribe("topic/kit/+")
	plain := e.plain(core.Login{})
	if err := plain.Subscribe(e.ctx, &core.Subscription{ID: "1", Filter: "topic/kit/#", NoLocal: true}); err != nil {
		t.Fatal(err)
	}
	for _, body := range s.Bodies {
		c.publish("topic/kit/a", body)
		c.expect("topic/kit/a", body)
		if d := plain.Next(t); d.Destination != "topic/kit/a" || !bytes.Equal(d.Body, body) {
			t.Errorf("the core received %.60q on %s, want %.60q", d.Body, d.Destination, body)
		}
		e.publish(plain, &core.Message{Destination: "topic/kit/b", Body: body})
		c.expect("topic/kit/b", body)
	}
	c.quiet()
	synctest.Wait()
	plain.Nothing(t)
}

// headers: a publisher's own headers go through, in order, repeats included.
func headers(t *testing.T, s *Suite) {
	e := newEnv(t, s)
	c := e.connect()
	hp, ok := c.Client.(HeaderPublisher)
	if !ok {
		t.Fatal("the Client is no HeaderPublisher: implement it, or say in Suite.Missing why there are no Headers")
	}
	plain := e.plain(core.Login{})
	if err := plain.Subscribe(e.ctx, &core.Subscription{ID: "1", Filter: "topic/kit/#", NoLocal: true}); err != nil {
		t.Fatal(err)
	}
	c.subscribe("topic/kit/b")
	want := []core.Field{{Name: "kit-one", Value: "1"}, {Name: "kit-two", Value: "zwei: ü\\"}, {Name: "kit-one", Value: "again"}}
	if err := hp.PublishHeader("topic/kit/a", []byte("x"), want); err != nil {
		t.Fatalf("publish with headers: %v", err)
	}
	sameHeaders(t, "the core received", plain.Next(t).Header, want)
	e.publish(plain, &core.Message{Destination: "topic/kit/b", Header: want, Body: []byte("y")})
	sameHeaders(t, "the client received", c.expect("topic/kit/b", []byte("y")).Header, want)
}

// sameHeaders compares the headers whose names begin with "kit-"; a protocol may add its own.
func sameHeaders(t *testing.T, what string, all, want []core.Field) {
	t.Helper()
	var got []core.Field
	for _, f := range all {
		if len(f.Name) > 4 && f.Name[:4] == "kit-" {
			got = append(got, f)
		}
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%s the headers %q, want %q", what, got, want)
	}
}

// queue: each message of a queue goes to one of its consumers, and waits while there is none.
func queue(t *testing.T, s *Suite) {
	e := newEnv(t, s)
	from := e.connect()
	from.publish("queue/kit", []byte("waits"))
	a := e.connect()
	a.subscribe("queue/kit")
	a.expect("queue/kit", []byte("waits"))
	b := e.connect()
	b.subscribe("queue/kit")
	const n = 10
	for i := range n {
		from.publish("queue/kit", fmt.Appendf(nil, "%d", i))
	}
	seen := make(map[string]int)
	for _, c := range []*conn{a, b} {
		for {
			d, err := c.Receive(soon)
			if err != nil {
				break
			}
			seen[string(d.Body)]++
		}
	}
	for i := range n {
		if k := seen[strconv.Itoa(i)]; k != 1 {
			t.Errorf("message %d was received %d times by the consumers of its queue, want once", i, k)
		}
	}
}

// order: a burst arrives complete and in the order of its publisher.
func order(t *testing.T, s *Suite) {
	e := newEnv(t, s)
	from, to := e.connect(), e.connect()
	plain := e.plain(core.Login{})
	to.subscribe("topic/kit/+")
	for i := range burst {
		if err := from.Publish("topic/kit/a", fmt.Appendf(nil, "%d", i)); err != nil {
			t.Fatalf("publish %d of a burst: %v", i, err)
		}
	}
	for i := range burst {
		to.expect("topic/kit/a", fmt.Appendf(nil, "%d", i))
	}
	for i := range burst {
		e.publish(plain, &core.Message{Destination: "topic/kit/b", Body: fmt.Appendf(nil, "%d", i)})
	}
	for i := range burst {
		to.expect("topic/kit/b", fmt.Appendf(nil, "%d", i))
	}
	to.quiet()
}

// split: what is sent byte by byte is what is sent at once.
func split(t *testing.T, s *Suite) {
	e := newEnv(t, s)
	run := func(n int, messages bool) {
		from, to := e.dial(), e.dial()
		for _, c := range []*conn{from, to} {
			c.peer.Chop(n, messages)
			if err := c.Connect(Login{}); err != nil {
				t.Fatalf("connect in pieces of %d bytes: %v", n, err)
			}
		}
		synctest.Wait()
		topic := fmt.Sprintf("topic/kit/%d", n)
		to.subscribe(topic)
		for _, body := range s.Bodies {
			from.publish(topic, body)
			to.expect(topic, body)
		}
		to.quiet()
	}
	run(1, false)
	if !s.Pipe.Stream && !e.lacks(SplitFrames) {
		run(3, true)
	}
}

// coalesced: what is sent together is what is sent one by one.
func coalesced(t *testing.T, s *Suite) {
	e := newEnv(t, s)
	if !s.Pipe.Stream && e.lacks(SharedMessages) {
		return
	}
	from, to := e.connect(), e.connect()
	to.subscribe("topic/kit/a")
	from.peer.Hold()
	for _, body := range s.Bodies {
		if err := from.Publish("topic/kit/a", body); err != nil {
			t.Fatalf("publish: %v", err)
		}
	}
	if err := from.peer.Release(); err != nil {
		t.Fatalf("send: %v", err)
	}
	for _, body := range s.Bodies {
		to.expect("topic/kit/a", body)
	}
	to.quiet()
}
