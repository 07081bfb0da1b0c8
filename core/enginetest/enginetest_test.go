package enginetest_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/wyemq/wye/core/engine"
	"github.com/wyemq/wye/core/engine/memory"
	"github.com/wyemq/wye/core/enginetest"
)

// recorder is a testing.TB whose failures are the result.
type recorder struct {
	testing.TB
	mu   sync.Mutex
	said []string
}

func (r *recorder) Errorf(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.said = append(r.said, fmt.Sprintf(format, args...))
}

func (r *recorder) Error(args ...any) { r.Errorf("%s", fmt.Sprint(args...)) }

func (r *recorder) Fatalf(format string, args ...any) {
	r.Errorf(format, args...)
	r.FailNow()
}

func (r *recorder) Fatal(args ...any) { r.Fatalf("%s", fmt.Sprint(args...)) }

// FailNow ends the check, not the test.
func (*recorder) FailNow() { panic(failed{}) }

type failed struct{}

// failures runs one check, or all for "", and returns the names of those that fail.
func failures(t *testing.T, check string, open func() engine.Engine) (names []string) {
	t.Helper()
	for _, c := range enginetest.Checks() {
		if check != "" && c.Name != check {
			continue
		}
		r := &recorder{TB: t}
		e := open()
		func() {
			defer func() {
				if p := recover(); p != nil && p != (failed{}) {
					r.Errorf("panic: %v", p)
				}
			}()
			c.Run(r, e)
		}()
		_ = e.Close(context.Background())
		if len(r.said) > 0 {
			names = append(names, c.Name)
		}
	}
	return names
}

// broken is an engine with a fault. What is nil works.
type broken struct {
	*memory.Engine
	commit   func(e *memory.Engine, b *engine.Batch, done func(error))
	next     func(recs []engine.Record) []engine.Record
	purge    func(keep []engine.Seq) []engine.Seq
	release  func(handed []engine.Seq) []engine.Seq
	match    func(m *engine.Message, fn func(*engine.Message) bool) bool
	noReplay bool
	lanes    bool
}

func (b *broken) Commit(x *engine.Batch, done func(error)) {
	for i := range x.Ops {
		if l, ok := x.Ops[i].Log.(*brokenLog); ok {
			x.Ops[i].Log = l.Log
		}
	}
	if b.commit != nil {
		b.commit(b.Engine, x, done)
		return
	}
	b.Engine.Commit(x, done)
}

func (b *broken) Open(ctx context.Context, id engine.LogID, o engine.LogOptions) (engine.Log, error) {
	o.Lanes = o.Lanes && !b.lanes
	l, err := b.Engine.Open(ctx, id, o)
	if err != nil {
		return nil, err
	}
	return &brokenLog{l, b}, nil
}

type brokenLog struct {
	engine.Log
	b *broken
}

func (l *brokenLog) Next(most, maxBytes int) ([]engine.Record, error) {
	recs, err := l.Log.Next(most, maxBytes)
	if l.b.next != nil {
		recs = l.b.next(slices.Clone(recs))
	}
	return recs, err
}

func (l *brokenLog) Purge(ctx context.Context, keep ...engine.Seq) (uint64, uint64, error) {
	if l.b.purge != nil {
		keep = l.b.purge(keep)
	}
	return l.Log.Purge(ctx, keep...)
}

func (l *brokenLog) Release(ctx context.Context, handed ...engine.Seq) error {
	if l.b.release != nil {
		handed = l.b.release(handed)
	}
	return l.Log.Release(ctx, handed...)
}

func (b *broken) Retained() engine.Retained { return &brokenRetained{b.Engine.Retained(), b} }

type brokenRetained struct {
	engine.Retained
	b *broken
}

func (r *brokenRetained) Match(ctx context.Context, filter string, fn func(*engine.Message) bool) error {
	return r.Retained.Match(ctx, filter, func(m *engine.Message) bool {
		if r.b.match != nil {
			return r.b.match(m, fn)
		}
		return fn(m)
	})
}

func (b *broken) State() engine.State { return &brokenState{b.Engine.State(), b} }

type brokenState struct {
	engine.State
	b *broken
}

func (s *brokenState) Watch(bucket string, fn func(string, []byte, uint64)) func() {
	on := !s.b.noReplay
	cancel := s.State.Watch(bucket, func(k string, v []byte, rev uint64) {
		if on {
			fn(k, v, rev)
		}
	})
	on = true
	return cancel
}

