package crash

import (
	"context"
	"math/rand/v2"
	"strconv"
	"strings"
)

// wanderer makes a durable subscription, sends to it, receives what it has sent, deletes the subscription and makes the
// next: what is confirmed to be there must be there, however young it is.
type wanderer struct {
	title string
	r     *rand.Rand
	place *Place
	n     int // messages
	k     int // subscriptions
	sent  bool
	// open are the messages to wait for before the subscription may go: confirmed or delivered, and not settled for sure.
	open map[Message]bool
}

func (a *wanderer) name() string { return a.title }

// wandering is a wanderer on a connection.
type wandering struct {
	*wanderer
	c    *stomp
	l    *link
	acks map[string]held // by receipt
	left int             // receipts of sends to come
}

func (a *wanderer) serve(ctx context.Context, l *link) error {
	c, err := dialSTOMP(ctx, l.p.addr, a.title)
	if err != nil {
		return err
	}
	defer c.until(ctx)()
	s := &wandering{wanderer: a, c: c, l: l, acks: make(map[string]held)}
	if err := s.subscribe(); err != nil {
		return err
	}
	for {
		f, err := c.read()
		if err != nil {
			return err
		}
		if err := s.handle(f); err != nil {
			return err
		}
	}
}

func (s *wandering) subscribe() error {
	id := strconv.Itoa(s.k)
	return s.c.send("SUBSCRIBE", nil, "id", id, "destination", s.place.From+"."+id, "durable-subscription-name", id,
		"ack", "client-individual", "receipt", "subscribed")
}

func (s *wandering) handle(f *frame) error {
	kind, id, _ := strings.Cut(f.header["receipt-id"], " ")
	switch {
	case f.command == "MESSAGE":
		return s.message(f)
	case f.command != "RECEIPT":
		return &refusal{f}
	case kind == "subscribed": // also when it was there before: what is sent now comes behind all that is left from then
		return s.send()
	case kind == "message":
		n, err := strconv.Atoi(id)
		if err != nil {
			return err
		}
		m := Message{s.title, n}
		s.l.add(Event{Kind: Confirmed, Message: m})
		s.left--
		if _, known := s.open[m]; !known {
			s.open[m] = true
		}
	case kind == "ack":
		d := s.acks[id]
		s.l.add(Event{Kind: SettleConfirmed, Delivery: d.at})
		s.open[d.message] = false
	case kind == "gone":
		return s.subscribe()
	}
	return s.leave()
}

// send sends some messages to the subscription, which is known to be there.
func (s *wandering) send() error {
	if !s.sent {
		s.sent, s.open = true, make(map[Message]bool)
	}
	for range 1 + s.r.IntN(5) {
		s.n++
		s.left++
		m := Message{s.title, s.n}
		s.l.add(Event{Kind: Sent, Message: m, Dest: s.place.From, QoS: 1})
		err := s.c.send("SEND", compose(m, s.r), "destination", s.place.From+"."+strconv.Itoa(s.k), "receipt", "message "+strconv.Itoa(s.n))
		if err != nil {
			return err
		}
	}
	return nil
}

func (s *wandering) message(f *frame) error {
	m, err := parse(f.body)
	if err != nil {
		s.l.add(Event{Kind: Fault, Text: err.Error()})
		return err
	}
	at := s.l.add(Event{Kind: Received, Message: m, Place: s.place.Name, Flagged: f.header["redelivered"] == "true"})
	s.open[m] = true
	s.acks[strconv.Itoa(at)] = held{at: at, message: m}
	s.l.add(Event{Kind: Settled, Delivery: at})
	return s.c.send("ACK", nil, "id", f.header["ack"], "receipt", "ack "+strconv.Itoa(at))
}

// leave deletes the subscription when nothing is open, and makes the next.
func (s *wandering) leave() error {
	if !s.sent || s.left > 0 {
		return nil
	}
	for _, open := range s.open {
		if open {
			return nil
		}
	}
	if s.l.w.draining.Load() {
		return nil
	}
	id := strconv.Itoa(s.k)
	s.k++
	s.sent = false
	if s.r.IntN(4) == 0 { // and if nobody is told
		_ = s.c.send("UNSUBSCRIBE", nil, "id", id, "durable-subscription-name", id)
		return errAway
	}
	return s.c.send("UNSUBSCRIBE", nil, "id", id, "durable-subscription-name", id, "receipt", "gone")
}
