package mqtt_test

// The tests of this file are named after the faults of mochi-mqtt v2.7.9 that this package works around: each fails when the
// work-around is taken out.

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wyemq/wye/core"
	"github.com/wyemq/wye/core/coretest"
	"github.com/wyemq/wye/core/engine/memory"
	"github.com/wyemq/wye/core/protocoltest"
	"github.com/wyemq/wye/protocols/mqtt"
)

// mochi loses messages beyond the client's Receive Maximum and never returns the quota.
func TestRecvmax(t *testing.T) {
	bubble(t, setup{}, func(t *testing.T, s *server) {
		sub := s.client(hello{props: receiveMaximum(4)})
		sub.subscribe("a", 1)
		pub := s.client(hello{})
		for i := range 40 {
			pub.publish("a", 1, uint16(i+1), fmt.Sprint(i))
		}
		var held []message
		for range 4 {
			held = append(held, sub.message())
		}
		sub.nothing() // [MQTT-3.3.4-9]
		for i := range 40 {
			if held[0].body != fmt.Sprint(i) || held[0].qos != 1 || held[0].dup {
				t.Fatalf("message %d: got %+v", i, held[0])
			}
			sub.ack(tPUBACK, held[0].id)
			held = held[1:]
			if i+4 < 40 {
				held = append(held, sub.message())
			}
		}
		sub.nothing()
	})
}

// mochi's in-flight list deadlocks when it is read and written at once.
func TestDeadlock(t *testing.T) {
	bubble(t, setup{config: func(c *mqtt.Config) { c.ReceiveMaximum = 65_535 }}, func(t *testing.T, s *server) {
		const n = 2000
		a, b := s.client(hello{}), s.client(hello{})
		a.subscribe("b", 1)
		b.subscribe("a", 1)
		done := make(chan error, 4)
		for _, x := range []struct {
			c   *raw
			own string
		}{{a, "a"}, {b, "b"}} {
			go func() {
				for i := range n {
					if err := x.c.peer.Send(core.Binary, packet(0x32, str(x.own), u16(uint16(i+1)), []byte{0}, []byte("x"))); err != nil {
						done <- err
						return
					}
				}
				done <- nil
			}()
			go func() {
				got, acked := 0, 0
				for got < n || acked < n {
					p, err := x.c.try(time.Minute)
					if err != nil {
						done <- fmt.Errorf("after %d messages and %d PUBACKs: %w", got, acked, err)
						return
					}
					if p.first>>4 == 3 {
						got++
						_ = x.c.peer.Send(core.Binary, packet(tPUBACK, u16(x.c.parse(p).id)))
					} else {
						acked++
					}
				}
				done <- nil
			}()
		}
		for range 4 {
			if err := <-done; err != nil {
				t.Fatal(err)
			}
		}
	})
}

// mochi keeps both directions' packet identifiers in one map: a client's own publish with the identifier of a delivery
// that it has not acknowledged ends that delivery.
func TestPidcollision(t *testing.T) {
	for _, qos := range []byte{1, 2} {
		bubble(t, setup{}, func(t *testing.T, s *server) {
			c := s.client(hello{id: "c", props: expiry(60)})
			c.subscribe("in", 2)
			pub := s.client(hello{})
			pub.publish("in", 1, 1, "kept")
			pub.next()
			m := c.message()
			c.publish("out", qos, m.id, "own")
			if p := c.next(); p.body[0] != byte(m.id>>8) || p.body[1] != byte(m.id) {
				t.Fatalf("got %s, want the acknowledgement of %d", p, m.id)
			}
			c.leave()
			c = s.client(hello{id: "c", dirty: true, props: expiry(60)})
			if again := c.message(); again.body != "kept" || again.id != m.id || !again.dup {
				t.Errorf("QoS %d: got %+v, want the delivery that was not acknowledged, identifier %d", qos, again, m.id)
			}
		})
	}
}

// mochi refuses a SUBSCRIBE whose packet identifier a delivery has.
func TestSubcollision(t *testing.T) {
	bubble(t, setup{}, func(t *testing.T, s *server) {
		c, pub := s.client(hello{}), s.client(hello{})
		c.subscribe("in", 1)
		pub.publish("in", 1, 1, "x")
		id := c.message().id
		c.write(packet(0x82, u16(id), []byte{0}, str("other"), []byte{1}))
		c.want(0x90, byte(id>>8), byte(id), 0, 1)
		c.write(packet(0xA2, u16(id), []byte{0}, str("other")))
		c.want(0xB0, byte(id>>8), byte(id), 0, 0)
	})
}

