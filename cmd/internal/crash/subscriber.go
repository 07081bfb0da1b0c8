package crash

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
)

// subscriber receives from one place by MQTT, with a session that outlives its connections.
type subscriber struct {
	title  string
	r      *rand.Rand
	place  *Place
	filter string
	level  byte
	most   uint16 // Receive Maximum
	qos    byte
	ready  func()

	subscribed bool // the broker has said so: there must be a session
	// The packets of QoS 2 that were received and not released: the message, and the delivery that is the latest.
	incoming map[uint16]*incoming
}

type incoming struct {
	message Message
	at      int
	settled bool // PUBREC was written for it
}

func (a *subscriber) name() string { return a.title }

func (a *subscriber) serve(ctx context.Context, l *link) error {
	c, err := dialMQTT(ctx, l.p.addr, login{id: a.title, level: a.level, most: a.most})
	if err != nil {
		return err
	}
	defer c.until(ctx)()
	if !c.resumed {
		if a.subscribed {
			l.add(Event{Kind: Fault, Text: "the session is lost"})
		}
		a.incoming = make(map[uint16]*incoming)
	}
	if !a.subscribed {
		if err := c.subscribe(1, a.filter, a.qos); err != nil {
			return err
		}
	}
	s := &subscribing{subscriber: a, c: c, l: l}
	for {
		p, err := c.read()
		if err != nil {
			return err
		}
		if err := s.handle(p); err != nil {
			return err
		}
	}
}

// subscribing is a subscriber on a connection.
type subscribing struct {
	*subscriber
	c       *mqtt
	l       *link
	pending []*packet // to be answered, in their order [MQTT-4.6.0-2]
	ats     []int
}

func (s *subscribing) handle(p *packet) error {
	switch p.kind {
	case pSuback:
		if len(p.payload) != 1 || p.payload[0] != s.qos {
			return fmt.Errorf("SUBACK says %v", p.payload)
		}
		s.subscribed = true
		s.ready()
	case pPublish:
		return s.publish(p)
	case pPubrel:
		// In a group, QoS 2 is at least once: after a crash the message goes to another member, and PUBREL says no more than
		// that this one may forget it.
		in := s.incoming[p.id]
		switch {
		case in == nil || strings.HasPrefix(s.filter, "$"):
		case in.settled:
			s.l.add(Event{Kind: SettleConfirmed, Delivery: in.at})
		default:
			s.l.add(Event{Kind: Fault, Message: in.message, Text: "PUBREL of what was not received"})
		}
		delete(s.incoming, p.id)
		return s.c.answer(pPubcomp, p.id)
	default:
		return fmt.Errorf("an unexpected packet: %+v", p)
	}
	return nil
}

func (s *subscribing) publish(p *packet) error {
	m, err := parse(p.payload)
	if err != nil {
		s.l.add(Event{Kind: Fault, Text: err.Error()})
		return err
	}
	e := Event{Kind: Received, Message: m, Place: s.place.Name, Flagged: p.dup || p.qos == 0} // QoS 0 has no DUP [MQTT-3.3.1-2]
	known := s.incoming[p.id]
	if p.qos == 2 && known != nil {
		e.Repeat = true
		if known.message != m {
			s.l.add(Event{Kind: Fault, Message: m, Text: fmt.Sprintf("packet id %d was used for %v before", p.id, known.message)})
		}
	}
	at := s.l.add(e)
	switch {
	case p.qos == 0:
		s.l.add(Event{Kind: Settled, Delivery: at})
		return nil
	case p.qos == 2 && known != nil:
		known.at, known.settled = at, false
	case p.qos == 2:
		s.incoming[p.id] = &incoming{message: m, at: at}
	}
	s.pending, s.ats = append(s.pending, p), append(s.ats, at)
	most := s.r.IntN(6)
	if s.l.w.draining.Load() {
		most = 0
	}
	for len(s.pending) > most {
		if err := s.settle(); err != nil {
			return err
		}
	}
	if s.l.away(s.r) {
		return errAway
	}
	return nil
}

// settle answers the packet that waits longest.
func (s *subscribing) settle() error {
	p, at := s.pending[0], s.ats[0]
	s.pending, s.ats = s.pending[1:], s.ats[1:]
	s.l.add(Event{Kind: Settled, Delivery: at})
	if p.qos == 1 {
		return s.c.answer(pPuback, p.id)
	}
	if in := s.incoming[p.id]; in != nil {
		in.settled = true
	}
	return s.c.answer(pPubrec, p.id)
}
