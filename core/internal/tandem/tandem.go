// Package tandem makes one engine of two: a durable one, and one in memory for what nobody expects back after a restart.
// Which of them has a log is said by the first byte of its id. State and retained messages are those of the durable
// engine.
//
// A batch that touches both is committed to the durable engine first, and to the one in memory when that is done: if the
// process dies between them, what is lost would have been lost anyhow. What is appended to logs in memory meanwhile waits
// behind it, so that the order of each producer stays. [Engine.Spread] is for a batch of which each part may succeed by
// itself: both get theirs at once.
package tandem

import (
	"context"
	"errors"
	"sync"

	"github.com/wyemq/wye/core/engine"
)

// mark begins the id of a log in memory.
const mark = "~"

// Volatile returns the id of the log in memory that is called id.
func Volatile(id engine.LogID) engine.LogID { return mark + id }

// IsVolatile reports whether a log is in memory.
func IsVolatile(id engine.LogID) bool { return id != "" && (id[0] == mark[0] || id[0] == moving[0]) }

// Engine is two engines. Make it with [New].
type Engine struct {
	durable, memory engine.Engine

	mu     sync.Mutex // of what follows
	behind []part     // waiting for their turn; the first is one that waits for the durable engine

	moves    sync.RWMutex // of what follows
	movables map[engine.LogID]*movable
}

// part is what a batch means for the engine in memory.
type part struct {
	batch *engine.Batch
	done  func(error)
	turn  *turn // nil: it only waits for those before it
}

// turn is a part whose durable one is under way.
type turn struct{ over, failed bool }

var _ engine.Engine = (*Engine)(nil)

// New returns an engine that owns both.
func New(durable, memory engine.Engine) *Engine { return &Engine{durable: durable, memory: memory} }

// Caps implements engine.Engine.
func (e *Engine) Caps() engine.Caps { return e.durable.Caps() }

// of returns the engine that has a log.
func (e *Engine) of(id engine.LogID) engine.Engine {
	if IsVolatile(id) {
		return e.memory
	}
	return e.durable
}

// Open implements engine.Engine.
func (e *Engine) Open(ctx context.Context, id engine.LogID, o engine.LogOptions) (engine.Log, error) {
	if isMovable(id) {
		return e.openMovable(ctx, id, o)
	}
	return e.of(id).Open(ctx, id, o)
}

// Drop implements engine.Engine.
func (e *Engine) Drop(ctx context.Context, id engine.LogID) error {
	if isMovable(id) {
		return e.dropMovable(ctx, id)
	}
	return e.of(id).Drop(ctx, id)
}

// Logs implements engine.Engine. Those in memory come last.
func (e *Engine) Logs(ctx context.Context, prefix string, fn func(engine.LogID, engine.Stats) bool) error {
	more := true
	each := func(id engine.LogID, s engine.Stats) bool {
		more = fn(id, s)
		return more
	}
	if !IsVolatile(engine.LogID(prefix)) {
		if err := e.durable.Logs(ctx, prefix, each); err != nil || !more {
			return err
		}
	}
	return e.memory.Logs(ctx, prefix, each)
}

// SameScope implements engine.Engine: what is in memory is in every scope.
func (e *Engine) SameScope(ids ...engine.LogID) bool {
	durable := make([]engine.LogID, 0, len(ids))
	for _, id := range ids {
		if !IsVolatile(id) {
			durable = append(durable, id)
		}
	}
	return e.durable.SameScope(durable...)
}

// State implements engine.Engine.
func (e *Engine) State() engine.State { return e.durable.State() }

// Retained implements engine.Engine.
func (e *Engine) Retained() engine.Retained { return e.durable.Retained() }

// Cluster implements engine.Engine.
func (e *Engine) Cluster() engine.Cluster { return e.durable.Cluster() }

// Close implements engine.Engine: the durable one first, since what it has under way goes on in memory.
func (e *Engine) Close(ctx context.Context) error {
	return errors.Join(e.durable.Close(ctx), e.memory.Close(ctx))
}

// Commit implements engine.Engine.
func (e *Engine) Commit(b *engine.Batch, done func(error)) {
	durable, memory := split(e.plain(b))
	switch {
	case memory == nil:
		e.durable.Commit(durable, done)
	case durable == nil:
		e.follow(memory, done)
	case appends(memory.Ops):
		e.both(durable, memory, done)
	default: // settlements keep no order with anything: the records are the caller's
		e.durable.Commit(durable, func(err error) {
			if err != nil {
				finish(done, err)
				return
			}
			e.memory.Commit(memory, func(error) { finish(done, nil) }) // of a log that has gone since: settled, too
		})
	}
}

