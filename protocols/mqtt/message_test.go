package mqtt_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wyemq/wye/core"
	"github.com/wyemq/wye/core/coretest"
	"github.com/wyemq/wye/protocols/mqtt"
)

// Properties go through unharmed, order and repeats included, and are what the core sees.
func TestProperties(t *testing.T) {
	bubble(t, setup{}, func(t *testing.T, s *server) {
		plain := coretest.Connect(t, s.broker, core.Login{})
		if err := plain.Subscribe(t.Context(), &core.Subscription{ID: "1", Filter: "topic/#"}); err != nil {
			t.Fatal(err)
		}
		sub, old := s.client(hello{}), s.client(hello{v: 4})
		sub.subscribe("#", 1)
		old.subscribe("#", 1)
		c := s.client(hello{id: "me"})
		c.publish("a/b", 1, 1, "body", prop8(1, 1), prop32(2, 100), propS(3, "text/plain"), propS(8, "$queue/re"), propS(9, "\x00\xff"),
			propUser("k", "1"), propUser("x", ""), propUser("k", "2"))
		d := plain.Next(t)
		if d.Destination != "topic/a/b" || !d.TextBody || d.ContentType != "text/plain" || d.ReplyTo != "queue/re" ||
			d.CorrelationID != "\x00\xff" || time.Until(d.Expires) != 100*time.Second || d.Publisher != "me" || !d.Persistent ||
			!slices.Equal(d.Header, []core.Field{{Name: "k", Value: "1"}, {Name: "x"}, {Name: "k", Value: "2"}}) {
			t.Errorf("the core got %+v", d.Message)
		}
		m := sub.message()
		if m.format != 1 || m.expiry != 100 || m.contentType != "text/plain" || m.response != "$queue/re" || m.correlation != "\x00\xff" ||
			strings.Join(m.userProps, " ") != "k=1 x= k=2" || m.body != "body" || m.qos != 1 {
			t.Errorf("got %+v", m)
		}
		if m := old.message(); m.topic != "a/b" || m.body != "body" || m.qos != 1 {
			t.Errorf("3.1.1 got %+v", m)
		}
		// What MQTT cannot say is left out.
		publish(t, plain, &core.Message{
			Destination: "topic/x", ReplyTo: "queue/a+b", CorrelationID: strings.Repeat("c", 70_000), ContentType: "\xff",
			Header: []core.Field{{Name: "a", Value: "1"}, {Name: "b", Value: "\x00"}, {Name: "c\xff", Value: ""}, {Name: "d", Value: "2"}},
		})
		if m := sub.message(); strings.Join(m.userProps, " ") != "a=1 d=2" || m.response+m.correlation+m.contentType != "" {
			t.Errorf("got %+v", m)
		}
	})
}

func publish(t *testing.T, c *coretest.Client, m *core.Message) {
	t.Helper()
	if err := c.Publish(t.Context(), m, nil); err != nil {
		t.Fatal(err)
	}
}

// What is left of the expiry is sent, and nothing that has expired.
func TestExpiry(t *testing.T) {
	bubble(t, setup{}, func(t *testing.T, s *server) {
		h := hello{id: "c", dirty: true, props: expiry(600)}
		c := s.client(h)
		c.subscribe("a", 1)
		c.leave()
		pub := s.client(hello{})
		pub.publish("a", 1, 1, "long", prop32(2, 100))
		pub.publish("a", 1, 2, "short", prop32(2, 10))
		time.Sleep(40500 * time.Millisecond)
		c = s.client(h)
		if m := c.message(); m.body != "long" || m.expiry != 60 {
			t.Errorf("got %+v, want 60 s left", m)
		}
		c.nothing()
	})
}

func TestPayloadFormat(t *testing.T) {
	bubble(t, setup{}, func(t *testing.T, s *server) {
		sub, c := s.client(hello{}), s.client(hello{})
		sub.subscribe("#", 0)
		c.publish("a", 2, 1, "\xff", prop8(1, 1))
		if p := c.next(); p.first != tPUBREC || p.body[2] != 0x99 {
			t.Errorf("got %s, want payload format invalid", p)
		}
		c.publish("a", 0, 0, "\xff", prop8(1, 1))
		c.publish("a", 2, 1, "\xff", prop8(1, 0)) // the identifier is free again
		c.want(tPUBREC, 0, 1)
		sub.bodies(1)
		sub.nothing()
	})
}