// mochi sends what was under way again in random order, with DUP on what was never sent, past Receive Maximum.
func TestOrder(t *testing.T) {
	bubble(t, setup{}, func(t *testing.T, s *server) {
		c := s.client(hello{id: "c", props: props(expiry(60), receiveMaximum(5))})
		c.subscribe("a", 2)
		pub := s.client(hello{})
		for i := range 12 {
			pub.publish("a", 1+byte(i%2), uint16(i+1), fmt.Sprint(i))
		}
		var first []message
		for range 5 {
			first = append(first, c.message())
		}
		c.leave()
		c, ack := s.connect(hello{id: "c", dirty: true, props: props(expiry(60), receiveMaximum(5))})
		if ack[0] != 1 {
			t.Fatal("no session present")
		}
		var early []message // came while something else was awaited
		for range 5 {
			early = append(early, c.message())
		}
		c.nothing()
		for i := range 12 {
			var m message
			if len(early) > 0 {
				m, early = early[0], early[1:]
			} else {
				m = c.message()
			}
			if m.body != fmt.Sprint(i) || m.dup != (i < 5) || m.qos != 1+byte(i%2) || i < 5 && m.id != first[i].id {
				t.Fatalf("message %d: got %+v", i, m)
			}
			if m.qos == 1 {
				c.ack(tPUBACK, m.id)
				continue
			}
			c.ack(tPUBREC, m.id)
			p := c.next()
			for ; p.first>>4 == 3; p = c.next() {
				early = append(early, c.parse(p))
			}
			if p.first != tPUBREL {
				t.Fatalf("got %s, want PUBREL", p)
			}
			c.ack(tPUBCOMP, m.id)
		}
		c.nothing()
	})
}

// In mochi a subscriber that stops reading blocks every publisher.
func TestHol(t *testing.T) {
	bubble(t, setup{}, func(t *testing.T, s *server) {
		stuck := s.client(hello{})
		stuck.subscribe("a", 1)
		fine := s.client(hello{})
		fine.subscribe("a", 1)
		pub := s.client(hello{})
		body := strings.Repeat("x", 32<<10)
		began := time.Now()
		for i := range 100 {
			pub.publish("a", 1, uint16(i+1), body)
			if p, err := pub.try(time.Second); err != nil || p.first != tPUBACK {
				t.Fatalf("publish %d: %v %v", i, p.first, err)
			}
			m := fine.message()
			fine.ack(tPUBACK, m.id)
		}
		if took := time.Since(began); took > 0 {
			t.Errorf("others waited %s for the subscriber that does not read", took)
		}
	})
}

// A SUBSCRIBE that ends before its options panics in mochi, which ends the process.
func TestSubpanic(t *testing.T) {
	for _, v := range []byte{4, 5} {
		bubble(t, setup{}, func(t *testing.T, s *server) {
			other := s.client(hello{})
			bad := s.client(hello{v: v})
			bad.write(packet(0x82, u16(1), bad.properties(), str("a")))
			code := byte(0x81)
			if v < 5 {
				code = 0
			}
			bad.mustEnd(code, core.ErrInvalid)
			other.write([]byte{0xC0, 0})
			other.want(0xD0)
		})
	}
}

// A panic in the connection's path, wherever, costs this connection only.
func TestPanic(t *testing.T) {
	deny := func(_ *core.Principal, _ core.Op, dest string) error {
		if dest == "topic/panic" {
			panic("on purpose")
		}
		return nil
	}
	bubble(t, setup{broker: []coretest.Option{coretest.Authorize(deny)}}, func(t *testing.T, s *server) {
		other, bad := s.client(hello{}), s.client(hello{})
		bad.publish("panic", 0, 0, "x")
		bad.mustEnd(0x83, core.ErrInternal)
		other.write([]byte{0xC0, 0})
		other.want(0xD0)
		if n := s.broker.Stats().Sessions; n != 1 {
			t.Errorf("%d sessions, want 1", n)
		}
	})
}

