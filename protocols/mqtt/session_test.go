package mqtt_test

import (
	"fmt"
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

// connackProps returns the properties of a CONNACK by identifier, unparsed.
func connackProps(t *testing.T, body []byte) map[byte]string {
	t.Helper()
	all := make(map[byte]string)
	b := body[3:]
	for len(b) > 0 {
		n := map[byte]int{0x11: 4, 0x13: 2, 0x21: 2, 0x22: 2, 0x24: 1, 0x25: 1, 0x27: 4, 0x28: 1, 0x29: 1, 0x2A: 1}[b[0]]
		if n == 0 {
			n = 2 + int(b[1])<<8 + int(b[2])
		}
		all[b[0]] = string(b[1 : 1+n])
		b = b[1+n:]
	}
	return all
}

func TestConnack(t *testing.T) {
	limits := coretest.Limits(func(l *core.Limits) { l.SessionExpiry = time.Hour })
	set := func(c *mqtt.Config) {
		c.MaxKeepAlive, c.MaxPacketSize, c.MaxQoS, c.Retain = time.Minute, 1<<20, 1, false
	}
	bubble(t, setup{config: set, broker: []coretest.Option{limits}}, func(t *testing.T, s *server) {
		_, body := s.connect(hello{keepAlive: 300, props: props(expiry(0xFFFFFFFF), prop8(0x19, 1))})
		got := connackProps(t, body)
		for id, want := range map[byte]string{
			0x11: "\x00\x00\x0e\x10", 0x13: "\x00\x3c", 0x21: "\x04\x00", 0x22: "\x00\x10", 0x24: "\x01", 0x25: "\x00",
			0x27: "\x00\x10\x00\x00", 0x28: "\x01", 0x29: "\x01", 0x2A: "\x01",
		} {
			if got[id] != want {
				t.Errorf("property %#02x is %q, want %q", id, got[id], want)
			}
		}
		if !strings.Contains(got[0x12], "wye-") || !strings.HasPrefix(got[0x1A][2:], "$reply/") {
			t.Errorf("assigned client identifier %q, response information %q", got[0x12], got[0x1A])
		}
		_, body = s.connect(hello{id: "own", keepAlive: 10, props: expiry(60)})
		if got := connackProps(t, body); got[0x11] != "" || got[0x12] != "" || got[0x13] != "" || got[0x1A] != "" {
			t.Errorf("properties nobody has to be told: %q", got)
		}
		for _, v := range []byte{3, 4} {
			if _, body := s.connect(hello{id: "old", v: v}); string(body) != "\x00\x00" {
				t.Errorf("version %d: CONNACK %x", v, body)
			}
		}
	})
}

func TestConnectRefused(t *testing.T) {
	empty, ann, wrong := "", "ann", "wrong"
	for name, x := range map[string]struct {
		packet []byte
		want   []byte // first bytes of CONNACK; nil: none
		why    error
	}{
		"unknown level":               {packet(0x10, str("MQTT"), []byte{6, 2, 0, 0, 0}, str("c")), []byte{0, 0x84}, core.ErrInvalid},
		"old level":                   {packet(0x10, str("MQTT"), []byte{3, 2, 0, 0}, str("c")), []byte{0, 1}, core.ErrInvalid},
		"unknown name":                {packet(0x10, str("MQTX"), []byte{4, 2, 0, 0}, str("c")), nil, core.ErrInvalid},
		"3.1 without identifier":      {hello{v: 3}.packet(), []byte{0, 2}, core.ErrInvalid},
		"3.1.1 without and kept":      {hello{v: 4, dirty: true}.packet(), []byte{0, 2}, core.ErrInvalid},
		"3.1.1 password without user": {hello{v: 4, id: "c", password: &empty}.packet(), nil, core.ErrInvalid},
		"wrong password 5":            {hello{user: &ann, password: &wrong}.packet(), []byte{0, 0x86}, core.ErrLogin},
		"wrong password 3.1.1":        {hello{v: 4, user: &ann, password: &wrong}.packet(), []byte{0, 4}, core.ErrLogin},
		"anonymous 5":                 {hello{}.packet(), []byte{0, 0x87}, core.ErrLogin},
		"anonymous 3.1":               {hello{v: 3, id: "c"}.packet(), []byte{0, 5}, core.ErrLogin},
		"unknown authentication":      {hello{props: propS(0x15, "SCRAM")}.packet(), []byte{0, 0x8C}, core.ErrLogin},
		"authentication data only":    {hello{props: propS(0x16, "x")}.packet(), []byte{0, 0x82}, core.ErrInvalid},
		"receive maximum 0":           {hello{props: receiveMaximum(0)}.packet(), []byte{0, 0x82}, core.ErrInvalid},
		"maximum packet size 0":       {hello{props: prop32(0x27, 0)}.packet(), []byte{0, 0x82}, core.ErrInvalid},
		"a property twice":            {hello{props: props(expiry(1), expiry(2))}.packet(), []byte{0, 0x82}, core.ErrInvalid},
		"a property of PUBLISH":       {hello{props: prop16(0x23, 1)}.packet(), []byte{0, 0x81}, core.ErrInvalid},
		"reserved flag":               {packet(0x10, str("MQTT"), []byte{5, 3, 0, 0, 0}, str("c")), []byte{0, 0x81}, core.ErrInvalid},
		"will topic with wildcard":    {hello{will: &willOf{topic: "a/#"}}.packet(), []byte{0, 0x90}, core.ErrInvalid},
		"will to $SYS":                {hello{will: &willOf{topic: "$SYS/x"}}.packet(), []byte{0, 0x90}, core.ErrInvalid},
		"will QoS 3":                  {hello{will: &willOf{topic: "a", qos: 3}}.packet(), []byte{0, 0x81}, core.ErrInvalid},
		"identifier that is no UTF-8": {hello{v: 4, id: "\xff"}.packet(), []byte{0, 2}, core.ErrInvalid},
		"ends within a field":         {packet(0x10, str("MQTT"), []byte{5, 2, 0, 0, 0, 0, 9}), []byte{0, 0x81}, core.ErrInvalid},
		"another packet first":        {[]byte{0xC0, 0}, nil, core.ErrInvalid},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, setup{broker: []coretest.Option{coretest.Users(map[string]string{"ann": "secret"})}}, func(t *testing.T, s *server) {
				c := s.dial(protocoltest.PipeOptions{})
				c.write(x.packet)
				if x.want != nil {
					p := c.next()
					if p.first != 0x20 || len(p.body) < 2 || string(p.body[:2]) != string(x.want) {
						t.Errorf("got %s, want CONNACK %x", p, x.want)
					}
				}
				c.mustEnd(0, x.why)
			})
		})
	}
}

