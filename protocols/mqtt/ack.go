package mqtt

import (
	"context"
	"encoding/binary"
	"errors"
	"sync"

	"github.com/mochi-mqtt/server/v2/packets"

	"github.com/wyemq/wye/core"
)

// receipt is a publish of the client whose PUBACK or PUBREC is to come. It is used again when that is written: whoever says
// how the publish ended says it once, and does not look at the receipt afterwards.
type receipt struct {
	p     *peer
	done  func(core.Published, error) // ended, made once, because it would be allocated for each publish
	id    uint16
	qos   byte
	ready bool
	never bool // it is not written: the session has ended, or the connection is about to
	void  bool // the broker has not taken the message: if the client cannot be told, it sends it again
	code  byte
	text  string
}

var usedReceipts sync.Pool

func newReceipt(p *peer, id uint16, qos byte) *receipt {
	r, ok := usedReceipts.Get().(*receipt)
	if !ok {
		r = new(receipt)
		r.done = r.ended
	}
	*r = receipt{p: p, done: r.done, id: id, qos: qos}
	return r
}

// receipts writes the acknowledgements of the client's publishes in the order of the publishes, whenever their
// outcomes come in [MQTT-4.6.0-2] [MQTT-4.6.0-3].
type receipts struct {
	p *peer

	mu     sync.Mutex
	list   []*receipt
	head   int
	firing bool
	open   int              // publishes that count against our Receive Maximum
	exact  map[uint16]exact // QoS 2 publishes from PUBLISH to PUBREL
	ack    [4]byte          // that is being written; belongs to who fires
	part   [1][]byte        // and its part
}

// exact is a QoS 2 publish that was received.
type exact struct {
	underway bool // its PUBREC is to come
	counted  bool // against Receive Maximum: it came on this connection
}

// remember notes a QoS 2 publish of an earlier connection.
func (rs *receipts) remember(id uint16) {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	rs.set(id, exact{})
}

func (rs *receipts) set(id uint16, e exact) {
	if rs.exact == nil {
		rs.exact = make(map[uint16]exact)
	}
	rs.exact[id] = e
}

// begin takes a publish in. again: it was received before, and r, if there is one, only acknowledges it once more.
func (rs *receipts) begin(id uint16, qos byte, dup bool) (r *receipt, again bool, f *fault) {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	if qos == 2 {
		if e, ok := rs.exact[id]; ok { // [MQTT-4.3.3-10]
			if e.underway {
				return nil, true, nil
			}
			r = newReceipt(rs.p, id, qos)
			rs.list = append(rs.list, r)
			rs.open++
			return r, true, nil
		}
	} else if dup {
		for _, r := range rs.list[rs.head:] {
			if r.id == id && r.qos == 1 && !r.ready {
				return nil, true, nil // acknowledged once, with the first
			}
		}
	}
	if rs.p.version == 5 && rs.open >= rs.p.proto.cfg.ReceiveMaximum { // [MQTT-3.3.4-9]
		return nil, false, failure(codeReceiveMaximum, "more publishes are under way than Receive Maximum permits")
	}
	rs.open++
	if qos == 2 {
		rs.set(id, exact{underway: true, counted: true})
	}
	r = newReceipt(rs.p, id, qos)
	rs.list = append(rs.list, r)
	return r, false, nil
}

// ended is what the core calls when a publish is as durable as it promises.
func (r *receipt) ended(res core.Published, err error) {
	switch {
	case err == nil && res.Matched == 0:
		r.finish(codeNoSubscribers, "")
	case err == nil:
		r.finish(codeSuccess, "")
	case ending(err): // the client says it again; ErrClosed may come before the outcome is known
		r.abandon(!errors.Is(err, core.ErrClosed))
	default:
		r.refuse(&fault{publishCode(err), reasonText(err), err})
	}
}

// ending reports whether something was not done because the connection ends.
func ending(err error) bool {
	return errors.Is(err, core.ErrClosed) || errors.Is(err, context.Canceled)
}

// refuse answers a publish that is not taken. Clients before MQTT 5 cannot be told: see the package documentation.
func (r *receipt) refuse(f *fault) {
	p := r.p
	p.dropped(f)
	if p.version == 5 {
		r.finish(f.code, f.text)
		return
	}
	switch f.code {
	case codeQuota, codeImplementation, codeUnspecified:
		r.abandon(true)
		p.c.Close(f)
	default:
		r.finish(codeSuccess, "")
	}
}

// dropped counts a publish that is refused.
func (p *peer) dropped(f *fault) {
	reason := core.ErrInvalid
	errors.As(f.err, &reason)
	p.session.Dropped(reason, 1)
}

func (r *receipt) abandon(void bool) {
	rs := &r.p.receipts
	rs.mu.Lock()
	r.never, r.void = true, void
	rs.mu.Unlock()
	r.finish(codeSuccess, "")
}

// finish says how the publish ended, and writes every acknowledgement whose turn has come.
func (r *receipt) finish(code byte, text string) {
	rs := &r.p.receipts
	rs.mu.Lock()
	r.code, r.text, r.ready = code, text, true
	if rs.firing {
		rs.mu.Unlock()
		return // another goroutine is at it, and will see this one
	}
	rs.firing = true
	for rs.head < len(rs.list) && rs.list[rs.head].ready {
		r := rs.list[rs.head]
		rs.list[rs.head] = nil
		rs.head++
		rs.close(r)
		rs.mu.Unlock()
		r.write()
		usedReceipts.Put(r)
		rs.mu.Lock()
	}
	rs.firing = false
	if rs.head == len(rs.list) {
		rs.list, rs.head = rs.list[:0], 0
		if cap(rs.list) > 64 {
			rs.list = nil
		}
	} else if rs.head > 256 {
		rs.list = append(rs.list[:0], rs.list[rs.head:]...)
		rs.head = 0
	}
	rs.mu.Unlock()
}

