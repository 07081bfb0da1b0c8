package mqtt

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/mochi-mqtt/server/v2/packets"

	"github.com/wyemq/wye/core"
)

// inbound is what a client has published and not been answered for.
type inbound struct {
	mu     sync.Mutex
	open   int               // publishes with QoS 1 and 2 under way
	second map[uint16]second // QoS 2, from PUBLISH to PUBREL
}

// second is a QoS 2 publish.
type second struct {
	answered bool
	code     byte
}

const inboundKey = "mqtt/in/"

// restore finds the QoS 2 publishes that the client has not released yet.
func (in *inbound) restore(s *core.Session) {
	in.second = make(map[uint16]second)
	s.Keys(inboundKey, func(key string, _ []byte) bool {
		if pid, err := strconv.ParseUint(strings.TrimPrefix(key, inboundKey), 10, 16); err == nil {
			in.second[uint16(pid)] = second{answered: true}
			in.open++
		}
		return true
	})
}

// onPublish takes a PUBLISH.
func (cl *client) onPublish(pk *packets.Packet) error {
	qos, pid := pk.FixedHeader.Qos, pk.PacketID
	if qos > 0 && pid == 0 { // [MQTT-2.2.1-3]
		return cl.refuse(codeProtocolError, errors.New("PUBLISH without a packet identifier"))
	}
	topic, err := cl.unalias(pk)
	if err != nil {
		return err
	}
	if qos > 0 {
		again, err := cl.open(qos, pid)
		if err != nil || again {
			return err
		}
	}
	m, err := cl.incoming(pk, topic)
	if err != nil {
		if errors.Is(err, core.ErrInvalid) {
			return cl.refuse(codeTopicNameInvalid, err)
		}
		return cl.answer(qos, pid, core.Published{}, err)
	}
	var done func(core.Published, error)
	if qos > 0 {
		done = func(r core.Published, err error) {
			if cl.answer(qos, pid, r, err) != nil {
				cl.conn.Close(fmt.Errorf("publish to %s: %w", toTopic(m.Destination), err))
			}
		}
	}
	if err := cl.session.Publish(cl.ctx, m, done); err != nil {
		switch {
		case errors.Is(err, core.ErrInvalid):
			return cl.refuse(codeTopicNameInvalid, err)
		case errors.Is(err, core.ErrClosed):
			return err
		}
		return cl.answer(qos, pid, core.Published{}, err)
	}
	return nil
}

// unalias returns the topic name of a PUBLISH. [MQTT-3.3.2-7] to [MQTT-3.3.2-12]
func (cl *client) unalias(pk *packets.Packet) (string, error) {
	if !pk.Properties.TopicAliasFlag {
		if pk.TopicName == "" {
			return "", cl.refuse(codeProtocolError, errors.New("PUBLISH without a topic name"))
		}
		return pk.TopicName, nil
	}
	alias := pk.Properties.TopicAlias
	if alias == 0 || int(alias) > cl.p.cfg.TopicAliasMaximum {
		return "", cl.refuse(codeAliasInvalid, fmt.Errorf("topic alias %d: 1 to %d are permitted", alias, cl.p.cfg.TopicAliasMaximum))
	}
	if pk.TopicName != "" {
		if cl.aliases == nil {
			cl.aliases = make(map[uint16]string)
		}
		cl.aliases[alias] = strings.Clone(pk.TopicName)
		return pk.TopicName, nil
	}
	topic, ok := cl.aliases[alias]
	if !ok {
		return "", cl.refuse(codeProtocolError, fmt.Errorf("topic alias %d is not known", alias))
	}
	return topic, nil
}

// open notes a publish that has to be answered. again: it is known, and was or will be answered.
func (cl *client) open(qos byte, pid uint16) (again bool, err error) {
	in := &cl.inbound
	in.mu.Lock()
	defer in.mu.Unlock()
	if qos == 2 {
		if s, ok := in.second[pid]; ok { // [MQTT-4.3.3-10]
			if s.answered {
				_ = cl.write(ack(0x50, pid, cl.version, s.code, ""))
			}
			return true, nil
		}
	}
	if in.open >= cl.p.cfg.ReceiveMaximum && cl.version == 5 { // [MQTT-3.3.4-9]
		return false, cl.refuse(codeReceiveMaximum, fmt.Errorf("more than %d publishes unacknowledged", cl.p.cfg.ReceiveMaximum))
	}
	in.open++
	if qos == 2 {
		in.second[pid] = second{}
		if cl.expires {
			cl.session.Put(inboundKey+strconv.Itoa(int(pid)), []byte{1})
		}
	}
	return false, nil
}

