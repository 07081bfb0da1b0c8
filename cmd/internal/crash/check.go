package crash

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Place is where messages wait for consumers: a queue, a durable subscription, a session, a group.
type Place struct {
	Name string
	// From is the destination whose messages come here.
	From string
	// DeadOf names the place whose rejected messages come here, instead of From.
	DeadOf string
	// Limit is after how many failed deliveries a message becomes a dead letter; 0: never.
	Limit int
	// QoS 2 makes messages of QoS 2 come exactly once.
	QoS byte
	// Unordered: the order is of no matter, as that of delayed messages.
	Unordered bool
	// Sole: there is one consumer, known by its client id, which gives nothing back: all that comes on one connection is in
	// order.
	Sole bool
}

// Rule is what is violated.
type Rule string

// The rules.
const (
	Lost       Rule = "lost"
	Unflagged  Rule = "second delivery not flagged"
	AfterAck   Rule = "delivered after its settlement was confirmed"
	Disordered Rule = "out of order"
	Torn       Rule = "transaction torn"
	Undone     Rule = "delivered though its transaction did not happen"
	Overdone   Rule = "delivered more often than its queue permits"
	Stale      Rule = "retained is not the last confirmed"
	Twice      Rule = "exactly once was not"
	Ghost      Rule = "nobody has sent this here"
	Faulty     Rule = "fault"
)

// Violation is a promise that was broken.
type Violation struct {
	Rule    Rule
	Message Message
	Place   string
	Text    string
	Events  []Event // what it shows in
}

func (v Violation) String() string {
	var b strings.Builder
	b.WriteString(string(v.Rule))
	if v.Message.N != 0 {
		fmt.Fprintf(&b, ": %v", v.Message)
	}
	if v.Place != "" {
		fmt.Fprintf(&b, " in %s", v.Place)
	}
	if v.Text != "" {
		fmt.Fprintf(&b, ": %s", v.Text)
	}
	for i := range v.Events {
		fmt.Fprintf(&b, "\n\t%s", v.Events[i].String())
	}
	return b.String()
}

// settlement is one attempt to settle a delivery.
type settlement struct {
	*Event
	confirmed int // At; 0: nobody has said so
	tx        *transaction
}

// delivery is one Received.
type delivery struct {
	*Event
	settled []*settlement
}

// transaction is what belongs to one. Its outcome is known in the end.
type transaction struct {
	name      string
	sends     []*message
	commit    int // At; 0: it was never asked for
	confirmed bool
	outcome   outcome
}

type outcome uint8

const (
	unknown outcome = iota // either
	happened
	failed // it did not happen
)

// message is one that was sent.
type message struct {
	*Event
	confirmed int
	tx        *transaction
	at        map[string][]*delivery // by place, by run and time
}

// checker has sorted a history.
type checker struct {
	places     []Place
	byName     map[string]*Place
	messages   map[Message]*message
	order      []*message // as they were sent
	deliveries map[int]*delivery
	sorted     []*delivery // by run and time
	txs        map[string]*transaction
	registers  map[string]*register
	violations []Violation
}

// Check judges a history that is over: everything was given the time to be delivered and settled.
func Check(places []Place, events []Event) []Violation {
	c := &checker{
		places: places, byName: make(map[string]*Place), messages: make(map[Message]*message),
		deliveries: make(map[int]*delivery), txs: make(map[string]*transaction), registers: make(map[string]*register),
	}
	for i := range places {
		c.byName[places[i].Name] = &places[i]
	}
	for i := range events {
		c.take(&events[i])
	}
	slices.SortStableFunc(c.sorted, func(a, b *delivery) int { return cmp.Or(cmp.Compare(a.Run, b.Run), cmp.Compare(a.At, b.At)) })
	for _, d := range c.sorted {
		c.place(d)
	}
	for _, name := range slices.Sorted(maps.Keys(c.txs)) {
		c.decide(c.txs[name])
	}
	for _, m := range c.order {
		c.message(m)
	}
	c.inOrder()
	for _, topic := range slices.Sorted(maps.Keys(c.registers)) {
		c.register(c.registers[topic])
	}
	return c.violations
}

func (c *checker) violate(rule Rule, m Message, place, text string, events ...Event) {
	c.violations = append(c.violations, Violation{Rule: rule, Message: m, Place: place, Text: text, Events: events})
}

