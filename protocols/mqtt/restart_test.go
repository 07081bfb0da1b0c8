package mqtt_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wyemq/wye/core"
	"github.com/wyemq/wye/core/coretest"
	"github.com/wyemq/wye/core/engine"
	"github.com/wyemq/wye/protocols/mqtt"
)

// syncing is how long a commit takes.
const syncing = 5 * time.Millisecond

// phoenix is a server on a disk, that can be stopped and killed.
type phoenix struct {
	*server
	disk *coretest.Disk
}

// inPhoenix runs fn twice: again stops the broker, or kills it, and starts another one on what is left.
func inPhoenix(t *testing.T, fn func(t *testing.T, s *phoenix, again func())) {
	t.Helper()
	for _, kill := range []bool{false, true} {
		t.Run(fmt.Sprintf("kill=%v", kill), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &phoenix{disk: coretest.NewDisk(t)}
				s.disk.Sync(syncing)
				s.start(t)
				fn(t, s, func() {
					t.Helper()
					synctest.Wait()
					if kill {
						s.disk.Kill()
					}
					if err := s.broker.Close(context.WithoutCancel(t.Context())); err != nil {
						t.Fatal(err)
					}
					s.start(t)
				})
				synctest.Wait()
			})
		})
	}
}

func (s *phoenix) start(t *testing.T) {
	t.Helper()
	b := coretest.Broker(t, func(o *core.Options) { o.Engine = s.disk.Open() })
	p, err := mqtt.New(b, mqtt.DefaultConfig(), nil)
	if err != nil {
		t.Fatal(err)
	}
	s.server = &server{t, b, p}
	time.Sleep(time.Second)
}

// late fails unless the next packet is this, and came when the disk had synced, not before.
func (c *raw) late(first byte, body ...byte) {
	c.t.Helper()
	c.nothing()
	start := time.Now()
	c.want(first, body...)
	if took := time.Since(start); took != syncing {
		c.t.Errorf("%02x came after %v, the disk takes %v", first, took, syncing)
	}
}

func kept(id string) hello { return hello{id: id, dirty: true, props: expiry(3600)} }

// PUBACK, PUBREC and PUBCOMP wait for the disk; a publish that was acknowledged is there after a crash, with the identifier
// of one that was not released; one that was is forgotten, so that its identifier may be used again.
func TestRestartInbound(t *testing.T) {
	inPhoenix(t, func(t *testing.T, s *phoenix, again func()) {
		s.client(kept("sub")).subscribe("a", 2)
		c := s.client(kept("c"))
		c.publish("a", 1, 1, "one")
		c.late(tPUBACK, 0, 1)
		c.publish("a", 2, 2, "two")
		c.late(tPUBREC, 0, 2)
		c.publish("a", 2, 3, "three")
		c.late(tPUBREC, 0, 3)
		c.ack(tPUBREL, 3)
		c.late(tPUBCOMP, 0, 3)
		again()
		c, ack := s.connect(kept("c"))
		if ack[0] != 1 {
			t.Error("no session present")
		}
		c.publishFlags(2<<1|8, "a", 2, "two") // it has missed PUBREC
		c.want(tPUBREC, 0, 2)
		c.ack(tPUBREL, 2)
		c.late(tPUBCOMP, 0, 2)
		c.publish("a", 2, 3, "four")
		c.late(tPUBREC, 0, 3)
		sub := s.client(kept("sub"))
		seen := ""
		for range 4 {
			seen += sub.message().body + " "
		}
		if seen != "one two three four " {
			t.Errorf("got %s", seen)
		}
		sub.nothing()
	})
}

// A QoS 2 message that a crash interrupts is sent again under its identifier until PUBREC, and never after PUBREL was.
func TestRestartOutbound(t *testing.T) {
	inPhoenix(t, func(t *testing.T, s *phoenix, again func()) {
		c := s.client(kept("c"))
		c.subscribe("a", 2)
		pub := s.client(hello{})
		for i := range 3 {
			pub.publish("a", 2, uint16(i+1), fmt.Sprint(i))
		}
		var got []message
		for range 3 {
			got = append(got, c.message())
		}
		time.Sleep(time.Second)
		c.ack(tPUBREC, got[0].id)
		c.late(tPUBREL, 0, byte(got[0].id))
		c.ack(tPUBREC, got[1].id)
		c.late(tPUBREL, 0, byte(got[1].id))
		c.ack(tPUBCOMP, got[1].id)
		synctest.Wait()
		again()
		c = s.client(kept("c"))
		for {
			p := c.next()
			if p.first == tPUBREL { // of 1 again, if nobody has written down its PUBCOMP
				c.ack(tPUBCOMP, uint16(p.body[1]))
				continue
			}
			if m := c.parse(p); m.body != "2" || m.id != got[2].id || !m.dup {
				t.Errorf("got %+v", m)
			}
			break
		}
		c.ack(tPUBREC, got[2].id)
		c.late(tPUBREL, 0, byte(got[2].id))
		c.ack(tPUBCOMP, got[2].id)
		synctest.Wait()
		again()
		c = s.client(kept("c"))
		for {
			p, err := c.try(time.Second)
			if err != nil {
				break
			}
			if p.first != tPUBREL || p.body[1] != byte(got[2].id) {
				t.Fatalf("got %s", p)
			}
			c.ack(tPUBCOMP, uint16(p.body[1]))
		}
	})
}

