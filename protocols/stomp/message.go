package stomp

import (
	"encoding/base64"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/wyemq/wye/core"
	"github.com/wyemq/wye/protocols/stomp/frame"
)

// target is one destination of a subscription: what deliveries point at.
type target struct {
	core.Subscription

	sub     *subscription
	virtual bool // the topic behind a virtual topic's queue
	spelling
	// exact is the destination whose name the client wrote itself; "*": any, for queues.
	exact string
	head  []byte // the first headers of a MESSAGE without destination, and
	whole []byte // with it
	key   string // of the shared headers of messages with a reply-to, which is spelled
	share func(*core.Message) []byte
}

const anyDestination = "*"

// target makes a core subscription of a place, without the client's wishes.
func (s *session) target(sub *subscription, p *place) *target {
	t := &target{sub: sub, spelling: p.spelling, virtual: p.group != "", exact: p.name}
	t.ID, t.Filter, t.Data = coreID(sub.key, len(sub.targets)), p.name, t
	if !strings.HasPrefix(p.name, "topic/") || t.virtual {
		t.exact = anyDestination
	}
	t.head = frame.AppendCommand(nil, frame.Message)
	if sub.id != "" {
		t.head = frame.AppendHeader(t.head, s.version, "subscription", sub.id)
	}
	t.whole = frame.AppendHeader(slices.Clip(t.head), s.version, "destination", p.written)
	v, r, sp := s.version, s.reader, p.spelling
	r.temp = nil // shared headers outlive the session
	t.key = sharedKey(v) + " " + string(r.dialect) + strconv.Itoa(int(sp.style)) + r.defaultKind + sp.prefix
	t.share = func(m *core.Message) []byte { return share(m, v, &r, sp) }
	return t
}

// sharedKey names what all receivers of a version share of a message.
func sharedKey(v frame.Version) string {
	switch v {
	case frame.V10:
		return "stomp1.0"
	case frame.V11:
		return "stomp1.1"
	default:
		return "stomp1.2"
	}
}

// deliver is the session's DeliverFunc.
func (s *session) deliver(ds []core.Delivery) error {
	for i := range ds {
		if failed := s.fatal.Load(); failed != nil {
			return *failed // nothing follows the last ERROR
		}
		if err := s.message(&ds[i]); err != nil {
			return err
		}
	}
	s.beat.wrote()
	return nil
}

// message writes one MESSAGE: headers that are the subscriber's own, those that all share, the body.
func (s *session) message(d *core.Delivery) error {
	s.delivering.Lock() // not for all of them: who ends a subscription waits for it
	defer s.delivering.Unlock()
	t := d.Sub.Data.(*target)
	if t.sub.gone {
		return nil // the queue has it back
	}
	if d.EndOfBrowse {
		return s.browsed(t)
	}
	own := s.scratch[:0]
	s.parts[0] = t.whole
	if t.exact != d.Destination && t.exact != anyDestination {
		s.parts[0] = t.head
		s.name = s.reader.append(s.name[:0], d.Destination, t.spelling)
		own = frame.AppendHeader(own, s.version, "destination", s.name)
	}
	if t.virtual {
		s.name = s.reader.append(s.name[:0], d.Destination, t.spelling)
		own = frame.AppendHeader(own, s.version, "original-destination", s.name)
	}
	if d.Tag != 0 {
		own = s.tagged(own, d, t.sub)
	}
	if d.Redelivered {
		own = append(own, "redelivered:true\n"...)
		// Attempt counts failures, and a lost connection is none; yet JMS has this be 2 or more.
		own = frame.AppendInt(own, "JMSXDeliveryCount", int64(max(d.Attempt, 2)))
	}
	if d.FromRetained {
		own = append(own, "retained:true\n"...)
	}
	s.scratch = own
	key := sharedKey(s.version)
	if d.ReplyTo != "" {
		key = t.key
	}
	shared := d.Encoded(key, t.share)
	kind := core.Kind(shared[0])
	if s.kind == core.Binary {
		kind = core.Binary
	}
	s.parts[1], s.parts[2], s.parts[3], s.parts[4] = own, shared[1:], d.Body, s.nul[:]
	err := s.conn.WriteMessage(kind, s.parts[:]...)
	s.parts[3] = nil
	return err
}

// tagged appends what the client acknowledges by, or remembers it.
func (s *session) tagged(own []byte, d *core.Delivery, sub *subscription) []byte {
	if s.version == frame.V12 {
		own = append(own, "ack:"...)
		own = append(own, s.acks...)
		own = strconv.AppendUint(own, d.Tag, 10)
		own = append(own, '\n')
		if sub.mode != core.AckCumulative || len(sub.targets) == 1 {
			return own
		}
	}
	s.remember(sub, unacked{id: idOf(d.Message), tag: d.Tag})
	return own
}

