package mqtt

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/mochi-mqtt/server/v2/packets"

	"github.com/wyemq/wye/core"
)

// publish works off PUBLISH. The fault it returns ends the connection.
func (p *peer) publish(pk *packets.Packet) *fault {
	qos := pk.FixedHeader.Qos
	topic, f := p.topicName(pk)
	switch {
	case f != nil:
		return f
	case qos > 0 && pk.PacketID == 0: // [MQTT-2.2.1-3]
		return failure(codeProtocol, "a packet identifier of 0")
	case strings.ContainsAny(topic, "+#"): // [MQTT-3.3.2-2]
		return failure(codeTopicInvalid, "a topic that is published to holds no wildcard")
	case int(qos) > p.proto.cfg.MaxQoS: // [MQTT-3.2.2-11]
		return failure(codeQoS, fmt.Sprintf("QoS %d, the highest is %d", qos, p.proto.cfg.MaxQoS))
	case pk.FixedHeader.Retain && !p.proto.cfg.Retain: // [MQTT-3.2.2-14]
		return failure(codeRetain, "retained messages are not served")
	case len(pk.Properties.SubscriptionIdentifier) > 0: // [MQTT-3.3.4-6]
		return failure(codeProtocol, "a client publishes without subscription identifiers")
	case strings.ContainsAny(pk.Properties.ResponseTopic, "+#"): // [MQTT-3.3.2-14]
		return failure(codeProtocol, "a response topic holds no wildcard")
	}
	m, f := messageOf(pk, topic)
	return p.take(m, f, qos, pk.PacketID, pk.FixedHeader.Dup)
}

// take publishes m, or says that the client may not for the reason of refused.
func (p *peer) take(m *core.Message, refused *fault, qos byte, id uint16, dup bool) *fault {
	p.session.Hold() // until all that was read is worked off
	if qos == 0 {
		p.publishOnce(m, refused)
		return nil
	}
	r, again, f := p.receipts.begin(id, qos, dup)
	if f != nil {
		return f
	}
	p.publishing.Store(true)
	defer p.publishing.Store(false)
	if again {
		if r != nil {
			p.repeat(r)
		}
		return nil
	}
	if refused != nil {
		r.refuse(refused)
		return nil
	}
	if qos == 2 && p.durable {
		p.session.Put(idKey(keyIn, id), []byte{1})
	}
	err := p.session.Publish(p.ctx, m, r.done)
	switch {
	case err == nil:
	case ending(err): // it is nowhere: should it come again, it is new
		r.abandon(true)
	default:
		r.done(core.Published{}, err)
	}
	return nil
}

// repeat acknowledges a publish that was received before, as soon as that is safe: the connection that received it may
// have broken too soon to know.
func (p *peer) repeat(r *receipt) {
	done := func(err error) {
		if err == nil {
			r.finish(codeSuccess, "")
			return
		}
		r.abandon(false)
		if !ending(err) {
			p.c.Close(&fault{publishCode(err), reasonText(err), err}) // the client says it again to the next connection
		}
	}
	if err := p.session.Sync(p.ctx, done); err != nil {
		done(err)
	}
}

// publishOnce publishes what is not acknowledged; what is refused is counted.
func (p *peer) publishOnce(m *core.Message, f *fault) {
	if f == nil {
		err := p.session.Publish(p.ctx, m, nil)
		if err == nil || errors.Is(err, core.ErrClosed) {
			return
		}
		f = &fault{publishCode(err), "", err}
	}
	p.dropped(f)
}

// topicName returns the topic of a PUBLISH, by its alias if it has one.
func (p *peer) topicName(pk *packets.Packet) (string, *fault) {
	if p.version < 5 || !pk.Properties.TopicAliasFlag {
		if pk.TopicName == "" { // [MQTT-4.7.3-1]
			return "", failure(codeProtocol, "PUBLISH without a topic")
		}
		return pk.TopicName, nil
	}
	alias := pk.Properties.TopicAlias
	if alias == 0 || int(alias) > p.proto.cfg.TopicAliasMaximum { // [MQTT-3.3.2-8] [MQTT-3.3.2-9]
		return "", failure(codeAliasInvalid, fmt.Sprintf("topic alias %d, the largest is %d", alias, p.proto.cfg.TopicAliasMaximum))
	}
	if pk.TopicName == "" {
		topic, ok := p.aliases[alias]
		if !ok {
			return "", failure(codeProtocol, fmt.Sprintf("topic alias %d was not defined", alias))
		}
		return topic, nil
	}
	if p.aliases == nil {
		p.aliases = make(map[uint16]string)
	}
	if p.aliases[alias] != pk.TopicName {
		p.aliases[alias] = strings.Clone(pk.TopicName) // mochi's string is a view of the packet
	}
	return pk.TopicName, nil
}

// messageOf returns the message of a PUBLISH. Its body and strings share the memory of the packet, which is nobody else's.
func messageOf(pk *packets.Packet, topic string) (*core.Message, *fault) {
	if isSys(topic) { // section 4.7.2
		return nil, failure(codeTopicInvalid, "$SYS is the broker's own")
	}
	dest, delay, err := destinationOf(topic)
	if err != nil {
		return nil, failure(codeTopicInvalid, err.Error())
	}
	m := &core.Message{
		Destination: dest, Body: pk.Payload, Persistent: pk.FixedHeader.Qos > 0, ExactlyOnce: pk.FixedHeader.Qos == 2,
		Retain: pk.FixedHeader.Retain,
	}
	if delay > 0 {
		m.Visible = time.Now().Add(delay)
	}
	if pk.ProtocolVersion == 5 {
		if f := takeProperties(m, &pk.Properties, m.Visible); f != nil {
			return nil, f
		}
	}
	return m, nil
}
