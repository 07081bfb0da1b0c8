package stomp

import (
	"context"

	"github.com/wyemq/wye/core"
	"github.com/wyemq/wye/protocols/stomp/frame"
)

// Place is a destination as Read sees it.
type Place struct {
	Name, Group string
	Exists      bool
	p           place
}

// Read reads a destination header as a listener of this dialect does.
func Read(d Dialect, defaultKind, text string, filter bool) ([]Place, error) {
	r := reader{dialect: d, defaultKind: defaultKind, temp: func(name string) string { return "temp/TOKEN/" + name }}
	list, err := r.all(text, filter, "")
	var all []Place
	for _, p := range list {
		all = append(all, Place{p.name, p.group, p.exists, p})
	}
	return all, err
}

// Print writes a canonical name as a subscriber who wrote text sees it.
func Print(d Dialect, defaultKind, name string, to Place) string {
	r := reader{dialect: d, defaultKind: defaultKind}
	return string(r.append(nil, name, to.p.spelling))
}

// Deliverer returns what delivers a message to a subscription on c.
func Deliverer(v frame.Version, c core.Conn, text string, ack core.AckMode) func(m *core.Message, tag uint64) error {
	s := &session{p: &Protocol{cfg: DefaultConfig()}, conn: c, kind: core.Text, version: v, acks: "x-"}
	s.reader.dialect = Auto
	places, err := s.reader.all(text, true, "")
	if err != nil {
		panic(err)
	}
	sub := &subscription{id: "sub-0", mode: ack}
	t := s.target(sub, &places[0])
	sub.targets = []*target{t}
	ds := make([]core.Delivery, 1)
	return func(m *core.Message, tag uint64) error {
		ds[0] = core.Delivery{Message: m, Sub: &t.Subscription, Tag: tag, Attempt: 1}
		return s.deliver(ds)
	}
}

// Feeder returns what a logged-in session does with octets.
func Feeder(p *Protocol, c core.Conn) (feed func([]byte) error, end func()) {
	s := newSession(context.Background(), p, c)
	return s.feed, func() { s.end(nil) }
}