// browsed tells the client that it has seen everything, when all targets are through.
func (s *session) browsed(t *target) error {
	t.sub.browsed++
	if t.sub.silent || t.sub.browsed < len(t.sub.targets) {
		return nil
	}
	s.scratch = append(append(s.scratch[:0], t.whole...), "message-id:end\nbrowser:end\n\n\x00"...)
	return s.conn.WriteMessage(s.kind, s.scratch)
}

// messageID names a message, the same whoever gets it and however often. The number alone is that of
// one broker process.
type messageID struct {
	millis int64
	seq    uint64
}

func idOf(m *core.Message) messageID { return messageID{m.Timestamp.UnixMilli(), m.Seq} }

func (id messageID) append(b []byte) []byte {
	b = strconv.AppendInt(b, id.millis, 32) // a power of two needs no division
	b = append(b, '-')
	return strconv.AppendUint(b, id.seq, 32)
}

func parseMessageID(text string) (messageID, bool) {
	a, b, ok := strings.Cut(text, "-")
	millis, err1 := strconv.ParseInt(a, 32, 64)
	seq, err2 := strconv.ParseUint(b, 32, 64)
	return messageID{millis, seq}, ok && err1 == nil && err2 == nil
}

// sharedSize is enough for the headers that each message has, and somewhat more.
const sharedSize = 112

// share encodes what all receivers of a version have in common: the kind of WebSocket message in the
// first octet, then the headers and the empty line. It runs once for each message and version.
func share(m *core.Message, v frame.Version, r *reader, sp spelling) []byte {
	size := sharedSize + len(m.ContentType) + len(m.CorrelationID)*2 + len(m.ReplyTo)*2
	if m.ContentType != "" || m.ReplyTo != "" || !m.Expires.IsZero() || m.Priority != 0 {
		size += 80
	}
	for i := range m.Header {
		size += len(m.Header[i].Name) + len(m.Header[i].Value) + 8
	}
	b := make([]byte, 1, size)
	b[0] = byte(core.Text)
	if !utf8.Valid(m.Body) {
		b[0] = byte(core.Binary)
	}
	b = append(b, "message-id:"...)
	b = append(idOf(m).append(b), '\n')
	if m.ContentType != "" {
		b = frame.AppendHeader(b, v, "content-type", m.ContentType)
	}
	b = frame.AppendInt(b, "content-length", int64(len(m.Body)))
	b = appendCorrelation(b, v, m.CorrelationID)
	if m.ReplyTo != "" {
		b = frame.AppendHeader(b, v, "reply-to", r.append(nil, m.ReplyTo, sp))
	}
	if !m.Expires.IsZero() {
		b = frame.AppendInt(b, "expires", m.Expires.UnixMilli())
	}
	if m.Priority != 0 {
		b = frame.AppendInt(b, "priority", int64(m.Priority.Level()))
	}
	if m.Persistent {
		b = append(b, "persistent:true\n"...)
	}
	b = frame.AppendInt(b, "timestamp", m.Timestamp.UnixMilli())
	for i := range m.Header {
		if brokersWord(m.Header[i].Name) {
			continue // a user property of MQTT, which would be taken for the broker's
		}
		b = frame.AppendHeader(b, v, m.Header[i].Name, m.Header[i].Value)
	}
	return append(b, '\n')
}

// brokersWord reports whether the broker alone says a header of MESSAGE. content-type, correlation-id and reply-to
// are not among them: without the property of that name a user property serves as well, with it the first one counts.
func brokersWord(name string) bool {
	switch sendHeader(name) {
	case hReserved, hDestination, hContentLength, hPriority, hPersistent, hExpires, hCorrelationEncoding:
		return true
	default:
		return name == "retained"
	}
}

// appendCorrelation appends a correlation id: as it is when it is text, else in base64.
func appendCorrelation(b []byte, v frame.Version, id string) []byte {
	if id == "" {
		return b
	}
	if printable(id) {
		return frame.AppendHeader(b, v, "correlation-id", id)
	}
	b = append(b, "correlation-id:"...)
	b = base64.StdEncoding.AppendEncode(b, []byte(id))
	return append(b, "\ncorrelation-id-encoding:base64\n"...)
}

// printable reports whether s is text without control characters.
func printable(s string) bool {
	for _, r := range s {
		if r < ' ' || r == 0x7f || r == utf8.RuneError {
			return false
		}
	}
	return true
}
