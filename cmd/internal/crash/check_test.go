package crash_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/wyemq/wye/cmd/internal/crash"
)

// The places of the histories below.
var places = []crash.Place{
	{Name: "work", From: "queue"},
	{Name: "dead", DeadOf: "work"},
	{Name: "one", From: "topic", Sole: true},
	{Name: "exact", From: "topic", QoS: 2},
	{Name: "poison", From: "poison", Limit: 2},
	{Name: "poisoned", DeadOf: "poison"},
	{Name: "later", From: "later", Unordered: true},
}

// story writes a history.
type story struct {
	h    crash.History
	conn int
	run  int
}

func (s *story) add(e crash.Event) int {
	e.Conn, e.Run = s.conn, s.run
	return s.h.Add(e)
}

func message(n int) crash.Message { return crash.Message{Publisher: "p", N: n} }

func (s *story) send(n int, dest, tx string) {
	s.add(crash.Event{Kind: crash.Sent, Message: message(n), Dest: dest, QoS: 1, Tx: tx})
}

// sent is send with its confirmation.
func (s *story) sent(n int, dest string) {
	s.send(n, dest, "")
	s.add(crash.Event{Kind: crash.Confirmed, Message: message(n)})
}

func (s *story) sentTwo(n int, dest string) {
	s.add(crash.Event{Kind: crash.Sent, Message: message(n), Dest: dest, QoS: 2})
	s.add(crash.Event{Kind: crash.Confirmed, Message: message(n)})
}

func (s *story) get(n int, place string) int {
	return s.add(crash.Event{Kind: crash.Received, Message: message(n), Place: place})
}

func (s *story) again(n int, place string) int {
	return s.add(crash.Event{Kind: crash.Received, Message: message(n), Place: place, Flagged: true})
}

func (s *story) settle(d int, how crash.Outcome, tx string) {
	s.add(crash.Event{Kind: crash.Settled, Delivery: d, How: how, Tx: tx})
}

// ack is an acknowledgement that is confirmed.
func (s *story) ack(d int) {
	s.settle(d, crash.Ack, "")
	s.add(crash.Event{Kind: crash.SettleConfirmed, Delivery: d})
}

// nack is a refusal that is confirmed.
func (s *story) nack(d int) {
	s.settle(d, crash.Nack, "")
	s.add(crash.Event{Kind: crash.SettleConfirmed, Delivery: d})
}

func (s *story) commit(tx string, told bool) {
	s.add(crash.Event{Kind: crash.Commit, Tx: tx})
	if told {
		s.add(crash.Event{Kind: crash.Committed, Tx: tx})
	}
}

func (s *story) retain(n int, clears, told bool) {
	s.add(crash.Event{Kind: crash.Retained, Dest: "r", N: n, Flagged: clears})
	if told {
		s.add(crash.Event{Kind: crash.RetainConfirmed, Dest: "r", N: n})
	}
}

func (s *story) read(n int) {
	at := s.add(crash.Event{Kind: crash.Asked})
	s.add(crash.Event{Kind: crash.Read, Dest: "r", N: n, Delivery: at})
}

// kill begins the next process of the broker, and the client's next connection.
func (s *story) kill() {
	s.add(crash.Event{Kind: crash.Killed})
	s.run++
	s.conn++
}