func TestWill(t *testing.T) {
	deny := coretest.DenyOn(core.OpPublish, "topic/denied")
	s5 := setup{broker: []coretest.Option{coretest.Authorize(deny)}}
	all := props(prop8(1, 1), prop32(2, 100), propS(3, "text/plain"), propS(8, "re/ply"), propS(9, "\x00\xff"),
		propUser("a", "1"), propUser("b", "2"), propUser("a", "3"))
	t.Run("properties", func(t *testing.T) {
		bubble(t, s5, func(t *testing.T, s *server) {
			sub := s.client(hello{})
			sub.subscribe("will", 2)
			c := s.client(hello{will: &willOf{topic: "will", body: "gone", qos: 2, retain: true, props: all}})
			time.Sleep(time.Hour) // the expiry begins when it is published
			c.leave()
			m := sub.message()
			if m.body != "gone" || m.qos != 2 || m.format != 1 || m.expiry != 100 || m.contentType != "text/plain" ||
				m.response != "re/ply" || m.correlation != "\x00\xff" || strings.Join(m.userProps, " ") != "a=1 b=2 a=3" {
				t.Errorf("got %+v", m)
			}
			late := s.client(hello{})
			late.subscribe("will", 0)
			if m := late.message(); !m.retain {
				t.Errorf("got %+v, want it retained", m)
			}
		})
	})
	t.Run("delay", func(t *testing.T) {
		bubble(t, s5, func(t *testing.T, s *server) {
			sub := s.client(hello{})
			sub.subscribe("will", 0)
			w := &willOf{topic: "will", body: "gone", props: prop32(0x18, 10)}
			s.client(hello{id: "c", props: expiry(60), will: w}).leave()
			time.Sleep(9 * time.Second)
			c := s.client(hello{id: "c", dirty: true, props: expiry(60), will: w}) // back in time [MQTT-3.1.3-9]
			time.Sleep(time.Minute)
			sub.nothing()
			c.leave()
			time.Sleep(10*time.Second - time.Millisecond)
			sub.nothing()
			time.Sleep(time.Millisecond)
			sub.bodies(1)
			s.client(hello{id: "d", props: expiry(5), will: w}).leave()
			time.Sleep(5 * time.Second) // the session ends first
			sub.bodies(1)
		})
	})
	t.Run("disconnect", func(t *testing.T) {
		bubble(t, s5, func(t *testing.T, s *server) {
			sub := s.client(hello{})
			sub.subscribe("will", 0)
			w := &willOf{topic: "will", body: "gone"}
			c := s.client(hello{will: w})
			c.write([]byte{0xE0, 0})
			c.mustEnd(0, nil)
			sub.nothing() // [MQTT-3.14.4-3]
			c = s.client(hello{will: w})
			c.write([]byte{0xE0, 2, 0x04, 0})
			c.mustEnd(0, nil)
			sub.bodies(1)
			c = s.client(hello{v: 4, will: w})
			c.write([]byte{0xE0, 0})
			c.mustEnd(0, nil)
			sub.nothing()
			c = s.client(hello{v: 4, will: w})
			c.publish("a/+", 0, 0, "x")
			c.mustEnd(0, core.ErrInvalid)
			sub.bodies(1)
		})
	})
	// In mochi a will goes past all permissions.
	t.Run("denied", func(t *testing.T) {
		bubble(t, s5, func(t *testing.T, s *server) {
			for v, code := range map[byte]byte{4: 5, 5: 0x87} {
				c := s.dial(protocoltest.PipeOptions{})
				c.write(hello{id: "c", v: v, will: &willOf{topic: "denied"}}.packet())
				if p := c.next(); p.body[1] != code {
					t.Errorf("got %s, want CONNACK %#02x", p, code)
				}
				c.mustEnd(0, core.ErrDenied)
			}
		})
	})
}

