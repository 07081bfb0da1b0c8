package stomp

import (
	"encoding/base64"
	"fmt"
	"strings"
	"time"

	"github.com/wyemq/wye/core"
	"github.com/wyemq/wye/protocols/stomp/frame"
)

// outgoing is a SEND that was read.
type outgoing struct {
	message     *core.Message
	destination string
	fallback    string // what a destination without a known prefix is
	transaction string
	seen        seen
	encoding    string // of the correlation id
	remove      bool   // the retained message goes, too
	period      time.Duration
	repeat      int
	cron        string
	queue       declaration
}

// send executes SEND.
func (s *session) send(f *frame.Frame, receipt string) error {
	var o outgoing
	places, err := s.compose(&o, f)
	if err != nil {
		return err
	}
	if o.seen.has(hTransaction) {
		if err := s.buffer(&o, places); err != nil {
			return err
		}
		return s.receipt(receipt)
	}
	done := s.sent
	if receipt != "" {
		done = func(_ core.Published, err error) {
			if err != nil {
				s.refuseLater(fmt.Errorf("%s: %w", frame.Send, err), receipt)
				return
			}
			_ = s.receipt(receipt) // a connection that is gone is noticed by the reader
		}
	}
	if len(places) == 1 && !o.remove {
		return s.core.PublishTo(s.ctx, o.message, o.queue.config(), done)
	}
	return s.core.Commit(s.ctx, core.Transaction{Sends: o.copies(places)}, func(err error) { done(core.Published{}, err) })
}

// copies returns a message for each place; whoever lists several means all or none.
func (o *outgoing) copies(places []place) []*core.Message {
	var all []*core.Message
	for i := range places {
		m := o.message
		if i > 0 {
			m = m.Clone()
			m.Destination = places[i].name
		}
		if o.remove && len(m.Body) > 0 {
			c := &core.Message{Destination: m.Destination, Retain: true, Persistent: m.Persistent}
			m.Retain = false
			all = append(all, m, c)
			continue
		}
		all = append(all, m)
	}
	return all
}

// compose makes a message of a SEND. The user's headers are what is left of the frame's.
func (s *session) compose(o *outgoing, f *frame.Frame) ([]place, error) {
	if !f.Again {
		s.same = nil
	} else if s.same != nil {
		o.message = s.same.with(f.Body)
		return s.last.places[:], nil
	}
	m := &core.Message{Body: f.Body, Persistent: true}
	o.message = m
	user := 0 // headers
	for i := range f.Header {
		h := f.Header[i]
		k := sendHeader(h.Name)
		switch {
		case k == userHeader:
			user++
			continue
		case !o.seen.first(k):
			continue
		case k == hGroup:
			user++
			continue
		}
		if err := o.set(k, h.Name, h.Value); err != nil {
			return nil, err
		}
	}
	m.Header = userHeaders(f.Header, user)
	if !o.seen.has(hDestination) {
		return nil, fmt.Errorf("there is no destination header: %w", core.ErrInvalid)
	}
	if err := o.queue.finish(); err != nil {
		return nil, err
	}
	if err := o.schedule(); err != nil {
		return nil, err
	}
	if o.encoding == "base64" {
		id, err := base64.StdEncoding.DecodeString(m.CorrelationID)
		if err != nil {
			return nil, invalid("correlation-id", m.CorrelationID, "base64, as correlation-id-encoding says")
		}
		m.CorrelationID = string(id)
	}
	places, err := s.places(o)
	if err != nil {
		return nil, err
	}
	m.Destination = places[0].name
	if f.Again && o.seen&^repeatable == 0 && s.last.text == o.destination {
		s.same = (*template)(m.Clone())
	}
	return places, s.replyTo(m)
}

// userHeaders returns the n headers that are not the broker's, a message group under its JMS name.
func userHeaders(all []core.Field, n int) []core.Field {
	if n == 0 {
		return nil
	}
	list := make([]core.Field, 0, n)
	grouped := false
	for _, h := range all {
		switch k := sendHeader(h.Name); {
		case k == userHeader:
			list = append(list, h)
		case k == hGroup && !grouped:
			grouped = true
			list = append(list, core.Field{Name: "JMSXGroupID", Value: h.Value})
		}
	}
	return list
}

// repeatable are the headers that mean the same each time: without others a SEND with the head of the one before is
// composed of its message, which is in session.same, and goes to session.last.
const repeatable = seen(1<<hDestination | 1<<hReceipt | 1<<hContentType | 1<<hContentLength | 1<<hPriority | 1<<hPersistent |
	1<<hGroup | 1<<hReserved)

// template is a message that was not published.
type template core.Message

// with returns the message with a body of its own. It shares the headers, which nobody changes.
func (t *template) with(body []byte) *core.Message {
	return &core.Message{
		Destination: t.Destination, ContentType: t.ContentType, Header: t.Header, Body: body,
		Priority: t.Priority, Persistent: t.Persistent,
	}
}

