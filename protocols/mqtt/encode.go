package mqtt

import (
	"encoding/binary"
	"time"

	"github.com/wyemq/wye/core"
)

// The packets that are written here. All lengths are below the limits of MQTT: what comes in is bounded.

func appendLength(b []byte, n int) []byte {
	for n >= 0x80 {
		b = append(b, byte(n)|0x80)
		n >>= 7
	}
	return append(b, byte(n))
}

func lengthSize(n int) int {
	switch {
	case n < 1<<7:
		return 1
	case n < 1<<14:
		return 2
	case n < 1<<21:
		return 3
	default:
		return 4
	}
}

func appendString(b []byte, s string) []byte {
	s = s[:min(len(s), 65535)]
	return append(binary.BigEndian.AppendUint16(b, uint16(len(s))), s...)
}

// maxReason bounds reason strings, which are for people.
const maxReason = 256

// appendReason appends the properties of an acknowledgement: a reason string, or none.
func appendReason(b []byte, reason string) []byte {
	if reason == "" {
		return append(b, 0)
	}
	reason = reason[:min(len(reason), maxReason)]
	b = appendLength(b, 3+len(reason))
	return appendString(append(b, 0x1f), reason)
}

// ack returns a PUBACK, PUBREC, PUBREL or PUBCOMP.
func ack(head byte, pid uint16, version, code byte, reason string) []byte {
	if version != 5 || code == codeSuccess && reason == "" {
		return []byte{head, 2, byte(pid >> 8), byte(pid)}
	}
	if reason == "" {
		return []byte{head, 3, byte(pid >> 8), byte(pid), code}
	}
	props := appendReason(nil, reason)
	b := appendLength([]byte{head}, 3+len(props))
	b = append(b, byte(pid>>8), byte(pid), code)
	return append(b, props...)
}

func appendDisconnect(b []byte, code byte, reason string) []byte {
	props := appendReason(nil, reason)
	b = appendLength(append(b, 0xe0), 1+len(props))
	return append(append(b, code), props...)
}

// appendSuback appends SUBACK or UNSUBACK; MQTT 3 has no codes in UNSUBACK.
func appendSuback(b []byte, head byte, pid uint16, version byte, codes []byte, reason string) []byte {
	var props []byte
	if version == 5 {
		props = appendReason(nil, reason)
	}
	b = appendLength(append(b, head), 2+len(props)+len(codes))
	b = append(b, byte(pid>>8), byte(pid))
	b = append(b, props...)
	return append(b, codes...)
}

// flags of a PUBLISH.
const (
	flagRetain = 0x01
	flagQoS1   = 0x02
	flagDup    = 0x08
)

// shared says which deliveries have the same bytes before their packet id and after it: those of one version, QoS
// above 0 or not, and flags. The keys are made once.
var headKeys, propKeys = makeKeys()

func makeKeys() (heads [64]string, props [2]string) {
	for i := range heads {
		heads[i] = "mqtt head " + string(rune('0'+i))
	}
	return heads, [2]string{"mqtt4", "mqtt5"}
}

// head returns the fixed header and topic name of m, shared by all that get it like this. propSize is that of the
// properties which follow.
func head(m *core.Message, version, flags byte, propSize int) []byte {
	key := int(flags)
	if version == 5 {
		key |= 0x10
	}
	return m.Encoded(headKeys[key], func(m *core.Message) []byte { return appendHead(nil, m, flags, propSize) })
}

func appendHead(b []byte, m *core.Message, flags byte, propSize int) []byte {
	topic := toTopic(m.Destination)
	n := 2 + len(topic) + propSize + len(m.Body)
	if flags&0x06 != 0 {
		n += 2
	}
	return appendString(appendLength(append(b, 0x30|flags), n), topic)
}

// properties returns those of m that are the same for all, with their length in front.
func properties(m *core.Message) []byte {
	return m.Encoded(propKeys[1], func(m *core.Message) []byte {
		p := appendProperties(nil, m)
		return append(appendLength(make([]byte, 0, len(p)+2), len(p)), p...)
	})
}

func appendProperties(b []byte, m *core.Message) []byte {
	if m.TextBody {
		b = append(b, 0x01, 1)
	}
	if m.ContentType != "" {
		b = appendString(append(b, 0x03), m.ContentType)
	}
	if m.ReplyTo != "" {
		b = appendString(append(b, 0x08), toTopic(m.ReplyTo))
	}
	if m.CorrelationID != "" {
		b = appendString(append(b, 0x09), m.CorrelationID)
	}
	for _, f := range m.Header {
		b = appendString(appendString(append(b, 0x26), f.Name), f.Value)
	}
	return b
}

// ownProperties returns properties for one delivery: with what is left of its expiry and the subscription's
// identifier.
func ownProperties(b []byte, m *core.Message, ids []int, now time.Time) []byte {
	shared := properties(m)
	_, used := binary.Uvarint(shared)
	n := len(shared) - used
	if !m.Expires.IsZero() {
		n += 5
	}
	for _, id := range ids {
		n += 1 + lengthSize(id)
	}
	b = append(appendLength(b, n), shared[used:]...)
	if !m.Expires.IsZero() { // [MQTT-3.3.2-6]
		left := max(int64((m.Expires.Sub(now)+time.Second/2)/time.Second), 1)
		b = binary.BigEndian.AppendUint32(append(b, 0x02), uint32(min(left, 1<<32-1)))
	}
	for _, id := range ids {
		b = appendLength(append(b, 0x0b), id)
	}
	return b
}
