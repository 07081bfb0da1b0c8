package crash

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"
)

// publisher publishes by MQTT. With QoS 2 it has a session, and completes after a reconnect what was under way.
type publisher struct {
	title  string
	r      *rand.Rand
	level  byte
	qos    byte
	topics map[string]string // by destination
	dests  []string
	n      int

	mu     sync.Mutex
	open   []*publication // in the order in which they were sent
	lastID uint16
	told   bool // the broker has confirmed something: there must be a session
}

type publication struct {
	packet
	message  Message
	received bool // PUBREC has come
}

func newPublisher(w *world, name string, level, qos byte, dests ...string) *publisher {
	a := &publisher{title: name, r: w.random(name), level: level, qos: qos, dests: dests, topics: make(map[string]string)}
	for _, d := range dests {
		a.topics[d] = topicOf(d)
	}
	return a
}

func (a *publisher) name() string { return a.title }

func (a *publisher) serve(ctx context.Context, l *link) error {
	c, err := dialMQTT(ctx, l.p.addr, login{id: a.title, level: a.level, clean: a.qos < 2})
	if err != nil {
		return err
	}
	a.mu.Lock()
	told := a.told
	if !c.resumed {
		a.open = nil // the outcome stays unknown
	}
	again := append([]*publication(nil), a.open...)
	a.mu.Unlock()
	if a.qos == 2 && told && !c.resumed {
		l.add(Event{Kind: Fault, Text: "the session is lost"})
	}
	room := make(chan struct{}, window)
	for range again {
		room <- struct{}{}
	}
	return both(ctx, c.socket,
		func(context.Context) error { return a.read(c, l, room) },
		func(ctx context.Context) error {
			for _, p := range again {
				if err := a.resend(c, p); err != nil {
					return err
				}
			}
			for {
				select {
				case room <- struct{}{}:
				case <-ctx.Done():
					return context.Cause(ctx)
				}
				if err := a.send(c, l); err != nil {
					return err
				}
				if l.away(a.r) {
					return errAway
				}
				if err := pause(ctx, time.Duration(a.r.IntN(8))*time.Millisecond); err != nil {
					return err
				}
			}
		})
}

// resend goes on with what an earlier connection has begun. [MQTT-4.4.0-1]
func (a *publisher) resend(c *mqtt, p *publication) error {
	a.mu.Lock()
	received := p.received
	a.mu.Unlock()
	if received {
		return c.answer(pPubrel, p.id)
	}
	dup := p.packet
	dup.dup = true
	return c.publish(&dup)
}

// send publishes the next message.
func (a *publisher) send(c *mqtt, l *link) error {
	a.n++
	p := &publication{message: Message{a.title, a.n}}
	dest := a.dests[a.r.IntN(len(a.dests))]
	p.packet = packet{qos: a.qos, topic: a.topics[dest], payload: compose(p.message, a.r)}
	a.mu.Lock()
	a.lastID = a.lastID%60_000 + 1
	p.id = a.lastID
	a.open = append(a.open, p)
	a.mu.Unlock()
	l.add(Event{Kind: Sent, Message: p.message, Dest: dest, QoS: a.qos})
	return c.publish(&p.packet)
}

// read takes the answers.
func (a *publisher) read(c *mqtt, l *link, room <-chan struct{}) error {
	for {
		p, err := c.read()
		if err != nil {
			return err
		}
		if p.kind != pPuback && p.kind != pPubrec && p.kind != pPubcomp {
			return fmt.Errorf("an unexpected packet: %+v", p)
		}
		if err := a.confirmed(c, l, p, room); err != nil {
			return err
		}
	}
}

func (a *publisher) confirmed(c *mqtt, l *link, p *packet, room <-chan struct{}) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	for i, o := range a.open {
		if o.id != p.id {
			continue
		}
		if p.kind != pPubcomp && !o.received {
			l.add(Event{Kind: Confirmed, Message: o.message})
			o.received, a.told = true, true
		}
		if p.kind == pPubrec {
			return c.answer(pPubrel, p.id)
		}
		a.open = append(a.open[:i:i], a.open[i+1:]...)
		<-room
		return nil
	}
	if p.kind == pPubrec {
		return c.answer(pPubrel, p.id)
	}
	return errors.New("an answer to nothing")
}
