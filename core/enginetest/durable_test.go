package enginetest_test

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/wyemq/wye/core/engine"
	"github.com/wyemq/wye/core/engine/memory"
	"github.com/wyemq/wye/core/enginetest"
)

// entry is something an engine was told.
type entry struct {
	batch           *engine.Batch
	logs            []engine.LogID // of the ops, where they have one
	release, purge  engine.LogID
	dropped, opened engine.LogID
	seqs            []engine.Seq
}

// journal survives its engines. replay spoils what it says.
type journal struct {
	mu      sync.Mutex
	entries []entry
	replay  func(x *entry) (keep bool)
	renew   func(e *memory.Engine) // after the replay
}

func (j *journal) add(x entry) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.entries = append(j.entries, x)
}

// open makes an engine of the journal.
func (j *journal) open(t *testing.T) engine.Engine {
	t.Helper()
	e := &phoenix{Engine: memory.New(), j: j, given: make(map[engine.LogID][]engine.Seq)}
	ctx := t.Context()
	own := make(map[engine.LogID]engine.Log)
	for _, x := range j.entries {
		if x.batch != nil {
			b := &engine.Batch{Ops: slices.Clone(x.batch.Ops)}
			x.batch = b
		}
		if j.replay != nil && !j.replay(&x) {
			continue
		}
		log := func(id engine.LogID) engine.Log {
			if own[id] == nil {
				own[id], _ = e.Engine.Open(ctx, id, engine.LogOptions{})
			}
			return own[id]
		}
		switch {
		case x.batch != nil:
			for i, id := range x.logs {
				if id != "" {
					x.batch.Ops[i].Log = log(id)
				}
			}
			done := make(chan error, 1)
			e.Engine.Commit(x.batch, func(err error) { done <- err })
			if err := <-done; err != nil {
				t.Errorf("replay: %v", err)
			}
		case x.opened != "":
			log(x.opened)
		case x.release != "":
			_ = log(x.release).Release(ctx, x.seqs...)
			own[x.release] = nil
		case x.purge != "":
			_, _, _ = log(x.purge).Purge(ctx, x.seqs...)
		case x.dropped != "":
			_ = e.Engine.Drop(ctx, x.dropped)
			own[x.dropped] = nil
		}
	}
	for _, l := range own {
		if l != nil {
			_ = l.Release(ctx)
		}
	}
	if j.renew != nil {
		j.renew(e.Engine)
	}
	return e
}

// phoenix is an engine in memory that a journal brings back.
type phoenix struct {
	*memory.Engine
	j     *journal
	mu    sync.Mutex
	given map[engine.LogID][]engine.Seq // of logs that are open
}

func (e *phoenix) Commit(b *engine.Batch, done func(error)) {
	b = &engine.Batch{Ops: slices.Clone(b.Ops), Relaxed: b.Relaxed}
	x := entry{batch: &engine.Batch{Ops: slices.Clone(b.Ops)}, logs: make([]engine.LogID, len(b.Ops))}
	for i := range b.Ops {
		if l, ok := b.Ops[i].Log.(*phoenixLog); ok {
			x.logs[i], b.Ops[i].Log = l.ID(), l.Log
		}
	}
	e.Engine.Commit(b, func(err error) {
		if err == nil {
			e.j.add(x)
		}
		if done != nil {
			done(err)
		}
	})
}

func (e *phoenix) Open(ctx context.Context, id engine.LogID, o engine.LogOptions) (engine.Log, error) {
	l, err := e.Engine.Open(ctx, id, o)
	if err != nil {
		return nil, err
	}
	e.mu.Lock()
	e.given[id] = nil
	e.mu.Unlock()
	e.j.add(entry{opened: id})
	return &phoenixLog{l, e}, nil
}

func (e *phoenix) Drop(ctx context.Context, id engine.LogID) error {
	e.mu.Lock()
	delete(e.given, id)
	e.mu.Unlock()
	e.j.add(entry{dropped: id})
	return e.Engine.Drop(ctx, id)
}

func (e *phoenix) Close(ctx context.Context) error {
	e.mu.Lock()
	for id, seqs := range e.given {
		e.j.add(entry{release: id, seqs: seqs})
	}
	e.given = nil
	e.mu.Unlock()
	return e.Engine.Close(ctx)
}

type phoenixLog struct {
	engine.Log
	e *phoenix
}

func (l *phoenixLog) Next(most, maxBytes int) ([]engine.Record, error) {
	recs, err := l.Log.Next(most, maxBytes)
	l.e.mu.Lock()
	defer l.e.mu.Unlock()
	for _, r := range recs {
		l.e.given[l.ID()] = append(l.e.given[l.ID()], r.Seq)
	}
	return recs, err
}

