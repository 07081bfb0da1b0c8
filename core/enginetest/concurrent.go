package enginetest

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/wyemq/wye/core/engine"
)

// concurrent lets producers append, an owner read and settle, and another goroutine settle what Browse shows, all in
// one log. Each record is given once at most, and not after it was settled.
func concurrent(t testing.TB, e engine.Engine) {
	const producers, each = 4, 500
	l, ready := open(t, e, "q", engine.LogOptions{Lanes: true})
	var wg sync.WaitGroup
	for p := range producers {
		wg.Go(func() {
			for i := range each {
				op := appends("q", fmt.Sprintf("%d-%d!%d%0300d", p, i, p%2*5, i))[0]
				if i%2 == 0 { // another log has the same body, and loses it first or last
					op.Logs = append(op.Logs, "other")
				}
				e.Commit(&engine.Batch{Ops: []engine.Op{op}, Relaxed: i%3 == 0}, nil)
			}
		})
	}
	s := &swept{gone: make(map[engine.Seq]bool)}
	stop := make(chan struct{})
	var sweeper sync.WaitGroup
	sweeper.Go(func() { s.sweep(t, e, l, stop) })
	given := make(map[engine.Seq]bool)
	for fine := true; fine && len(given)+s.others(given) < producers*each; {
		before := s.known()
		recs := next(t, l, 64)
		if len(recs) == 0 {
			select {
			case <-ready:
			case <-s.changed():
			case <-time.After(patience):
				t.Errorf("%d given and %d settled of %d, nothing more comes", len(given), s.others(given), producers*each)
				fine = false
			}
			continue
		}
		op := engine.Op{Kind: engine.Settle, Log: l}
		for _, r := range recs {
			if given[r.Seq] || before[r.Seq] {
				t.Errorf("record %d was given or settled before", r.Seq)
				fine = false
			}
			given[r.Seq] = true
			op.Seqs = append(op.Seqs, r.Seq)
		}
		e.Commit(&engine.Batch{Ops: []engine.Op{op}, Relaxed: true}, nil)
		if len(given)%8 == 0 {
			if err := e.Drop(t.Context(), "other"); err != nil {
				t.Errorf("Drop: %v", err)
			}
		}
	}
	wg.Wait()
	close(stop)
	sweeper.Wait()
	mustCommit(t, e)
	if len(given)+s.others(given) < producers*each {
		return // it was said
	}
	if st := l.Stats(); st.Depth != 0 || st.Bytes != 0 || st.FirstSeq != st.EndSeq {
		t.Errorf("in the end there is left: %+v", st)
	}
}

// swept is what was settled without having been read.
type swept struct {
	mu   sync.Mutex
	gone map[engine.Seq]bool
	more chan struct{}
}

// sweep settles every seventh record that Browse shows, and waits for that.
func (s *swept) sweep(t testing.TB, e engine.Engine, l engine.Log, stop <-chan struct{}) {
	for {
		select {
		case <-stop:
			return
		default:
		}
		var seqs []engine.Seq
		err := l.Browse(context.Background(), 0, func(r engine.Record) bool {
			if r.Seq%7 == 0 {
				seqs = append(seqs, r.Seq)
			}
			return len(seqs) < 5
		})
		if err != nil {
			t.Errorf("Browse: %v", err)
			return
		}
		done := make(chan error, 1)
		e.Commit(&engine.Batch{Ops: []engine.Op{settle(l, seqs...)}}, func(err error) { done <- err })
		if err := <-done; err != nil {
			t.Errorf("Commit: %v", err)
			return
		}
		s.add(seqs)
	}
}

func (s *swept) add(seqs []engine.Seq) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, seq := range seqs {
		s.gone[seq] = true
	}
	if s.more != nil {
		close(s.more)
		s.more = nil
	}
}

// changed is closed with the next add.
func (s *swept) changed() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.more == nil {
		s.more = make(chan struct{})
	}
	return s.more
}

func (s *swept) known() map[engine.Seq]bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	known := make(map[engine.Seq]bool, len(s.gone))
	for seq := range s.gone {
		known[seq] = true
	}
	return known
}

// others returns how many were settled that are not among those given.
func (s *swept) others(given map[engine.Seq]bool) (n int) {
	for seq := range s.known() {
		if !given[seq] {
			n++
		}
	}
	return n
}
