package mqtt

import (
	"context"
	"hash/maphash"

	"github.com/mochi-mqtt/server/v2/packets"

	"github.com/wyemq/wye/core"
)

// For the property tests and fuzz targets of what has no other door.
var (
	DestinationOf    = destinationOf
	PlainDestination = plainDestination
	TopicOf          = topicOf
)

// FilterOf returns what targetOf makes of a filter, and the code of a refusal.
func FilterOf(filter string) (dest, group string, code byte) {
	t, f := targetOf(filter)
	if f != nil {
		return "", "", f.code
	}
	return t.filter, t.group, 0
}

// Inspect checks a whole packet; the code is 0 when there is nothing wrong.
func Inspect(level byte, packet []byte) (code byte) {
	total, header, err := measure(packet)
	if err != nil || total == 0 || total != len(packet) {
		return codeMalformed
	}
	if f := inspect(level, packet, header); f != nil {
		return f.code
	}
	return 0
}

// Published returns the message of a PUBLISH and its packet identifier as the codec sees them, nil when it refuses them or what
// is sent is not plain; and as the way around it does, nil when that leaves it to the codec.
func Published(version byte, packet []byte) (codec, plain *core.Message, codecID, plainID uint16) {
	total, header, err := measure(packet)
	if err != nil || total == 0 || total != len(packet) {
		return nil, nil, 0, 0
	}
	seed := maphash.MakeSeed()
	plain, plainID = new(names).message(&seed, version, packet, header)
	pk := new(packets.Packet)
	if packet[0]>>4 != packets.Publish || inspect(version, packet, header) != nil || decode(pk, version, packet, header) != nil ||
		pk.TopicName == "" || pk.FixedHeader.Qos > 0 && pk.PacketID == 0 || pk.FixedHeader.Dup {
		return nil, plain, 0, plainID
	}
	if m, f := messageOf(pk, pk.TopicName); f == nil {
		codec = m
	}
	return codec, plain, pk.PacketID, plainID
}

// Encodings are all the shared encodings of m.
func Encodings(m *core.Message) [][]byte {
	return [][]byte{encoded(m, 4, false), encoded(m, 4, true), encoded(m, 5, false), encoded(m, 5, true)}
}

// Encode returns the parts of a PUBLISH before the body, for a QoS 0 receiver.
func Encode(m *core.Message, version byte) []byte { return encoded(m, version, false) }

// Deliverer returns the DeliverFunc of a connection of this version, and a subscription of QoS 0 for its deliveries.
func Deliverer(ctx context.Context, p *Protocol, c core.Conn, version byte) (core.DeliverFunc, *core.Subscription) {
	pe := newPeer(ctx, p, c)
	pe.version = version
	return pe.deliver, pe.consume(&subscription{text: "a/b", target: target{filter: "topic/a/b"}}, core.RetainedNever)
}

// Overlapping returns a subscription of QoS 0 with an identifier, and Retain As Published or not.
func Overlapping(id uint32, published bool) *core.Subscription {
	return &core.Subscription{Data: &subscription{id: id, published: published}}
}