// In mochi overlapping subscriptions get the options of one of them.
func TestOverlapping(t *testing.T) {
	id := func(n byte) []byte { return []byte{0x0B, n} }
	bubble(t, setup{}, func(t *testing.T, s *server) {
		c := s.client(hello{})
		c.subscribe("a/+", 0, id(1))
		c.subscribe("a/b", 0, id(2))
		c.subscribe("#", 4, id(3)) // No Local
		c.subscribe("+/b", 8)      // Retain As Published
		pub := s.client(hello{})
		pub.publishFlags(1, "a/b", 0, "x")
		// One packet for all as a rule, several if the writer is faster: each identifier comes once.
		all := func() (ids []int, retain bool) {
			synctest.Wait()
			for p, err := c.try(0); err == nil; p, err = c.try(0) {
				m := c.parse(p)
				ids, retain = append(ids, m.subIDs...), retain || m.retain
			}
			slices.Sort(ids)
			return ids, retain
		}
		if ids, retain := all(); fmt.Sprint(ids) != "[1 2 3]" || !retain {
			t.Errorf("got %v, %v, want all identifiers and RETAIN", ids, retain)
		}
		c.publish("a/b", 0, 0, "own")
		if ids, retain := all(); fmt.Sprint(ids) != "[1 2]" || retain {
			t.Errorf("got %v, %v, want the subscriptions without No Local", ids, retain)
		}
		// With QoS 1 each has its own.
		d := s.client(hello{})
		d.subscribe("q/+", 1, id(1))
		d.subscribe("q/b", 2, []byte{0x0B, 0xFF, 0xFF, 0xFF, 0x7F})
		pub.publish("q/b", 2, 9, "x")
		got := map[byte][]int{}
		for range 2 {
			m := d.message()
			got[m.qos] = m.subIDs
		}
		if fmt.Sprint(got) != "map[1:[1] 2:[268435455]]" {
			t.Errorf("got %v", got)
		}
	})
}

func TestRetainHandling(t *testing.T) {
	bubble(t, setup{}, func(t *testing.T, s *server) {
		s.client(hello{}).publishFlags(1, "r", 0, "x")
		synctest.Wait()
		c := s.client(hello{id: "c", props: expiry(60)})
		c.subscribe("r", 0x20)
		c.nothing() // [MQTT-3.3.1-11]
		c.subscribe("r", 0x10)
		c.nothing() // it exists [MQTT-3.3.1-10]
		c.subscribe("r", 0x00)
		c.bodies(1)
		c.subscribe("+", 0x10)
		c.bodies(1)
		c.leave()
		c = s.client(hello{id: "c", dirty: true, props: expiry(60)})
		c.nothing()
		c.subscribe("r", 0x10)
		c.nothing()
		c.subscribe("$share/g/r", 0)
		c.nothing() // section 4.8.2
	})
}

// Several filters in one SUBSCRIBE: one SUBACK, before what is retained.
func TestSubackOrder(t *testing.T) {
	bubble(t, setup{}, func(t *testing.T, s *server) {
		pub := s.client(hello{})
		for i := range 300 {
			pub.publishFlags(1, fmt.Sprintf("r/%d", i), 0, "x")
		}
		synctest.Wait()
		c := s.client(hello{})
		c.write(packet(0x82, u16(3), []byte{0}, str("r/+"), []byte{0}, str("bad#"), []byte{0}, str("r/#"), []byte{1}))
		if p := c.next(); p.first != 0x90 || !strings.HasSuffix(string(p.body), "\x00\x8F\x01") {
			t.Fatalf("got %s, want SUBACK", p)
		}
		c.bodies(600)
		c.nothing()
		old := s.client(hello{v: 4})
		old.write(packet(0x82, u16(3), str("a"), []byte{2}, str("#b"), []byte{0}))
		old.want(0x90, 0, 3, 2, 0x80)
	})
}

// mochi gives most messages of a group to members that are not there.
func TestShare(t *testing.T) {
	for _, qos := range []byte{0, 1} {
		bubble(t, setup{}, func(t *testing.T, s *server) {
			a := s.client(hello{id: "a", props: expiry(60)})
			b := s.client(hello{id: "b", props: expiry(60)})
			away := s.client(hello{id: "away", props: expiry(60)})
			for _, c := range []*raw{a, b, away} {
				c.subscribe("$share/g/x/+", qos)
			}
			away.leave()
			all := s.client(hello{})
			all.subscribe("x/#", 0)
			pub := s.client(hello{})
			for i := range 100 {
				pub.publish("x/y", 1, uint16(i+1), fmt.Sprint(i))
				pub.want(tPUBACK, byte((i+1)>>8), byte(i+1))
			}
			all.bodies(100)
			got := map[string]bool{}
			n := map[*raw]int{}
			for len(got) < 100 {
				synctest.Wait()
				before := len(got)
				for _, c := range []*raw{a, b} {
					for p, err := c.try(0); err == nil; p, err = c.try(0) {
						m := c.parse(p)
						if got[m.body] {
							t.Fatalf("%s came twice", m.body)
						}
						got[m.body] = true
						n[c]++
						if m.qos > 0 {
							c.ack(tPUBACK, m.id)
						}
					}
				}
				if len(got) == before {
					t.Fatalf("%d of 100 messages came", before)
				}
			}
			if n[a] < 30 || n[b] < 30 {
				t.Errorf("shares of %d and %d", n[a], n[b])
			}
		})
	}
}