func TestSession(t *testing.T) {
	t.Run("kept", func(t *testing.T) {
		for _, v := range []byte{4, 5} {
			bubble(t, setup{}, func(t *testing.T, s *server) {
				h := hello{id: "c", v: v, dirty: true}
				if v == 5 {
					h.props = expiry(60)
				}
				c := s.client(h)
				c.subscribe("a", 1)
				c.subscribe("b", 0)
				c.leave()
				pub := s.client(hello{})
				pub.publish("a", 0, 0, "QoS 0")
				for i := range 3 {
					pub.publish("a", 1, uint16(i+1), fmt.Sprint(i))
					pub.next()
				}
				c, ack := s.connect(h)
				if ack[0] != 1 {
					t.Error("no session present")
				}
				if got := c.bodies(3); got != "0 1 2" {
					t.Errorf("got %q", got)
				}
				pub.publish("b", 0, 0, "live")
				if got := c.bodies(1); got != "live" {
					t.Errorf("got %q, want the subscription of QoS 0 as well", got)
				}
				c.leave()
				if v == 5 {
					time.Sleep(time.Minute + time.Second)
					if _, ack = s.connect(h); ack[0] != 0 {
						t.Error("the session is present after it expired")
					}
				}
				s.connect(hello{id: "c", v: v})
				if _, ack = s.connect(h); ack[0] != 0 {
					t.Error("the session is present after a clean start")
				}
			})
		}
	})
	t.Run("expiry at DISCONNECT", func(t *testing.T) {
		bubble(t, setup{}, func(t *testing.T, s *server) {
			c := s.client(hello{id: "c", props: expiry(60)})
			c.write(packet(0xE0, []byte{0}, list(expiry(0))))
			c.mustEnd(0, nil)
			if _, ack := s.connect(hello{id: "c", dirty: true}); ack[0] != 0 {
				t.Error("the session is present")
			}
			c = s.client(hello{id: "d"})
			c.write(packet(0xE0, []byte{0}, list(expiry(60)))) // [MQTT-3.14.2-2]
			c.mustEnd(0x82, core.ErrInvalid)
		})
	})
	// PUBREL is what is sent again after PUBREC, and the message is not.
	t.Run("PUBREL", func(t *testing.T) {
		bubble(t, setup{}, func(t *testing.T, s *server) {
			h := hello{id: "c", dirty: true, props: expiry(60)}
			c := s.client(h)
			c.subscribe("a", 2)
			pub := s.client(hello{})
			for i := range 3 {
				pub.publish("a", 2, uint16(i+1), fmt.Sprint(i))
			}
			var got []message
			for range 3 {
				got = append(got, c.message())
			}
			c.ack(tPUBREC, got[0].id)
			c.want(tPUBREL, 0, byte(got[0].id))
			c.ack(tPUBREC, got[1].id)
			c.want(tPUBREL, 0, byte(got[1].id))
			c.leave()
			c = s.client(h)
			c.want(tPUBREL, 0, byte(got[0].id))
			c.want(tPUBREL, 0, byte(got[1].id))
			if m := c.message(); m.body != "2" || m.id != got[2].id || !m.dup {
				t.Errorf("got %+v", m)
			}
			c.ack(tPUBCOMP, got[0].id)
			c.ack(tPUBCOMP, got[1].id)
			c.ack(tPUBREC, got[2].id)
			c.want(tPUBREL, 0, byte(got[2].id))
			c.ack(tPUBCOMP, got[2].id)
			synctest.Wait()
			c.leave()
			c = s.client(h)
			c.nothing()
			c.ack(tPUBREC, 4711)
			c.want(tPUBREL, 0x12, 0x67, 0x92)
		})
	})
	// What waits is not lost when the client subscribes anew with QoS 0 [MQTT-3.8.4-3].
}

