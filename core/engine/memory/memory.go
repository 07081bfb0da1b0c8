package memory

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/wyemq/wye/core/engine"
)

const (
	atomicOps = 1 << 20
	maxBody   = 1 << 30
)

// Engine keeps everything in memory. Make it with [New].
type Engine struct {
	committer committer
	state     state
	retained  retained
	spare     sync.Pool // of *page

	mu     sync.RWMutex // of what follows
	logs   map[engine.LogID]*log
	closed bool
}

var _ engine.Engine = (*Engine)(nil)

// New returns an empty engine.
func New() *Engine {
	e := &Engine{logs: make(map[engine.LogID]*log)}
	e.committer.init(e)
	e.spare.New = func() any { return new(page) }
	return e
}

// Caps implements engine.Engine.
func (*Engine) Caps() engine.Caps {
	return engine.Caps{AtomicOps: atomicOps, AtomicLogs: true, AtomicAcks: true, MaxBody: maxBody}
}

// Commit implements engine.Engine.
func (e *Engine) Commit(b *engine.Batch, done func(error)) { e.committer.add(b, done) }

// Open implements engine.Engine.
func (e *Engine) Open(_ context.Context, id engine.LogID, o engine.LogOptions) (engine.Log, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return nil, fmt.Errorf("open %s: the engine is closed: %w", id, engine.ErrUnavailable)
	}
	own := e.makeLog(id).open(o)
	if own == nil {
		return nil, fmt.Errorf("open %s: it is open: %w", id, engine.ErrNotOwner)
	}
	return own, nil
}

// log returns a log for an Append, made if need be.
func (e *Engine) log(id engine.LogID) *log {
	e.mu.RLock()
	l := e.logs[id]
	e.mu.RUnlock()
	if l != nil {
		return l
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.makeLog(id)
}

// makeLog is called with mu held.
func (e *Engine) makeLog(id engine.LogID) *log {
	l := e.logs[id]
	if l == nil {
		l = &log{e: e, id: id}
		e.logs[id] = l
	}
	return l
}

// Drop implements engine.Engine.
func (e *Engine) Drop(_ context.Context, id engine.LogID) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return fmt.Errorf("drop %s: the engine is closed: %w", id, engine.ErrUnavailable)
	}
	if l := e.logs[id]; l != nil {
		l.drop()
		delete(e.logs, id)
	}
	return nil
}

// Logs implements engine.Engine.
func (e *Engine) Logs(ctx context.Context, prefix string, fn func(engine.LogID, engine.Stats) bool) error {
	var found []*log
	e.mu.RLock()
	closed := e.closed
	for id, l := range e.logs {
		if strings.HasPrefix(string(id), prefix) {
			found = append(found, l)
		}
	}
	e.mu.RUnlock()
	if closed {
		return fmt.Errorf("list logs: the engine is closed: %w", engine.ErrUnavailable)
	}
	slices.SortFunc(found, func(a, b *log) int { return strings.Compare(string(a.id), string(b.id)) })
	for _, l := range found {
		if err := ctx.Err(); err != nil {
			return err
		}
		if !fn(l.id, l.stats()) {
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

// Close implements engine.Engine.
func (e *Engine) Close(context.Context) error {
	e.committer.close()
	e.mu.Lock()
	defer e.mu.Unlock()
	e.closed = true
	for _, l := range e.logs {
		l.drop()
	}
	clear(e.logs)
	return nil
}
