package peer

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"math"
	"strconv"
)

// mqtt is the protocol MQTT at level 4 (3.1.1) or 5.
type mqtt struct{ level byte }

// The packet types.
const (
	typeConnect    = 1
	typeConnack    = 2
	typePublish    = 3
	typePuback     = 4
	typePubrec     = 5
	typePubrel     = 6
	typePubcomp    = 7
	typeSubscribe  = 8
	typeSuback     = 9
	typeUnsuback   = 11
	typePingreq    = 12
	typeDisconnect = 14
)

func text(dst []byte, s string) []byte {
	return append(binary.BigEndian.AppendUint16(dst, uint16(len(s))), s...)
}

// packet puts the fixed header before rest.
func packet(dst []byte, first byte, rest []byte) []byte {
	return append(binary.AppendUvarint(append(dst, first), uint64(len(rest))), rest...)
}

func (m *mqtt) connect(dst []byte, t *Target, l *Login) []byte {
	flags := byte(0)
	if l.Clean {
		flags |= 1 << 1
	}
	if t.User != "" {
		flags |= 1 << 7
	}
	if t.Password != "" {
		flags |= 1 << 6
	}
	b := append(text(nil, "MQTT"), m.level, flags)
	b = binary.BigEndian.AppendUint16(b, uint16(min(int64(l.KeepAlive.Seconds()), math.MaxUint16)))
	if m.level == 5 {
		var props []byte
		if l.Expiry > 0 {
			props = binary.BigEndian.AppendUint32(append(props, 0x11), uint32(min(int64(l.Expiry.Seconds()), math.MaxUint32)))
		}
		if l.ReceiveMax > 0 {
			props = binary.BigEndian.AppendUint16(append(props, 0x21), l.ReceiveMax)
		}
		b = appendProperties(b, userProperties(props, l.Header))
	}
	b = text(b, l.ClientID)
	if t.User != "" {
		user := t.User
		if t.VHost != "" {
			user = t.VHost + ":" + user // as RabbitMQ has it
		}
		b = text(b, user)
	}
	if t.Password != "" {
		b = text(b, t.Password)
	}
	return packet(dst, typeConnect<<4, b)
}

func userProperties(props []byte, hs []Header) []byte {
	for _, h := range hs {
		props = text(text(append(props, 0x26), h.Name), h.Value)
	}
	return props
}

func appendProperties(dst, props []byte) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(props))), props...)
}

func (m *mqtt) subscribe(dst []byte, s *Subscription, id uint16) []byte {
	b := binary.BigEndian.AppendUint16(nil, id)
	options := s.QoS
	if m.level == 5 {
		b = appendProperties(b, userProperties(nil, s.Header))
		if s.NoRetained {
			options |= 2 << 4
		}
	}
	return packet(dst, typeSubscribe<<4|2, append(text(b, s.Filter), options))
}

func (m *mqtt) publish(dst []byte, p *Publication, id uint32) ([]byte, int) {
	first := typePublish<<4 | p.QoS<<1
	if p.Retain {
		first |= 1
	}
	b := text(nil, p.Destination)
	at := 0
	if p.QoS > 0 {
		at = len(b)
		b = binary.BigEndian.AppendUint16(b, uint16(id))
	}
	if m.level == 5 {
		b = appendProperties(b, m.publishProperties(p))
	}
	b = append(b, p.Body...)
	start := len(dst)
	dst = packet(dst, first, b)
	if at > 0 {
		at += len(dst) - start - len(b)
	}
	return dst, at
}

// publishProperties gives the headers that MQTT has a property for that property, the others a user property.
func (m *mqtt) publishProperties(p *Publication) []byte {
	var props []byte
	if p.ContentType != "" {
		props = text(append(props, 0x03), p.ContentType)
	}
	for _, h := range p.Header {
		switch h.Name {
		case "content-type":
			props = text(append(props, 0x03), h.Value)
		case "reply-to":
			props = text(append(props, 0x08), h.Value)
		case "correlation-id":
			props = text(append(props, 0x09), h.Value)
		default:
			props = userProperties(props, []Header{h})
		}
	}
	return props
}

func (*mqtt) putID(at []byte, id uint32) { binary.BigEndian.PutUint16(at, uint16(id)) }