// take notes an event.
func (c *checker) take(e *Event) {
	switch e.Kind {
	case Sent:
		m := &message{Event: e, tx: c.tx(e.Tx), at: make(map[string][]*delivery)}
		c.messages[e.Message] = m
		c.order = append(c.order, m)
		if m.tx != nil {
			m.tx.sends = append(m.tx.sends, m)
		}
	case Confirmed:
		if m := c.messages[e.Message]; m != nil && m.confirmed == 0 {
			m.confirmed = e.At
		}
	case Received:
		d := &delivery{Event: e}
		c.deliveries[e.At] = d
		c.sorted = append(c.sorted, d)
	case Settled:
		if d := c.deliveries[e.Delivery]; d != nil {
			d.settled = append(d.settled, &settlement{Event: e, tx: c.tx(e.Tx)})
		}
	case SettleConfirmed:
		if d := c.deliveries[e.Delivery]; d != nil && len(d.settled) > 0 {
			s := d.settled[len(d.settled)-1]
			s.confirmed = cmp.Or(s.confirmed, e.At)
		}
	case Commit:
		c.tx(e.Tx).commit = e.At
	case Committed:
		c.tx(e.Tx).confirmed = true
	case Retained, RetainConfirmed, Read:
		c.retained(e)
	case Fault:
		c.violate(Faulty, Message{}, "", e.Text, *e)
	case Asked, Killed:
	}
}

func (c *checker) tx(name string) *transaction {
	if name == "" {
		return nil
	}
	t := c.txs[name]
	if t == nil {
		t = &transaction{name: name}
		c.txs[name] = t
	}
	return t
}

// place files a delivery under its message, if it belongs there.
func (c *checker) place(d *delivery) {
	m, p := c.messages[d.Message], c.byName[d.Place]
	switch {
	case m == nil || p == nil:
		c.violate(Ghost, d.Message, d.Place, "", *d.Event)
		return
	case p.DeadOf != "":
		if source := c.byName[p.DeadOf]; source == nil || source.From != m.Dest || source.Limit == 0 && !m.rejected(p.DeadOf) {
			c.violate(Ghost, d.Message, d.Place, "nobody has rejected it", *m.Event, *d.Event)
		}
	case p.From != m.Dest:
		c.violate(Ghost, d.Message, d.Place, "", *m.Event, *d.Event)
	}
	m.at[d.Place] = append(m.at[d.Place], d)
}

// rejected says whether somebody has tried to reject a delivery of m.
func (m *message) rejected(place string) bool {
	return slices.ContainsFunc(m.at[place], func(d *delivery) bool {
		return slices.ContainsFunc(d.settled, func(s *settlement) bool { return s.How == Reject })
	})
}

// decide finds out whether a transaction has happened: if nobody was told, its sends show it.
func (c *checker) decide(t *transaction) {
	var seen, unseen *message
	for _, m := range t.sends {
		if len(m.at) > 0 {
			seen = m
		} else if m.QoS > 0 {
			unseen = m
		}
	}
	switch {
	case t.commit == 0:
		t.outcome = failed
	case t.confirmed:
		t.outcome = happened
	case seen != nil:
		t.outcome = happened
		if unseen != nil {
			c.violate(Torn, unseen.Message, "", fmt.Sprintf("%v of the same transaction was delivered", seen.Message),
				*seen.Event, *seen.first().Event, *unseen.Event)
		}
	case unseen != nil:
		t.outcome = failed
	}
}

// first returns a delivery.
func (m *message) first() *delivery {
	var first *delivery
	for _, ds := range m.at {
		if first == nil || ds[0].At < first.At {
			first = ds[0]
		}
	}
	return first
}

// done returns what has become of a delivery, as far as clients know: whether it is certain, and since when; or whether
// it may be.
func (d *delivery) done() (how Outcome, certain int, maybe bool) {
	for _, s := range d.settled {
		switch {
		case s.tx != nil && s.tx.outcome == happened:
			return s.How, s.tx.commit, true
		case s.tx != nil && s.tx.outcome == failed:
		case s.tx == nil && s.confirmed != 0:
			return s.How, s.confirmed, true
		default:
			how, maybe = s.How, true
		}
	}
	return how, 0, maybe
}
