package mqtt

import (
	"encoding/binary"
	"hash/maphash"
	"strings"

	"github.com/mochi-mqtt/server/v2/packets"

	"github.com/wyemq/wye/core"
	"github.com/wyemq/wye/core/destination"
)

// A plain PUBLISH is one to an ordinary topic, without properties and flags that are seldom set. It is what nearly all packets are,
// and is taken here, in front of the codec: one piece of memory holds the message and what was sent, which is as well what
// most receivers get. Whatever is not plain, above all what is wrong, is left to the codec, and the outcome is the
// same: FuzzPlain.

// plain is a message with a copy of its packet, if that is short.
type plain struct {
	core.Message
	packet [64]byte
}

// plainPublish takes a plain PUBLISH; false when it is none.
func (p *peer) plainPublish(b []byte, header int) (ok bool, f *fault) {
	if !p.connected {
		return false, nil
	}
	m, id := p.names.message(&p.proto.seed, p.version, b, header)
	if m == nil {
		return false, nil
	}
	qos := b[0] >> 1 & 3
	if int(qos) > p.proto.cfg.MaxQoS || m.Retain && !p.proto.cfg.Retain {
		return false, nil
	}
	return true, p.take(m, nil, qos, id, false)
}

// message returns the message of a plain PUBLISH and its packet identifier; nil when it is none.
func (n *names) message(seed *maphash.Seed, version byte, b []byte, header int) (*core.Message, uint16) {
	const dup = 1 << 3
	qos := b[0] >> 1 & 3
	if b[0]>>4 != packets.Publish || b[0]&dup != 0 || qos == 3 || len(b) < header+2 || header != 1+varintLen(len(b)-header) {
		return nil, 0
	}
	at := header + 2 + int(binary.BigEndian.Uint16(b[header:]))
	if at > len(b) {
		return nil, 0
	}
	dest := n.destination(seed, b[header+2:at])
	cut := at - 1 // where the topic ends, in what follows the first byte
	id := uint16(0)
	if qos > 0 {
		if at+2 > len(b) {
			return nil, 0
		}
		id = binary.BigEndian.Uint16(b[at:])
		at += 2
	}
	if version == 5 {
		if at == len(b) || b[at] != 0 {
			return nil, 0
		}
		at++
	}
	if dest == "" || qos > 0 && id == 0 {
		return nil, 0
	}
	m, packet := keep(b[1:])
	m.Destination, m.Body = dest, packet[at-1:len(packet):len(packet)]
	m.Persistent, m.ExactlyOnce, m.Retain = qos > 0, qos == 2, b[0]&1 != 0
	switch {
	case version < 5 && qos > 0:
		m.Preset(keyV3ID, packet[:cut:cut])
	case version < 5:
		m.Preset(keyV3, packet[:cut:cut])
	case qos == 0:
		m.Preset(keyV5, packet[:at-1:at-1])
	}
	return m, id
}

// keep returns a new message and a copy of b.
func keep(b []byte) (*core.Message, []byte) {
	if len(b) > len(plain{}.packet) {
		return new(core.Message), append([]byte(nil), b...)
	}
	m := new(plain)
	return &m.Message, m.packet[:copy(m.packet[:], b)]
}

// names are the destinations of topics that were published to, so that each is looked at and written out once. A slot is that of
// many; the last of them is in it.
type names struct{ slots *[16]string }

// destination returns the destination of an ordinary topic; "" for any other, and for what is no topic.
func (n *names) destination(seed *maphash.Seed, topic []byte) string {
	const prefix = "topic/"
	if n.slots == nil {
		n.slots = new([16]string)
	}
	slot := &n.slots[maphash.Bytes(*seed, topic)%uint64(len(n.slots))]
	if len(*slot) > len(prefix) && (*slot)[len(prefix):] == string(topic) {
		return *slot
	}
	dest := prefix + string(topic)
	if strings.HasPrefix(dest, prefix+"$") || destination.Check(dest) != nil {
		return ""
	}
	*slot = dest
	return dest
}