// The same while the core delivers, on a goroutine of its own.
func TestPanicDelivering(t *testing.T) {
	b, p := benchServer(t)
	c := newMemConn()
	c.onByte = func(parts [][]byte) {
		if parts[0][0]>>4 == 3 { // PUBLISH
			panic("on purpose")
		}
	}
	ended := make(chan error, 1)
	go func() { ended <- p.ServeConn(t.Context(), c) }()
	c.in <- hello{}.packet()
	c.in <- subscribePacket(5, "a", 0)
	c.await(6)
	c.in <- packet(0x30, str("a"), []byte{0}, []byte("x"))
	if err := await(t, ended); !errors.Is(err, core.ErrInternal) {
		t.Errorf("ended with %v", err)
	}
	if n := b.Stats().Sessions; n != 0 {
		t.Errorf("%d sessions", n)
	}
}

// mochi computes 1.5 times the keep alive with 16 bits: 43,691 s and more end at once or much too early.
func TestKeepalive(t *testing.T) {
	for _, seconds := range []uint16{1, 60, 43_690, 43_691, 43_700, 65_535} {
		bubble(t, setup{}, func(t *testing.T, s *server) {
			c := s.client(hello{keepAlive: seconds})
			limit := time.Duration(seconds) * 1500 * time.Millisecond
			time.Sleep(limit - time.Millisecond)
			c.write([]byte{0xC0, 0})
			c.want(0xD0)
			began := time.Now()
			time.Sleep(limit - time.Millisecond)
			c.nothing()
			c.write([]byte{0x40}) // half a packet is no packet
			c.mustEnd(0x8D, core.ErrHeartbeat)
			if took := time.Since(began); took != limit {
				t.Errorf("keep alive %d: ended after %s, want %s", seconds, took, limit)
			}
		})
	}
	bubble(t, setup{}, func(t *testing.T, s *server) {
		c := s.client(hello{})
		time.Sleep(100 * time.Hour)
		c.write([]byte{0xC0, 0})
		c.want(0xD0)
	})
}

// mochi waits for CONNECT for ever.
func TestNoconnect(t *testing.T) {
	for _, begin := range [][]byte{nil, {0x10}, hello{}.packet()[:8]} {
		bubble(t, setup{config: func(c *mqtt.Config) { c.ConnectTimeout = 3 * time.Second }}, func(t *testing.T, s *server) {
			c := s.dial(protocoltest.PipeOptions{})
			if begin != nil {
				c.write(begin)
			}
			began := time.Now()
			c.mustEnd(0, core.ErrLoginTimeout)
			if took := time.Since(began); took != 3*time.Second {
				t.Errorf("ended after %s, want 3s", took)
			}
		})
	}
}

// In mochi two connections with one client identifier may both live, and the entry of the one that stays may go with the
// other.
func TestTakeover(t *testing.T) {
	bubble(t, setup{}, func(t *testing.T, s *server) {
		const n = 50
		clients := make([]*raw, n)
		for i := range clients {
			clients[i] = s.dial(protocoltest.PipeOptions{})
			clients[i].write(hello{id: "same", dirty: true, props: expiry(60)}.packet())
		}
		synctest.Wait()
		alive := 0
		for _, c := range clients {
			if _, _, ended := c.peer.Closed(0); !ended {
				alive++
				continue
			}
			if code, err := c.ended(); code != 0x8E || !errors.Is(err, core.ErrTakenOver) {
				t.Errorf("ended with %#02x, %v", code, err)
			}
		}
		if st := s.broker.Stats(); alive != 1 || st.Sessions != 1 {
			t.Errorf("%d connections live, %d sessions, want 1", alive, st.Sessions)
		}
	})
}

// mochi's Close waits for ever for connections that it did not accept itself, and leaves clients behind.
func TestClosehang(t *testing.T) {
	bubble(t, setup{}, func(t *testing.T, s *server) {
		var clients []*raw
		for i := range 10 {
			clients = append(clients, s.client(hello{id: fmt.Sprint(i), dirty: true, v: 4 + byte(i%2), props: expiry(60)}))
		}
		began := time.Now()
		if err := s.broker.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		for i, c := range clients {
			code := byte(0x8B)
			if i%2 == 0 {
				code = 0
			}
			c.mustEnd(code, core.ErrShutdown)
		}
		if took := time.Since(began); took > time.Second {
			t.Errorf("took %s", took)
		}
	})
}