// places reads the destination. The last one is remembered.
func (s *session) places(o *outgoing) ([]place, error) {
	if o.fallback == "" && s.last.text == o.destination && s.last.text != "" {
		return s.last.places[:], nil
	}
	text := strings.Clone(o.destination) // a part of all headers, which it would keep alive
	places, err := s.reader.all(text, false, o.fallback)
	if err == nil && len(places) == 1 && o.fallback == "" {
		s.last = cached{text: text, places: [1]place{places[0]}}
	}
	return places, err
}

// set takes one header of the message.
func (o *outgoing) set(k header, name, value string) (err error) {
	m := o.message
	switch k {
	case hDestination:
		o.destination = value
	case hDestinationType:
		o.fallback, err = routingType(name, value)
	case hTransaction:
		o.transaction = value
	case hContentType:
		m.ContentType = value
	case hCorrelation:
		m.CorrelationID = value
	case hCorrelationEncoding:
		o.encoding = value
	case hReplyTo:
		m.ReplyTo = value
	case hPriority:
		var n int64
		n, err = number(name, value, 0, 9)
		m.Priority = core.PriorityOf(int(n))
	case hPersistent:
		m.Persistent, err = flag(name, value)
	case hExpires:
		var n int64
		if n, err = number(name, value, 0, mostMillis); n > 0 {
			m.Expires = time.UnixMilli(n)
		}
	case hTTL:
		err = o.ttl(name, value)
	case hRetain:
		err = o.retain(name, value)
	case hDelay, hTime, hPeriod, hRepeat, hCron:
		err = o.later(k, name, value)
	case hReceipt, hContentLength, hReserved: // done with, or not the client's to say
	default:
		err = o.queue.set(k, name, value)
	}
	return err
}

// ttl is a time to live; with an expiry, too, the sooner counts.
func (o *outgoing) ttl(name, value string) error {
	d, err := millis(name, value)
	if err != nil || d == 0 && name == "ttl" {
		return err
	}
	if at := time.Now().Add(d); o.message.Expires.IsZero() || at.Before(o.message.Expires) {
		o.message.Expires = at
	}
	return nil
}

func (o *outgoing) retain(name, value string) error {
	switch value {
	case "set":
		o.message.Retain = true
		return nil
	case "remove":
		o.message.Retain, o.remove = true, len(o.message.Body) > 0
		return nil
	}
	on, err := flag(name, value)
	if err != nil {
		return invalid(name, value, "set, remove, true or false")
	}
	o.message.Retain = on
	return nil
}

// routingType reads Artemis' ANYCAST and MULTICAST.
func routingType(name, value string) (string, error) {
	switch strings.ToUpper(value) {
	case "ANYCAST":
		return "queue", nil
	case "MULTICAST":
		return "topic", nil
	default:
		return "", invalid(name, value, "ANYCAST or MULTICAST")
	}
}

// later takes one header of a delayed message.
func (o *outgoing) later(k header, name, value string) (err error) {
	var d time.Duration
	var n int64
	switch k {
	case hDelay:
		if d, err = millis(name, value); err == nil && d > 0 {
			o.message.Visible = time.Now().Add(d)
		}
	case hTime:
		if n, err = number(name, value, 0, mostMillis); err == nil && n > 0 {
			o.message.Visible = time.UnixMilli(n)
		}
	case hPeriod:
		o.period, err = millis(name, value)
	case hRepeat:
		n, err = number(name, value, -1, 1<<31-1)
		o.repeat = int(n)
	default:
		o.cron = value
	}
	return err
}

// schedule puts the headers of a delayed message together.
func (o *outgoing) schedule() error {
	switch {
	case o.cron != "":
		o.message.Repeat = &core.Repeat{Cron: o.cron, Count: -1}
		if o.seen.has(hRepeat) {
			o.message.Repeat.Count = o.repeat
		}
	case o.repeat != 0 && o.period == 0:
		return fmt.Errorf("AMQ_SCHEDULED_REPEAT needs an AMQ_SCHEDULED_PERIOD: %w", core.ErrInvalid)
	case o.repeat != 0:
		o.message.Repeat = &core.Repeat{Period: o.period, Count: o.repeat}
		if o.message.Visible.IsZero() {
			o.message.Visible = time.Now()
		}
	}
	return nil
}

// replyTo turns the client's reply-to into a canonical destination. One that is none is a header like any
// other: requests of other systems have names of their own there.
func (s *session) replyTo(m *core.Message) error {
	text := m.ReplyTo
	if text == "" {
		return nil
	}
	m.ReplyTo = ""
	p, err := s.reader.one(text, false, "")
	if err != nil {
		m.Header = append(m.Header, core.Field{Name: "reply-to", Value: text})
		return nil
	}
	m.ReplyTo = p[0].name
	if p[0].temp != "" && s.reader.dialect != ActiveMQ {
		return s.expectReplies(&p[0])
	}
	return nil
}
