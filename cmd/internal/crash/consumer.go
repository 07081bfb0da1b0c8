package crash

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
)

// consumer receives from one place by STOMP, and settles what it receives, some of it late.
type consumer struct {
	title    string
	r        *rand.Rand
	place    *Place
	clientID string
	header   []string // of SUBSCRIBE
	style    style
	ready    func() // called when it is subscribed for the first time

	moves int // transactions
	n     int // messages sent by a mover
}

// style is how a consumer settles.
type style uint8

const (
	individual style = iota // one by one: ack, nack, in a transaction, with and without a receipt
	rejecting               // the same, and makes some dead letters
	refusing                // the same, and gives some back, again and again
	cumulative              // all up to one
	moving                  // in a transaction with what it sends on
)

// held is a delivery that is not settled.
type held struct {
	at      int
	ack     string
	message Message
}

// consuming is a consumer on a connection.
type consuming struct {
	*consumer
	c        *stomp
	l        *link
	pending  []held
	receipts map[string][]int // the deliveries whose settlement a receipt confirms
	receipt  int
}

func (a *consumer) name() string { return a.title }

func (a *consumer) serve(ctx context.Context, l *link) error {
	c, err := dialSTOMP(ctx, l.p.addr, a.clientID)
	if err != nil {
		return err
	}
	defer c.until(ctx)()
	mode := "client-individual"
	if a.style == cumulative {
		mode = "client"
	}
	err = c.send("SUBSCRIBE", nil, append([]string{"id", "s", "ack", mode, "receipt", "subscribed", "prefetch-count", "20"}, a.header...)...)
	if err != nil {
		return err
	}
	s := &consuming{consumer: a, c: c, l: l, receipts: make(map[string][]int)}
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

func (s *consuming) handle(f *frame) error {
	switch id := f.header["receipt-id"]; {
	case f.command == "MESSAGE":
		return s.message(f)
	case f.command == "RECEIPT" && id == "subscribed":
		s.ready()
	case f.command == "RECEIPT" && strings.HasPrefix(id, "tx "):
		s.l.add(Event{Kind: Committed, Tx: id[3:]})
	case f.command == "RECEIPT":
		for _, d := range s.receipts[id] {
			s.l.add(Event{Kind: SettleConfirmed, Delivery: d})
		}
		delete(s.receipts, id)
	default:
		return &refusal{f}
	}
	return nil
}

func (s *consuming) message(f *frame) error {
	m, err := parse(f.body)
	if err != nil {
		s.l.add(Event{Kind: Fault, Text: err.Error()})
		return err
	}
	flagged := f.header["redelivered"] == "true"
	at := s.l.add(Event{Kind: Received, Message: m, Place: s.place.Name, Flagged: flagged})
	s.pending = append(s.pending, held{at, f.header["ack"], m})
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

// settle settles some of what is held.
func (s *consuming) settle() error {
	i := s.r.IntN(len(s.pending))
	if s.style == cumulative {
		return s.upTo(i)
	}
	if s.style == moving {
		return s.move(s.pending[:i+1])
	}
	d := s.pending[i]
	calm := s.l.w.draining.Load()
	x := s.r.IntN(100)
	if !calm && x < 10 {
		return s.inTransaction(d, x < 3)
	}
	s.pending = slices.Delete(s.pending, i, i+1)
	how, command, more := Ack, "ACK", []string(nil)
	switch {
	case s.style == rejecting && d.message.N%3 == 0:
		how, command, more = Reject, "NACK", []string{"requeue", "false"}
	case s.style == refusing && d.message.N%3 == 0, !calm && x < 20 && !s.place.Sole:
		how, command = Nack, "NACK"
	}
	if calm || x < 85 {
		more = append(more, "receipt", s.expect(d.at))
	}
	s.l.add(Event{Kind: Settled, Delivery: d.at, How: how})
	return s.c.send(command, nil, append(more, "id", d.ack)...)
}

// expect returns a receipt that will confirm settlements.
func (s *consuming) expect(ds ...int) string {
	s.receipt++
	id := strconv.Itoa(s.receipt)
	s.receipts[id] = ds
	return id
}

// upTo acknowledges everything up to the i-th.
func (s *consuming) upTo(i int) error {
	ack := s.pending[i].ack
	var ds []int
	for _, d := range s.pending[:i+1] {
		ds = append(ds, d.at)
		s.l.add(Event{Kind: Settled, Delivery: d.at})
	}
	s.pending = slices.Delete(s.pending, 0, i+1)
	return s.c.send("ACK", nil, "id", ack, "receipt", s.expect(ds...))
}

// begin begins a transaction.
func (s *consuming) begin() (string, error) {
	s.moves++
	tx := fmt.Sprintf("%s-%d", s.title, s.moves)
	return tx, s.c.send("BEGIN", nil, "transaction", tx)
}

// inTransaction acknowledges one in a transaction, which is committed or not.
func (s *consuming) inTransaction(d held, abort bool) error {
	tx, err := s.begin()
	if err != nil {
		return err
	}
	if err := s.ackIn(tx, d); err != nil {
		return err
	}
	return s.end(tx, abort, d)
}

func (s *consuming) ackIn(tx string, d held) error {
	s.l.add(Event{Kind: Settled, Delivery: d.at, Tx: tx})
	return s.c.send("ACK", nil, "id", d.ack, "transaction", tx)
}

// end commits or aborts a transaction that acknowledges ds.
func (s *consuming) end(tx string, abort bool, ds ...held) error {
	if abort {
		return s.c.send("ABORT", nil, "transaction", tx)
	}
	s.pending = slices.DeleteFunc(s.pending, func(p held) bool { return slices.Contains(ds, p) })
	s.l.add(Event{Kind: Commit, Tx: tx})
	return s.c.send("COMMIT", nil, "transaction", tx, "receipt", "tx "+tx)
}

// move acknowledges ds and sends two messages for each, in one transaction.
func (s *consuming) move(ds []held) error {
	tx, err := s.begin()
	if err != nil {
		return err
	}
	ds = slices.Clone(ds)
	for _, d := range ds {
		if err := s.ackIn(tx, d); err != nil {
			return err
		}
		for _, dest := range []string{out, news} {
			s.n++
			m := Message{s.title, s.n}
			s.l.add(Event{Kind: Sent, Message: m, Dest: dest, QoS: 1, Tx: tx})
			if err := s.c.send("SEND", compose(m, s.r), "destination", dest, "transaction", tx); err != nil {
				return err
			}
		}
	}
	return s.end(tx, !s.l.w.draining.Load() && s.r.IntN(6) == 0, ds...)
}