func (*mqtt) answer(dst []byte, p *Packet) []byte {
	switch {
	case p.Kind == Message && p.QoS == 1:
		dst = append(dst, typePuback<<4, 2)
	case p.Kind == Message && p.QoS == 2:
		dst = append(dst, typePubrec<<4, 2)
	case p.Kind == Received:
		dst = append(dst, typePubrel<<4|2, 2)
	case p.Kind == Released:
		dst = append(dst, typePubcomp<<4, 2)
	default:
		return dst
	}
	return binary.BigEndian.AppendUint16(dst, uint16(p.ID))
}

func (*mqtt) ping(dst []byte) []byte { return append(dst, typePingreq<<4, 0) }

func (*mqtt) disconnect(dst []byte) []byte { return append(dst, typeDisconnect<<4, 0) }

var errShort = errors.New("a packet ends too early")

// parse reads one packet.
func (m *mqtt) parse(b []byte, p *Packet) (int, error) {
	if len(b) < 2 {
		return 0, nil
	}
	size, used := binary.Uvarint(b[1:min(len(b), 5)])
	if used == 0 && len(b) < 5 {
		return 0, nil
	}
	if used <= 0 {
		return 0, errors.New("the length of a packet is not one")
	}
	end := 1 + used + int(size)
	if len(b) < end {
		return 0, nil
	}
	return end, m.classify(p, b[0], b[1+used:end])
}

func (m *mqtt) classify(p *Packet, first byte, b []byte) error {
	p.Kind, p.ID, p.Code, p.head, p.topic, p.Body = Other, 0, 0, nil, nil, nil
	switch first >> 4 {
	case typePublish:
		return m.message(p, first, b)
	case typeConnack:
		if len(b) < 2 {
			return errShort
		}
		p.Kind, p.Code = Connected, b[1]
		if p.Code != 0 {
			p.Kind = Refused
		}
		if m.level == 5 {
			p.head, _ = properties(b[2:])
		}
	case typePuback, typePubrec, typePubrel, typePubcomp:
		if len(b) < 2 {
			return errShort
		}
		p.ID = uint32(binary.BigEndian.Uint16(b))
		if len(b) > 2 {
			p.Code = b[2]
		}
		switch {
		case p.Code >= 0x80:
			p.Kind = Refused
		case first>>4 == typePubrec:
			p.Kind = Received
		case first>>4 == typePubrel:
			p.Kind = Released
		default:
			p.Kind = Confirmed
		}
	case typeSuback, typeUnsuback:
		if len(b) < 3 {
			return errShort
		}
		p.Kind, p.ID, p.Code = Subscribed, uint32(binary.BigEndian.Uint16(b)), b[len(b)-1]
		if p.Code >= 0x80 {
			p.Kind = Refused
		}
	case typeDisconnect:
		p.Kind = Refused
		if len(b) > 0 {
			p.Code = b[0]
		}
		if len(b) > 1 {
			p.head, _ = properties(b[1:])
		}
	}
	return nil
}

func (m *mqtt) message(p *Packet, first byte, b []byte) error {
	p.Kind, p.QoS, p.Retained, p.Dup = Message, first>>1&3, first&1 != 0, first&8 != 0
	if len(b) < 2 {
		return errShort
	}
	n := int(binary.BigEndian.Uint16(b))
	if b = b[2:]; len(b) < n {
		return errShort
	}
	p.topic, b = b[:n], b[n:]
	if p.QoS > 0 {
		if len(b) < 2 {
			return errShort
		}
		p.ID, b = uint32(binary.BigEndian.Uint16(b)), b[2:]
	}
	if m.level == 5 {
		var ok bool
		if p.head, ok = properties(b); !ok {
			return errShort
		}
		_, used := binary.Uvarint(b)
		b = b[used+len(p.head):]
	}
	p.Body = b
	return nil
}

// properties cuts the properties off the front of b.
func properties(b []byte) ([]byte, bool) {
	n, used := binary.Uvarint(b)
	if used <= 0 || uint64(len(b)-used) < n {
		return nil, false
	}
	return b[used : used+int(n)], true
}

func (*mqtt) destination(p *Packet) string { return string(p.topic) }

