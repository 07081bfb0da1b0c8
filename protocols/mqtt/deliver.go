package mqtt

import (
	"slices"
	"sync"
	"time"

	"github.com/mochi-mqtt/server/v2/packets"

	"github.com/wyemq/wye/core"
)

// gather is how many bytes of packets share one message at most; a larger packet is one by itself.
const gather = 32 << 10

// short is how long a body may be to be copied beside its head: fewer parts are worth more than that.
const short = 256

// batch is packets on their way into one message.
type batch struct {
	parts   [][]byte
	size    int
	scratch []byte   // packets, without their bodies if they are not short
	cut     int      // of scratch, what is in no part yet
	tags    []uint64 // to be settled when the batch is written
	over    over     // of what the client was finished with before: to be settled in any case
	ids     []uint32
	kept    []core.Value // to be safe before it is
}

var batches = sync.Pool{New: func() any { return new(batch) }}

// release gives b back, without the memory of an unusually large batch.
func (b *batch) release() {
	if cap(b.parts) > 8192 || cap(b.scratch) > 2*gather {
		return
	}
	clear(b.kept)
	b.empty()
	b.tags, b.kept = b.tags[:0], b.kept[:0]
	b.over.reset()
	batches.Put(b)
}

// end ends the packet that begins at start of scratch.
func (b *batch) end(start int, first byte, body []byte) {
	b.scratch[start] = first
	b.size += len(b.scratch) - start + len(body)
	if len(body) <= short {
		b.scratch = append(b.scratch, body...)
		return
	}
	b.part()
	b.parts = append(b.parts, body)
}

// part makes a part of what is none yet. A scratch that grows leaves earlier parts where they were.
func (b *batch) part() {
	if end := len(b.scratch); b.cut < end {
		b.parts = append(b.parts, b.scratch[b.cut:end:end])
		b.cut = end
	}
}

// empty forgets the packets.
func (b *batch) empty() {
	clear(b.parts)
	b.parts, b.size, b.scratch, b.cut = b.parts[:0], 0, b.scratch[:0], 0
}

// deliver is the session's core.DeliverFunc.
func (p *peer) deliver(ds []core.Delivery) (err error) {
	defer p.contain(&err)
	p.resuming.Lock()   // and unlocked at once: it only waits for resume
	p.resuming.Unlock() //nolint:staticcheck // see above
	if s := p.suback.Load(); s != nil {
		s.before(ds)
	}
	b, _ := batches.Get().(*batch)
	defer b.release()
	for i := 0; i < len(ds); {
		i += p.put(b, ds[i:])
		if err == nil && b.size >= gather {
			err = p.send(b)
		}
	}
	if err == nil {
		err = p.send(b)
	}
	p.settleOver(&b.over)
	if err == nil {
		p.accept(b.tags)
	}
	return err
}

func (p *peer) send(b *batch) error {
	b.part()
	if len(b.parts) == 0 {
		return nil
	}
	if len(b.kept) > 0 {
		if err := p.session.PutNow(p.ctx, b.kept...); err != nil {
			return err
		}
		clear(b.kept)
		b.kept = b.kept[:0]
	}
	err := p.c.WriteMessage(core.Binary, b.parts...)
	b.empty()
	return err
}

// put encodes the first of ds, together with those behind it that are the same message for other direct subscriptions, and
// returns how many that were.
func (p *peer) put(b *batch, ds []core.Delivery) (n int) {
	d := &ds[0]
	n = 1
	sub, ok := d.Sub.Data.(*subscription)
	if d.Message == nil || !ok {
		return n
	}
	b.ids = b.ids[:0]
	if sub.id > 0 {
		b.ids = append(b.ids, sub.id)
	}
	retain := d.FromRetained || sub.published && d.Retain // [MQTT-3.3.1-12] [MQTT-3.3.1-13]
	if d.Tag == 0 && !d.FromRetained && !sub.shared {
		for ; n < len(ds) && ds[n].Message == d.Message && ds[n].Tag == 0 && !ds[n].FromRetained; n++ {
			o, ok := ds[n].Sub.Data.(*subscription)
			if !ok || o.shared {
				break
			}
			retain = retain || o.published && d.Retain
			if o.id > 0 {
				b.ids = append(b.ids, o.id)
			}
		}
	}
	qos := min(qosOf(d.Message), sub.qos)
	if d.Tag == 0 {
		qos = 0
	}
	p.encode(b, d, sub, qos, retain)
	return n
}

// qosOf returns the quality of service a message was published with.
func qosOf(m *core.Message) byte {
	switch {
	case m.ExactlyOnce:
		return 2
	case m.Persistent:
		return 1
	default:
		return 0
	}
}

// encode appends one PUBLISH to b, or what stands for it.
func (p *peer) encode(b *batch, d *core.Delivery, sub *subscription, qos byte, retain bool) {
	idLen := 0
	if qos > 0 {
		idLen = 2
	}
	start := len(b.scratch)
	b.scratch = append(b.scratch, 0) // the first byte
	cut := 0
	if p.version == 5 && (len(b.ids) > 0 || !d.Expires.IsZero()) {
		b.scratch, cut = appendOwn(b.scratch, d.Message, idLen, b.ids, time.Now())
	} else if head := encoded(d.Message, p.version, qos > 0); len(head) > 0 {
		b.scratch, cut = append(b.scratch, head...), topicEnd(head)
	}
	total := len(b.scratch) - start + idLen + len(d.Body)
	limit := p.maxPacket
	if limit == 0 {
		limit = maxRemaining
	}
	if cut == 0 || total > limit { // [MQTT-3.1.2-25]: as if it had been sent
		reason := core.ErrTooBig
		if cut == 0 {
			reason = core.ErrUnsupported
		}
		b.scratch = b.scratch[:start]
		p.session.Dropped(reason, 1)
		if d.Tag != 0 {
			b.tags = append(b.tags, d.Tag)
		}
		return
	}
	if qos == 0 {
		if d.Tag != 0 {
			b.tags = append(b.tags, d.Tag)
		}
		b.end(start, firstByte(0, false, retain), d.Body)
		return
	}
	id, qos, what := p.out.claim(d, sub, qos)
	switch what {
	case settle, skip:
		b.scratch = b.scratch[:start]
		if what == settle {
			b.over.add(d.Tag, id, qos)
		}
		return
	case send, resend:
	}
	b.scratch = slices.Insert(b.scratch, start+1+cut, byte(id>>8), byte(id))
	// Without the identifier it had, it was sent by a process that crashed, or to another consumer of its queue.
	b.end(start, firstByte(qos, what == resend || d.Redelivered, retain), d.Body)
	if what == send && qos == 2 && p.durable {
		// Should it have to be sent again after a crash, then under the same identifier [MQTT-4.4.0-1].
		b.kept = append(b.kept, core.Value{Key: idKey(keyOut, id), Data: p.out.get(id)})
	}
}

func firstByte(qos byte, dup, retain bool) byte {
	b := packets.Publish<<4 | qos<<1
	if dup {
		b |= 1 << 3
	}
	if retain {
		b |= 1
	}
	return b
}
