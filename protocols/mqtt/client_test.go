package mqtt_test

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/wyemq/wye/core"
	"github.com/wyemq/wye/core/coretest"
	"github.com/wyemq/wye/core/protocoltest"
	"github.com/wyemq/wye/protocols/mqtt"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// server is a broker that speaks MQTT.
type server struct {
	t      *testing.T
	broker *core.Broker
	proto  *mqtt.Protocol
}

// setup is what a test wants of its server.
type setup struct {
	config func(*mqtt.Config)
	broker []coretest.Option
}

// bubble runs fn with a server of its own, in fake time.
func bubble(t *testing.T, s setup, fn func(t *testing.T, s *server)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		b := coretest.Broker(t, s.broker...)
		cfg := mqtt.DefaultConfig()
		if s.config != nil {
			s.config(&cfg)
		}
		p, err := mqtt.New(b, cfg, nil)
		if err != nil {
			t.Fatal(err)
		}
		fn(t, &server{t, b, p})
		synctest.Wait()
	})
}

// raw is a client that speaks in bytes.
type raw struct {
	t    *testing.T
	peer *protocoltest.Peer
	v    byte
	buf  []byte
}

func (s *server) dial(o protocoltest.PipeOptions) *raw {
	c := &raw{t: s.t, peer: protocoltest.Serve(s.t.Context(), s.proto, o), v: 5}
	s.t.Cleanup(func() { c.peer.Abort(); <-c.peer.Done() })
	return c
}

// hello is a CONNECT.
type hello struct {
	id        string
	v         byte // 0: 5
	dirty     bool // Clean Start 0
	keepAlive uint16
	props     []byte
	will      *willOf
	user      *string
	password  *string
}

type willOf struct {
	topic, body string
	qos         byte
	retain      bool
	props       []byte
}

func (h hello) packet() []byte {
	v, name := h.v, "MQTT"
	if v == 0 {
		v = 5
	}
	if v == 3 {
		name = "MQIsdp"
	}
	flags := byte(0)
	if !h.dirty {
		flags |= 2
	}
	payload := str(h.id)
	if w := h.will; w != nil {
		flags |= 4 | w.qos<<3
		if w.retain {
			flags |= 0x20
		}
		if v == 5 {
			payload = append(payload, list(w.props)...)
		}
		payload = slices.Concat(payload, str(w.topic), str(w.body))
	}
	if h.user != nil {
		flags |= 0x80
		payload = append(payload, str(*h.user)...)
	}
	if h.password != nil {
		flags |= 0x40
		payload = append(payload, str(*h.password)...)
	}
	var props []byte
	if v == 5 {
		props = list(h.props)
	}
	return packet(0x10, str(name), []byte{v, flags}, u16(h.keepAlive), props, payload)
}

// connect logs a client in and returns the body of its CONNACK.
func (s *server) connect(h hello) (*raw, []byte) {
	s.t.Helper()
	c := s.dial(protocoltest.PipeOptions{})
	if h.v != 0 {
		c.v = h.v
	}
	c.write(h.packet())
	p := c.next()
	if p.first != 0x20 || p.body[1] != 0 {
		s.t.Fatalf("CONNACK: %s", p)
	}
	return c, p.body
}

func (s *server) client(h hello) *raw {
	s.t.Helper()
	c, _ := s.connect(h)
	return c
}

func packet(first byte, parts ...[]byte) []byte {
	body := slices.Concat(parts...)
	return slices.Concat([]byte{first}, vbi(len(body)), body)
}

func vbi(n int) []byte {
	var b []byte
	for ; n >= 128; n >>= 7 {
		b = append(b, byte(n)|128)
	}
	return append(b, byte(n))
}

func str(s string) []byte      { return append(u16(uint16(len(s))), s...) }
func u16(n uint16) []byte      { return binary.BigEndian.AppendUint16(nil, n) }
func list(props []byte) []byte { return append(vbi(len(props)), props...) }

// Properties.
func prop8(id, v byte) []byte         { return []byte{id, v} }
func propS(id byte, s string) []byte  { return append([]byte{id}, str(s)...) }
func propUser(k, v string) []byte     { return slices.Concat([]byte{0x26}, str(k), str(v)) }
func prop16(id byte, v uint16) []byte { return append([]byte{id}, u16(v)...) }
func prop32(id byte, v uint32) []byte { return binary.BigEndian.AppendUint32([]byte{id}, v) }
func props(list ...[]byte) []byte     { return slices.Concat(list...) }
func expiry(seconds uint32) []byte    { return prop32(0x11, seconds) }
func receiveMaximum(n uint16) []byte  { return prop16(0x21, n) }

func (c *raw) write(b ...[]byte) {
	c.t.Helper()
	if err := c.peer.Send(core.Binary, b...); err != nil {
		c.t.Fatalf("send: %v", err)
	}
}

// properties is an empty property list, or one with these, in MQTT 5.
func (c *raw) properties(p ...[]byte) []byte {
	if c.v < 5 {
		return nil
	}
	return list(slices.Concat(p...))
}

func (c *raw) publish(topic string, qos byte, id uint16, body string, p ...[]byte) {
	c.t.Helper()
	c.publishFlags(qos<<1, topic, id, body, p...)
}

func (c *raw) publishFlags(flags byte, topic string, id uint16, body string, p ...[]byte) {
	c.t.Helper()
	var pid []byte
	if flags&6 != 0 {
		pid = u16(id)
	}
	c.write(packet(0x30|flags, str(topic), pid, c.properties(p...), []byte(body)))
}

