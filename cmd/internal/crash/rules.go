package crash

import (
	"fmt"
	"slices"
)

// message checks all there is to say of one message.
func (c *checker) message(m *message) {
	if m.tx != nil && m.tx.outcome == failed {
		if d := m.first(); d != nil {
			c.violate(Undone, m.Message, d.Place, "", *m.Event, *d.Event)
		}
		return
	}
	promised := m.QoS > 0 && (m.confirmed != 0 && m.tx == nil || m.tx != nil && m.tx.outcome == happened)
	for i := range c.places {
		p := &c.places[i]
		if p.DeadOf == "" && p.From == m.Dest {
			c.delivered(m, p, promised)
		}
	}
}

// delivered checks the deliveries of m in p. promised: there must be one.
func (c *checker) delivered(m *message, p *Place, promised bool) {
	ds := m.at[p.Name]
	if len(ds) == 0 {
		if promised && !c.diedUnseen(m, p) {
			c.violate(Lost, m.Message, p.Name, "never delivered", *m.Event)
		}
		return
	}
	all := []Event{*m.Event}
	handed := 0
	for _, d := range ds {
		all = append(all, *d.Event)
		for _, s := range d.settled {
			all = append(all, *s.Event)
		}
		if !d.Repeat {
			handed++
		}
	}
	if !flagged(ds) {
		c.violate(Unflagged, m.Message, p.Name, "", all...)
	}
	if m.QoS == 2 && p.QoS == 2 && handed != 1 {
		c.violate(Twice, m.Message, p.Name, fmt.Sprintf("handed on %d times", handed), all...)
	}
	c.settled(m, p, all)
	failed := 0
	for _, d := range ds {
		if p.Limit > 0 && failed == p.Limit {
			c.violate(Overdone, m.Message, p.Name, fmt.Sprintf("%d times", len(ds)), all...)
			break
		}
		if how, certain, _ := d.done(); how == Nack && certain != 0 {
			failed++
		}
	}
}

// diedUnseen says whether m has become a dead letter because its deliveries failed, the last of which nobody may have seen.
func (c *checker) diedUnseen(m *message, p *Place) bool {
	if p.Limit == 0 {
		return false
	}
	for i := range c.places {
		if q := &c.places[i]; q.DeadOf == p.Name && len(m.at[q.Name]) > 0 {
			c.dead(m, p)
			return true
		}
	}
	return false
}

// flagged says whether all deliveries but the first are flagged. Of those from one process of the broker, any may have
// been the first: two consumers may write down what they get in any order.
func flagged(ds []*delivery) bool {
	bare := 0
	for i, d := range ds {
		again := slices.ContainsFunc(ds[:i], func(e *delivery) bool { return e.Conn == d.Conn })
		if !d.Flagged && (bare > 0 || d.Run != ds[0].Run || again) {
			return false
		}
		if !d.Flagged {
			bare++
		}
	}
	return true
}

// settled checks that nothing is delivered after its settlement, and that nothing vanishes without one.
func (c *checker) settled(m *message, p *Place, all []Event) {
	ds := m.at[p.Name]
	for i, d := range ds {
		how, certain, maybe := d.done()
		if how == Nack {
			certain, maybe = 0, false
		}
		if i == len(ds)-1 {
			switch {
			case !maybe && c.diedUnseen(m, p):
			case !maybe && m.QoS > 0:
				c.violate(Lost, m.Message, p.Name, "delivered, not settled, and gone", all...)
			case maybe && how == Reject:
				c.dead(m, p)
			}
			return
		}
		for _, later := range ds[i+1:] {
			if certain != 0 && later.At > certain {
				c.violate(AfterAck, m.Message, p.Name, fmt.Sprintf("settled since %d", certain), all...)
				return
			}
		}
	}
}

// dead checks that a message that was rejected in p is where the dead letters are, and nowhere else.
func (c *checker) dead(m *message, p *Place) {
	for i := range c.places {
		q := &c.places[i]
		if q.DeadOf != p.Name {
			continue
		}
		c.delivered(m, q, m.QoS > 0)
		here, there := m.at[p.Name], m.at[q.Name]
		if len(here) == 0 || len(there) == 0 {
			continue
		}
		last := here[len(here)-1]
		late := p.Limit > 0 && there[0].Run == last.Run // handed out before, and read when it was dead
		if there[0].At < last.At && there[0].Run <= last.Run && !late {
			c.violate(AfterAck, m.Message, p.Name, "it was a dead letter already", *there[0].Event, *last.Event)
		}
	}
}

