package coretest

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/wyemq/wye/core"
)

// wait bounds the waits of a sink: long, because a test that waits so long has failed.
const wait = 10 * time.Second

// Sink records deliveries. Its Deliver is a [core.DeliverFunc]. Make it with [NewSink].
type Sink struct {
	mu    sync.Mutex
	cond  sync.Cond
	all   []core.Delivery
	taken int
	fail  error
	stuck bool
}

// NewSink returns a sink that takes everything.
func NewSink() *Sink {
	s := &Sink{}
	s.cond.L = &s.mu
	return s
}

// Deliver records ds.
func (s *Sink) Deliver(ds []core.Delivery) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.stuck && s.fail == nil {
		s.cond.Wait()
	}
	if s.fail != nil {
		return s.fail
	}
	s.all = append(s.all, ds...)
	s.cond.Broadcast()
	return nil
}

// Fail makes Deliver return err from now on.
func (s *Sink) Fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fail = err
	s.cond.Broadcast()
}

// Block makes Deliver wait from now on, as for a client that does not read; Unblock ends that.
func (s *Sink) Block() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stuck = true
}

// Unblock ends what Block began.
func (s *Sink) Unblock() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stuck = false
	s.cond.Broadcast()
}

// Wait returns the first delivery that was not returned yet; false: none came before timeout.
func (s *Sink) Wait(timeout time.Duration) (core.Delivery, bool) {
	ds := s.upTo(1, timeout)
	if len(ds) == 0 {
		return core.Delivery{}, false
	}
	return ds[0], true
}

// Next returns the first delivery that was not returned yet. It waits ten seconds, then the test fails.
func (s *Sink) Next(t testing.TB) core.Delivery {
	t.Helper()
	return s.NextN(t, 1)[0]
}

// NextN returns the next n deliveries, as Next does.
func (s *Sink) NextN(t testing.TB, n int) []core.Delivery {
	t.Helper()
	ds := s.upTo(n, wait)
	if len(ds) < n {
		t.Fatalf("got %d deliveries %s, want %d", len(ds), bodies(ds), n)
	}
	return ds
}

func (s *Sink) upTo(n int, timeout time.Duration) []core.Delivery {
	limit := time.Now().Add(timeout)
	timer := time.AfterFunc(timeout, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.cond.Broadcast()
	})
	defer timer.Stop()
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.all)-s.taken < n && time.Now().Before(limit) {
		s.cond.Wait()
	}
	ds := s.all[s.taken:min(s.taken+n, len(s.all))]
	s.taken += len(ds)
	return ds
}

// Bodies returns the bodies of the next n deliveries, joined by blanks.
func (s *Sink) Bodies(t testing.TB, n int) string {
	t.Helper()
	return bodies(s.NextN(t, n))
}

// Want fails the test unless the next deliveries have these bodies, given with blanks between
// them, and nothing more is there.
func (s *Sink) Want(t testing.TB, want string) []core.Delivery {
	t.Helper()
	ds := s.upTo(len(strings.Fields(want)), wait)
	if got := bodies(ds); got != want {
		t.Fatalf("got %q, want %q", got, want)
	}
	s.Nothing(t)
	return ds
}

// Nothing fails the test when there is a delivery that was not returned yet. It does not wait: in a
// bubble, call synctest.Wait before.
func (s *Sink) Nothing(t testing.TB) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if rest := s.all[s.taken:]; len(rest) > 0 {
		t.Fatalf("got %d more deliveries: %s", len(rest), bodies(rest))
	}
}

// Len returns how many deliveries wait to be returned.
func (s *Sink) Len() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.all) - s.taken
}

func bodies(ds []core.Delivery) string {
	var b strings.Builder
	for i, d := range ds {
		if i > 0 {
			b.WriteByte(' ')
		}
		switch {
		case d.EndOfBrowse:
			b.WriteString("<end>")
		case len(d.Body) > 40:
			fmt.Fprintf(&b, "%.40s…", d.Body)
		default:
			b.Write(d.Body)
		}
	}
	return b.String()
}