func TestQueue(t *testing.T) {
	bubble(t, setup{}, func(t *testing.T, s *server) {
		pub := s.client(hello{})
		for i := range 4 {
			pub.publish("$queue/jobs/eu", 1, uint16(i+1), fmt.Sprint(i))
			pub.want(tPUBACK, 0, byte(i+1)) // the queue has it, consumer or not
		}
		a := s.client(hello{props: receiveMaximum(2)})
		a.subscribe("$queue/jobs/eu", 1)
		first, second := a.message(), a.message()
		if first.topic != "$queue/jobs/eu" || first.dup {
			t.Errorf("got %+v", first)
		}
		a.ack(tPUBACK, first.id)
		if m := a.message(); m.body != "2" {
			t.Errorf("got %+v", m)
		}
		_ = second
		a.leave() // its nack
		b := s.client(hello{})
		b.subscribe("$queue/jobs/eu", 2)
		for i := 1; i < 4; i++ {
			m := b.message()
			if m.body != fmt.Sprint(i) || m.dup != (i < 3) || m.qos != 1 {
				t.Errorf("got %+v, want %d, redelivered if it was sent before", m, i)
			}
			b.ack(tPUBACK, m.id)
		}
		b.nothing()
		// A negative acknowledgement: again, or a dead letter.
		pub.publish("$queue/jobs/eu", 1, 9, "bad")
		m := b.message()
		b.ack(tPUBACK, m.id, 0x80)
		if m = b.message(); m.body != "bad" || !m.dup {
			t.Errorf("got %+v, want it again", m)
		}
		b.ack(tPUBACK, m.id, 0x99)
		b.nothing()
		b.subscribe("$queue/DLQ.jobs/eu", 0)
		if m = b.message(); m.body != "bad" || !strings.Contains(strings.Join(m.userProps, " "), "dead-letter-reason=rejected") {
			t.Errorf("got %+v, want a dead letter", m)
		}
		b.subscribe("$queue/q0", 0)
		pub.publish("$queue/q0", 1, 10, "x")
		if m := b.message(); m.qos != 0 {
			t.Errorf("got %+v", m)
		}
		synctest.Wait()
		for _, q := range s.broker.Stats().Queues {
			if q.Ready+q.Unacked != 0 {
				t.Errorf("left in %s: %+v", q.Name, q)
			}
		}
	})
}

// A QoS 2 message of a queue that the client has taken over with PUBREC goes to nobody else.
func TestQueueQoS2(t *testing.T) {
	bubble(t, setup{}, func(t *testing.T, s *server) {
		pub := s.client(hello{})
		pub.publish("$queue/q", 2, 1, "one")
		pub.publish("$queue/q", 2, 2, "two")
		a := s.client(hello{id: "a", props: expiry(60)})
		a.subscribe("$queue/q", 2)
		m, other := a.message(), a.message()
		a.ack(tPUBREC, m.id)
		a.want(tPUBREL, 0, byte(m.id))
		a.leave()
		b := s.client(hello{})
		b.subscribe("$queue/q", 2)
		if m := b.message(); m.body != "two" || !m.dup {
			t.Errorf("got %+v", m)
		}
		b.nothing()
		a = s.client(hello{id: "a", dirty: true, props: expiry(60)})
		a.want(tPUBREL, 0, byte(m.id))
		a.want(tPUBREL, 0, byte(other.id)) // it is to forget that it has seen it
		a.ack(tPUBCOMP, m.id)
		a.ack(tPUBCOMP, other.id)
		a.nothing()
	})
}

