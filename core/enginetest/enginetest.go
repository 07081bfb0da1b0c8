package enginetest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/wyemq/wye/core/engine"
)

// patience is how long a check waits for something that should come at once.
const patience = 10 * time.Second

// Check is one promise. Run may end its goroutine by t.FailNow.
type Check struct {
	Name string
	Run  func(t testing.TB, e engine.Engine)
}

// Checks returns all checks. Most callers want [Test].
func Checks() []Check {
	checks := append(commitChecks(), logChecks()...)
	checks = append(checks, ownerChecks()...)
	checks = append(checks, stateChecks()...)
	checks = append(checks, retainedChecks()...)
	return append(checks, Check{"Model/Random", modelRandom})
}

// Test runs every check as a subtest, on engines that open returns empty and new.
func Test(t *testing.T, open func(t testing.TB) engine.Engine) {
	t.Helper()
	for _, c := range Checks() {
		t.Run(c.Name, func(t *testing.T) {
			e := open(t)
			t.Cleanup(func() {
				if err := e.Close(context.Background()); err != nil {
					t.Errorf("Close: %v", err)
				}
			})
			c.Run(t, e)
		})
	}
}

// commit waits for a batch, and returns what became of it.
func commit(t testing.TB, e engine.Engine, ops ...engine.Op) error {
	t.Helper()
	done := make(chan error, 1)
	e.Commit(&engine.Batch{Ops: ops}, func(err error) { done <- err })
	select {
	case err := <-done:
		return err
	case <-time.After(patience):
		t.Fatal("Commit: done was not called")
		return nil
	}
}

// mustCommit is commit that has to succeed.
func mustCommit(t testing.TB, e engine.Engine, ops ...engine.Op) {
	t.Helper()
	if err := commit(t, e, ops...); err != nil {
		t.Fatalf("Commit: %v", err)
	}
}

// message returns a message with this body. A body "b!7" has priority 7.
func message(body string) *engine.Message {
	m := &engine.Message{Dest: "queue/test", Body: []byte(body), Priority: engine.DefaultPriority, Stored: time.Now()}
	if _, prio, ok := strings.Cut(body, "!"); ok {
		m.Priority = prio[0] - '0'
	}
	copy(m.ID[:], fmt.Sprintf("%016s", body))
	return m
}

// appends returns the ops that append one message for each word.
func appends(id engine.LogID, words string) []engine.Op {
	var ops []engine.Op
	for w := range strings.FieldsSeq(words) {
		ops = append(ops, engine.Op{Kind: engine.Append, Logs: []engine.LogID{id}, Msg: message(w)})
	}
	return ops
}

func settle(l engine.Log, seqs ...engine.Seq) engine.Op {
	return engine.Op{Kind: engine.Settle, Log: l, Seqs: seqs}
}

// open opens a log that says on the channel when Ready was called.
func open(t testing.TB, e engine.Engine, id engine.LogID, o engine.LogOptions) (engine.Log, <-chan struct{}) {
	t.Helper()
	ready := make(chan struct{}, 1)
	o.Ready = func() {
		select {
		case ready <- struct{}{}:
		default:
		}
	}
	l, err := e.Open(t.Context(), id, o)
	if err != nil {
		t.Fatalf("Open %s: %v", id, err)
	}
	if l.ID() != id {
		t.Errorf("ID of %s is %s", id, l.ID())
	}
	return l, ready
}

// next reads up to most records; it copies them, as they are valid until the next call only.
func next(t testing.TB, l engine.Log, most int) []engine.Record {
	t.Helper()
	recs, err := l.Next(most, 1<<30)
	if err != nil {
		t.Fatalf("Next: %v", err)
	}
	if len(recs) > most {
		t.Errorf("Next(%d) gave %d records", most, len(recs))
	}
	return append([]engine.Record(nil), recs...)
}

// words writes records: body, * if redelivered, :n for deliveries.
func words(recs []engine.Record) string {
	var out []string
	for _, r := range recs {
		s := string(r.Msg.Body)
		if r.Redelivered {
			s += "*"
		}
		if r.Deliveries > 0 {
			s += fmt.Sprintf(":%d", r.Deliveries)
		}
		out = append(out, s)
	}
	return strings.Join(out, " ")
}

func expect(t testing.TB, what string, recs []engine.Record, want string) {
	t.Helper()
	if got := words(recs); got != want {
		t.Errorf("%s: got %q, want %q", what, got, want)
	}
}

func browse(t testing.TB, l engine.Log, from engine.Seq) (recs []engine.Record) {
	t.Helper()
	err := l.Browse(t.Context(), from, func(r engine.Record) bool {
		recs = append(recs, r)
		return true
	})
	if err != nil {
		t.Errorf("Browse: %v", err)
	}
	return recs
}

func release(t testing.TB, l engine.Log, handed ...engine.Seq) {
	t.Helper()
	if err := l.Release(t.Context(), handed...); err != nil {
		t.Errorf("Release: %v", err)
	}
}

func wait(t testing.TB, what string, ch <-chan struct{}) {
	t.Helper()
	select {
	case <-ch:
	case <-time.After(patience):
		t.Fatalf("%s: nothing came", what)
	}
}

func isErr(t testing.TB, what string, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("%s: got error %v, want %v", what, err, want)
	}
}