// Spread commits b, of which each part may succeed by itself: one message for several logs. Done is called when both
// have ended, with the error of the durable one if there is any.
func (e *Engine) Spread(b *engine.Batch, done func(error)) {
	durable, memory := split(e.plain(b))
	switch {
	case memory == nil:
		e.durable.Commit(durable, done)
	case durable == nil:
		e.follow(memory, done)
	default:
		var ends ends
		ends.left, ends.done = 2, done
		e.durable.Commit(durable, ends.durable)
		e.follow(memory, ends.memory)
	}
}

// ends waits for the two ends of a batch.
type ends struct {
	mu       sync.Mutex
	left     int
	err, mem error
	done     func(error)
}

func (x *ends) durable(err error) {
	x.mu.Lock()
	x.err = err
	x.end()
}

func (x *ends) memory(err error) {
	x.mu.Lock()
	x.mem = err
	x.end()
}

// end is called with mu held, and gives it up.
func (x *ends) end() {
	x.left--
	left, err := x.left, x.err
	if err == nil {
		err = x.mem
	}
	x.mu.Unlock()
	if left == 0 {
		finish(x.done, err)
	}
}

func finish(done func(error), err error) {
	if done != nil {
		done(err)
	}
}

// follow commits to the engine in memory, behind what waits.
func (e *Engine) follow(b *engine.Batch, done func(error)) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.behind) > 0 && appends(b.Ops) {
		e.behind = append(e.behind, part{batch: b, done: done})
		return
	}
	e.memory.Commit(b, done)
}

// both commits one part after the other, and keeps the place of the second.
func (e *Engine) both(durable, memory *engine.Batch, done func(error)) {
	t := new(turn)
	e.mu.Lock()
	defer e.mu.Unlock()
	e.behind = append(e.behind, part{batch: memory, turn: t, done: func(err error) {
		if errors.Is(err, engine.ErrNotOwner) {
			// A settlement is of a log that has gone since: settled, too. The messages are sent as promised.
			e.memory.Commit(&engine.Batch{Ops: onlyAppends(memory.Ops)}, func(error) { finish(done, nil) })
			return
		}
		finish(done, nil)
	}})
	e.durable.Commit(durable, func(err error) {
		if err != nil {
			finish(done, err)
		}
		e.mu.Lock()
		defer e.mu.Unlock()
		t.over, t.failed = true, err != nil
		e.advance()
	})
}

// advance commits what waits for nothing any more. The caller holds mu.
func (e *Engine) advance() {
	for len(e.behind) > 0 {
		p := e.behind[0]
		if p.turn != nil && !p.turn.over {
			return
		}
		e.behind[0] = part{}
		e.behind = e.behind[1:]
		if p.turn == nil || !p.turn.failed {
			e.memory.Commit(p.batch, p.done)
		}
	}
	e.behind = nil
}

// split returns the parts of a batch; nil: none, and the other is b itself.
func split(b *engine.Batch) (durable, memory *engine.Batch) {
	volatile := 0
	mixed := false
	for i := range b.Ops {
		v, m := where(&b.Ops[i])
		mixed = mixed || m
		if v {
			volatile++
		}
	}
	switch {
	case len(b.Ops) == 0: // it is only to be done in its turn
		return &engine.Batch{Relaxed: true}, nil
	case volatile == 0 && !mixed:
		return b, nil
	case volatile == len(b.Ops) && !mixed:
		return nil, b
	}
	durable, memory = &engine.Batch{Relaxed: b.Relaxed}, &engine.Batch{Relaxed: b.Relaxed}
	for _, op := range b.Ops {
		v, m := where(&op)
		switch {
		case m:
			d, v := op, op
			d.Logs, v.Logs = logs(op.Logs)
			durable.Ops, memory.Ops = append(durable.Ops, d), append(memory.Ops, v)
		case v:
			memory.Ops = append(memory.Ops, op)
		default:
			durable.Ops = append(durable.Ops, op)
		}
	}
	return durable, memory
}

// where reports whether an op is for the engine in memory, or for both.
func where(op *engine.Op) (volatile, mixed bool) {
	switch op.Kind {
	case engine.Append:
		for i, id := range op.Logs {
			v := IsVolatile(id)
			if i > 0 && v != volatile {
				return false, true
			}
			volatile = v
		}
		return volatile, false
	case engine.Settle, engine.Failed:
		return op.Log != nil && IsVolatile(op.Log.ID()), false
	default:
		return false, false
	}
}

func logs(ids []engine.LogID) (durable, volatile []engine.LogID) {
	for _, id := range ids {
		if IsVolatile(id) {
			volatile = append(volatile, id)
		} else {
			durable = append(durable, id)
		}
	}
	return durable, volatile
}

func appends(ops []engine.Op) bool {
	for i := range ops {
		if ops[i].Kind == engine.Append {
			return true
		}
	}
	return false
}

func onlyAppends(ops []engine.Op) []engine.Op {
	var out []engine.Op
	for _, op := range ops {
		if op.Kind == engine.Append {
			out = append(out, op)
		}
	}
	return out
}
