package crash

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"time"
)

// retainer writes the retained message of a topic, again and again; each seventh time it clears it.
type retainer struct {
	title string
	r     *rand.Rand
	topic string
	n     int
}

func (a *retainer) name() string { return a.title }

// next notes that the next value is about to be sent.
func (a *retainer) next(l *link) (clear bool) {
	a.n++
	clear = a.n%7 == 0
	l.add(Event{Kind: Retained, Dest: a.topic, N: a.n, Flagged: clear})
	return clear
}

func (a *retainer) confirmed(l *link) {
	l.add(Event{Kind: RetainConfirmed, Dest: a.topic, N: a.n})
}

// overSTOMP is a retainer that speaks STOMP.
type overSTOMP struct{ retainer }

func (a *overSTOMP) serve(ctx context.Context, l *link) error {
	c, err := dialSTOMP(ctx, l.p.addr, "")
	if err != nil {
		return err
	}
	defer c.until(ctx)()
	for {
		word, body := "set", []byte(nil)
		if a.next(l) {
			word = "remove"
		} else {
			body = []byte(strconv.Itoa(a.n))
		}
		err := c.send("SEND", body, "destination", destOf(a.topic), "retain", word, "receipt", "r")
		if err != nil {
			return err
		}
		f, err := c.read()
		if err != nil {
			return err
		}
		if f.command != "RECEIPT" {
			return &refusal{f}
		}
		a.confirmed(l)
		if err := pause(ctx, time.Duration(a.r.IntN(20))*time.Millisecond); err != nil {
			return err
		}
	}
}

// overMQTT is a retainer that speaks MQTT.
type overMQTT struct{ retainer }

func (a *overMQTT) serve(ctx context.Context, l *link) error {
	c, err := dialMQTT(ctx, l.p.addr, login{id: a.title, level: 4, clean: true})
	if err != nil {
		return err
	}
	defer c.until(ctx)()
	for {
		p := packet{qos: 1, id: 1, retained: true, topic: a.topic}
		if !a.next(l) {
			p.payload = []byte(strconv.Itoa(a.n))
		}
		if err := c.publish(&p); err != nil {
			return err
		}
		answer, err := c.read()
		if err != nil {
			return err
		}
		if answer.kind != pPuback {
			return fmt.Errorf("an unexpected packet: %+v", answer)
		}
		a.confirmed(l)
		if err := pause(ctx, time.Duration(a.r.IntN(20))*time.Millisecond); err != nil {
			return err
		}
	}
}

// reader asks what is retained, with a new subscription each time.
type reader struct {
	title  string
	r      *rand.Rand
	topics []string // all that begin with retainedLevel
}

func (a *reader) name() string { return a.title }

// read asks again and again.
func (a *reader) read(ctx context.Context, l *link, ask func(context.Context, *link) error) error {
	for {
		if err := ask(ctx, l); err != nil {
			return err
		}
		if l.w.draining.Load() { // once is enough
			select {
			case <-l.p.down:
				return errAway
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		}
		if err := pause(ctx, time.Duration(50+a.r.IntN(150))*time.Millisecond); err != nil {
			return err
		}
	}
}

// values are the latest of the topics that were read: what is retained, or what replaces it meanwhile, which then comes
// alone.
type values map[string]int

func (v values) note(topic string, body []byte) error {
	if topic == mark { // of another reader
		return nil
	}
	if len(body) == 0 { // cleared
		v[topic] = 0
		return nil
	}
	n, err := strconv.Atoi(string(body))
	if err == nil {
		v[topic] = n
		return nil
	}
	return err
}

// marked bounds what is read behind the mark: what replaces a retained message may still be on its way to the disk.
func (a *reader) marked(c *socket, seen values) error {
	wait := 300 * time.Millisecond
	if len(seen) == len(a.topics) {
		wait = 0
	}
	return c.nc.SetReadDeadline(time.Now().Add(wait))
}

// answer notes what was retained when it was asked for.
func (a *reader) answer(l *link, asked int, seen values) {
	for _, t := range a.topics {
		l.add(Event{Kind: Read, Dest: t, N: seen[t], Delivery: asked})
	}
}

// A reader subscribes, and publishes something that comes after everything that is retained.
const mark = retainedLevel + "/mark"

// mqttReader is a reader that speaks MQTT.
type mqttReader struct{ reader }

func (a *mqttReader) serve(ctx context.Context, l *link) error { return a.read(ctx, l, a.ask) }

func (a *mqttReader) ask(ctx context.Context, l *link) error {
	c, err := dialMQTT(ctx, l.p.addr, login{id: a.title, level: 4, clean: true})
	if err != nil {
		return err
	}
	defer c.until(ctx)()
	asked := l.add(Event{Kind: Asked})
	if err := c.subscribe(1, retainedLevel+"/+", 0); err != nil {
		return err
	}
	seen := make(values)
	for {
		p, err := c.read()
		if errors.Is(err, os.ErrDeadlineExceeded) {
			a.answer(l, asked, seen)
			return nil
		}
		if err != nil {
			return err
		}
		switch {
		case p.kind == pSuback:
			if err := c.publish(&packet{topic: mark, payload: []byte(a.title)}); err != nil {
				return err
			}
		case p.kind != pPublish:
			return fmt.Errorf("an unexpected packet: %+v", p)
		case p.topic == mark && string(p.payload) == a.title:
			if err := a.marked(c.socket, seen); err != nil {
				return err
			}
		default:
			if err := seen.note(p.topic, p.payload); err != nil {
				return err
			}
		}
	}
}

// stompReader is a reader that speaks STOMP.
type stompReader struct{ reader }

func (a *stompReader) serve(ctx context.Context, l *link) error { return a.read(ctx, l, a.ask) }

func (a *stompReader) ask(ctx context.Context, l *link) error {
	c, err := dialSTOMP(ctx, l.p.addr, "")
	if err != nil {
		return err
	}
	defer c.until(ctx)()
	asked := l.add(Event{Kind: Asked})
	if err := c.send("SUBSCRIBE", nil, "id", "r", "destination", destOf(retainedLevel+"/*"), "receipt", "r"); err != nil {
		return err
	}
	seen := make(values)
	for {
		f, err := c.read()
		if errors.Is(err, os.ErrDeadlineExceeded) {
			a.answer(l, asked, seen)
			return nil
		}
		if err != nil {
			return err
		}
		dest := f.header["destination"]
		switch {
		case f.command == "RECEIPT":
			if err := c.send("SEND", []byte(a.title), "destination", destOf(mark)); err != nil {
				return err
			}
		case f.command != "MESSAGE":
			return &refusal{f}
		case dest == destOf(mark) && string(f.body) == a.title:
			if err := a.marked(c.socket, seen); err != nil {
				return err
			}
		default:
			if err := seen.note(topicOf(dest), f.body); err != nil {
				return err
			}
		}
	}
}
