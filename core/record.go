package core

import (
	"encoding/binary"
	"strconv"
	"time"

	"github.com/wyemq/wye/core/engine"
)

// noTime is the zero time: never, not yet.
var noTime time.Time

// record returns m in the form that engines keep.
func (b *Broker) record(m *Message) *engine.Message {
	em := &engine.Message{
		Dest: m.Destination, Body: m.Body, Expires: m.Expires, Visible: m.Visible, Stored: m.Timestamp,
		Priority: uint8(m.Priority.Level()), Ref: m, Beside: m.beside,
	}
	copy(em.ID[:8], b.nonce[:])
	binary.BigEndian.PutUint64(em.ID[8:], m.Seq)
	return em
}

// message returns the message of a record.
func (*Broker) message(em *engine.Message) *Message {
	if m, ok := em.Ref.(*Message); ok {
		return m
	}
	return &Message{Destination: em.Dest, Body: em.Body, Expires: em.Expires, Priority: PriorityOf(int(em.Priority))}
}

// deadLetterHeaders say why, whence and how often, and where the message was sent to.
func deadLetterHeaders(bq *boundQueue, m *Message, attempts int, reason string) []Field {
	h := []Field{
		{"dead-letter-reason", reason},
		{"dead-letter-queue", bq.name},
		{"dead-letter-attempts", strconv.Itoa(attempts)},
		{"dead-letter-time", time.Now().UTC().Format(time.RFC3339Nano)},
	}
	if _, ok := m.Get("original-destination"); !ok {
		h = append(h, Field{"original-destination", m.Destination})
	}
	return h
}
