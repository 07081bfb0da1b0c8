package crash

import "fmt"

// Tally counts what a history has in it, to show that a run was worth something.
type Tally struct {
	Killed                       int // processes of the broker
	Sent, Confirmed, Unconfirmed int // messages; the unconfirmed without those in transactions
	Survived                     int // of the unconfirmed, those that were delivered all the same
	Received, Flagged, Repeated  int // deliveries
	Acked, Nacked, Rejected      int
	SettlesConfirmed             int
	Committed, Undecided, Undone int // transactions: confirmed; nobody was told; never asked for
	Retained, Read               int
}

func (t Tally) String() string {
	type plain Tally // without this method
	return fmt.Sprintf("%+v", plain(t))
}

// Count counts.
func Count(events []Event) (t Tally) {
	unconfirmed := make(map[Message]bool)
	survived := make(map[Message]bool)
	txs := make(map[string]Kind)
	for i := range events {
		switch e := &events[i]; e.Kind {
		case Sent:
			t.Sent++
			if e.Tx == "" {
				unconfirmed[e.Message] = true
			} else {
				txs[e.Tx] = Sent
			}
		case Confirmed:
			t.Confirmed++
			delete(unconfirmed, e.Message)
		case Received:
			t.received(e)
			survived[e.Message] = true
		case Settled:
			t.settled(e)
			if e.Tx != "" {
				txs[e.Tx] = Settled
			}
		case SettleConfirmed:
			t.SettlesConfirmed++
		case Commit, Committed:
			txs[e.Tx] = e.Kind
		case Retained:
			t.Retained++
		case Read:
			t.Read++
		case Killed:
			t.Killed++
		case RetainConfirmed, Asked, Fault:
		}
	}
	t.Unconfirmed = len(unconfirmed)
	for m := range unconfirmed {
		if survived[m] {
			t.Survived++
		}
	}
	for _, last := range txs {
		switch last {
		case Committed:
			t.Committed++
		case Commit:
			t.Undecided++
		default:
			t.Undone++
		}
	}
	return t
}

func (t *Tally) received(e *Event) {
	t.Received++
	if e.Flagged {
		t.Flagged++
	}
	if e.Repeat {
		t.Repeated++
	}
}

func (t *Tally) settled(e *Event) {
	switch e.How {
	case Ack:
		t.Acked++
	case Nack:
		t.Nacked++
	case Reject:
		t.Rejected++
	}
}
