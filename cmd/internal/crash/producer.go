package crash

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"
)

// window is how many sends a producer has unconfirmed at most.
const window = 16

// producer sends by STOMP, with and without transactions.
type producer struct {
	title string
	r     *rand.Rand
	dests []string
	n     int // messages
	txs   int
}

func newProducer(w *world, name string, dests ...string) *producer {
	return &producer{title: name, r: w.random(name), dests: dests}
}

func (a *producer) name() string { return a.title }

func (a *producer) serve(ctx context.Context, l *link) error {
	c, err := dialSTOMP(ctx, l.p.addr, "")
	if err != nil {
		return err
	}
	room := make(chan struct{}, window)
	return both(ctx, c.socket,
		func(context.Context) error { return a.read(c, l, room) },
		func(ctx context.Context) error {
			for {
				select {
				case room <- struct{}{}:
				case <-ctx.Done():
					return context.Cause(ctx)
				}
				if err := a.write(c, l, room); err != nil {
					return err
				}
				if l.away(a.r) {
					return errAway
				}
				if err := pause(ctx, time.Duration(a.r.IntN(6))*time.Millisecond); err != nil {
					return err
				}
			}
		})
}

// read takes receipts.
func (a *producer) read(c *stomp, l *link, room <-chan struct{}) error {
	for {
		f, err := c.read()
		if err != nil {
			return err
		}
		kind, id, _ := strings.Cut(f.header["receipt-id"], " ")
		switch {
		case f.command == "RECEIPT" && kind == "tx":
			l.add(Event{Kind: Committed, Tx: id})
		case f.command == "RECEIPT" && kind == "message":
			n, err := strconv.Atoi(id)
			if err != nil {
				return err
			}
			l.add(Event{Kind: Confirmed, Message: Message{a.title, n}})
		default:
			return &refusal{f}
		}
		<-room
	}
}

// write sends a message or a transaction. What is not to be confirmed gives its room back.
func (a *producer) write(c *stomp, l *link, room <-chan struct{}) error {
	switch x := a.r.IntN(100); {
	case x < 20:
		return a.transaction(c, l, room)
	case x < 24:
		<-room
		return a.send(c, l, 0, "", "persistent", "false")
	case x < 28:
		<-room
		return a.send(c, l, 1, "")
	default:
		return a.send(c, l, 1, "", "receipt", "message "+strconv.Itoa(a.n+1))
	}
}

// send sends the next message.
func (a *producer) send(c *stomp, l *link, qos byte, tx string, header ...string) error {
	a.n++
	m := Message{a.title, a.n}
	dest := a.dests[a.r.IntN(len(a.dests))]
	l.add(Event{Kind: Sent, Message: m, Dest: dest, QoS: qos, Tx: tx})
	header = append(header, "destination", dest)
	if dest == later {
		header = append(header, "AMQ_SCHEDULED_DELAY", strconv.Itoa(100+a.r.IntN(900)))
	}
	return c.send("SEND", compose(m, a.r), header...)
}

// transaction sends some messages that belong together, and commits most of the time.
func (a *producer) transaction(c *stomp, l *link, room <-chan struct{}) error {
	a.txs++
	tx := fmt.Sprintf("%s-%d", a.title, a.txs)
	if err := c.send("BEGIN", nil, "transaction", tx); err != nil {
		return err
	}
	for range 2 + a.r.IntN(4) {
		if err := a.send(c, l, 1, tx, "transaction", tx); err != nil {
			return err
		}
	}
	if a.r.IntN(5) == 0 {
		<-room
		return c.send("ABORT", nil, "transaction", tx)
	}
	l.add(Event{Kind: Commit, Tx: tx})
	return c.send("COMMIT", nil, "transaction", tx, "receipt", "tx "+tx)
}
