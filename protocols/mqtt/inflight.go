package mqtt

import (
	"encoding/binary"
	"slices"
	"sync"

	"github.com/mochi-mqtt/server/v2/packets"

	"github.com/wyemq/wye/core"
)

// errRefused counts messages that clients have refused with a negative acknowledgement.
var errRefused = core.NewReason("refused_by_client", 1008, "the client refused the message")

// outbound is a QoS 1 or 2 message that the client has not finished with.
type outbound struct {
	sub      *subscription // nil: nothing is left but to finish the handshake
	tag      uint64        // 0: the core has not delivered it to this connection yet
	record   uint64
	seq      uint32 // order of sending
	qos      byte
	released bool // PUBREC came, PUBREL was sent
	old      bool // sent by an earlier connection, not by this one yet
	done     bool // the client was finished before the core delivered it again
}

// inflight gives out packet identifiers to what is sent and remembers what they stand for. It shares nothing with the
// identifiers that the client chooses. How many there may be is the core's to keep (core.Login.Credit).
type inflight struct {
	mu   sync.Mutex
	open map[uint16]outbound
	last uint16
	seq  uint32
}

// action is what to do about a delivery.
type action uint8

const (
	send   action = iota
	resend        // with DUP
	skip          // the client has it
	settle        // the client is finished with it
)

// claim returns the identifier of a delivery and what to do with it. One that comes again keeps the identifier it had
// [MQTT-4.4.0-1]; it is sent again on a new connection only.
func (f *inflight) claim(d *core.Delivery, sub *subscription, qos byte) (uint16, byte, action) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if d.Redelivered {
		if id, ok := f.find(sub.text, d.Record); ok {
			e := f.open[id]
			e.tag, e.sub = d.Tag, sub
			what := skip
			switch {
			case e.done:
				delete(f.open, id)
				return id, e.qos, settle
			case e.old && !e.released:
				what = resend
			}
			e.old = false
			f.open[id] = e
			return id, e.qos, what
		}
	}
	if f.open == nil {
		f.open = make(map[uint16]outbound)
	}
	id := f.free()
	f.seq++
	f.open[id] = outbound{sub: sub, tag: d.Tag, record: d.Record, seq: f.seq, qos: qos}
	return id, qos, send
}

// find looks for a delivery by what stays the same about it.
func (f *inflight) find(text string, record uint64) (uint16, bool) {
	for id, e := range f.open {
		if e.record == record && e.sub != nil && e.sub.text == text {
			return id, true
		}
	}
	return 0, false
}

// free returns an identifier that is not in use. There is one: the window is smaller than their number.
func (f *inflight) free() uint16 {
	for {
		f.last++
		if _, used := f.open[f.last]; !used && f.last != 0 {
			return f.last
		}
	}
}

// get returns what is kept of id.
func (f *inflight) get(id uint16) []byte {
	f.mu.Lock()
	defer f.mu.Unlock()
	e, ok := f.open[id]
	if !ok {
		return nil
	}
	return e.bytes()
}

// finish ends what id stands for: at PUBACK, at PUBCOMP, at a PUBREC that refuses. A tag of 0 means that there is nothing
// to settle, or nothing yet.
func (f *inflight) finish(id uint16, qos byte, released bool) (outbound, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	e, ok := f.open[id]
	if !ok || e.qos != qos || e.released != released {
		return outbound{}, false
	}
	if e.tag == 0 && e.sub != nil {
		e.done = true
		f.open[id] = e
		return e, true
	}
	delete(f.open, id)
	return e, true
}

// release notes a PUBREC; false when nothing waits for it.
func (f *inflight) release(id uint16) (outbound, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	e, ok := f.open[id]
	if !ok || e.qos != 2 {
		return e, false
	}
	e.released, e.old = true, false
	f.open[id] = e
	return e, true
}

// released lists the identifiers whose PUBREL was sent, in the order of the messages.
func (f *inflight) released() []uint16 {
	f.mu.Lock()
	defer f.mu.Unlock()
	var ids []uint16
	for id, e := range f.open {
		if e.released && !e.done {
			ids = append(ids, id)
		}
	}
	slices.SortFunc(ids, func(a, b uint16) int { return int(int64(f.open[a].seq) - int64(f.open[b].seq)) })
	return ids
}

// given returns the tags of what others could get, although the client has taken it over with PUBREC.
func (f *inflight) given() (tags []uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for id, e := range f.open {
		if e.released && e.sub != nil && e.sub.shared && e.tag != 0 {
			tags = append(tags, e.tag)
			e.sub, e.tag = nil, 0
			f.open[id] = e
		}
	}
	return tags
}

// snapshot returns what a later connection of the session has to know.
func (f *inflight) snapshot() map[uint16][]byte {
	f.mu.Lock()
	defer f.mu.Unlock()
	all := make(map[uint16][]byte, len(f.open))
	for id, e := range f.open {
		if e.sub == nil || !e.sub.shared || e.qos == 2 {
			all[id] = e.bytes()
		}
	}
	return all
}

const outboundLen = 1 + 1 + 4 + 8

