// Package memory is the reference engine: everything is kept in memory and lost with the process.
// It serves tests and engine.kind: memory. It has no goroutine while nothing happens.
package memory

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/wyemq/wye/core/engine"
)

// Engine keeps everything in memory. Make it with New.
type Engine struct {
	mu       sync.Mutex // of everything below
	logs     map[engine.LogID]*log
	state    state
	retained retained
	closed   bool

	queueMu sync.Mutex // of what waits for the committer; never held together with mu
	queue   []commit
	running bool
	idle    sync.WaitGroup
}

var _ engine.Engine = (*Engine)(nil)

type commit struct {
	batch *engine.Batch
	done  func(error)
}

// New returns an empty engine.
func New() *Engine {
	e := &Engine{logs: make(map[engine.LogID]*log)}
	e.state.e = e
	e.retained.e = e
	return e
}

// Caps implements engine.Engine.
func (*Engine) Caps() engine.Caps {
	return engine.Caps{AtomicOps: 1 << 20, AtomicLogs: true, AtomicAcks: true, MaxBody: 1 << 30}
}

// Commit implements engine.Engine. Batches are applied by one goroutine, which ends when there are none.
func (e *Engine) Commit(b *engine.Batch, done func(error)) {
	e.queueMu.Lock()
	e.queue = append(e.queue, commit{b, done})
	if e.running {
		e.queueMu.Unlock()
		return
	}
	e.running = true
	e.idle.Add(1)
	e.queueMu.Unlock()
	go e.run()
}

func (e *Engine) run() {
	defer e.idle.Done()
	var spare []commit
	var errs []error
	for {
		e.queueMu.Lock()
		work := e.queue
		e.queue = spare[:0]
		if len(work) == 0 {
			e.running = false
			if cap(e.queue) > 1024 {
				e.queue = nil
			}
			e.queueMu.Unlock()
			return
		}
		e.queueMu.Unlock()
		errs = e.apply(work, errs[:0])
		for i := range work {
			work[i].done(errs[i])
		}
		clear(work)
		spare = work
	}
}

// apply carries out batches and wakes the logs that have more to read.
func (e *Engine) apply(work []commit, errs []error) []error {
	var woken []*log
	e.mu.Lock()
	for _, c := range work {
		err := e.check(c.batch)
		if err == nil {
			for i := range c.batch.Ops {
				woken = e.do(&c.batch.Ops[i], woken)
			}
		}
		errs = append(errs, err)
	}
	wake := make([]func(), len(woken))
	for i, l := range woken {
		l.woken = false
		wake[i] = l.opts.Ready
	}
	e.mu.Unlock()
	for _, ready := range wake {
		if ready != nil {
			ready()
		}
	}
	return errs
}

// check finds what would make a batch fail, before anything of it is applied.
func (e *Engine) check(b *engine.Batch) error {
	if e.closed {
		return fmt.Errorf("memory engine is closed: %w", engine.ErrUnavailable)
	}
	for i := range b.Ops {
		op := &b.Ops[i]
		switch op.Kind {
		case engine.Settle, engine.Failed:
			if l, ok := op.Log.(*log); !ok || l.e != e || !l.open {
				return fmt.Errorf("settle: %w", engine.ErrNotOwner)
			}
		case engine.Put, engine.Delete:
			if op.Rev > 0 && e.state.rev(op.Bucket, op.Key) != op.Rev {
				return fmt.Errorf("%s/%s has changed: %w", op.Bucket, op.Key, engine.ErrNotOwner)
			}
		case engine.Append, engine.Retain:
		}
	}
	return nil
}

// do carries out one step, and adds the logs that have become readable to woken.
func (e *Engine) do(op *engine.Op, woken []*log) []*log {
	switch op.Kind {
	case engine.Append:
		for _, id := range op.Logs {
			l := e.log(id)
			if l.append(op.Msg) && !l.woken {
				l.woken = true
				woken = append(woken, l)
			}
		}
	case engine.Settle:
		l, _ := op.Log.(*log)
		for _, seq := range op.Seqs {
			l.settle(seq)
		}
	case engine.Failed:
		l, _ := op.Log.(*log)
		for _, seq := range op.Seqs {
			if r := l.live[seq]; r != nil {
				r.deliveries++
			}
		}
	case engine.Retain:
		e.retained.set(op.Topic, op.Msg)
	case engine.Put:
		e.state.put(op.Bucket, op.Key, op.Value)
	case engine.Delete:
		e.state.put(op.Bucket, op.Key, nil)
	}
	return woken
}

// log returns a log, made if need be. The caller holds mu.
func (e *Engine) log(id engine.LogID) *log {
	l := e.logs[id]
	if l == nil {
		l = newLog(e, id)
		e.logs[id] = l
	}
	return l
}

// Open implements engine.Engine.
func (e *Engine) Open(_ context.Context, id engine.LogID, o engine.LogOptions) (engine.Log, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return nil, fmt.Errorf("open %s: %w", id, engine.ErrUnavailable)
	}
	l := e.log(id)
	if l.open {
		return nil, fmt.Errorf("open %s: it is open: %w", id, engine.ErrNotOwner)
	}
	l.reopen(o)
	return l, nil
}

// Drop implements engine.Engine.
func (e *Engine) Drop(_ context.Context, id engine.LogID) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if l := e.logs[id]; l != nil {
		l.drop()
		delete(e.logs, id)
	}
	return nil
}

// Logs implements engine.Engine.
func (e *Engine) Logs(ctx context.Context, prefix string, fn func(engine.LogID, engine.Stats) bool) error {
	type entry struct {
		id    engine.LogID
		stats engine.Stats
	}
	var found []entry
	e.mu.Lock()
	for id, l := range e.logs {
		if strings.HasPrefix(string(id), prefix) {
			found = append(found, entry{id, l.stats()})
		}
	}
	e.mu.Unlock()
	slices.SortFunc(found, func(a, b entry) int { return strings.Compare(string(a.id), string(b.id)) })
	for _, f := range found {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if !fn(f.id, f.stats) {
			return nil
		}
	}
	return nil
}

// SameScope implements engine.Engine: one batch may span everything.
func (*Engine) SameScope(...engine.LogID) bool { return true }

// State implements engine.Engine.
func (e *Engine) State() engine.State { return &e.state }

// Retained implements engine.Engine.
func (e *Engine) Retained() engine.Retained { return &e.retained }

// Cluster implements engine.Engine: there is none.
func (*Engine) Cluster() engine.Cluster { return nil }

// Close implements engine.Engine. Batches that are under way are applied first.
func (e *Engine) Close(context.Context) error {
	e.idle.Wait()
	e.mu.Lock()
	defer e.mu.Unlock()
	e.closed = true
	for _, l := range e.logs {
		l.drop()
	}
	return nil
}
