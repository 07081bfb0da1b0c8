package core

import (
	"encoding/binary"
	"fmt"
	"time"

	"github.com/wyemq/wye/core/engine"
	"github.com/wyemq/wye/core/internal/pack"
)

// messageVersion is the first byte of a message in the form that durable engines keep. A later version reads what the
// earlier ones have written.
const messageVersion = 1

// What a stored message has. A string, time or list that is not there takes no room.
const (
	hasPersistent = 1 << iota
	hasExactlyOnce
	hasRetain
	hasTextBody
	hasFromRetained
	hasContentType
	hasReplyTo
	hasCorrelationID
	hasPublisher
	hasUser
	hasExpires
	hasVisible
	hasTimestamp
	hasRepeat
	hasHeader

	hasAll = 1<<iota - 1
)

// parts returns what m has.
func (m *Message) parts() uint64 {
	return when(m.Persistent, hasPersistent) | when(m.ExactlyOnce, hasExactlyOnce) | when(m.Retain, hasRetain) |
		when(m.TextBody, hasTextBody) | when(m.fromRetained, hasFromRetained) |
		when(m.ContentType != "", hasContentType) | when(m.ReplyTo != "", hasReplyTo) |
		when(m.CorrelationID != "", hasCorrelationID) | when(m.Publisher != "", hasPublisher) | when(m.User != "", hasUser) |
		when(!m.Expires.IsZero(), hasExpires) | when(!m.Visible.IsZero(), hasVisible) |
		when(!m.Timestamp.IsZero(), hasTimestamp) | when(m.Repeat != nil, hasRepeat) | when(len(m.Header) > 0, hasHeader)
}

func when(is bool, bit uint64) uint64 {
	if is {
		return bit
	}
	return 0
}

// appendHead appends everything of m but what an engine keeps beside it: destination, body and priority.
func (m *Message) appendHead(b []byte) []byte {
	has := m.parts()
	b = pack.Uint(append(b, messageVersion), has)
	b = pack.Uint(b, m.Seq)
	b = appendText(b, m.ContentType)
	b = appendText(b, m.ReplyTo)
	b = appendText(b, m.CorrelationID)
	b = appendText(b, m.Publisher)
	b = appendText(b, m.User)
	b = appendTime(b, m.Expires)
	b = appendTime(b, m.Visible)
	b = appendTime(b, m.Timestamp)
	if has&hasRepeat != 0 {
		b = pack.Int(b, int64(m.Repeat.Period))
		b = pack.Int(b, int64(m.Repeat.Count))
		b = pack.String(b, m.Repeat.Cron)
	}
	if has&hasHeader != 0 {
		b = pack.Uint(b, uint64(len(m.Header)))
		for i := range m.Header {
			b = pack.String(pack.String(b, m.Header[i].Name), m.Header[i].Value)
		}
	}
	return b
}

func appendText(b []byte, s string) []byte {
	if s == "" {
		return b
	}
	return pack.String(b, s)
}

func appendTime(b []byte, t time.Time) []byte {
	if t.IsZero() {
		return b
	}
	return pack.Time(b, t)
}

// headSize guesses how long the result of appendHead is, on the safe side.
func (m *Message) headSize() int {
	n := 64 + len(m.ContentType) + len(m.ReplyTo) + len(m.CorrelationID) + len(m.Publisher) + len(m.User)
	for i := range m.Header {
		n += 6 + len(m.Header[i].Name) + len(m.Header[i].Value)
	}
	return n
}

// readHead sets what appendHead has written. Its strings share one copy of head.
func (m *Message) readHead(head []byte) error {
	r := pack.NewReader(head)
	if v := r.Byte(); v != messageVersion {
		return fmt.Errorf("a stored message of version %d: %w", v, pack.ErrBad)
	}
	has := r.Uint()
	m.Seq = r.Uint()
	m.Persistent, m.ExactlyOnce = has&hasPersistent != 0, has&hasExactlyOnce != 0
	m.Retain, m.TextBody, m.fromRetained = has&hasRetain != 0, has&hasTextBody != 0, has&hasFromRetained != 0
	m.ContentType = readText(&r, has&hasContentType)
	m.ReplyTo = readText(&r, has&hasReplyTo)
	m.CorrelationID = readText(&r, has&hasCorrelationID)
	m.Publisher = readText(&r, has&hasPublisher)
	m.User = readText(&r, has&hasUser)
	m.Expires = readTime(&r, has&hasExpires)
	m.Visible = readTime(&r, has&hasVisible)
	m.Timestamp = readTime(&r, has&hasTimestamp)
	if has&hasRepeat != 0 {
		m.Repeat = &Repeat{Period: time.Duration(r.Int()), Count: int(r.Int()), Cron: r.String()}
	}
	if has&hasHeader != 0 {
		if n := r.Count(2); n > 0 {
			m.Header = make([]Field, n)
		}
		for i := range m.Header {
			m.Header[i] = Field{r.String(), r.String()}
		}
	}
	if err := r.Err(); err != nil || has&^hasAll != 0 {
		return fmt.Errorf("a stored message: %w", pack.ErrBad)
	}
	return nil
}

func readText(r *pack.Reader, has uint64) string {
	if has == 0 {
		return ""
	}
	return r.String()
}

func readTime(r *pack.Reader, has uint64) time.Time {
	if has == 0 {
		return noTime
	}
	return r.Time()
}

// encodeMessage returns the whole of m, for places that have no engine.Message.
func encodeMessage(b []byte, m *Message) []byte {
	b = pack.String(b, m.Destination)
	b = pack.Bytes(b, m.Body)
	b = pack.Int(b, int64(m.Priority))
	return pack.Bytes(b, m.appendHead(nil))
}

// decodeMessage reads what encodeMessage has written.
func decodeMessage(r *pack.Reader) (*Message, error) {
	m := &Message{Destination: r.String(), Body: r.Bytes(), Priority: Priority(r.Int())}
	err := m.readHead(r.Bytes())
	m.beside = m.Size() - len(m.Body)
	return m, err
}

// record returns m in the form that engines keep. stored: in one that does not keep Ref for ever.
func (b *Broker) record(m *Message, stored bool) *engine.Message {
	em := &engine.Message{
		Dest: m.Destination, Body: m.Body, Expires: m.Expires, Visible: m.Visible, Stored: m.Timestamp,
		Priority: uint8(m.Priority.Level()), Ref: m, Beside: m.beside,
	}
	copy(em.ID[:8], b.nonce[:])
	binary.BigEndian.PutUint64(em.ID[8:], m.Seq)
	if stored && b.durable {
		em.Header = m.appendHead(make([]byte, 0, m.headSize()))
	}
	return em
}

// message returns the message of a record.
func (b *Broker) message(em *engine.Message) *Message {
	if m, ok := em.Ref.(*Message); ok {
		return m
	}
	m := &Message{Destination: em.Dest, Body: em.Body, Priority: PriorityOf(int(em.Priority))}
	if err := m.readHead(em.Header); err != nil {
		b.log.Error("headers of a stored message cannot be read", "destination", em.Dest, "error", err)
		m = &Message{
			Destination: em.Dest, Body: em.Body, Priority: m.Priority,
			Expires: em.Expires, Visible: em.Visible, Timestamp: em.Stored,
		}
	}
	m.beside = em.Beside
	return m
}

// loaded returns em with its message, so that it is decoded once.
func (b *Broker) loaded(em *engine.Message) *engine.Message {
	if em.Ref != nil {
		return em
	}
	c := *em
	c.Ref = b.message(em)
	return &c
}