// bytes is how an outbound is kept: flags, QoS, order, record, subscription.
func (e *outbound) bytes() []byte {
	var flags byte
	if e.released {
		flags |= 1
	}
	if e.done {
		flags |= 2
	}
	b := append(make([]byte, 0, outboundLen+32), flags, e.qos)
	b = binary.BigEndian.AppendUint32(b, e.seq)
	b = binary.BigEndian.AppendUint64(b, e.record)
	if e.sub != nil {
		b = append(b, e.sub.text...)
	}
	return b
}

// load takes in what bytes made, when the subscription is still there, and returns the QoS; 0: it is of no use.
func (f *inflight) load(id uint16, b []byte, subs map[string]*subscription) (qos byte) {
	if len(b) < outboundLen || id == 0 {
		return 0
	}
	e := outbound{
		released: b[0]&1 != 0, done: b[0]&2 != 0, qos: b[1], old: true,
		seq: binary.BigEndian.Uint32(b[2:]), record: binary.BigEndian.Uint64(b[6:]),
		sub: subs[string(b[outboundLen:])],
	}
	if e.sub != nil && e.sub.shared {
		// It went back to others. The client may have seen it, and would take the next message under this identifier for the
		// same: PUBREL makes it forget. Redelivery to others is what section 4.8.2 has for QoS 1; QoS 2 gets no more here.
		e.sub, e.released = nil, true
	}
	if e.sub == nil && !e.released {
		return 0
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.open == nil {
		f.open = make(map[uint16]outbound)
	}
	f.open[id] = e
	f.seq, f.last = max(f.seq, e.seq), max(f.last, id)
	return e.qos
}

// puback works off PUBACK.
func (p *peer) puback(pk *packets.Packet) {
	if e, ok := p.out.finish(pk.PacketID, 1, false); ok {
		p.complete(pk.PacketID, e, pk.ReasonCode)
	}
}

// pubrec works off PUBREC.
func (p *peer) pubrec(pk *packets.Packet) *fault {
	if pk.ReasonCode >= codeUnspecified { // [MQTT-4.3.3-4]
		if e, ok := p.out.finish(pk.PacketID, 2, false); ok {
			p.complete(pk.PacketID, e, pk.ReasonCode)
		}
		return nil
	}
	e, ok := p.out.release(pk.PacketID)
	if !ok {
		return p.answer(packets.Pubrel<<4|2, pk.PacketID, codeUnknownID)
	}
	if p.durable {
		p.session.Put(idKey(keyOut, pk.PacketID), e.bytes())
	}
	// After PUBREL the client forgets the message: it must not be sent again after a crash [MQTT-4.3.3-6].
	p.answerSafe(packets.Pubrel<<4|2, pk.PacketID, codeSuccess)
	return nil
}

// pubcomp works off PUBCOMP.
func (p *peer) pubcomp(pk *packets.Packet) {
	if e, ok := p.out.finish(pk.PacketID, 2, true); ok {
		p.complete(pk.PacketID, e, codeSuccess) // whatever it says, the handshake is over
	}
}

// complete settles a delivery that the client has answered.
func (p *peer) complete(id uint16, e outbound, code byte) {
	if e.tag == 0 { // nothing to settle, or nothing yet: the core has not delivered it to this connection
		if p.durable && e.qos == 2 && e.done {
			p.session.Put(idKey(keyOut, id), e.bytes())
		} else if p.durable && e.qos == 2 {
			p.session.Put(idKey(keyOut, id), nil)
		}
		return
	}
	if code < codeUnspecified || !e.sub.shared {
		if code >= codeUnspecified {
			p.session.Dropped(errRefused, 1)
		}
		if p.acked.add(e.tag, id, e.qos); len(p.acked.tags) >= ackBatch {
			p.settleAcked()
		}
		return
	}
	outcome := core.Requeue
	switch code {
	case codeDenied, codeTopicInvalid, codePayloadInvalid: // nobody will like it better
		outcome = core.Rejected
	}
	_ = p.session.Settle(p.ctx, outcome, nil, e.tag) // unknown: the subscription has ended meanwhile
	if p.durable && e.qos == 2 {
		p.session.Put(idKey(keyOut, id), nil)
	}
}

// over is what the client is finished with.
type over struct {
	tags []uint64
	ids  []uint16 // of QoS 2
}

func (o *over) add(tag uint64, id uint16, qos byte) {
	o.tags = append(o.tags, tag)
	if qos == 2 {
		o.ids = append(o.ids, id)
	}
}

func (o *over) reset() { o.tags, o.ids = o.tags[:0], o.ids[:0] }

// settleOver settles, and then forgets the handshakes of QoS 2: what a crash leaves must not be a message without its
// handshake, which the client would take for a new one.
func (p *peer) settleOver(o *over) {
	p.accept(o.tags)
	if p.durable {
		for _, id := range o.ids {
			p.session.Put(idKey(keyOut, id), nil)
		}
	}
	o.reset()
}

// ackBatch is how many acknowledgements are settled in one go at most.
const ackBatch = 128