// The identifier under which a QoS 2 message is sent is safe before it is sent.
func TestRestartIdentifier(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &phoenix{disk: coretest.NewDisk(t)}
		s.start(t)
		c := s.client(kept("c"))
		c.subscribe("a", 2)
		s.disk.Sync(syncing)
		pub := s.client(hello{})
		start := time.Now()
		pub.publish("a", 2, 1, "x")
		pub.late(tPUBREC, 0, 1)
		first := c.message()
		if took := time.Since(start); took != 2*syncing {
			t.Errorf("it came after %v, the message and its identifier take %v each", took, syncing)
		}
		s.disk.Kill()
		if err := s.broker.Close(context.WithoutCancel(t.Context())); err != nil {
			t.Fatal(err)
		}
		s.start(t)
		pub = s.client(hello{})
		c = s.client(kept("c"))
		if m := c.message(); m.id != first.id || !m.dup {
			t.Errorf("got %+v, before it was %+v", m, first)
		}
		c.subscribe("b", 2)
		pub.publish("b", 2, 1, "y")
		if m := c.message(); m.id == first.id {
			t.Error("the identifier is used twice")
		}
	})
}

// What a client has had of QoS 1 and not acknowledged comes again, marked, whatever way the broker has ended.
func TestRestartQoS1(t *testing.T) {
	inPhoenix(t, func(t *testing.T, s *phoenix, again func()) {
		c := s.client(kept("c"))
		c.subscribe("a", 1)
		pub := s.client(hello{})
		for i := range 3 {
			pub.publish("a", 1, uint16(i+1), fmt.Sprint(i))
		}
		for i := range 3 {
			if m := c.message(); i == 0 {
				c.ack(tPUBACK, m.id)
			}
		}
		time.Sleep(time.Second)
		pub.publish("b", 1, 9, "something that is synced") // acknowledgements are not
		s.client(kept("d")).subscribe("b", 1)
		again()
		c = s.client(kept("c"))
		for _, want := range []string{"1", "2"} {
			if m := c.message(); m.body != want || !m.dup {
				t.Errorf("got %+v, want %s with DUP", m, want)
			}
		}
		c.nothing()
	})
}

// A QoS 2 publish that was not stored is a new one when it comes again; MQTT 3.1.1 has no other way to say so than to end
// the connection.
func TestRefusedComesAgain(t *testing.T) {
	for _, v := range []byte{4, 5} {
		synctest.Test(t, func(t *testing.T) {
			s := &phoenix{disk: coretest.NewDisk(t)}
			s.start(t)
			sub := s.client(kept("sub"))
			sub.subscribe("a", 1)
			h := kept("c")
			h.v = v
			c := s.client(h)
			s.disk.Fail(engine.ErrFull)
			c.publish("a", 2, 1, "x")
			if v == 5 {
				if p := c.next(); p.first != tPUBREC || p.body[2] != 0x97 {
					t.Errorf("got %s, want a PUBREC that refuses", p)
				}
				c.leave()
			} else {
				c.mustEnd(0, core.ErrQueueFull)
			}
			s.disk.Fail(nil)
			c = s.client(h)
			c.publishFlags(2<<1|8, "a", 1, "x")
			c.want(tPUBREC, 0, 1)
			if got := sub.bodies(1); got != "x" {
				t.Errorf("got %q", got)
			}
			synctest.Wait()
		})
	}
}

// Identifiers that were in use when a connection ended do not stay taken for ever.
func TestIdentifiersAreFreed(t *testing.T) {
	bubble(t, setup{}, func(t *testing.T, s *server) {
		h := kept("c")
		c := s.client(h)
		c.subscribe("a", 1)
		pub := s.client(hello{})
		pub.publish("a", 1, 1, "x")
		id := c.message().id
		c.leave()
		c = s.client(h)
		if m := c.message(); m.id != id {
			t.Fatalf("got %+v, want identifier %d again", m, id)
		}
		c.ack(tPUBACK, id)
		synctest.Wait()
		c.leave()
		c = s.client(h)
		for i := range 65535 {
			pub.publish("a", 1, uint16(i%1000+1), "x")
			m := c.message()
			if m.id == id {
				return
			}
			c.ack(tPUBACK, m.id)
			pub.next()
		}
		t.Errorf("identifier %d was never used again", id)
	})
}

// DISCONNECT, and with it a will and the expiry, reach the disk.
func TestRestartGoodbye(t *testing.T) {
	inPhoenix(t, func(t *testing.T, s *phoenix, again func()) {
		watch := s.client(kept("watch"))
		watch.subscribe("will", 1)
		h := kept("polite")
		h.will = &willOf{topic: "will", body: "polite", qos: 1}
		c := s.client(h)
		c.write([]byte{0xE0, 0})
		c.mustEnd(0, nil)
		c = s.client(kept("short"))
		c.write(packet(0xE0, []byte{0}, list(expiry(5))))
		c.mustEnd(0, nil)
		h = kept("rude")
		h.will = &willOf{topic: "will", body: "rude", qos: 1}
		s.client(h)
		time.Sleep(time.Second)
		again()
		time.Sleep(5 * time.Second)
		watch = s.client(kept("watch"))
		if got := watch.bodies(1); got != "rude" {
			t.Errorf("will of %s", got)
		}
		watch.nothing()
		for id, want := range map[string]byte{"polite": 1, "short": 0, "rude": 1} {
			if _, ack := s.connect(kept(id)); ack[0] != want {
				t.Errorf("%s: session present %d, want %d", id, ack[0], want)
			}
		}
	})
}