func TestSessionMore(t *testing.T) {
	t.Run("replaced", func(t *testing.T) {
		bubble(t, setup{}, func(t *testing.T, s *server) {
			c := s.client(hello{id: "c", props: props(expiry(60), receiveMaximum(1))})
			c.subscribe("a", 1)
			pub := s.client(hello{})
			for i := range 3 {
				pub.publish("a", 1, uint16(i+1), fmt.Sprint(i))
			}
			m := c.message()
			if code := c.subscribe("a", 0, []byte{0x0B, 5}); code != 0 {
				t.Errorf("SUBACK %#02x", code)
			}
			c.ack(tPUBACK, m.id)
			for i := 1; i < 3; i++ {
				if m := c.message(); m.body != fmt.Sprint(i) {
					t.Errorf("got %+v, want %d", m, i)
				} else if m.qos == 1 {
					c.ack(tPUBACK, m.id)
				}
			}
			pub.publish("a", 1, 9, "new")
			if m := c.message(); m.body != "new" || m.qos != 0 || len(m.subIDs) != 1 || m.subIDs[0] != 5 {
				t.Errorf("got %+v", m)
			}
			c.nothing()
		})
	})
	t.Run("unsubscribed", func(t *testing.T) {
		bubble(t, setup{}, func(t *testing.T, s *server) {
			c := s.client(hello{id: "c", props: expiry(60)})
			c.subscribe("a", 1)
			c.write(packet(0xA2, u16(5), []byte{0}, str("a"), str("b"), str("a+")))
			if p := c.next(); p.first != 0xB0 || !strings.HasSuffix(string(p.body), "\x00\x11\x8F") {
				t.Errorf("got %s", p)
			}
			c.leave()
			pub := s.client(hello{})
			pub.publish("a", 1, 1, "x")
			pub.want(tPUBACK, 0, 1, 0x10)
			s.client(hello{id: "c", dirty: true, props: expiry(60)}).nothing()
		})
	})
}