// incoming makes a message of a PUBLISH.
func (cl *client) incoming(pk *packets.Packet, topic string) (*core.Message, error) {
	if strings.HasPrefix(topic, sysWord) {
		return nil, fmt.Errorf("topics below %s are the broker's: %w", sysWord, core.ErrDenied)
	}
	rest, visible, err := delayed(topic)
	if err != nil {
		return nil, err
	}
	m, err := message(pk, rest)
	if err != nil {
		return nil, err
	}
	m.Visible = visible
	return m, nil
}

// message makes a message of a PUBLISH or a will. Strings of the packet are copied, because they are views of its
// buffer; the body is that buffer.
func message(pk *packets.Packet, topic string) (*core.Message, error) {
	dest, err := fromTopic(topic)
	if err != nil {
		return nil, err
	}
	p := &pk.Properties
	m := &core.Message{
		Destination: dest, Body: pk.Payload, Retain: pk.FixedHeader.Retain, Persistent: pk.FixedHeader.Qos > 0,
		ExactlyOnce: pk.FixedHeader.Qos == 2, ContentType: strings.Clone(p.ContentType),
		CorrelationID: string(p.CorrelationData), TextBody: p.PayloadFormatFlag && p.PayloadFormat == 1,
	}
	if p.MessageExpiryInterval > 0 {
		m.Expires = time.Now().Add(time.Duration(p.MessageExpiryInterval) * time.Second)
	}
	if p.ResponseTopic != "" {
		if m.ReplyTo, err = fromTopic(p.ResponseTopic); err != nil { // [MQTT-3.3.2-14]
			return nil, fmt.Errorf("response topic: %w", err)
		}
	}
	if len(p.User) > 0 {
		m.Header = make([]core.Field, len(p.User))
		for i, u := range p.User {
			m.Header[i] = core.Field{Name: strings.Clone(u.Key), Value: strings.Clone(u.Val)}
		}
	}
	return m, nil
}

// answer acknowledges a publish, or says why not: PUBACK, PUBREC. MQTT 3 cannot say no: what is not authorized is
// acknowledged and dropped, as the specification permits (3.1.1, section 3.3.5); what could not be stored
// must not be acknowledged, so the connection ends, and its error is returned.
func (cl *client) answer(qos byte, pid uint16, r core.Published, err error) error {
	if qos == 0 {
		return nil
	}
	code, reason := byte(codeSuccess), ""
	switch {
	case err != nil && cl.version != 5 && !errors.Is(err, core.ErrDenied):
		cl.close(qos, pid, codeUnspecified)
		if cl.reason == nil {
			cl.reason = err
		}
		return err
	case err != nil:
		code, reason = publishCode(err), err.Error()
	case r.Matched == 0:
		code = codeNoSubscribers
	}
	if cl.version != 5 {
		code = codeSuccess
	}
	cl.close(qos, pid, code)
	headByte := byte(0x40)
	if qos == 2 {
		headByte = 0x50
	}
	return cl.write(ack(headByte, pid, cl.version, code, reason))
}

// close notes that a publish was answered. QoS 2 goes on until PUBREL, unless it was refused.
func (cl *client) close(qos byte, pid uint16, code byte) {
	in := &cl.inbound
	in.mu.Lock()
	defer in.mu.Unlock()
	if qos == 2 && code < codeUnspecified {
		in.second[pid] = second{answered: true, code: code}
		return
	}
	in.open--
	if qos == 2 {
		cl.released(pid)
	}
}

// released forgets a QoS 2 publish. The caller holds inbound.mu.
func (cl *client) released(pid uint16) {
	delete(cl.inbound.second, pid)
	if cl.expires {
		cl.session.Put(inboundKey+strconv.Itoa(int(pid)), nil)
	}
}

// onPubrel ends a QoS 2 publish. [MQTT-4.3.3-11]
func (cl *client) onPubrel(pid uint16) error {
	in := &cl.inbound
	in.mu.Lock()
	_, known := in.second[pid]
	if known {
		cl.released(pid)
		in.open--
	}
	in.mu.Unlock()
	code := byte(codeSuccess)
	if !known {
		code = codePacketIDNotFound
	}
	return cl.write(ack(0x70, pid, cl.version, code, ""))
}