// TestCheck holds the checker to what is a violation and what is none, rule by rule.
func TestCheck(t *testing.T) {
	for _, c := range []struct {
		name string
		tell func(s *story)
		want []crash.Rule
	}{
		{"delivered and acknowledged", func(s *story) { s.sent(1, "queue"); s.ack(s.get(1, "work")) }, nil},
		{"never delivered", func(s *story) { s.sent(1, "queue") }, []crash.Rule{crash.Lost}},
		{"never confirmed", func(s *story) { s.send(1, "queue", "") }, nil},
		{"in one of two places", func(s *story) { s.sent(1, "topic"); s.ack(s.get(1, "one")) }, []crash.Rule{crash.Lost}},
		{"handed out and gone", func(s *story) { s.sent(1, "queue"); s.get(1, "work"); s.kill() }, []crash.Rule{crash.Lost}},
		{"handed out, gone, never confirmed", func(s *story) { s.send(1, "queue", ""); s.get(1, "work") }, []crash.Rule{crash.Lost}},
		{"acknowledged, nobody knows", func(s *story) { s.sent(1, "queue"); s.settle(s.get(1, "work"), crash.Ack, "") }, nil},
		{"not persistent", func(s *story) {
			s.add(crash.Event{Kind: crash.Sent, Message: message(1), Dest: "queue"})
			s.add(crash.Event{Kind: crash.Confirmed, Message: message(1)})
			s.get(1, "work")
		}, nil},
		{"given back and gone", func(s *story) {
			s.sent(1, "queue")
			s.settle(s.get(1, "work"), crash.Nack, "")
		}, []crash.Rule{crash.Lost}},
		{"given back", func(s *story) {
			s.sent(1, "queue")
			s.settle(s.get(1, "work"), crash.Nack, "")
			s.ack(s.again(1, "work"))
		}, nil},
		{"again, flagged", func(s *story) {
			s.sent(1, "queue")
			s.get(1, "work")
			s.kill()
			s.ack(s.again(1, "work"))
		}, nil},
		{"again, not flagged", func(s *story) {
			s.sent(1, "queue")
			s.get(1, "work")
			s.kill()
			s.ack(s.get(1, "work"))
		}, []crash.Rule{crash.Unflagged}},
		{"again, not flagged, on one connection", func(s *story) {
			s.sent(1, "queue")
			s.settle(s.again(1, "work"), crash.Nack, "")
			s.ack(s.get(1, "work"))
		}, []crash.Rule{crash.Unflagged}},
		{"again, not flagged, on two connections", func(s *story) {
			s.sent(1, "queue")
			s.settle(s.get(1, "work"), crash.Nack, "")
			s.conn++
			s.ack(s.get(1, "work"))
		}, []crash.Rule{crash.Unflagged}},
		{"what was first is read last", func(s *story) {
			s.sent(1, "queue")
			s.again(1, "work")
			s.conn++
			s.ack(s.get(1, "work"))
		}, nil},
		{"first of the new process is read before the last of the old", func(s *story) {
			s.sent(1, "queue")
			d := s.add(crash.Event{Kind: crash.Received, Message: message(1), Place: "work", Flagged: true})
			s.ack(d)
			s.run--
			s.get(1, "work")
		}, nil},
		{"after a confirmed ack", func(s *story) {
			s.sent(1, "queue")
			s.ack(s.get(1, "work"))
			s.kill()
			s.ack(s.again(1, "work"))
		}, []crash.Rule{crash.AfterAck}},
		{"after an ack that was not confirmed", func(s *story) {
			s.sent(1, "queue")
			s.settle(s.get(1, "work"), crash.Ack, "")
			s.kill()
			s.ack(s.again(1, "work"))
		}, nil},
		{"out of order", func(s *story) {
			s.sent(1, "queue")
			s.sent(2, "queue")
			s.ack(s.get(2, "work"))
			s.ack(s.get(1, "work"))
		}, []crash.Rule{crash.Disordered}},
		{"out of order, sent on two connections", func(s *story) {
			s.send(1, "queue", "")
			s.conn++
			s.sent(2, "queue")
			s.ack(s.get(2, "work"))
			s.ack(s.get(1, "work"))
		}, nil},
		{"out of order, sent on two connections, the first confirmed", func(s *story) {
			s.sent(1, "queue")
			s.conn++
			s.sent(2, "queue")
			s.ack(s.get(2, "work"))
			s.ack(s.get(1, "work"))
		}, []crash.Rule{crash.Disordered}},
		{"out of order over a restart", func(s *story) {
			s.sent(1, "queue")
			s.sent(2, "queue")
			s.ack(s.get(2, "work"))
			s.kill()
			s.ack(s.get(1, "work"))
		}, []crash.Rule{crash.Disordered}},
		{"two consumers", func(s *story) {
			s.sent(1, "queue")
			s.sent(2, "queue")
			s.ack(s.get(2, "work"))
			s.conn++
			s.ack(s.get(1, "work"))
		}, nil},
		{"redelivered before what is new", func(s *story) {
			s.sent(1, "queue")
			s.sent(2, "queue")
			s.ack(s.get(2, "work"))
			s.kill()
			s.ack(s.again(1, "work"))
		}, nil},
		{"redelivered out of order to the only consumer", func(s *story) {
			s.send(1, "topic", "")
			s.send(2, "topic", "")
			s.ack(s.again(2, "one"))
			s.ack(s.again(1, "one"))
		}, []crash.Rule{crash.Disordered}},
		{"delayed", func(s *story) {
			s.sent(1, "later")
			s.sent(2, "later")
			s.ack(s.get(2, "later"))
			s.ack(s.get(1, "later"))
		}, nil},
		{"committed", func(s *story) {
			s.send(1, "queue", "t")
			s.commit("t", true)
			s.ack(s.get(1, "work"))
		}, nil},
		{"committed and lost", func(s *story) { s.send(1, "queue", "t"); s.commit("t", true) }, []crash.Rule{crash.Lost}},
		{"never committed", func(s *story) { s.send(1, "queue", "t"); s.get(1, "work") }, []crash.Rule{crash.Undone}},
		{"half of a transaction", func(s *story) {
			s.send(1, "queue", "t")
			s.send(2, "queue", "t")
			s.commit("t", false)
			s.ack(s.get(2, "work"))
		}, []crash.Rule{crash.Torn, crash.Lost}},
		{"none of a transaction", func(s *story) {
			s.send(1, "queue", "t")
			s.send(2, "queue", "t")
			s.commit("t", false)
		}, nil},
		{"the sends of a transaction, not its ack", func(s *story) {
			s.sent(1, "queue")
			s.settle(s.get(1, "work"), crash.Ack, "t")
			s.send(2, "queue", "t")
			s.commit("t", false)
			s.kill()
			s.ack(s.again(1, "work"))
			s.ack(s.get(2, "work"))
		}, []crash.Rule{crash.AfterAck}},
		{"the ack of a transaction, not its sends", func(s *story) {
			s.sent(1, "queue")
			s.settle(s.get(1, "work"), crash.Ack, "t")
			s.send(2, "queue", "t")
			s.commit("t", false)
		}, []crash.Rule{crash.Lost}},
		{"an ack in a transaction without sends", func(s *story) {
			s.sent(1, "queue")
			s.settle(s.get(1, "work"), crash.Ack, "t")
			s.commit("t", false)
		}, nil},
		{"acknowledged after an abort", func(s *story) {
			s.sent(1, "queue")
			d := s.get(1, "work")
			s.settle(d, crash.Ack, "t")
			s.ack(d)
		}, nil},
		{"rejected", func(s *story) {
			s.sent(1, "queue")
			s.settle(s.get(1, "work"), crash.Reject, "")
			s.ack(s.get(1, "dead"))
		}, nil},
		{"rejected and gone", func(s *story) {
			s.sent(1, "queue")
			s.settle(s.get(1, "work"), crash.Reject, "")
		}, []crash.Rule{crash.Lost}},
		{"dead, and alive again", func(s *story) {
			s.sent(1, "queue")
			s.settle(s.get(1, "work"), crash.Reject, "")
			s.ack(s.get(1, "dead"))
			s.kill()
			s.settle(s.again(1, "work"), crash.Reject, "")
		}, []crash.Rule{crash.AfterAck}},
		{"dead without being rejected", func(s *story) {
			s.sent(1, "queue")
			s.ack(s.get(1, "work"))
			s.ack(s.get(1, "dead"))
		}, []crash.Rule{crash.Ghost}},
		{"failed twice, which is the limit", func(s *story) {
			s.sent(1, "poison")
			s.nack(s.get(1, "poison"))
			s.nack(s.again(1, "poison"))
			s.ack(s.get(1, "poisoned"))
		}, nil},
		{"failed twice and gone", func(s *story) {
			s.sent(1, "poison")
			s.nack(s.get(1, "poison"))
			s.nack(s.again(1, "poison"))
		}, []crash.Rule{crash.Lost}},
		{"failed twice, and again", func(s *story) {
			s.sent(1, "poison")
			s.nack(s.get(1, "poison"))
			s.nack(s.again(1, "poison"))
			s.kill()
			s.ack(s.again(1, "poison"))
		}, []crash.Rule{crash.Overdone}},
		{"dead by crashes, one delivery was never seen", func(s *story) {
			s.sent(1, "poison")
			s.get(1, "poison")
			s.kill()
			s.ack(s.get(1, "poisoned"))
		}, nil},
		{"not from there", func(s *story) {
			s.sent(1, "queue")
			s.ack(s.get(1, "work"))
			s.ack(s.get(1, "later"))
		}, []crash.Rule{crash.Ghost}},
		{"from nobody", func(s *story) { s.ack(s.get(1, "work")) }, []crash.Rule{crash.Ghost}},
		{"exactly once", func(s *story) {
			s.sentTwo(1, "topic")
			s.ack(s.get(1, "one"))
			s.settle(s.get(1, "exact"), crash.Ack, "")
			s.kill()
			s.ack(s.add(crash.Event{Kind: crash.Received, Message: message(1), Place: "exact", Flagged: true, Repeat: true}))
		}, nil},
		{"exactly twice", func(s *story) {
			s.sentTwo(1, "topic")
			s.ack(s.get(1, "one"))
			s.settle(s.get(1, "exact"), crash.Ack, "")
			s.kill()
			s.ack(s.again(1, "exact"))
		}, []crash.Rule{crash.Twice}},
		{"retained", func(s *story) { s.retain(1, false, true); s.read(1) }, nil},
		{"retained is lost", func(s *story) { s.retain(1, false, true); s.read(0) }, []crash.Rule{crash.Stale}},
		{"retained is old", func(s *story) { s.retain(1, false, true); s.retain(2, false, true); s.read(1) }, []crash.Rule{crash.Stale}},
		{"retained may be new", func(s *story) {
			s.retain(1, false, true)
			s.retain(2, false, false)
			s.read(1)
			s.read(2)
		}, nil},
		{"cleared", func(s *story) { s.retain(1, false, true); s.retain(2, true, true); s.read(0) }, nil},
		{"cleared, and back", func(s *story) { s.retain(1, false, true); s.retain(2, true, true); s.read(1) }, []crash.Rule{crash.Stale}},
		{"a fault", func(s *story) { s.add(crash.Event{Kind: crash.Fault, Text: "no session"}) }, []crash.Rule{crash.Faulty}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := &story{conn: 1, run: 1}
			c.tell(s)
			var got []crash.Rule
			for _, v := range crash.Check(places, s.h.Events()) {
				got = append(got, v.Rule)
			}
			if !slices.Equal(got, c.want) {
				var text strings.Builder
				_, _ = s.h.WriteTo(&text)
				t.Errorf("violated: %q, want %q; the history:\n%s", got, c.want, text.String())
			}
		})
	}
}
