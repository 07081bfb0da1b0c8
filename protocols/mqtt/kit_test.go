package mqtt_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/wyemq/wye/core"
	"github.com/wyemq/wye/core/protocoltest"
	"github.com/wyemq/wye/protocols/mqtt"
)

// TestKit runs the conformance kit on every version, on messages and on a stream.
func TestKit(t *testing.T) {
	t.Run("5", func(t *testing.T) { protocoltest.Test(t, kitSuite(t, 5, false)) })
	t.Run("5_stream", func(t *testing.T) { protocoltest.Test(t, kitSuite(t, 5, true)) })
	t.Run("3.1.1", func(t *testing.T) { protocoltest.Test(t, kitSuite(t, 4, false)) })
	t.Run("3.1", func(t *testing.T) { protocoltest.Test(t, kitSuite(t, 3, false)) })
}

func FuzzKit(f *testing.F) { protocoltest.Fuzz(f, kitSuite(f, 5, false)) }

func kitSuite(t testing.TB, version byte, stream bool) protocoltest.Suite {
	t.Helper()
	s := protocoltest.Suite{
		New: func(b *core.Broker) core.Protocol {
			p, err := mqtt.New(b, mqtt.DefaultConfig(), nil)
			if err != nil {
				t.Fatal(err)
			}
			return p
		},
		Client: func(_ testing.TB, p *protocoltest.Peer) protocoltest.Client {
			return &kitClient{p: p, version: version}
		},
		Bodies:  [][]byte{nil, []byte("hello"), {0, 1, 0xff}, []byte("ü€"), make([]byte, 300), make([]byte, 20_000)},
		Pipe:    protocoltest.PipeOptions{Stream: stream},
		Missing: map[protocoltest.Capability]string{},
	}
	if version < 5 {
		s.Missing[protocoltest.Goodbye] = "before MQTT 5 a server has no DISCONNECT"
		s.Missing[protocoltest.Refusals] = "before MQTT 5 a PUBACK is always positive [MQTT-3.3.5-2]"
		s.Missing[protocoltest.Headers] = "before MQTT 5 there are no user properties"
	}
	return s
}

// The control packets of MQTT 5, section 2.1.2.
const (
	pCONNECT    = 1
	pCONNACK    = 2
	pPUBLISH    = 3
	pPUBACK     = 4
	pSUBSCRIBE  = 8
	pSUBACK     = 9
	pDISCONNECT = 14
)

// kitPacket is a packet as the kit's client reads it.
type kitPacket struct {
	kind, flags byte
	body        []byte
}

// kitClient speaks MQTT without the code under test.
type kitClient struct {
	p       *protocoltest.Peer
	version byte
	buf     []byte
	early   []protocoltest.Delivery
	id      uint16
}

func (c *kitClient) send(kind, flags byte, parts ...[]byte) error {
	body := slices.Concat(parts...)
	return c.p.Send(core.Binary, []byte{kind<<4 | flags}, varint(len(body)), body)
}

// MQTT 5, section 1.5.5.
func varint(n int) []byte {
	var b []byte
	for {
		digit := byte(n % 128)
		n /= 128
		if n == 0 {
			return append(b, digit)
		}
		b = append(b, digit|0x80)
	}
}

// readVarint returns the value and how many bytes it takes; 0: too short.
func readVarint(b []byte) (n, size int) {
	for i := 0; i < len(b) && i < 4; i++ {
		n |= int(b[i]&0x7f) << (7 * i)
		if b[i] < 0x80 {
			return n, i + 1
		}
	}
	return 0, 0
}

func text(s string) []byte {
	return append(binary.BigEndian.AppendUint16(nil, uint16(len(s))), s...)
}

func number(n uint16) []byte { return binary.BigEndian.AppendUint16(nil, n) }

// properties is an empty list of properties, or the user properties, in MQTT 5; nothing before.
func (c *kitClient) properties(header ...core.Field) []byte {
	if c.version < 5 {
		return nil
	}
	var b []byte
	for _, h := range header {
		b = append(b, 0x26)
		b = append(append(b, text(h.Name)...), text(h.Value)...)
	}
	return append(varint(len(b)), b...)
}

func (c *kitClient) read(timeout time.Duration) (*kitPacket, error) {
	limit := time.Now().Add(timeout)
	for {
		if len(c.buf) > 1 {
			if n, size := readVarint(c.buf[1:]); size > 0 && len(c.buf) >= 1+size+n {
				p := &kitPacket{kind: c.buf[0] >> 4, flags: c.buf[0] & 15, body: c.buf[1+size : 1+size+n]}
				c.buf = c.buf[1+size+n:]
				return p, nil
			}
		}
		_, msg, err := c.p.Receive(time.Until(limit))
		if err != nil {
			return nil, err
		}
		c.buf = append(slices.Clone(c.buf), msg...)
	}
}

func (c *kitClient) await(kind byte) (*kitPacket, error) {
	for {
		p, err := c.read(time.Minute)
		switch {
		case err != nil:
			return nil, err
		case p.kind == kind:
			return p, nil
		case p.kind == pPUBLISH:
			c.early = append(c.early, c.delivery(p))
		case p.kind == pDISCONNECT:
			return nil, fmt.Errorf("DISCONNECT %x", p.body)
		}
	}
}