func TestEnds(t *testing.T) {
	t.Run("text", func(t *testing.T) {
		bubble(t, setup{}, func(t *testing.T, s *server) {
			c := s.client(hello{})
			if err := c.peer.Send(core.Text, []byte("hello")); err != nil {
				t.Fatal(err)
			}
			c.mustEnd(0x82, core.ErrUnsupported)
			if code, _, _ := c.peer.Closed(time.Minute); code != 1003 {
				t.Errorf("close code %d, want 1003", code)
			}
		})
	})
	for name, x := range map[string]struct {
		packet []byte
		code   byte
	}{
		"a second CONNECT":         {hello{}.packet(), 0x82},
		"CONNACK":                  {[]byte{0x20, 3, 0, 0, 0}, 0x82},
		"type 0":                   {[]byte{0x00, 0}, 0x81},
		"QoS 3":                    {packet(0x36, str("a"), u16(1), []byte{0}), 0x81},
		"DUP with QoS 0":           {packet(0x38, str("a"), []byte{0}), 0x82},
		"identifier 0":             {packet(0x32, str("a"), u16(0), []byte{0}), 0x82},
		"SUBSCRIBE flags":          {packet(0x80, u16(1), []byte{0}, str("a"), []byte{0}), 0x81},
		"SUBSCRIBE QoS 3":          {packet(0x82, u16(1), []byte{0}, str("a"), []byte{3}), 0x81},
		"SUBSCRIBE reserved bits":  {packet(0x82, u16(1), []byte{0}, str("a"), []byte{0x40}), 0x81},
		"retain handling 3":        {packet(0x82, u16(1), []byte{0}, str("a"), []byte{0x30}), 0x82},
		"SUBSCRIBE without filter": {packet(0x82, u16(1), []byte{0}), 0x82},
		"SUBSCRIBE identifier 0":   {packet(0x82, u16(0), []byte{0}, str("a"), []byte{0}), 0x82},
		"subscription id 0":        {packet(0x82, u16(1), []byte{2, 0x0B, 0}, str("a"), []byte{0}), 0x82},
		"two subscription ids":     {packet(0x82, u16(1), []byte{4, 0x0B, 1, 0x0B, 2}, str("a"), []byte{0}), 0x82},
		"No Local on shared":       {packet(0x82, u16(1), []byte{0}, str("$share/g/a"), []byte{4}), 0x82},
		"UNSUBSCRIBE of nothing":   {packet(0xA2, u16(1), []byte{0}), 0x82},
		"subscription id of own":   {packet(0x30, str("a"), []byte{2, 0x0B, 1}), 0x82},
		"response topic wildcard":  {packet(0x30, str("a"), list(propS(8, "a/+"))), 0x82},
		"payload format 2":         {packet(0x30, str("a"), list(prop8(1, 2))), 0x82},
		"content type twice":       {packet(0x30, str("a"), list(props(propS(3, "a"), propS(3, "b")))), 0x82},
		"unknown property":         {packet(0x30, str("a"), []byte{2, 0x7F, 0}), 0x81},
		"topic with NUL":           {packet(0x30, str("a\x00"), []byte{0}), 0x81},
		"topic that is no UTF-8":   {packet(0x30, str("\xff"), []byte{0}), 0x81},
		"PUBLISH that is cut":      {packet(0x30, []byte{0, 9, 'a'}), 0x81},
		"AUTH":                     {[]byte{0xF0, 2, 0x19, 0}, 0x82},
		"PINGREQ with a body":      {[]byte{0xC0, 1, 0}, 0x81},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, setup{}, func(t *testing.T, s *server) {
				c := s.client(hello{})
				c.write(x.packet)
				c.mustEnd(x.code, core.ErrInvalid)
			})
		})
	}
	t.Run("QoS and retain that are not served", func(t *testing.T) {
		set := func(c *mqtt.Config) { c.MaxQoS, c.Retain = 1, false }
		bubble(t, setup{config: set}, func(t *testing.T, s *server) {
			c := s.client(hello{})
			if code := c.subscribe("a", 2); code != 1 {
				t.Errorf("granted %d", code)
			}
			c.publish("a", 2, 1, "x")
			c.mustEnd(0x9B, core.ErrInvalid)
			c = s.client(hello{})
			c.publishFlags(1, "a", 0, "x")
			c.mustEnd(0x9A, core.ErrInvalid)
		})
	})
	t.Run("what is under way is acknowledged first", func(t *testing.T) {
		engine := coretest.NewEngine(memory.New())
		bubble(t, setup{broker: []coretest.Option{func(o *core.Options) { o.Engine = engine }}}, func(t *testing.T, s *server) {
			s.client(hello{}).subscribe("a", 1)
			c := s.client(hello{id: "c"})
			engine.Hold()
			c.publish("a", 1, 1, "x")
			c.nothing()
			second := s.dial(protocoltest.PipeOptions{})
			second.write(hello{id: "c"}.packet())
			c.nothing()
			engine.Release()
			c.want(tPUBACK, 0, 1)
			c.mustEnd(0x8E, core.ErrTakenOver)
		})
	})
}

func TestVersion31(t *testing.T) {
	bubble(t, setup{}, func(t *testing.T, s *server) {
		c := s.client(hello{id: strings.Repeat("x", 40), v: 3}) // longer than 23: lenient
		c.subscribe("a", 2)
		c.publish("a", 2, 1, "x")
		seen := ""
		for range 2 {
			p := c.next()
			seen += fmt.Sprintf("%x ", p.first)
			if p.first>>4 == 3 {
				m := c.parse(p)
				c.ack(tPUBREC, m.id)
				c.want(tPUBREL, 0, byte(m.id))
				c.ack(tPUBCOMP, m.id)
			}
		}
		if seen != "50 34 " && seen != "34 50 " {
			t.Errorf("got %s, want PUBREC and PUBLISH", seen)
		}
		c.ack(tPUBREL, 1)
		c.want(tPUBCOMP, 0, 1)
		c.nothing()
	})
}