// subscribe subscribes and returns the code.
func (c *raw) subscribe(filter string, options byte, p ...[]byte) byte {
	c.t.Helper()
	c.write(packet(0x82, u16(77), c.properties(p...), str(filter), []byte{options}))
	got := c.next()
	if got.first != 0x90 || binary.BigEndian.Uint16(got.body) != 77 {
		c.t.Fatalf("SUBACK: %s", got)
	}
	return got.body[len(got.body)-1]
}

func (c *raw) ack(first byte, id uint16, code ...byte) {
	c.t.Helper()
	c.write(packet(first, u16(id), code))
}

const (
	tPUBACK  = 0x40
	tPUBREC  = 0x50
	tPUBREL  = 0x62
	tPUBCOMP = 0x70
)

// received is a packet from the broker.
type received struct {
	first byte
	body  []byte
}

func (p received) String() string {
	return hex.EncodeToString([]byte{p.first}) + " " + hex.EncodeToString(p.body)
}

func (c *raw) try(timeout time.Duration) (received, error) {
	limit := time.Now().Add(timeout)
	for {
		if len(c.buf) >= 2 {
			n, size := binary.Uvarint(c.buf[1:])
			if size > 0 && len(c.buf) >= 1+size+int(n) {
				p := received{c.buf[0], c.buf[1+size : 1+size+int(n)]}
				c.buf = c.buf[1+size+int(n):]
				return p, nil
			}
		}
		_, b, err := c.peer.Receive(time.Until(limit))
		if err != nil {
			return received{}, err
		}
		c.buf = append(bytes.Clone(c.buf), b...)
	}
}

func (c *raw) next() received {
	c.t.Helper()
	p, err := c.try(time.Minute)
	if err != nil {
		_, why, _ := c.peer.Closed(0)
		c.t.Fatalf("no packet: %v (the connection ended with: %v)", err, why)
	}
	return p
}

// want fails unless the next packet is this.
func (c *raw) want(first byte, body ...byte) {
	c.t.Helper()
	if p := c.next(); p.first != first || !bytes.Equal(p.body, body) {
		c.t.Fatalf("got %s, want %02x %x", p, first, body)
	}
}

// nothing fails when there is a packet.
func (c *raw) nothing() {
	c.t.Helper()
	synctest.Wait()
	if p, err := c.try(0); err == nil {
		c.t.Fatalf("got %s, want nothing", p)
	}
}

// message is a PUBLISH from the broker.
type message struct {
	topic, body string
	qos         byte
	dup, retain bool
	id          uint16
	props       []byte
	userProps   []string
	subIDs      []int
	contentType string
	response    string
	correlation string
	expiry      int // -1: none
	format      byte
}

func (c *raw) message() message {
	c.t.Helper()
	p := c.next()
	if p.first>>4 != 3 {
		c.t.Fatalf("got %s, want a PUBLISH", p)
	}
	return c.parse(p)
}

func (c *raw) parse(p received) message {
	m := message{qos: p.first >> 1 & 3, dup: p.first&8 != 0, retain: p.first&1 != 0, expiry: -1}
	b := p.body
	take := func(n int) []byte { x := b[:n]; b = b[n:]; return x }
	field := func() string { return string(take(int(binary.BigEndian.Uint16(take(2))))) }
	m.topic = field()
	if m.qos > 0 {
		m.id = binary.BigEndian.Uint16(take(2))
	}
	if c.v == 5 {
		n, size := binary.Uvarint(b)
		take(size)
		m.props = take(int(n))
		rest := b
		b = m.props
		for len(b) > 0 {
			switch id := take(1)[0]; id {
			case 0x01:
				m.format = take(1)[0]
			case 0x02:
				m.expiry = int(binary.BigEndian.Uint32(take(4)))
			case 0x03:
				m.contentType = field()
			case 0x08:
				m.response = field()
			case 0x09:
				m.correlation = field()
			case 0x0B:
				n, size := binary.Uvarint(b)
				take(size)
				m.subIDs = append(m.subIDs, int(n))
			case 0x26:
				m.userProps = append(m.userProps, field()+"="+field())
			default:
				c.t.Fatalf("property %x in PUBLISH", id)
			}
		}
		b = rest
	}
	m.body = string(b)
	return m
}

// bodies receives n messages, acknowledges those of QoS 1, and returns their bodies.
func (c *raw) bodies(n int) string {
	c.t.Helper()
	var all []string
	for range n {
		m := c.message()
		all = append(all, m.body)
		if m.qos == 1 {
			c.ack(tPUBACK, m.id)
		}
	}
	return strings.Join(all, " ")
}

// ended returns the DISCONNECT code (0: none was sent) and the error of ServeConn, after everything else was read.
func (c *raw) ended() (code byte, err error) {
	c.t.Helper()
	for {
		p, rerr := c.try(time.Minute)
		if rerr != nil {
			if !errors.Is(rerr, io.EOF) {
				c.t.Fatalf("the connection has not ended: %v", rerr)
			}
			_, err, _ = c.peer.Closed(time.Minute)
			return code, err
		}
		if p.first == 0xE0 {
			code = p.body[0]
		}
	}
}

// mustEnd fails unless the connection ends with this DISCONNECT code and reason.
func (c *raw) mustEnd(code byte, why error) {
	c.t.Helper()
	got, err := c.ended()
	if got != code || !errors.Is(err, why) || why == nil && err != nil {
		c.t.Errorf("ended with DISCONNECT %#02x and %v, want %#02x and %v", got, err, code, why)
	}
}

// leave breaks the connection and waits for its end.
func (c *raw) leave() {
	c.peer.Abort()
	<-c.peer.Done()
}
