package mqtt

import (
	"encoding/binary"
	"strconv"
	"sync"
	"time"

	"github.com/wyemq/wye/core"
)

// outbound is what was delivered with QoS 1 and 2 and is not settled. Packet ids are ours alone; the core hands
// out no more than the client's Receive Maximum.
type outbound struct {
	mu     sync.Mutex
	flying map[uint16]*flight
	before map[string]resent // of an earlier connection, by record
	last   uint16
}

// flight is a delivery under way.
type flight struct {
	tag      uint64
	key      string // of the session's memory; empty when the session is not kept
	queue    bool
	received bool // PUBREC has come
}

// resent is what an earlier connection of the session had under way.
type resent struct {
	pid      uint16
	received bool
}

const outboundKey = "mqtt/out/"

func (o *outbound) init(int) { o.flying = make(map[uint16]*flight) }

// restore finds what an earlier connection had under way, so that it is sent again with its packet id.
func (o *outbound) restore(s *core.Session) {
	s.Keys(outboundKey, func(key string, v []byte) bool {
		if len(v) == 3 {
			if o.before == nil {
				o.before = make(map[string]resent)
			}
			o.before[key] = resent{pid: binary.BigEndian.Uint16(v), received: v[2] == 1}
		}
		return true
	})
}

// next returns a packet id that is free. The caller holds mu.
func (o *outbound) next() uint16 {
	for {
		o.last++
		if o.last == 0 || o.flying[o.last] != nil || o.reserved(o.last) {
			continue
		}
		return o.last
	}
}

func (o *outbound) reserved(pid uint16) bool {
	for _, r := range o.before {
		if r.pid == pid {
			return true
		}
	}
	return false
}

// deliver writes PUBLISH packets.
func (cl *client) deliver(ds []core.Delivery) error {
	cl.gate.Lock()
	defer cl.gate.Unlock()
	var settled []uint64
	for i := 0; i < len(ds); i++ {
		d := &ds[i]
		sub, ok := d.Sub.Data.(*subscription)
		if !ok || d.Message == nil {
			continue
		}
		qos := min(sub.qos, qosOf(d.Message))
		if d.Tag == 0 {
			qos = 0
		}
		ids := sub.ids
		// Overlapping subscriptions at most once: one packet with all identifiers [MQTT-3.3.4-2].
		for qos == 0 && d.Tag == 0 && i+1 < len(ds) && ds[i+1].Message == d.Message && ds[i+1].Tag == 0 && !d.FromRetained {
			i++
			if other, ok := ds[i].Sub.Data.(*subscription); ok && len(other.ids) > 0 {
				ids = append(append([]int(nil), ids...), other.ids...)
			}
		}
		sent, err := cl.publish(d, sub, qos, ids)
		if err != nil {
			return err
		}
		if !sent {
			cl.p.broker.Dropped(core.ErrTooBig, 1)
		}
		if d.Tag != 0 && (qos == 0 || !sent) {
			settled = append(settled, d.Tag)
		}
	}
	if len(settled) > 0 {
		_ = cl.session.Settle(cl.ctx, core.Accepted, nil, settled...)
	}
	return nil
}

// qosOf is the QoS a message was published with.
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

// publish writes one PUBLISH; false: it is larger than the client takes. [MQTT-3.1.2-24]
func (cl *client) publish(d *core.Delivery, sub *subscription, qos byte, ids []int) (bool, error) {
	m := d.Message
	flags := qos << 1
	if d.FromRetained || sub.retainAsPublished && m.Retain {
		flags |= flagRetain
	}
	var props []byte
	own := cl.version == 5 && (len(ids) > 0 || !m.Expires.IsZero())
	if cl.version == 5 {
		props = properties(m)
	}
	if own {
		cl.work = ownProperties(cl.work[:0], m, ids, time.Now())
		props = cl.work
	}
	if size := 16 + len(m.Destination) + len(props) + len(m.Body); size > cl.maxPacket {
		return false, nil
	}
	if qos > 0 {
		pid, dup, again := cl.launch(d, sub, qos)
		if again {
			return true, cl.write(ack(0x62, pid, cl.version, codeSuccess, "")) // PUBREL
		}
		if dup {
			flags |= flagDup
		}
		binary.BigEndian.PutUint16(cl.pid[:], pid)
	}
	parts := cl.parts[:0]
	if own {
		parts = append(parts, appendHead(nil, m, flags, len(props)))
	} else {
		parts = append(parts, head(m, cl.version, flags, len(props)))
	}
	if qos > 0 {
		parts = append(parts, cl.pid[:])
	}
	if cl.version == 5 {
		parts = append(parts, props)
	}
	return true, cl.conn.WriteMessage(core.Binary, append(parts, m.Body)...)
}

// launch gives a delivery its packet id. again: the client has received it already and is to be sent PUBREL.
func (cl *client) launch(d *core.Delivery, sub *subscription, qos byte) (pid uint16, dup, again bool) {
	o := &cl.outbound
	o.mu.Lock()
	defer o.mu.Unlock()
	f := &flight{tag: d.Tag, queue: sub.queue}
	dup = d.Redelivered
	if cl.expires {
		f.key = outboundKey + strconv.FormatUint(d.Record, 36) + "/" + d.Sub.ID
		if old, ok := o.before[f.key]; ok && o.flying[old.pid] == nil {
			delete(o.before, f.key)
			pid, again = old.pid, old.received
			f.received = old.received
		}
	}
	if pid == 0 {
		pid = o.next()
	}
	o.flying[pid] = f
	if f.key != "" && !again {
		cl.session.Put(f.key, []byte{byte(pid >> 8), byte(pid), 0})
	}
	return pid, dup, again && qos == 2
}

// land ends a flight, and returns it; nil: there is none.
func (cl *client) land(pid uint16) *flight {
	o := &cl.outbound
	o.mu.Lock()
	defer o.mu.Unlock()
	f := o.flying[pid]
	delete(o.flying, pid)
	if f != nil && f.key != "" {
		cl.session.Put(f.key, nil)
	}
	return f
}

// settle tells the core. A client that refuses a message of a queue sends it to the dead letters; a topic has
// no other use for it.
func (cl *client) settle(f *flight, code byte) {
	if f == nil {
		return
	}
	outcome := core.Accepted
	if code >= codeUnspecified && f.queue {
		outcome = core.Rejected
	}
	// ErrNotFound: the subscription has ended meanwhile.
	_ = cl.session.Settle(cl.ctx, outcome, nil, f.tag)
}

// onPuback ends a delivery with QoS 1. An id that is not known is passed over.
func (cl *client) onPuback(pid uint16, code byte) { cl.settle(cl.land(pid), code) }

// onPubrec goes on with a delivery with QoS 2. [MQTT-4.3.3-4]
func (cl *client) onPubrec(pid uint16, code byte) error {
	if code >= codeUnspecified {
		cl.settle(cl.land(pid), code)
		return nil
	}
	o := &cl.outbound
	o.mu.Lock()
	f := o.flying[pid]
	if f != nil {
		f.received = true
		if f.key != "" {
			cl.session.Put(f.key, []byte{byte(pid >> 8), byte(pid), 1})
		}
	}
	o.mu.Unlock()
	answer := byte(codeSuccess)
	if f == nil {
		answer = codePacketIDNotFound
	}
	return cl.write(ack(0x62, pid, cl.version, answer, ""))
}

// onPubcomp ends a delivery with QoS 2.
func (cl *client) onPubcomp(pid uint16) { cl.settle(cl.land(pid), codeSuccess) }
