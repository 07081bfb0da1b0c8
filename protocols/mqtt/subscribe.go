package mqtt

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"

	"github.com/mochi-mqtt/server/v2/packets"

	"github.com/wyemq/wye/core"
)

// subscription is what the core need not know of one.
type subscription struct {
	qos               byte
	retainAsPublished bool
	queue             bool
	ids               []int
}

// onSubscribe answers a SUBSCRIBE: SUBACK, then what is retained.
func (cl *client) onSubscribe(pk *packets.Packet) error {
	if pk.PacketID == 0 {
		return cl.refuse(codeProtocolError, errors.New("SUBSCRIBE without a packet identifier"))
	}
	if len(pk.Filters) == 0 { // [MQTT-3.8.3-2]
		return cl.refuse(codeProtocolError, errors.New("SUBSCRIBE without a filter"))
	}
	cl.gate.Lock()
	defer cl.gate.Unlock()
	codes, reason := make([]byte, len(pk.Filters)), ""
	for i, f := range pk.Filters {
		if f.Qos > 2 || f.RetainHandling > 2 {
			return cl.refuse(codeProtocolError, fmt.Errorf("subscription options of %q", f.Filter))
		}
		if f.NoLocal && strings.HasPrefix(f.Filter, shareWord) { // [MQTT-3.8.3-4]
			return cl.refuse(codeProtocolError, errors.New("a shared subscription with No Local"))
		}
		err := cl.subscribe(f, pk.Properties.SubscriptionIdentifier)
		switch {
		case err == nil:
			codes[i] = f.Qos
		case errors.Is(err, core.ErrClosed):
			return err
		default:
			codes[i], reason = subscribeCode(err), err.Error()
			if cl.version != 5 {
				codes[i] = codeUnspecified // [MQTT-3.9.3-2]
			}
			cl.p.log.Debug("subscription refused", "conn", cl.conn.Info().ID, "client", cl.session.ID(), "error", err)
		}
	}
	return cl.write(appendSuback(nil, 0x90, pk.PacketID, cl.version, codes, reason))
}

func (cl *client) subscribe(f packets.Subscription, ids []int) error {
	filter := strings.Clone(f.Filter)
	dest, group, err := fromFilter(filter)
	if err != nil {
		return err
	}
	s := &subscription{
		qos: f.Qos, retainAsPublished: f.RetainAsPublished, queue: !strings.HasPrefix(dest, "topic/"), ids: append([]int(nil), ids...),
	}
	sub := &core.Subscription{
		ID: filter, Filter: dest, Group: group, NoLocal: f.NoLocal, Retained: core.RetainedMode(f.RetainHandling), Data: s,
	}
	if s.qos > 0 {
		sub.Ack = core.AckIndividual
		sub.Durable = cl.expires && group == "" && !s.queue
		sub.Credit = cl.p.cfg.MaxInflight
	}
	if cl.expires {
		sub.Meta = s.meta(f.RetainHandling)
	}
	return cl.session.Subscribe(cl.ctx, sub)
}

// meta is what has to be remembered with a session.
func (s *subscription) meta(retainHandling byte) []byte {
	b := []byte{s.qos, 0, retainHandling}
	if s.retainAsPublished {
		b[1] = 1
	}
	for _, id := range s.ids {
		b = binary.BigEndian.AppendUint32(b, uint32(id))
	}
	return b
}

// resume takes the subscriptions of an earlier connection up again.
func (cl *client) resume() {
	subs, _ := cl.session.Resumed()
	for _, sub := range subs {
		if len(sub.Meta) < 3 {
			continue
		}
		s := &subscription{qos: sub.Meta[0], retainAsPublished: sub.Meta[1] == 1, queue: !strings.HasPrefix(sub.Filter, "topic/")}
		for b := sub.Meta[3:]; len(b) >= 4; b = b[4:] {
			s.ids = append(s.ids, int(binary.BigEndian.Uint32(b)))
		}
		again := sub
		again.Data, again.Retained = s, core.RetainedNever
		if err := cl.session.Subscribe(cl.ctx, &again); err != nil {
			cl.p.log.Warn("subscription not resumed", "client", cl.session.ID(), "filter", sub.ID, "error", err)
		}
	}
}

// onUnsubscribe answers an UNSUBSCRIBE.
func (cl *client) onUnsubscribe(pk *packets.Packet) error {
	if pk.PacketID == 0 {
		return cl.refuse(codeProtocolError, errors.New("UNSUBSCRIBE without a packet identifier"))
	}
	if len(pk.Filters) == 0 { // [MQTT-3.10.3-2]
		return cl.refuse(codeProtocolError, errors.New("UNSUBSCRIBE without a filter"))
	}
	codes := make([]byte, len(pk.Filters))
	for i, f := range pk.Filters {
		err := cl.session.Unsubscribe(cl.ctx, f.Filter)
		switch {
		case errors.Is(err, core.ErrNotFound):
			codes[i] = codeNoSubscription
		case err != nil:
			codes[i] = codeUnspecified
		}
	}
	if cl.version != 5 {
		codes = nil
	}
	return cl.write(appendSuback(nil, 0xb0, pk.PacketID, cl.version, codes, ""))
}