// The names of properties, as STOMP would call them, and how they are written.
var propertyNames = map[byte]string{
	0x01: "payload-format", 0x02: "message-expiry", 0x03: "content-type", 0x08: "reply-to", 0x09: "correlation-id",
	0x0b: "subscription-identifier", 0x11: "session-expiry", 0x12: "client-id", 0x13: "server-keep-alive",
	0x15: "authentication-method", 0x16: "authentication-data", 0x1a: "response-information",
	0x1c: "server-reference", 0x1f: "reason", 0x21: "receive-maximum", 0x22: "topic-alias-maximum", 0x23: "topic-alias",
	0x24: "maximum-qos", 0x25: "retain-available", 0x27: "maximum-packet-size", 0x28: "wildcard-available",
	0x29: "subscription-identifier-available", 0x2a: "shared-available",
}

// headers reads the properties; it stops at one it does not know.
func (*mqtt) headers(p *Packet) []Header {
	var all []Header
	for b := p.head; len(b) > 0; {
		id := b[0]
		value, n, ok := property(id, b[1:])
		if !ok {
			break
		}
		if id == 0x26 {
			name := b[3 : 3+int(binary.BigEndian.Uint16(b[1:]))]
			all = append(all, Header{string(name), value})
		} else {
			all = append(all, Header{propertyNames[id], value})
		}
		b = b[1+n:]
	}
	return all
}

// property reads the value of one property and says how long it is. [MQTT5 2.2.2.2]
func property(id byte, b []byte) (value string, n int, ok bool) {
	switch id {
	case 0x01, 0x24, 0x25, 0x28, 0x29, 0x2a:
		n = 1
	case 0x13, 0x21, 0x22, 0x23:
		n = 2
	case 0x02, 0x11, 0x27:
		n = 4
	case 0x0b:
		v, used := binary.Uvarint(b)
		return strconv.FormatUint(v, 10), used, used > 0
	case 0x03, 0x08, 0x09, 0x12, 0x15, 0x16, 0x1a, 0x1c, 0x1f, 0x26:
		s, n, ok := prefixed(b)
		if ok && id == 0x26 {
			value, more, ok := prefixed(b[n:])
			return string(value), n + more, ok
		}
		if id == 0x16 {
			return base64.StdEncoding.EncodeToString(s), n, ok
		}
		return string(s), n, ok
	default:
		return "", 0, false
	}
	if len(b) < n {
		return "", 0, false
	}
	v := uint64(0)
	for _, c := range b[:n] {
		v = v<<8 | uint64(c)
	}
	return strconv.FormatUint(v, 10), n, true
}

// prefixed reads bytes after their length.
func prefixed(b []byte) ([]byte, int, bool) {
	if len(b) < 2 {
		return nil, 0, false
	}
	n := int(binary.BigEndian.Uint16(b))
	if len(b) < 2+n {
		return nil, 0, false
	}
	return b[2 : 2+n], 2 + n, true
}

// reason names the refusals that a user of these commands meets most.
func reason(level, code byte) string {
	if level == 4 {
		switch code {
		case 1:
			return "unacceptable protocol version"
		case 2:
			return "client identifier rejected"
		case 3:
			return "server unavailable"
		case 4:
			return "bad user name or password"
		case 5:
			return "not authorized"
		case 0x80:
			return "subscription refused"
		}
	}
	switch code {
	case 0x00:
		return "disconnected"
	case 0x80:
		return "unspecified error"
	case 0x81:
		return "malformed packet"
	case 0x82:
		return "protocol error"
	case 0x84:
		return "unsupported protocol version"
	case 0x85:
		return "client identifier not valid"
	case 0x86:
		return "bad user name or password"
	case 0x87:
		return "not authorized"
	case 0x89:
		return "server busy"
	case 0x8b:
		return "server shutting down"
	case 0x8d:
		return "keep alive timeout"
	case 0x8e:
		return "session taken over"
	case 0x8f:
		return "topic filter invalid"
	case 0x90:
		return "topic name invalid"
	case 0x93:
		return "receive maximum exceeded"
	case 0x95:
		return "packet too large"
	case 0x97:
		return "quota exceeded"
	case 0x9a:
		return "retain not supported"
	case 0x9b:
		return "QoS not supported"
	case 0x9e:
		return "shared subscriptions not supported"
	}
	return "reason"
}