// mochi acknowledges what it has handed on; we what is stored. Acknowledgements leave in the order of the publishes, refusals
// in their place.
func TestAckOrder(t *testing.T) {
	engine := coretest.NewEngine(memory.New())
	deny := coretest.DenyOn(core.OpPublish, "topic/denied")
	opts := []coretest.Option{coretest.Authorize(deny), func(o *core.Options) { o.Engine = engine }}
	bubble(t, setup{broker: opts}, func(t *testing.T, s *server) {
		keep := s.client(hello{})
		keep.subscribe("a", 1)
		c := s.client(hello{})
		engine.Hold()
		c.publish("a", 1, 1, "x")
		c.publish("denied", 1, 2, "x")
		c.publish("a", 2, 3, "x")
		c.publish("denied", 2, 4, "x")
		c.publish("nobody", 1, 5, "x")
		c.nothing()
		engine.Release()
		c.want(tPUBACK, 0, 1)
		if p := c.next(); p.first != tPUBACK || p.body[1] != 2 || p.body[2] != 0x87 || !strings.Contains(string(p.body), "not authorized") {
			t.Errorf("got %s, want PUBACK 2 not authorized with a reason string", p)
		}
		c.want(tPUBREC, 0, 3)
		if p := c.next(); p.first != tPUBREC || p.body[1] != 4 || p.body[2] != 0x87 {
			t.Errorf("got %s, want PUBREC 4 not authorized", p)
		}
		c.want(tPUBACK, 0, 5, 0x10)
		c.nothing()
	})
}

// mochi publishes what a hook refuses with any error but two, and for QoS 0 and MQTT 3 always.
func TestRefused(t *testing.T) {
	deny := coretest.DenyOn(core.OpPublish, "topic/denied")
	for _, v := range []byte{3, 4, 5} {
		bubble(t, setup{broker: []coretest.Option{coretest.Authorize(deny)}}, func(t *testing.T, s *server) {
			sub := s.client(hello{})
			sub.subscribe("#", 2)
			c := s.client(hello{id: "c", v: v})
			for qos := range byte(3) {
				c.publish("denied", qos, 7, "x")
				switch {
				case qos == 1 && v < 5:
					c.want(tPUBACK, 0, 7) // acknowledged and dropped [MQTT-3.3.5-2]
				case qos == 2 && v < 5:
					c.want(tPUBREC, 0, 7)
					c.ack(tPUBREL, 7)
					c.want(tPUBCOMP, 0, 7)
				case qos > 0:
					if p := c.next(); p.body[2] != 0x87 {
						t.Errorf("got %s, want not authorized", p)
					}
				}
			}
			c.nothing()
			sub.nothing()
			if n := s.broker.Stats().Drops["not_authorized"]; n != 3 {
				t.Errorf("%d drops counted, want 3", n)
			}
		})
	}
}

// What is not stored is never acknowledged: MQTT 5 is told, MQTT 3 is disconnected.
func TestRefusedFull(t *testing.T) {
	full := coretest.Queue("full", core.QueueConfig{MaxLength: 1})
	for _, v := range []byte{4, 5} {
		bubble(t, setup{broker: []coretest.Option{full}}, func(t *testing.T, s *server) {
			c := s.client(hello{v: v})
			c.publish("$queue/full", 1, 1, "x")
			c.want(tPUBACK, 0, 1)
			c.publish("$queue/full", 1, 2, "x")
			if v < 5 {
				c.mustEnd(0, core.ErrQueueFull)
				return
			}
			if p := c.next(); p.first != tPUBACK || p.body[2] != 0x97 {
				t.Errorf("got %s, want quota exceeded", p)
			}
		})
	}
}

// mochi drops a publish to $SYS and never acknowledges it.
func TestSysPublish(t *testing.T) {
	bubble(t, setup{}, func(t *testing.T, s *server) {
		sub := s.client(hello{})
		sub.subscribe("$SYS/#", 0)
		c := s.client(hello{})
		for _, topic := range []string{"$SYS", "$SYS/broker/uptime"} {
			c.publish(topic, 1, 1, "x")
			if p := c.next(); p.first != tPUBACK || p.body[2] != 0x90 {
				t.Errorf("got %s, want topic name invalid", p)
			}
			c.publish(topic, 0, 0, "x")
		}
		old := s.client(hello{v: 4})
		old.publish("$SYS/x", 1, 1, "x")
		old.want(tPUBACK, 0, 1)
		sub.nothing()
	})
}