// close counts r out. The caller holds mu.
func (rs *receipts) close(r *receipt) {
	if r.qos == 1 {
		rs.open--
		return
	}
	e, first := rs.exact[r.id]
	switch {
	case r.never && !r.void: // what has become of it will be known when the client asks again
	case r.never || r.code >= codeUnspecified: // the end of it [MQTT-4.3.3-9]
		delete(rs.exact, r.id)
		rs.open--
		if rs.p.durable {
			rs.p.session.Put(idKey(keyIn, r.id), nil)
		}
	case first && e.underway:
		e.underway = false
		rs.exact[r.id] = e
	default:
		rs.open-- // PUBREC once more
	}
}

func (r *receipt) write() {
	if r.never {
		return
	}
	kind := packets.Puback << 4
	if r.qos == 2 {
		kind = packets.Pubrec << 4
	}
	p := r.p
	if p.version < 5 || r.code == codeSuccess {
		rs := &p.receipts
		rs.ack = [4]byte{kind, 2, byte(r.id >> 8), byte(r.id)}
		rs.part[0] = rs.ack[:]
		_ = p.say(rs.part[:]...) // a connection that broke is seen by its reader
	} else {
		_ = p.writeAck(kind, r.id, r.code, r.text)
	}
	if p.publishing.Load() {
		p.answered.Store(true)
	}
}

// release forgets a QoS 2 publish; false when there is none.
func (rs *receipts) release(id uint16) bool {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	e, ok := rs.exact[id]
	delete(rs.exact, id)
	if e.counted {
		rs.open--
	}
	return ok
}

// pubrel works off PUBREL.
func (p *peer) pubrel(pk *packets.Packet) *fault {
	if !p.receipts.release(pk.PacketID) {
		p.answerSafe(packets.Pubcomp<<4, pk.PacketID, codeUnknownID) // a connection that broke may have released it just now
		return nil
	}
	if p.durable {
		p.session.Put(idKey(keyIn, pk.PacketID), nil)
	}
	// After PUBCOMP the client may use the identifier for another message: it must not be taken for this one after a crash.
	p.answerSafe(packets.Pubcomp<<4, pk.PacketID, codeSuccess) // [MQTT-4.3.3-11]
	return nil
}

// answerSafe writes an acknowledgement as soon as what was put before is as durable as the session.
func (p *peer) answerSafe(kind byte, id uint16, code byte) {
	p.publishing.Store(true)
	defer p.publishing.Store(false)
	err := p.session.Sync(p.ctx, func(err error) {
		switch {
		case err == nil:
			_ = p.writeAck(kind, id, code, "") // a connection that broke is seen by its reader
			if p.publishing.Load() {
				p.answered.Store(true)
			}
		case !ending(err):
			p.c.Close(&fault{publishCode(err), reasonText(err), err}) // the client says it again to the next connection
		}
	})
	if err != nil && !ending(err) {
		p.c.Close(&fault{publishCode(err), reasonText(err), err})
	}
}

// answer writes an acknowledgement from the goroutine that reads.
func (p *peer) answer(kind byte, id uint16, code byte) *fault {
	p.dirty = true
	if err := p.writeAck(kind, id, code, ""); err != nil {
		return &fault{codeQuota, "write: " + reasonText(err), err}
	}
	return nil
}

// writeAck writes PUBACK, PUBREC, PUBREL or PUBCOMP. Any goroutine may.
func (p *peer) writeAck(kind byte, id uint16, code byte, text string) error {
	switch {
	case p.version < 5 || code == codeSuccess:
		return p.say([]byte{kind, 2, byte(id >> 8), byte(id)})
	case text == "" || p.quiet:
		return p.say([]byte{kind, 3, byte(id >> 8), byte(id), code})
	default:
		return p.say(p.reasonPacket(kind, []byte{byte(id >> 8), byte(id), code}, text))
	}
}

// reasonPacket returns a packet that is fields and a property list with a reason string, which is left out when the client
// does not take a packet that large [MQTT-3.4.2-2] [MQTT-3.14.2-3].
func (p *peer) reasonPacket(first byte, fields []byte, text string) []byte {
	if len(text) > maxReasonText {
		text = clip(text[:maxReasonText])
	}
	props := appendString([]byte{packets.PropReasonString}, text)
	b := appendVarint([]byte{first}, len(fields)+varintLen(len(props))+len(props))
	b = append(b, fields...)
	b = append(appendVarint(b, len(props)), props...)
	if p.maxPacket > 0 && len(b) > p.maxPacket || text == "" {
		b = appendVarint([]byte{first}, len(fields)+1)
		b = append(append(b, fields...), 0)
	}
	return b
}

func appendVarint(b []byte, n int) []byte {
	for n >= 0x80 {
		b = append(b, byte(n)|0x80)
		n >>= 7
	}
	return append(b, byte(n))
}

func varintLen(n int) int {
	l := 1
	for ; n >= 0x80; n >>= 7 {
		l++
	}
	return l
}

func appendString(b []byte, s string) []byte {
	return append(binary.BigEndian.AppendUint16(b, uint16(len(s))), s...)
}