func (l *phoenixLog) Purge(ctx context.Context, keep ...engine.Seq) (uint64, uint64, error) {
	l.e.j.add(entry{purge: l.ID(), seqs: slices.Clone(keep)})
	return l.Log.Purge(ctx, keep...)
}

func (l *phoenixLog) Release(ctx context.Context, handed ...engine.Seq) error {
	l.e.mu.Lock()
	_, open := l.e.given[l.ID()]
	delete(l.e.given, l.ID())
	l.e.mu.Unlock()
	if open {
		l.e.j.add(entry{release: l.ID(), seqs: slices.Clone(handed)})
	}
	return l.Log.Release(ctx, handed...)
}

// durableFailures runs one check, or all for "".
func durableFailures(t *testing.T, check string, j func() *journal) (names []string) {
	t.Helper()
	for _, c := range enginetest.DurableChecks() {
		if check != "" && c.Name != check {
			continue
		}
		r := &recorder{TB: t}
		store := j()
		var last engine.Engine
		func() {
			defer func() {
				if p := recover(); p != nil && p != (failed{}) {
					r.Errorf("panic: %v", p)
				}
			}()
			c.Run(r, func() engine.Engine {
				last = store.open(t)
				return last
			})
		}()
		_ = last.Close(context.Background())
		if len(r.said) > 0 {
			names = append(names, c.Name)
		}
	}
	return names
}

// TestDurableKit breaks one promise at a time: the check that is about it must fail, and the model must see it.
func TestDurableKit(t *testing.T) {
	each := func(fn func(op *engine.Op) bool) func(*entry) bool {
		return func(x *entry) bool {
			if x.batch == nil {
				return true
			}
			var ops []engine.Op
			var logs []engine.LogID
			for i, op := range x.batch.Ops {
				if fn(&op) {
					ops, logs = append(ops, op), append(logs, x.logs[i])
				}
			}
			x.batch.Ops, x.logs = ops, logs
			return true
		}
	}
	without := func(k engine.OpKind) func(*entry) bool {
		return each(func(op *engine.Op) bool { return op.Kind != k })
	}
	unflagged := func(x *entry) bool {
		if x.release != "" {
			x.seqs = nil
		}
		return true
	}
	for name, c := range map[string]struct {
		replay func(*entry) bool
		renew  func(*memory.Engine)
		want   string
		unseen bool // by the model
	}{
		"nothing":          {},
		"messages lost":    {replay: without(engine.Append), want: "Restart/Messages"},
		"settled are back": {replay: without(engine.Settle), want: "Restart/Messages"},
		"counts lost":      {replay: without(engine.Failed), want: "Restart/Deliveries"},
		"values lost":      {replay: without(engine.Put), want: "Restart/State"},
		"deleted are back": {replay: without(engine.Delete), want: "Restart/State"},
		"retained lost":    {replay: without(engine.Retain), want: "Restart/Retained"},
		"waits no more": {replay: each(func(op *engine.Op) bool {
			if op.Msg != nil && op.Kind == engine.Append {
				m := *op.Msg
				m.Visible, op.Msg = time.Time{}, &m
			}
			return true
		}), want: "Restart/Visible"},
		"headers lost": {replay: each(func(op *engine.Op) bool {
			if op.Msg != nil {
				m := *op.Msg
				m.Header, op.Msg = nil, &m
			}
			return true
		}), want: "Restart/Messages", unseen: true},
		"flags lost":       {replay: unflagged, want: "Restart/Released"},
		"crash not seen":   {replay: unflagged, want: "Restart/NotReleased"},
		"dropped are back": {replay: func(x *entry) bool { return x.dropped == "" }, want: "Restart/Gone"},
		"purged are back":  {replay: func(x *entry) bool { return x.purge == "" }, want: "Restart/Gone"},
		"numbers again": {renew: func(e *memory.Engine) {
			var empty []engine.LogID
			_ = e.Logs(context.Background(), "", func(id engine.LogID, s engine.Stats) bool {
				if s.Depth == 0 {
					empty = append(empty, id)
				}
				return true
			})
			for _, id := range empty {
				_ = e.Drop(context.Background(), id)
			}
		}, want: "Restart/Seqs", unseen: true}, // unless the model happens to close with an empty log
	} {
		t.Run(name, func(t *testing.T) {
			wants := []string{c.want}
			if c.want != "" && !c.unseen {
				wants = append(wants, "Restart/Model")
			}
			for _, want := range wants {
				got := durableFailures(t, want, func() *journal { return &journal{replay: c.replay, renew: c.renew} })
				if strings.Join(got, " ") != want {
					t.Errorf("checks that fail: %q, want %q", got, want)
				}
			}
		})
	}
}