// mochi ignores a publish to a topic with a wildcard, and never acknowledges it.
func TestWildcardTopic(t *testing.T) {
	for _, topic := range []string{"a/#", "+", "a+b"} {
		bubble(t, setup{}, func(t *testing.T, s *server) {
			c := s.client(hello{})
			c.publish(topic, 1, 1, "x")
			c.mustEnd(0x90, core.ErrInvalid)
			c = s.client(hello{v: 4})
			c.publish(topic, 1, 1, "x")
			c.mustEnd(0, core.ErrInvalid)
		})
	}
}

// mochi sends retained messages by its own store, which forgets them after a day. SUBACK comes first.
func TestRetained(t *testing.T) {
	bubble(t, setup{}, func(t *testing.T, s *server) {
		pub := s.client(hello{})
		for i := range 3 {
			pub.publishFlags(0x31, fmt.Sprintf("r/%d", i), 0, fmt.Sprint(i))
		}
		pub.publishFlags(0x31, "r/1", 0, "")
		synctest.Wait()
		time.Sleep(72 * time.Hour)
		for _, qos := range []byte{0, 1} {
			c := s.client(hello{})
			if code := c.subscribe("r/+", qos); code != qos { // subscribe fails if something comes before SUBACK
				t.Errorf("SUBACK %#02x", code)
			}
			for range 2 {
				if m := c.message(); !m.retain || m.body != m.topic[2:] {
					t.Errorf("got %+v, want a retained message", m)
				}
			}
			c.nothing()
			pub.publishFlags(0x31, "r/2", 0, "2")
			if m := c.message(); m.retain {
				t.Errorf("got %+v, want the flag on retained messages only", m)
			}
		}
	})
}

// mochi acknowledges QoS 2 that was sent again with packet identifier in use.
func TestQoS2Again(t *testing.T) {
	engine := coretest.NewEngine(memory.New())
	bubble(t, setup{broker: []coretest.Option{func(o *core.Options) { o.Engine = engine }}}, func(t *testing.T, s *server) {
		sub := s.client(hello{})
		sub.subscribe("a", 1)
		c := s.client(hello{id: "c", props: expiry(60)})
		engine.Hold()
		c.publish("a", 2, 9, "once")
		c.publishFlags(0x0C, "a", 9, "once") // before the first is stored
		c.nothing()
		engine.Release()
		c.want(tPUBREC, 0, 9)
		if got := sub.bodies(1); got != "once" {
			t.Errorf("got %q", got)
		}
		c.publishFlags(0x0C, "a", 9, "once")
		c.want(tPUBREC, 0, 9)
		c.leave()
		c = s.client(hello{id: "c", dirty: true, props: expiry(60)})
		c.publishFlags(0x0C, "a", 9, "once") // [MQTT-4.3.3-10], over a reconnect
		c.want(tPUBREC, 0, 9)
		c.ack(tPUBREL, 9)
		c.want(tPUBCOMP, 0, 9)
		sub.nothing()
		c.ack(tPUBREL, 9)
		c.want(tPUBCOMP, 0, 9, 0x92)
		c.publish("a", 2, 9, "twice")
		c.want(tPUBREC, 0, 9)
		if got := sub.bodies(1); got != "twice" {
			t.Errorf("got %q", got)
		}
		sub.nothing()
	})
}

// A QoS 1 publish that is sent again while the first is under way is acknowledged once.
func TestQoS1Again(t *testing.T) {
	engine := coretest.NewEngine(memory.New())
	bubble(t, setup{broker: []coretest.Option{func(o *core.Options) { o.Engine = engine }}}, func(t *testing.T, s *server) {
		sub := s.client(hello{})
		sub.subscribe("a", 1)
		c := s.client(hello{})
		engine.Hold()
		c.publish("a", 1, 9, "x")
		c.publishFlags(0x0A, "a", 9, "x")
		c.nothing()
		engine.Release()
		c.want(tPUBACK, 0, 9)
		c.nothing()
		sub.bodies(1)
		sub.nothing()
	})
}

