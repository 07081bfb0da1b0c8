package load

import "sync"

// maxSeq bounds what a ledger keeps; more in one run comes from a stamp that was damaged.
const maxSeq = 1 << 36

// ledger is what one subscriber has seen of one publisher.
type ledger struct {
	seen        []uint64 // a bit for each message
	next        int64    // after the highest seen
	received    int64    // each counted once
	duplicated  int64    // again, and not flagged as such
	redelivered int64    // again, and flagged
	reordered   int64    // after one that was sent later
}

// record notes that a message has come, and says whether it is new; flagged is asked when it is not.
func (l *ledger) record(seq int64, flagged func() bool) bool {
	word := seq >> 6
	for int64(len(l.seen)) <= word {
		l.seen = append(l.seen, 0)
	}
	bit := uint64(1) << (seq & 63)
	if l.seen[word]&bit != 0 {
		if flagged() {
			l.redelivered++
		} else {
			l.duplicated++
		}
		return false
	}
	l.seen[word] |= bit
	l.received++
	if seq < l.next {
		l.reordered++
		return true
	}
	l.next = seq + 1
	return true
}

// pool is the ledger of competing consumers, who give it what they have received a batch at a time.
type pool struct {
	mu sync.Mutex
	ledger
}

// record notes what a consumer has received and says how many of it are new. The order among consumers means
// nothing: each minds its own.
func (p *pool) record(batch []int64) (fresh int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, seq := range batch {
		flagged := seq < 0
		if flagged {
			seq = ^seq
		}
		if p.ledger.record(seq, func() bool { return flagged }) {
			fresh++
		}
	}
	p.reordered = 0
	return fresh
}
