package mqtt

import (
	"context"

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