// mochi takes any number of QoS 1 and 2 publishes of MQTT 5, and disconnects MQTT 3 for more than 1024.
func TestReceiveMaximum(t *testing.T) {
	set := func(c *mqtt.Config) { c.ReceiveMaximum = 3 }
	bubble(t, setup{config: set}, func(t *testing.T, s *server) {
		c := s.client(hello{})
		for id := range uint16(3) {
			c.publish("a", 2, id+1, "x")
			c.want(tPUBREC, 0, byte(id+1), 0x10)
		}
		c.ack(tPUBREL, 1)
		c.want(tPUBCOMP, 0, 1)
		c.publish("a", 2, 4, "x")
		c.want(tPUBREC, 0, 4, 0x10)
		c.publish("a", 1, 5, "x")
		c.mustEnd(0x93, core.ErrInvalid)
		old := s.client(hello{v: 4})
		for id := range uint16(2000) {
			old.publish("a", 2, id+1, "x")
			old.want(tPUBREC, byte((id+1)>>8), byte(id+1))
		}
	})
}

// mochi accepts filters that are none, and answers MQTT 3 with codes it does not have.
func TestFilters(t *testing.T) {
	for filter, code := range map[string]byte{
		"a+/b": 0x8F, "a#": 0x8F, "+a": 0x8F, "$share//x": 0x8F, "$share/g/": 0x8F, "$share/g": 0x8F, "$share/+/x": 0x8F,
		"a/#/b": 0x8F, "": 0x8F, "$delayed/3/a": 0x8F, "$share/g/$queue/x": 0x8F,
		"$queue/+": 0xA2, "$queue/#": 0xA2, "$reply/#": 0xA2,
		"+/+": 0, "#": 0, "/": 0, "a//b": 0, "$share/g/#": 0, "$queue/x": 0, "$SYS/#": 0,
	} {
		bubble(t, setup{}, func(t *testing.T, s *server) {
			c := s.client(hello{})
			c.write(packet(0x82, u16(1), []byte{0}, str(filter), []byte{0}))
			p := c.next()
			if p.body[len(p.body)-1] != code || (code != 0) != (len(p.body) > 4 && p.body[3] == 0x1F) {
				t.Errorf("%q: got %s, want %#02x with a reason string if refused", filter, p, code)
			}
			old := s.client(hello{v: 4})
			want := byte(0x80)
			if code == 0 {
				want = 0
			}
			if got := old.subscribe(filter, 0); got != want {
				t.Errorf("%q: MQTT 3.1.1 got %#02x, want %#02x", filter, got, want)
			}
			oldest := s.client(hello{v: 3, id: "o"})
			if got := oldest.subscribe(filter, 1); got != 1 {
				t.Errorf("%q: MQTT 3.1 got %#02x, want the QoS that was asked for", filter, got)
			}
		})
	}
}

// mochi does not announce topic aliases, looks at the ACL before it resolves them, and lets unknown ones through.
func TestAlias(t *testing.T) {
	deny := coretest.DenyOn(core.OpPublish, "topic/denied")
	bubble(t, setup{broker: []coretest.Option{coretest.Authorize(deny)}}, func(t *testing.T, s *server) {
		sub := s.client(hello{props: prop16(0x22, 10)})
		sub.subscribe("#", 0)
		alias := func(n uint16) []byte { return prop16(0x23, n) }
		c := s.client(hello{})
		c.publish("long/topic", 0, 0, "1", alias(16))
		c.publish("", 0, 0, "2", alias(16))
		c.publish("other", 0, 0, "3", alias(16))
		c.publish("", 0, 0, "4", alias(16))
		for i, topic := range []string{"long/topic", "long/topic", "other", "other"} {
			if m := sub.message(); m.topic != topic || m.body != fmt.Sprint(i+1) { // and none out: parse knows no alias
				t.Errorf("got %+v, want %s", m, topic)
			}
		}
		c.publish("denied", 1, 1, "x", alias(2))
		c.next()
		c.publish("", 1, 2, "x", alias(2))
		if p := c.next(); p.body[2] != 0x87 {
			t.Errorf("got %s, want not authorized", p)
		}
		sub.nothing()
		c.publish("", 0, 0, "x", alias(3))
		c.mustEnd(0x82, core.ErrInvalid)
		for _, n := range []uint16{0, 17} {
			c = s.client(hello{})
			c.publish("a", 0, 0, "x", alias(n))
			c.mustEnd(0x94, core.ErrInvalid)
		}
		c = s.client(hello{})
		c.publish("", 0, 0, "x")
		c.mustEnd(0x82, core.ErrInvalid)
	})
}