// flow is the messages of one publisher in one place.
type flow struct{ place, publisher string }

// last is the highest number of a flow so far.
type last struct {
	before, during *delivery // in earlier processes of the broker; in this one
}

// inOrder checks the order of deliveries that are not flagged: on each connection, and from one process of the broker to
// the next. In one process, two consumers may write down what they get in any order. Where there is a sole consumer,
// those that are flagged are in order as well.
func (c *checker) inOrder() {
	type link struct {
		flow
		conn int
	}
	flows := make(map[flow]*last)
	conns := make(map[link]*delivery)
	for _, d := range c.sorted {
		p := c.byName[d.Place]
		if p == nil || p.Unordered || p.DeadOf != "" || d.Flagged && !p.Sole {
			continue
		}
		f := flow{d.Place, d.Message.Publisher}
		l := link{f, d.Conn}
		before := conns[l]
		if before != nil && before.Message.N > d.Message.N && c.ordered(d, before) {
			c.violate(Disordered, d.Message, d.Place, "on one connection", *before.Event, *d.Event)
		}
		if before == nil || before.Message.N < d.Message.N {
			conns[l] = d
		}
		if d.Flagged {
			continue
		}
		s := flows[f]
		if s == nil {
			s = new(last)
			flows[f] = s
		}
		if s.during != nil && s.during.Run != d.Run {
			s.before, s.during = s.highest(), nil
		}
		if s.before != nil && s.before.Message.N > d.Message.N && c.ordered(d, s.before) {
			c.violate(Disordered, d.Message, d.Place, "since the broker was started anew", *s.before.Event, *d.Event)
		}
		if s.during == nil || s.during.Message.N < d.Message.N {
			s.during = d
		}
	}
}

// ordered says whether the publisher's order of two messages is one for the broker, too: not if it has broken off after
// the first and sent the second on a new connection, without being told what became of the first.
func (c *checker) ordered(first, second *delivery) bool {
	a, b := c.messages[first.Message], c.messages[second.Message]
	return a != nil && b != nil && (a.Conn == b.Conn || a.Run != b.Run || a.confirmed != 0 && a.confirmed < b.At)
}

func (s *last) highest() *delivery {
	if s.before != nil && s.before.Message.N > s.during.Message.N {
		return s.before
	}
	return s.during
}

// register is one topic with a retained message, and a single writer.
type register struct {
	topic  string
	values []write // in order of their numbers, which are from 1
	reads  []Event
}

type write struct {
	Event
	confirmed int
}

// retained notes an event of a register.
func (c *checker) retained(e *Event) {
	r := c.registers[e.Dest]
	if r == nil {
		r = &register{topic: e.Dest}
		c.registers[e.Dest] = r
	}
	switch {
	case e.Kind == Retained:
		r.values = append(r.values, write{Event: *e})
	case e.Kind == Read:
		r.reads = append(r.reads, *e)
	case e.N <= len(r.values):
		r.values[e.N-1].confirmed = e.At
	}
}

// register checks that each read has the last value that was confirmed before it was asked for, or one that was sent
// later, and before the answer.
func (c *checker) register(r *register) {
	for _, read := range r.reads {
		floor, found := 0, read.N == 0
		for _, w := range r.values {
			if w.confirmed != 0 && w.confirmed < read.Delivery {
				floor = w.N
			}
		}
		if read.N == 0 && floor > 0 {
			found = false
		}
		for _, w := range r.values[max(floor-1, 0):] {
			if w.At < read.At && (w.N == read.N && !w.Flagged || read.N == 0 && w.Flagged) {
				found = true
			}
		}
		if !found {
			events := []Event{read}
			if floor > 0 {
				events = []Event{r.values[floor-1].Event, read}
			}
			c.violate(Stale, Message{}, r.topic, fmt.Sprintf("value %d, confirmed is %d", read.N, floor), events...)
		}
	}
}
