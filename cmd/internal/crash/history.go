package crash

import (
	"bufio"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
)

// Message names a message: publishers number theirs from 1.
type Message struct {
	Publisher string
	N         int
}

func (m Message) String() string { return fmt.Sprintf("%s/%d", m.Publisher, m.N) }

// Kind says what happened.
type Kind uint8

// What happens to clients.
const (
	Sent            Kind = iota + 1 // Message is about to be written: to Dest, with QoS, in Tx
	Confirmed                       // its RECEIPT, PUBACK or PUBREC has come
	Received                        // Message has come from Place; Flagged and Repeat as the client sees it
	Settled                         // an acknowledgement of Delivery is about to be written: How, in Tx
	SettleConfirmed                 // its RECEIPT has come, or PUBREL
	Commit                          // COMMIT of Tx is about to be written
	Committed                       // its RECEIPT has come
	Retained                        // the N-th value of the topic Dest is about to be written; Flagged: it clears
	RetainConfirmed                 // its RECEIPT or PUBACK has come
	Asked                           // what is retained is about to be asked for
	Read                            // the answer to Delivery: Dest has the N-th value; 0: none
	Fault                           // Text says what a client finds wrong by itself
	Killed                          // the broker is about to be killed, or stopped
)

var kinds = [...]string{
	"", "sends", "is confirmed", "receives", "settles", "is confirmed its settlement", "commits", "is confirmed",
	"retains", "is confirmed", "asks", "reads", "finds fault:", "is killed",
}

// Outcome says how a delivery is settled.
type Outcome uint8

// The ways.
const (
	Ack    Outcome = iota
	Nack           // to be delivered again
	Reject         // to become a dead letter
)

func (o Outcome) String() string { return [...]string{"ack", "nack", "reject"}[o] }

// Event is one line of a history. Which fields count depends on the kind.
type Event struct {
	At       int // its place in the history, from 1
	Kind     Kind
	Client   string
	Conn     int // the client's connection, numbered over all clients
	Run      int // the process of the broker that the connection goes to, from 1
	Message  Message
	Dest     string
	Place    string
	QoS      byte // 0: may be lost, 1: at least once, 2: exactly once
	Delivery int  // Settled, SettleConfirmed: At of Received; Read: At of Asked
	How      Outcome
	Flagged  bool
	Repeat   bool // Received: the client knows this packet, and does not hand it on
	Tx       string
	N        int
	Text     string
}

func (e *Event) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%7d run %d conn %d %s %s", e.At, e.Run, e.Conn, e.Client, kinds[e.Kind])
	for _, f := range []struct {
		show   bool
		format string
		value  any
	}{
		{e.Message.N != 0, " %v", e.Message},
		{e.Delivery != 0, " of %d", e.Delivery},
		{e.Kind == Settled, " %v", e.How},
		{e.Dest != "", " %s", e.Dest},
		{e.Kind == Sent, " qos %d", e.QoS},
		{e.Place != "", " from %s", e.Place},
		{e.N != 0 || e.Kind == Read, " value %d", e.N},
		{e.Tx != "", " in %s", e.Tx},
		{e.Flagged, "%s", " flagged"},
		{e.Repeat, "%s", " repeat"},
		{e.Text != "", " %s", e.Text},
	} {
		if f.show {
			fmt.Fprintf(&b, f.format, f.value)
		}
	}
	return b.String()
}

// History is what all clients have seen, in the order in which they saw it. It may be written by several goroutines.
type History struct {
	mu     sync.Mutex
	chunks [][]Event // all but the last are full: a long history is not copied to grow
	n      int
}

const chunk = 8192

// Add appends an event and returns its place.
func (h *History) Add(e Event) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.n%chunk == 0 {
		h.chunks = append(h.chunks, make([]Event, 0, chunk))
	}
	h.n++
	e.At = h.n
	last := &h.chunks[len(h.chunks)-1]
	*last = append(*last, e)
	return e.At
}

// Len returns the number of events.
func (h *History) Len() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.n
}

// Events returns a copy of what there is so far.
func (h *History) Events() []Event {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Concat(h.chunks...)
}

// WriteTo writes the history as text, an event per line.
func (h *History) WriteTo(w io.Writer) (n int64, err error) {
	b := bufio.NewWriter(w)
	for _, e := range h.Events() {
		m, _ := fmt.Fprintln(b, e.String()) // Flush tells
		n += int64(m)
	}
	return n, b.Flush()
}
