package mqtt

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/mochi-mqtt/server/v2/packets"

	"github.com/wyemq/wye/core"
)

// subscription is what a client has said about a filter. It does not change: a new SUBSCRIBE makes a new one.
type subscription struct {
	text   string // the filter as the client wrote it, and the ID in the core
	target target
	qos    byte // granted
	id     uint32
	// queued: a queue stands before the subscription. It stays so when a later SUBSCRIBE asks for QoS 0, because what
	// waits in the queue must not be lost [MQTT-3.8.4-3].
	queued    bool
	shared    bool // others may get what this client gives back
	noLocal   bool
	published bool // Retain As Published
}

// Bits of the options in core.Subscription.Meta.
const (
	metaVersion   = 1
	metaNoLocal   = 1 << 0
	metaPublished = 1 << 1
	metaQueued    = 1 << 2
	metaLen       = 7
)

// meta is what is kept of a subscription beside its filter.
func (s *subscription) meta() []byte {
	var flags byte
	if s.noLocal {
		flags |= metaNoLocal
	}
	if s.published {
		flags |= metaPublished
	}
	if s.queued {
		flags |= metaQueued
	}
	return binary.BigEndian.AppendUint32([]byte{metaVersion, s.qos, flags}, s.id)
}

// subscriptionOf returns the subscription that meta has written down; nil when it is not one of ours.
func subscriptionOf(kept *core.Subscription) *subscription {
	t, f := targetOf(kept.ID)
	m := kept.Meta
	if f != nil || len(m) != metaLen || m[0] != metaVersion || m[1] > 2 {
		return nil
	}
	return &subscription{
		text: kept.ID, target: t, qos: m[1], id: binary.BigEndian.Uint32(m[3:]), shared: t.shared,
		noLocal: m[2]&metaNoLocal != 0, published: m[2]&metaPublished != 0, queued: m[2]&metaQueued != 0,
	}
}

// consume returns what the core is asked for. QoS 0 on topics goes past all queues; a queue of QoS 0 is settled by being
// written; everything else is settled by PUBACK and PUBCOMP.
func (p *peer) consume(s *subscription, retained core.RetainedMode) *core.Subscription {
	c := &core.Subscription{
		ID: s.text, Filter: s.target.filter, Group: s.target.group, NoLocal: s.noLocal, Retained: retained, Data: s,
	}
	if s.queued {
		c.Ack, c.Durable, c.WithSession = core.AckIndividual, p.durable, p.durable
	}
	if s.queued && !s.shared {
		c.Credit = p.window // of a shared queue the default of the broker, so that nobody hoards
	}
	if p.durable {
		c.Meta = s.meta()
	}
	return c
}

func (p *peer) addSub(s *subscription) {
	if p.subs == nil {
		p.subs = make(map[string]*subscription)
	}
	p.subs[s.text] = s
}

// subscribe works off SUBSCRIBE. The fault it returns ends the connection.
func (p *peer) subscribe(pk *packets.Packet) *fault {
	if pk.PacketID == 0 { // [MQTT-2.2.1-3]
		return failure(codeProtocol, "a packet identifier of 0")
	}
	for i := range pk.Filters {
		if pk.Filters[i].NoLocal && strings.HasPrefix(pk.Filters[i].Filter, sharePrefix) { // [MQTT-3.8.3-4]
			return failure(codeProtocol, "No Local on a shared subscription")
		}
	}
	if err := p.session.HoldBack(p.ctx); err != nil {
		return faultOf(err)
	}
	s := &suback{p: p, id: pk.PacketID, done: make(chan struct{})}
	p.suback.Store(s)
	defer func() {
		p.suback.Store(nil)
		s.once.Do(func() { close(s.done) }) // after a panic: nobody waits for an answer that never comes
	}()
	code := byte(0)
	for i := range pk.Filters {
		sub, f := p.subscriptionFor(&pk.Filters[i])
		if f == nil {
			s.begin(sub, i == len(pk.Filters)-1)
			f = p.subscribeOne(sub, &pk.Filters[i])
		}
		code = p.subackCode(&pk.Filters[i], sub, f)
		if f != nil && s.text == "" {
			s.text = f.text
		}
		if i < len(pk.Filters)-1 {
			s.codes = append(s.codes, code)
		}
	}
	p.dirty = true
	if err := s.write(code, s.text); err != nil {
		return &fault{codeQuota, "write: " + reasonText(err), err}
	}
	return nil
}

// subscriptionFor returns what a filter and its options mean.
func (p *peer) subscriptionFor(o *packets.Subscription) (*subscription, *fault) {
	t, f := targetOf(o.Filter)
	if f != nil {
		return nil, f
	}
	s := &subscription{
		text: strings.Clone(o.Filter), target: t, qos: min(o.Qos, byte(p.proto.cfg.MaxQoS)), shared: t.shared,
	}
	if p.version == 5 {
		s.noLocal, s.published, s.id = o.NoLocal, o.RetainAsPublished, uint32(o.Identifier)
	}
	s.queued = s.qos > 0
	if old := p.subs[s.text]; old != nil && !s.shared {
		s.queued = s.queued || old.queued
	}
	return s, nil
}