// mochi makes room for what is announced, before CONNECT as well, and closes without a word.
func TestPacketBomb(t *testing.T) {
	bubble(t, setup{}, func(t *testing.T, s *server) {
		c := s.dial(protocoltest.PipeOptions{Stream: true})
		c.write([]byte{0x10, 0xFF, 0xFF, 0xFF, 0x7F})
		c.mustEnd(0, core.ErrTooBig)
		c = s.client(hello{})
		c.write([]byte{0x30, 0xFF, 0xFF, 0xFF, 0x7F})
		c.mustEnd(0x95, core.ErrTooBig)
		c = s.client(hello{})
		c.write([]byte{0x30, 0xFF, 0xFF, 0xFF, 0xFF, 0x01})
		c.mustEnd(0x81, core.ErrInvalid)
	})
	// What is announced and never sent costs nothing.
	bubble(t, setup{config: func(c *mqtt.Config) { c.MaxPacketSize = 256 << 20 }}, func(t *testing.T, s *server) {
		c := s.client(hello{})
		before := allocated()
		c.write([]byte{0x30, 0x80, 0x80, 0x80, 0x7F}, []byte("some"))
		synctest.Wait()
		if grown := allocated() - before; grown > 1<<20 {
			t.Errorf("%d bytes were allocated for a packet that was only announced", grown)
		}
	})
}

// mochi refuses empty passwords and empty wills, which are permitted.
func TestEmpty(t *testing.T) {
	empty, ann := "", "ann"
	bubble(t, setup{}, func(t *testing.T, s *server) {
		sub := s.client(hello{})
		sub.subscribe("will", 0)
		for _, v := range []byte{3, 4, 5} {
			c := s.client(hello{id: "e", v: v, user: &ann, password: &empty, will: &willOf{topic: "will"}})
			c.leave()
			if m := sub.message(); m.body != "" {
				t.Errorf("got %+v, want an empty will", m)
			}
		}
	})
}

// mochi overlooks the reason of a DISCONNECT that has nothing but a reason, and so the will that it asks for.
func TestGoodbyeWithWill(t *testing.T) {
	bubble(t, setup{}, func(t *testing.T, s *server) {
		sub := s.client(hello{})
		sub.subscribe("will", 0)
		c := s.client(hello{id: "e", will: &willOf{topic: "will", body: "x"}})
		c.write([]byte{0xE0, 1, 4})
		if m := sub.message(); m.body != "x" {
			t.Errorf("got %+v, want the will", m)
		}
	})
}

// mochi resumes a session that ended with its connection, if it is taken over while it lives.
func TestExpiryZero(t *testing.T) {
	bubble(t, setup{}, func(t *testing.T, s *server) {
		old := s.client(hello{id: "c"})
		old.subscribe("a", 1)
		_, ack := s.connect(hello{id: "c", dirty: true})
		if ack[0] != 0 {
			t.Error("a session with expiry 0 is present after its connection was taken over")
		}
	})
}

// mochi calls no hook when CONNECT is refused: nothing may be left.
func TestRefusedLeavesNothing(t *testing.T) {
	bubble(t, setup{broker: []coretest.Option{coretest.Authenticate(coretest.Deny)}}, func(t *testing.T, s *server) {
		for _, v := range []byte{3, 4, 5} {
			c := s.dial(protocoltest.PipeOptions{})
			c.v = v
			c.write(hello{id: "c", v: v}.packet())
			p := c.next()
			if want := map[byte]byte{3: 5, 4: 5, 5: 0x87}[v]; p.first != 0x20 || p.body[1] != want {
				t.Errorf("version %d: got %s, want CONNACK %#02x", v, p, want)
			}
			c.mustEnd(0, core.ErrLogin)
		}
		if st := s.broker.Stats(); st.Sessions != 0 || st.Kept != 0 {
			t.Errorf("%d sessions, %d kept", st.Sessions, st.Kept)
		}
	})
}

// allocated returns the bytes that were allocated so far.
func allocated() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.TotalAlloc
}
