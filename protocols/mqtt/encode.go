package mqtt

import (
	"encoding/binary"
	"time"

	"github.com/mochi-mqtt/server/v2/packets"

	"github.com/wyemq/wye/core"
)

// A PUBLISH is written in parts: its first byte, what is the same for all receivers of a version up to the packet identifier, the
// identifier, the same again, the body. So one encoding serves every subscriber whatever its QoS, RETAIN and DUP, and a body is
// copied into socket buffers only.

// The keys of the shared encodings: with and without room for a packet identifier, because the length differs.
const (
	keyV3      = "mqtt/3"
	keyV3ID    = "mqtt/3/id"
	keyV5      = "mqtt/5"
	keyV5ID    = "mqtt/5/id"
	keyV5Props = "mqtt/5/properties"
)

// encoded returns the shared encoding of m: remaining length, topic, and with MQTT 5 properties. Empty when MQTT cannot say it.
func encoded(m *core.Message, version byte, withID bool) []byte {
	switch {
	case version < 5 && withID:
		return m.Encoded(keyV3ID, func(m *core.Message) []byte { return encodeV3(m, 2) })
	case version < 5:
		return m.Encoded(keyV3, func(m *core.Message) []byte { return encodeV3(m, 0) })
	case withID:
		return m.Encoded(keyV5ID, func(m *core.Message) []byte { return encodeV5(m, 2) })
	default:
		return m.Encoded(keyV5, func(m *core.Message) []byte { return encodeV5(m, 0) })
	}
}

func encodeV3(m *core.Message, id int) []byte {
	prefix, rest, ok := topicOf(m.Destination)
	if !ok {
		return []byte{}
	}
	topic := len(prefix) + len(rest)
	remaining := 2 + topic + id + len(m.Body)
	b := make([]byte, 0, 4+2+topic)
	return appendTopic(appendVarint(b, remaining), prefix, rest)
}

func encodeV5(m *core.Message, id int) []byte {
	prefix, rest, ok := topicOf(m.Destination)
	if !ok {
		return []byte{}
	}
	props := appendCommon(nil, m)
	topic := len(prefix) + len(rest)
	remaining := 2 + topic + id + varintLen(len(props)) + len(props) + len(m.Body)
	b := make([]byte, 0, 4+2+topic+4+len(props))
	b = appendTopic(appendVarint(b, remaining), prefix, rest)
	return append(appendVarint(b, len(props)), props...)
}

func appendTopic(b []byte, prefix, rest string) []byte {
	b = binary.BigEndian.AppendUint16(b, uint16(len(prefix)+len(rest)))
	return append(append(b, prefix...), rest...)
}

// topicEnd returns where in a shared encoding the packet identifier belongs.
func topicEnd(head []byte) int {
	i := 0
	for head[i] >= 0x80 {
		i++
	}
	i++
	return i + 2 + int(binary.BigEndian.Uint16(head[i:]))
}

// appendOwn appends what encoded returns, for an MQTT 5 receiver with properties of its own: the time that is left, the
// identifiers of its subscriptions. It returns as well where the packet identifier belongs.
func appendOwn(b []byte, m *core.Message, id int, ids []uint32, now time.Time) (_ []byte, cut int) {
	prefix, rest, ok := topicOf(m.Destination)
	if !ok {
		return b, 0
	}
	common := m.Encoded(keyV5Props, func(m *core.Message) []byte { return appendCommon([]byte{}, m) })
	size := len(common)
	if !m.Expires.IsZero() {
		size += 5
	}
	for _, sub := range ids {
		size += 1 + varintLen(int(sub))
	}
	start := len(b)
	b = appendVarint(b, 2+len(prefix)+len(rest)+id+varintLen(size)+size+len(m.Body))
	b = appendTopic(b, prefix, rest)
	cut = len(b) - start
	b = appendVarint(b, size)
	if !m.Expires.IsZero() {
		b = binary.BigEndian.AppendUint32(append(b, packets.PropMessageExpiryInterval), secondsLeft(m.Expires, now))
	}
	for _, sub := range ids {
		b = appendVarint(append(b, packets.PropSubscriptionIdentifier), int(sub))
	}
	return append(b, common...), cut
}