// TestKit breaks one promise at a time: the check that is about it must fail.
func TestKit(t *testing.T) {
	each := func(fn func(op *engine.Op)) func(*memory.Engine, *engine.Batch, func(error)) {
		return func(e *memory.Engine, b *engine.Batch, done func(error)) {
			for i := range b.Ops {
				fn(&b.Ops[i])
			}
			e.Commit(b, done)
		}
	}
	for name, c := range map[string]struct {
		b    broken
		want string
	}{
		"nothing":            {broken{}, ""},
		"done comes twice":   {broken{commit: doneTwice}, "Commit/DoneOnceAndNotInside"},
		"done out of order":  {broken{commit: doneLate}, "Commit/DoneInOrder"},
		"done is early":      {broken{commit: doneEarly()}, "Commit/VisibleBeforeDone"},
		"half of a batch":    {broken{commit: halves}, "Commit/AllOrNothing"},
		"revisions ignored":  {broken{commit: each(func(op *engine.Op) { op.Rev = 0 })}, "State/CompareAndSet"},
		"failures forgotten": {broken{commit: each(forget(engine.Failed))}, "Log/Failed"},
		"settling forgotten": {broken{commit: each(forget(engine.Settle))}, "Log/SettleOutOfOrder"},
		"clearing forgotten": {broken{commit: each(func(op *engine.Op) {
			if op.Kind == engine.Retain && op.Msg == nil {
				op.Kind = engine.Append
			}
		})}, "Retained/ReplaceAndClear"},
		"expiry ignored": {broken{commit: each(func(op *engine.Op) {
			if op.Kind == engine.Retain && op.Msg != nil {
				m := *op.Msg
				m.Expires = m.Visible
				op.Msg = &m
			}
		})}, "Retained/Expires"},
		"visibility ignored": {broken{commit: each(func(op *engine.Op) {
			if op.Kind == engine.Append {
				m := *op.Msg
				m.Visible = m.Expires
				op.Msg = &m
			}
		})}, "Log/Visible"},
		"newest first": {broken{next: func(recs []engine.Record) []engine.Record {
			slices.Reverse(recs)
			return recs
		}}, "Log/NextMoves"},
		"given twice":       {broken{next: givenTwice()}, "Log/Concurrent"},
		"never redelivered": {broken{release: func([]engine.Seq) []engine.Seq { return nil }}, "Owner/Release"},
		"purges all":        {broken{purge: func([]engine.Seq) []engine.Seq { return nil }}, "Log/Purge"},
		"no lanes":          {broken{lanes: true}, "Log/Lanes"},
		"no replay":         {broken{noReplay: true}, "State/Watch"},
		"matches twice": {broken{match: func(m *engine.Message, fn func(*engine.Message) bool) bool {
			return fn(m) && fn(m) //nolint:staticcheck // twice is the mistake
		}}, "Retained/Match"},
	} {
		t.Run(name, func(t *testing.T) {
			got := failures(t, c.want, func() engine.Engine {
				b := c.b
				b.Engine = memory.New()
				return &b
			})
			if strings.Join(got, " ") != c.want {
				t.Errorf("checks that fail: %q, want %q", got, c.want)
			}
			if !slices.Contains(seenByModel, name) {
				return
			}
			if got := failures(t, "Model/Random", func() engine.Engine {
				b := c.b
				b.Engine = memory.New()
				return &b
			}); len(got) == 0 {
				t.Error("Model/Random does not see it")
			}
		})
	}
}

// seenByModel are the faults that the model has to find as well.
var seenByModel = []string{
	"half of a batch", "failures forgotten", "settling forgotten", "clearing forgotten", "visibility ignored",
	"newest first", "never redelivered", "purges all", "no lanes", "matches twice",
}

// givenTwice makes Next return a record again some calls later.
func givenTwice() func([]engine.Record) []engine.Record {
	var kept []engine.Record
	return func(recs []engine.Record) []engine.Record {
		if len(kept) > 10 && len(recs) > 0 {
			recs[0] = kept[0]
		}
		kept = append(kept, recs...)
		return recs
	}
}

func forget(k engine.OpKind) func(*engine.Op) {
	return func(op *engine.Op) {
		if op.Kind == k {
			op.Seqs = nil
		}
	}
}

func doneTwice(e *memory.Engine, b *engine.Batch, done func(error)) {
	e.Commit(b, func(err error) {
		if done != nil {
			done(err)
			done(err)
		}
	})
}

// doneLate lets every other done wait for the next batch.
func doneLate(e *memory.Engine, b *engine.Batch, done func(error)) {
	if !b.Relaxed {
		e.Commit(b, done)
		return
	}
	e.Commit(b, func(err error) { e.Commit(&engine.Batch{}, func(error) { done(err) }) })
}

// doneEarly applies a batch when the next one comes.
func doneEarly() func(e *memory.Engine, b *engine.Batch, done func(error)) {
	var mu sync.Mutex
	var last *engine.Batch
	return func(e *memory.Engine, b *engine.Batch, done func(error)) {
		mu.Lock()
		defer mu.Unlock()
		if last != nil {
			e.Commit(last, nil)
		}
		last = b
		e.Commit(&engine.Batch{}, done)
	}
}

// halves makes a batch of each op.
func halves(e *memory.Engine, b *engine.Batch, done func(error)) {
	var first error
	for _, op := range b.Ops {
		e.Commit(&engine.Batch{Ops: []engine.Op{op}}, func(err error) {
			if first == nil {
				first = err
			}
		})
	}
	e.Commit(&engine.Batch{}, func(error) {
		if done != nil {
			done(first)
		}
	})
}