// A message that the client does not take for its size is as good as sent; in mochi it makes each reconnect fail.
func TestOversize(t *testing.T) {
	bubble(t, setup{}, func(t *testing.T, s *server) {
		h := hello{id: "c", dirty: true, props: props(expiry(60), prop32(0x27, 64))}
		c := s.client(h)
		c.subscribe("a", 1)
		c.subscribe("b", 0)
		c.leave()
		pub := s.client(hello{})
		fits := strings.Repeat("x", 64-2-3-2-1) // fixed header, topic, identifier, properties
		pub.publish("a", 1, 1, "before")
		pub.publish("a", 1, 2, fits+"x")
		pub.publish("a", 1, 3, fits)
		c = s.client(h)
		if m := c.message(); m.body != "before" {
			t.Errorf("got %+v", m)
		}
		if m := c.message(); m.body != fits {
			t.Errorf("got %+v", m)
		}
		pub.publish("b", 0, 0, fits+"xxx")
		c.nothing()
		st := s.broker.Stats()
		if st.Drops["frame_too_large"] != 2 {
			t.Errorf("drops %v", st.Drops)
		}
		for _, q := range st.Queues {
			if q.Ready != 0 || q.Unacked != 2 {
				t.Errorf("%+v, want the one too large to be settled", q)
			}
		}
		// Reason strings are left out where they do not fit.
		c.publish("$share/"+strings.Repeat("x", 40), 1, 9, "")
		c.want(tPUBACK, 0, 9, 0x90, 0)
	})
}

// Without Request Problem Information there are no reason strings.
func TestProblemInformation(t *testing.T) {
	bubble(t, setup{}, func(t *testing.T, s *server) {
		c := s.client(hello{props: prop8(0x17, 0)})
		c.publish("$SYS/x", 1, 9, "")
		c.want(tPUBACK, 0, 9, 0x90)
		c.write(packet(0x82, u16(1), []byte{0}, str("a#"), []byte{0}))
		c.want(0x90, 0, 1, 0, 0x8F)
	})
}

func TestRequestResponse(t *testing.T) {
	bubble(t, setup{}, func(t *testing.T, s *server) {
		ask, body := s.connect(hello{props: prop8(0x19, 1)})
		own := connackProps(t, body)[0x1A][2:] + "answers"
		if code := ask.subscribe(own, 1); code != 1 {
			t.Fatalf("SUBACK %#02x", code)
		}
		thief := s.client(hello{})
		if code := thief.subscribe(own, 1); code != 0x87 {
			t.Errorf("somebody else's: SUBACK %#02x, want not authorized", code)
		}
		answer := s.client(hello{})
		answer.subscribe("ask", 0)
		ask.publish("ask", 0, 0, "?", propS(8, own), propS(9, "id"))
		m := answer.message()
		answer.publish(m.response, 1, 1, "!", propS(9, m.correlation))
		answer.want(tPUBACK, 0, 1)
		if m := ask.message(); m.body != "!" || m.correlation != "id" {
			t.Errorf("got %+v", m)
		}
		ask.leave()
		answer.publish(own, 1, 2, "late")
		if p := answer.next(); p.body[2] != 0x10 {
			t.Errorf("got %s, want no matching subscribers", p)
		}
	})
}

func TestDelayed(t *testing.T) {
	bubble(t, setup{}, func(t *testing.T, s *server) {
		c := s.client(hello{})
		c.subscribe("a/b", 0)
		c.publish("$delayed/10/a/b", 1, 1, "later", prop32(2, 5))
		c.want(tPUBACK, 0, 1)
		time.Sleep(10*time.Second - time.Millisecond)
		c.nothing()
		time.Sleep(2 * time.Millisecond)
		if m := c.message(); m.topic != "a/b" || m.expiry != 5 {
			t.Errorf("got %+v, want an expiry counted from then", m)
		}
		for _, topic := range []string{"$delayed/x/a", "$delayed/-1/a", "$delayed/10", "$delayed/10/", "$delayed/99999999999/a"} {
			c.publish(topic, 1, 2, "x")
			if p := c.next(); p.body[2] != 0x90 {
				t.Errorf("%s: got %s", topic, p)
			}
		}
	})
}

// A client that refuses what it gets does not get it again, if it is a topic's.
func TestNegative(t *testing.T) {
	bubble(t, setup{}, func(t *testing.T, s *server) {
		c, pub := s.client(hello{}), s.client(hello{})
		c.subscribe("a", 2)
		pub.publish("a", 1, 1, "x")
		c.ack(tPUBACK, c.message().id, 0x80)
		pub.publish("a", 2, 2, "x")
		c.ack(tPUBREC, c.message().id, 0x97)
		c.nothing()
		if n := s.broker.Stats().Drops["refused_by_client"]; n != 2 {
			t.Errorf("%d refusals counted", n)
		}
	})
}

