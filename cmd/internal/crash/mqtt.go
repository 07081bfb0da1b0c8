package crash

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"
)

// The packets of MQTT.
const (
	pConnect   = 1
	pConnack   = 2
	pPublish   = 3
	pPuback    = 4
	pPubrec    = 5
	pPubrel    = 6
	pPubcomp   = 7
	pSubscribe = 8
	pSuback    = 9
)

// unknownID is what PUBREL and PUBCOMP say when the other side is finished with the identifier already: no error after a
// connection has broken. MQTT 5, section 3.7.2.1.
const unknownID = 0x92

// packet is one of MQTT.
type packet struct {
	kind     byte
	dup      bool
	qos      byte
	retained bool
	topic    string
	id       uint16
	payload  []byte // of SUBACK: the return codes
}

// mqtt is a connection that speaks MQTT 3.1.1 or 5.
type mqtt struct {
	*socket
	in      *bufio.Reader
	level   byte // 4: 3.1.1, 5
	resumed bool // Session Present
}

// login is how a client presents itself.
type login struct {
	id    string
	level byte
	clean bool
	most  uint16 // Receive Maximum; 0: none. MQTT 5 only
}

// dialMQTT connects and logs in.
func dialMQTT(ctx context.Context, addr string, as login) (*mqtt, error) {
	s, err := dial(ctx, addr, "mqtt", opBinary)
	if err != nil {
		return nil, err
	}
	c := &mqtt{socket: s, in: bufio.NewReader(s), level: as.level}
	if err := c.login(as); err != nil {
		s.close()
		return nil, err
	}
	return c, nil
}

func (c *mqtt) login(as login) error {
	flags := byte(0)
	if as.clean {
		flags = 2
	}
	b := append(text(nil, "MQTT"), as.level, flags, 0, 0)
	if as.level == 5 {
		var props []byte
		if !as.clean {
			props = binary.BigEndian.AppendUint32(append(props, 0x11), 3600) // Session Expiry Interval
		}
		if as.most > 0 {
			props = binary.BigEndian.AppendUint16(append(props, 0x21), as.most)
		}
		b = append(append(b, byte(len(props))), props...)
	}
	if err := c.packet(pConnect<<4, text(b, as.id)); err != nil {
		return err
	}
	if err := c.nc.SetReadDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	p, err := c.read()
	if err != nil {
		return err
	}
	if p.kind != pConnack || p.payload[1] != 0 {
		return fmt.Errorf("the broker answers CONNECT with %+v", p)
	}
	c.resumed = p.payload[0]&1 != 0
	return c.nc.SetReadDeadline(time.Time{})
}

func text(b []byte, s string) []byte {
	return append(binary.BigEndian.AppendUint16(b, uint16(len(s))), s...)
}

// packet writes one with its length.
func (c *mqtt) packet(first byte, rest []byte) error {
	b := binary.AppendUvarint([]byte{first}, uint64(len(rest)))
	_, err := c.Write(append(b, rest...))
	return err
}

func (c *mqtt) publish(p *packet) error {
	first := byte(pPublish<<4) | p.qos<<1
	if p.dup {
		first |= 8
	}
	if p.retained {
		first |= 1
	}
	b := text(nil, p.topic)
	if p.qos > 0 {
		b = binary.BigEndian.AppendUint16(b, p.id)
	}
	b = c.noProperties(b)
	return c.packet(first, append(b, p.payload...))
}

// noProperties appends the empty list, if the version has one.
func (c *mqtt) noProperties(b []byte) []byte {
	if c.level < 5 {
		return b
	}
	return append(b, 0)
}

// skipProperties leaves out the list that b begins with, if the version has one.
func (c *mqtt) skipProperties(b []byte) ([]byte, error) {
	if c.level < 5 {
		return b, nil
	}
	n, size := binary.Uvarint(b)
	if size <= 0 || uint64(len(b)-size) < n {
		return nil, errors.New("properties are cut short")
	}
	return b[size+int(n):], nil
}

// answer writes PUBACK, PUBREC, PUBREL or PUBCOMP.
func (c *mqtt) answer(kind byte, id uint16) error {
	first := kind << 4
	if kind == pPubrel {
		first |= 2 // [MQTT-3.6.1-1]
	}
	return c.packet(first, binary.BigEndian.AppendUint16(nil, id))
}

func (c *mqtt) subscribe(id uint16, filter string, qos byte) error {
	b := text(c.noProperties(binary.BigEndian.AppendUint16(nil, id)), filter)
	return c.packet(pSubscribe<<4|2, append(b, qos))
}

// read reads a packet.
func (c *mqtt) read() (*packet, error) {
	first, err := c.in.ReadByte()
	if err != nil {
		return nil, err
	}
	n, err := binary.ReadUvarint(c.in)
	if err != nil {
		return nil, err
	}
	b := make([]byte, n)
	if _, err := io.ReadFull(c.in, b); err != nil {
		return nil, err
	}
	p := &packet{kind: first >> 4}
	if p.kind == pPublish {
		p.dup, p.qos, p.retained = first&8 != 0, first>>1&3, first&1 != 0
		if len(b) < 2 || len(b) < 2+int(binary.BigEndian.Uint16(b)) {
			return nil, errors.New("a PUBLISH is cut short")
		}
		size := 2 + int(binary.BigEndian.Uint16(b))
		p.topic, b = string(b[2:size]), b[size:]
	}
	if p.kind == pPublish && p.qos > 0 || p.kind >= pPuback && p.kind <= pSuback {
		if len(b) < 2 {
			return nil, errors.New("a packet is cut short")
		}
		p.id, b = binary.BigEndian.Uint16(b), b[2:]
	}
	switch {
	case p.kind == pConnack && len(b) < 2:
		return nil, errors.New("CONNACK is cut short")
	case p.kind >= pPuback && p.kind <= pPubcomp && len(b) > 0 && b[0] >= 0x80 && b[0] != unknownID:
		return nil, fmt.Errorf("the broker refuses packet %d with 0x%x", p.id, b[0])
	case p.kind == pPublish || p.kind == pSuback:
		if b, err = c.skipProperties(b); err != nil {
			return nil, err
		}
	}
	p.payload = b
	return p, nil
}