func (c *kitClient) delivery(p *kitPacket) protocoltest.Delivery {
	n := int(binary.BigEndian.Uint16(p.body))
	topic, rest := string(p.body[2:2+n]), p.body[2+n:]
	d := protocoltest.Delivery{Destination: "topic/" + topic, Redelivered: p.flags&8 != 0}
	if name, ok := strings.CutPrefix(topic, "$queue/"); ok {
		d.Destination = "queue/" + name
	}
	if p.flags&6 != 0 {
		d.Token, rest = binary.BigEndian.Uint16(rest), rest[2:]
	}
	if c.version == 5 {
		length, size := readVarint(rest)
		d.Header = userProperties(rest[size : size+length])
		rest = rest[size+length:]
	}
	d.Body = slices.Clone(rest)
	return d
}

// userProperties returns the user properties among b, MQTT 5, section 2.2.2.2.
func userProperties(b []byte) (header []core.Field) {
	str := func() string {
		n := int(binary.BigEndian.Uint16(b))
		s := string(b[2 : 2+n])
		b = b[2+n:]
		return s
	}
	for len(b) > 0 {
		id := b[0]
		b = b[1:]
		switch id {
		case 0x26:
			header = append(header, core.Field{Name: str(), Value: str()})
		case 0x01:
			b = b[1:]
		case 0x02:
			b = b[4:]
		case 0x0b:
			_, size := readVarint(b)
			b = b[size:]
		case 0x03, 0x08, 0x09:
			str()
		default:
			return append(header, core.Field{Name: "kit-unknown-property", Value: fmt.Sprint(id)})
		}
	}
	return header
}

func (c *kitClient) Connect(l protocoltest.Login) error {
	name, flags := "MQTT", byte(2)
	if c.version == 3 {
		name = "MQIsdp"
		if l.ClientID == "" {
			l.ClientID = fmt.Sprintf("kit%p", c) // [MQTT-3.1, "Client Identifier"]: 1 to 23 characters
		}
	}
	payload := text(l.ClientID)
	if l.User != "" {
		flags |= 0xc0
		payload = slices.Concat(payload, text(l.User), text(l.Password))
	}
	if err := c.send(pCONNECT, 0, text(name), []byte{c.version, flags, 0, 0}, c.properties(), payload); err != nil {
		return err
	}
	p, err := c.await(pCONNACK)
	if err == nil && p.body[1] != 0 {
		err = fmt.Errorf("CONNACK %d", p.body[1])
	}
	return err
}

func (c *kitClient) subscribe(filter string, qos byte) error {
	c.id++
	if name, ok := strings.CutPrefix(filter, "queue/"); ok {
		filter = "$queue/" + name
	} else {
		filter = strings.TrimPrefix(filter, "topic/")
	}
	if err := c.send(pSUBSCRIBE, 2, number(c.id), c.properties(), text(filter), []byte{qos}); err != nil {
		return err
	}
	p, err := c.await(pSUBACK)
	if err == nil && p.body[len(p.body)-1] >= 0x80 {
		err = fmt.Errorf("SUBACK %x", p.body)
	}
	return err
}

func (c *kitClient) Subscribe(filter string) error    { return c.subscribe(filter, 0) }
func (c *kitClient) SubscribeAck(filter string) error { return c.subscribe(filter, 1) }

func (c *kitClient) Ack(d protocoltest.Delivery) error {
	id, ok := d.Token.(uint16)
	if !ok {
		return errors.New("the delivery has QoS 0")
	}
	return c.send(pPUBACK, 0, number(id))
}

func (c *kitClient) Publish(dest string, body []byte) error { return c.PublishHeader(dest, body, nil) }

// PublishHeader publishes with QoS 1: with QoS 0 nobody is ever told anything.
func (c *kitClient) PublishHeader(dest string, body []byte, header []core.Field) error {
	c.id++
	if name, ok := strings.CutPrefix(dest, "queue/"); ok {
		dest = "$queue/" + name
	} else {
		dest = strings.TrimPrefix(dest, "topic/")
	}
	return c.send(pPUBLISH, 2, text(dest), number(c.id), c.properties(header...), body)
}

func (c *kitClient) PublishConfirmed(dest string, body []byte) error {
	if err := c.Publish(dest, body); err != nil {
		return err
	}
	for {
		p, err := c.await(pPUBACK)
		switch {
		case err != nil:
			return err
		case binary.BigEndian.Uint16(p.body) != c.id:
		case len(p.body) > 2 && p.body[2] >= 0x80:
			return fmt.Errorf("PUBACK %x", p.body)
		default:
			return nil
		}
	}
}

func (c *kitClient) Disconnect() error { return c.send(pDISCONNECT, 0) }

func (c *kitClient) Receive(timeout time.Duration) (protocoltest.Delivery, error) {
	if len(c.early) > 0 {
		d := c.early[0]
		c.early = c.early[1:]
		return d, nil
	}
	limit := time.Now().Add(timeout)
	for {
		p, err := c.read(time.Until(limit))
		switch {
		case err != nil:
			return protocoltest.Delivery{}, err
		case p.kind == pPUBLISH:
			return c.delivery(p), nil
		case p.kind == pDISCONNECT:
			return protocoltest.Delivery{}, fmt.Errorf("DISCONNECT %x", p.body)
		}
	}
}