func (p *peer) subscribeOne(s *subscription, o *packets.Subscription) *fault {
	retained := core.RetainedAlways
	switch {
	case p.version == 5 && o.RetainHandling == 1:
		retained = core.RetainedIfNew
	case p.version == 5 && o.RetainHandling == 2:
		retained = core.RetainedNever
	}
	if err := p.session.Subscribe(p.ctx, p.consume(s, retained)); err != nil {
		p.log().Debug("subscription refused", "filter", s.text, "error", err)
		return &fault{subscribeCode(err), reasonText(err), err}
	}
	p.addSub(s)
	return nil
}

// subackCode returns what SUBACK says about a filter. MQTT 3.1 has no code for failure: like other brokers we grant, and
// send nothing.
func (p *peer) subackCode(o *packets.Subscription, s *subscription, f *fault) byte {
	switch {
	case f == nil:
		return s.qos
	case p.version == 5:
		return f.code
	case p.version == 4:
		return v3Failure // [MQTT-3.9.3-2] of 3.1.1
	default:
		return o.Qos
	}
}

// suback is a SUBSCRIBE that is being worked off. Its answer comes before the first message of a new subscription: the goroutine
// that delivers waits for it or, when only the subscription is under way that it delivers for, writes it itself. It must not wait
// for the end of that one: retained messages by the thousand would pile up meanwhile.
type suback struct {
	p     *peer
	id    uint16
	codes []byte // of all filters but the last
	text  string // why one was refused

	mu   sync.Mutex
	subs []*subscription // being made
	last *subscription

	once sync.Once
	done chan struct{}
	err  error
}

func (s *suback) begin(sub *subscription, last bool) {
	s.mu.Lock()
	s.subs = append(s.subs, sub)
	if last {
		s.last = sub
	}
	s.mu.Unlock()
}

// before is called before ds are written.
func (s *suback) before(ds []core.Delivery) {
	wait := false
	for i := range ds {
		sub, _ := ds[i].Sub.Data.(*subscription)
		s.mu.Lock()
		last := sub == s.last
		for _, mine := range s.subs {
			wait = wait || mine == sub
		}
		s.mu.Unlock()
		if last {
			_ = s.write(sub.qos, s.text)
			return
		}
	}
	if wait {
		<-s.done
	}
}

// write writes the SUBACK, once. text is given because only the reader of the connection may write the field.
func (s *suback) write(last byte, text string) error {
	s.once.Do(func() {
		defer close(s.done)
		fields := append([]byte{byte(s.id >> 8), byte(s.id)}, append(s.codes, last)...)
		s.err = s.p.writeCodes(packets.Suback<<4, fields, text)
	})
	return s.err
}

// writeCodes writes SUBACK or UNSUBACK: identifier and codes, with properties between them in MQTT 5.
func (p *peer) writeCodes(first byte, fields []byte, text string) error {
	if p.version < 5 {
		return p.say(append(appendVarint([]byte{first}, len(fields)), fields...))
	}
	var props []byte
	if text != "" && !p.quiet {
		if len(text) > maxReasonText {
			text = clip(text)
		}
		props = appendString([]byte{packets.PropReasonString}, text)
	}
	size := len(fields) + varintLen(len(props)) + len(props)
	if p.maxPacket > 0 && 1+varintLen(size)+size > p.maxPacket { // [MQTT-3.9.2-1]
		props, size = nil, len(fields)+1
	}
	b := append(appendVarint([]byte{first}, size), fields[:2]...)
	b = append(appendVarint(b, len(props)), props...)
	return p.say(append(b, fields[2:]...))
}

// unsubscribe works off UNSUBSCRIBE.
func (p *peer) unsubscribe(pk *packets.Packet) *fault {
	if pk.PacketID == 0 {
		return failure(codeProtocol, "a packet identifier of 0")
	}
	fields := []byte{byte(pk.PacketID >> 8), byte(pk.PacketID)}
	text := ""
	for i := range pk.Filters {
		code, why := p.unsubscribeOne(pk.Filters[i].Filter)
		if text == "" {
			text = why
		}
		fields = append(fields, code)
	}
	if p.version < 5 {
		fields = fields[:2]
	}
	p.dirty = true
	if err := p.writeCodes(packets.Unsuback<<4, fields, text); err != nil {
		return &fault{codeQuota, "write: " + reasonText(err), err}
	}
	return nil
}

func (p *peer) unsubscribeOne(filter string) (code byte, text string) {
	_, f := targetOf(filter)
	if f != nil {
		return f.code, f.text
	}
	p.settleAcked()
	delete(p.subs, filter)
	err := p.session.Unsubscribe(p.ctx, filter)
	switch {
	case errors.Is(err, core.ErrNotFound):
		return codeNoSubscription, ""
	case err != nil:
		p.log().Debug("unsubscribe failed", "filter", filter, "error", err)
		return codeUnspecified, fmt.Sprintf("unsubscribe: %s", reasonText(err))
	}
	return codeSuccess, ""
}