func TestSys(t *testing.T) {
	bubble(t, setup{}, func(t *testing.T, s *server) {
		stopped := make(chan error)
		ctx, stop := context.WithCancel(t.Context())
		go func() { stopped <- s.proto.Run(ctx, func() {}) }()
		c := s.client(hello{})
		synctest.Wait()
		time.Sleep(10*time.Second + time.Millisecond)
		c.subscribe("$SYS/broker/#", 0)
		got := map[string]string{}
		for range 12 {
			m := c.message()
			got[strings.TrimPrefix(m.topic, "$SYS/broker/")] = m.body
		}
		if got["version"] != "wye version test" || got["uptime"] != "10 seconds" || got["clients/connected"] != "1" || got["messages/received"] != "0" {
			t.Errorf("got %v", got)
		}
		time.Sleep(10 * time.Second)
		if m := c.message(); m.retain || !strings.HasPrefix(m.topic, "$SYS/") {
			t.Errorf("got %+v, want it live", m)
		}
		stop()
		if err := <-stopped; err != nil {
			t.Error(err)
		}
	})
}

func TestConfig(t *testing.T) {
	if err := mqtt.DefaultConfig().Validate(); err != nil {
		t.Error(err)
	}
	c := mqtt.DefaultConfig()
	c.MaxPacketSize, c.ReceiveMaximum, c.MaxInflight, c.TopicAliasMaximum, c.MaxQoS = 0, 0, 70_000, -1, 3
	c.ConnectTimeout, c.MaxSessionExpiry, c.MaxKeepAlive, c.SysInterval = 0, -1, time.Millisecond, time.Millisecond
	err := c.Validate()
	for _, key := range []string{"max_packet_size", "receive_maximum", "max_inflight", "topic_alias_maximum", "max_qos", "connect_timeout", "max_session_expiry", "max_keep_alive", "sys_interval"} {
		if err == nil || !strings.Contains(err.Error(), "protocols.mqtt."+key+": must be ") {
			t.Errorf("%s is not named in %v", key, err)
		}
	}
	if _, err := mqtt.New(coretest.Broker(t), c, nil); err == nil {
		t.Error("New took it")
	}
}

// Deliveries of one message side by side become one PUBLISH with all identifiers [MQTT-3.3.4-3].
func TestMerge(t *testing.T) {
	_, p := benchServer(t)
	c := newMemConn()
	var got []byte
	c.onByte = func(parts [][]byte) { got = slices.Concat(parts...) }
	deliver, _ := mqtt.Deliverer(t.Context(), p, c, 5)
	m := &core.Message{Destination: "topic/a", Body: []byte("x"), Retain: true}
	ds := []core.Delivery{
		{Message: m, Sub: mqtt.Overlapping(1, false)},
		{Message: m, Sub: mqtt.Overlapping(300, true)},
		{Message: m, Sub: mqtt.Overlapping(0, false)},
		{Message: &core.Message{Destination: "topic/b"}, Sub: mqtt.Overlapping(7, false)},
	}
	if err := deliver(ds); err != nil {
		t.Fatal(err)
	}
	want := slices.Concat(packet(0x31, str("a"), []byte{5, 0x0B, 1, 0x0B, 0xAC, 0x02}, []byte("x")), packet(0x30, str("b"), []byte{2, 0x0B, 7}))
	if string(got) != string(want) {
		t.Errorf("got %x, want %x", got, want)
	}
}

// A QoS 2 publish that a client before MQTT 5 cannot be refused is one that the broker has not received: sent again, it counts.
func TestExactlyOnceRefused(t *testing.T) {
	full := coretest.Queue("full", core.QueueConfig{MaxLength: 1})
	bubble(t, setup{broker: []coretest.Option{full}}, func(t *testing.T, s *server) {
		h := hello{id: "c", v: 4, dirty: true}
		c := s.client(h)
		c.publish("$queue/full", 2, 1, "one")
		c.want(tPUBREC, 0, 1)
		c.publish("$queue/full", 2, 2, "two")
		<-c.peer.Done()
		sub := s.client(hello{v: 4})
		sub.subscribe("$queue/full", 1)
		if m := sub.message(); m.body != "one" {
			t.Errorf("got %+v", m)
		} else {
			sub.ack(tPUBACK, m.id)
		}
		synctest.Wait()
		c = s.client(h)
		c.publishFlags(2<<1|8, "$queue/full", 2, "two")
		c.want(tPUBREC, 0, 2)
		if m := sub.message(); m.body != "two" {
			t.Errorf("got %+v", m)
		}
	})
}
