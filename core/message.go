package core

import (
	"sync/atomic"
	"time"
)

// Field is one header of a message. Names repeat; the first of a name counts.
type Field struct{ Name, Value string }

// Priority is relative to the normal priority of JMS, 4, so that the zero value is normal.
// It goes from -4 (JMS 0, lowest) to 5 (JMS 9, highest).
type Priority int8

// PriorityOf turns a JMS level, 0 to 9, into a Priority; levels outside are brought inside.
func PriorityOf(level int) Priority { return Priority(min(max(level, 0), 9) - 4) }

// Level returns the JMS level, 0 to 9.
func (p Priority) Level() int { return int(p) + 4 }

// Message is what is published. It is immutable from the call of [Session.Publish] on, by
// publisher, core and receivers alike, and must not be copied.
type Message struct {
	// Destination is the canonical name: kind and levels joined by '/', as in
	// "topic/sensors/1", "queue/jobs". See package destination.
	Destination string
	// ContentType is a MIME type, or empty.
	ContentType string
	// Header holds the publisher's own headers in order, repeats included.
	Header []Field
	// Body is shared by everybody who sees the message: nobody writes to it.
	Body []byte
	// ReplyTo is a canonical destination, or empty.
	ReplyTo string
	// CorrelationID holds any bytes; a protocol of text encodes those it cannot say.
	CorrelationID string
	// Expires is when the message is no longer worth delivering; zero: never.
	Expires time.Time
	// Visible is when the message is routed; zero: at once.
	Visible time.Time
	// Repeat publishes the message again at each time it names; nil: once.
	Repeat *Repeat
	// Timestamp is when the broker took the message; Publish sets it when it is zero.
	Timestamp time.Time
	// Priority orders the messages of a queue.
	Priority Priority
	// Persistent messages are acknowledged when they are as durable as each queue promises.
	// MQTT QoS 0 and STOMP "persistent:false" are not persistent.
	Persistent bool
	// ExactlyOnce asks protocols that can for a hand-over without duplicates, as MQTT QoS 2.
	ExactlyOnce bool
	// Retain makes this the retained message of its topic; an empty Body clears it.
	Retain bool
	// TextBody says that the publisher declared the body to be UTF-8 text (MQTT 5 payload format
	// indicator 1).
	TextBody bool
	// Publisher is the client id of the publishing session. Publish sets it.
	Publisher string
	// User is the authenticated name of the publisher. Publish sets it.
	User string
	// Seq numbers the messages of this broker process, from 1. Publish sets it.
	Seq uint64

	beside       int  // bytes, beside the body, that count: see Size
	fromRetained bool // a copy for the queue of one new subscriber
	fresh        bool // takes room in a retainRoom when it becomes retained
	encoded      atomic.Pointer[encoding]
	preset       encoding // the one that came with it
}

// besideFree is how many bytes a message may have beside its body that do not count against limits of bytes.
const besideFree = 1 << 10

// Size returns what m counts as against limits of bytes. They are given in bytes of bodies, because that is what people
// can tell; but nobody is to get past them with large headers, which count as well.
func (m *Message) Size() int {
	n := len(m.Destination) + len(m.ContentType) + len(m.ReplyTo) + len(m.CorrelationID)
	for i := range m.Header {
		n += len(m.Header[i].Name) + len(m.Header[i].Value)
	}
	if n <= besideFree {
		n = 0
	}
	return len(m.Body) + n
}

// size is Size without the work, of a message that has its number.
func (m *Message) size() int { return len(m.Body) + m.beside }

// Repeat says when a delayed message is published again.
type Repeat struct {
	// Period is the time between repetitions; 0 with Cron.
	Period time.Duration
	// Count is how often it is repeated after the first time; -1: for ever.
	Count int
	// Cron is a crontab line of five fields, in the broker's time zone; empty: none.
	Cron string
}

// encoding is one cached wire form. They form a list: a message has one per protocol version in use,
// which is seldom more than three.
type encoding struct {
	key   string
	bytes []byte
	next  *encoding
}

// Encoded returns the wire form that enc makes of m. It is made once for each key (in a race
// perhaps twice), shared by all receivers, and read-only. key names protocol, version and
// whatever else changes the bytes.
func (m *Message) Encoded(key string, enc func(*Message) []byte) []byte {
	head := m.encoded.Load()
	for e := head; e != nil; e = e.next {
		if e.key == key {
			return e.bytes
		}
	}
	e := &encoding{key: key, bytes: enc(m)}
	for {
		e.next = head
		if m.encoded.CompareAndSwap(head, e) {
			return e.bytes
		}
		head = m.encoded.Load()
		for o := head; o != nil; o = o.next {
			if o.key == key {
				return o.bytes
			}
		}
	}
}

// Preset gives m a wire form that [Message.Encoded] would otherwise make, because the publisher has sent just these bytes. It is
// called once, before Publish; nobody writes to b any more.
func (m *Message) Preset(key string, b []byte) {
	m.preset = encoding{key: key, bytes: b}
	m.encoded.Store(&m.preset)
}

// Get returns the first value of the header called name, and whether there is one.
func (m *Message) Get(name string) (string, bool) {
	for i := range m.Header {
		if m.Header[i].Name == name {
			return m.Header[i].Value, true
		}
	}
	return "", false
}

// Clone returns a message with the same content that may be changed and published anew. Header
// is copied, Body is shared, cached wire forms are left behind.
func (m *Message) Clone() *Message {
	return &Message{
		Destination: m.Destination, ContentType: m.ContentType, Header: append([]Field(nil), m.Header...),
		Body: m.Body, ReplyTo: m.ReplyTo, CorrelationID: m.CorrelationID, Expires: m.Expires,
		Visible: m.Visible, Repeat: m.Repeat, Timestamp: m.Timestamp, Priority: m.Priority,
		Persistent: m.Persistent, ExactlyOnce: m.ExactlyOnce, Retain: m.Retain, TextBody: m.TextBody,
		Publisher: m.Publisher, User: m.User, Seq: m.Seq, beside: m.beside, fresh: m.fresh,
	}
}
