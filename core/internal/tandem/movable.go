package tandem

import (
	"context"
	"fmt"
	"slices"

	"github.com/wyemq/wye/core/engine"
)

// moving begins the id of a log in memory that may become durable while it is open.
const moving = "^"

// Movable returns the id of the log in memory that is called id, until [Engine.Promote] makes it durable.
func Movable(id engine.LogID) engine.LogID { return moving + id }

// Durable returns the id that a log has, or would have, in the durable engine.
func Durable(id engine.LogID) engine.LogID {
	if IsVolatile(id) {
		return id[1:]
	}
	return id
}

// beyond is added to the numbers of records of the durable log: those in memory come first.
const beyond engine.Seq = 1 << 48

// movable is a log in memory and, when it was promoted, the durable one behind it.
type movable struct {
	engine.Log
	e    *Engine
	o    engine.LogOptions
	next engine.Log // nil: it is not promoted; guarded by Engine.moves
	read []engine.Record
}

var _ engine.Log = (*movable)(nil)

// openMovable opens the part in memory.
func (e *Engine) openMovable(ctx context.Context, id engine.LogID, o engine.LogOptions) (engine.Log, error) {
	l, err := e.memory.Open(ctx, id, o)
	if err != nil {
		return nil, err
	}
	m := &movable{Log: l, e: e, o: o}
	e.moves.Lock()
	defer e.moves.Unlock()
	if e.movables == nil {
		e.movables = make(map[engine.LogID]*movable)
	}
	e.movables[id] = m
	return m, nil
}

// Promote makes what is appended to a log from now on durable, under its durable id. What waits in memory stays there, and
// is read first. It is idempotent.
func (e *Engine) Promote(ctx context.Context, id engine.LogID) error {
	e.moves.Lock()
	defer e.moves.Unlock()
	m := e.movables[id]
	switch {
	case m == nil:
		return fmt.Errorf("promote %s: it is not open: %w", id, engine.ErrNotOwner)
	case m.next != nil:
		return nil
	}
	next, err := e.durable.Open(ctx, Durable(id), m.o)
	if err != nil {
		return fmt.Errorf("promote %s: %w", id, err)
	}
	m.next = next
	return nil
}

// dropMovable drops both parts.
func (e *Engine) dropMovable(ctx context.Context, id engine.LogID) error {
	e.moves.Lock()
	m := e.movables[id]
	delete(e.movables, id)
	e.moves.Unlock()
	if m != nil && m.next != nil {
		if err := e.durable.Drop(ctx, Durable(id)); err != nil {
			return err
		}
	}
	return e.memory.Drop(ctx, id)
}

// promoted reports whether what is appended to a log goes to the durable engine. The caller holds moves.
func (e *Engine) promoted(id engine.LogID) bool {
	m := e.movables[id]
	return m != nil && m.next != nil
}

// plain returns b in terms of the two engines: without movable logs.
func (e *Engine) plain(b *engine.Batch) *engine.Batch {
	if !slices.ContainsFunc(b.Ops, concerns) {
		return b
	}
	e.moves.RLock()
	defer e.moves.RUnlock()
	c := &engine.Batch{Relaxed: b.Relaxed, Ops: make([]engine.Op, 0, len(b.Ops)+1)}
	for _, op := range b.Ops {
		m, ok := op.Log.(*movable)
		switch {
		case op.Kind == engine.Append:
			op.Logs = slices.Clone(op.Logs)
			for i, id := range op.Logs {
				if e.promoted(id) {
					op.Logs[i] = Durable(id)
				}
			}
			c.Ops = append(c.Ops, op)
		case ok:
			c.Ops = m.split(op, c.Ops)
		default:
			c.Ops = append(c.Ops, op)
		}
	}
	return c
}

// concerns reports whether an op may concern a movable log.
func concerns(op engine.Op) bool {
	if op.Kind == engine.Append {
		return slices.ContainsFunc(op.Logs, isMovable)
	}
	_, ok := op.Log.(*movable)
	return ok
}

func isMovable(id engine.LogID) bool { return id != "" && id[0] == moving[0] }

// split adds an op on the log as ops on its parts. The caller holds moves.
func (m *movable) split(op engine.Op, ops []engine.Op) []engine.Op {
	first, second := m.parts(op.Seqs)
	if op.Seqs, op.Log = first, m.Log; len(first) > 0 || len(second) == 0 {
		ops = append(ops, op)
	}
	if len(second) > 0 {
		op.Seqs, op.Log = second, m.next
		ops = append(ops, op)
	}
	return ops
}

// parts tells the records in memory from the others.
func (*movable) parts(seqs []engine.Seq) (first, second []engine.Seq) {
	for _, seq := range seqs {
		if seq < beyond {
			first = append(first, seq)
		} else {
			second = append(second, seq-beyond)
		}
	}
	return first, second
}

// behind returns the durable part, or nil.
func (m *movable) behind() engine.Log {
	m.e.moves.RLock()
	defer m.e.moves.RUnlock()
	return m.next
}

// Next implements engine.Log.
func (m *movable) Next(most, maxBytes int) ([]engine.Record, error) {
	recs, err := m.Log.Next(most, maxBytes)
	next := m.behind()
	if err != nil || next == nil || len(recs) == most {
		return recs, err
	}
	for _, r := range recs {
		maxBytes -= r.Msg.Size()
	}
	if len(recs) > 0 && maxBytes <= 0 {
		return recs, nil
	}
	clear(m.read)
	m.read = append(m.read[:0], recs...)
	more, err := next.Next(most-len(recs), maxBytes)
	for _, r := range more {
		r.Seq += beyond
		m.read = append(m.read, r)
	}
	if len(recs) > 0 {
		err = nil // it comes again
	}
	return m.read, err
}

// Browse implements engine.Log.
func (m *movable) Browse(ctx context.Context, from engine.Seq, fn func(engine.Record) bool) error {
	more := true
	if from < beyond {
		err := m.Log.Browse(ctx, from, func(r engine.Record) bool {
			more = fn(r)
			return more
		})
		if err != nil {
			return err
		}
	}
	next := m.behind()
	if next == nil || !more {
		return nil
	}
	return next.Browse(ctx, max(from, beyond)-beyond, func(r engine.Record) bool {
		r.Seq += beyond
		return fn(r)
	})
}

// Purge implements engine.Log.
func (m *movable) Purge(ctx context.Context, keep ...engine.Seq) (records, bytes uint64, err error) {
	first, second := m.parts(keep)
	if next := m.behind(); next != nil {
		if records, bytes, err = next.Purge(ctx, second...); err != nil {
			return 0, 0, err
		}
	}
	r, b, err := m.Log.Purge(ctx, first...)
	return records + r, bytes + b, err
}

// Stats implements engine.Log.
func (m *movable) Stats() engine.Stats {
	s := m.Log.Stats()
	next := m.behind()
	if next == nil {
		return s
	}
	n := next.Stats()
	if s.Depth == 0 {
		s.FirstSeq = n.FirstSeq + beyond
	}
	return engine.Stats{Depth: s.Depth + n.Depth, Bytes: s.Bytes + n.Bytes, FirstSeq: s.FirstSeq, EndSeq: n.EndSeq + beyond}
}

// Release implements engine.Log.
func (m *movable) Release(ctx context.Context, handed ...engine.Seq) error {
	first, second := m.parts(handed)
	m.e.moves.Lock()
	if m.e.movables[m.ID()] == m {
		delete(m.e.movables, m.ID())
	}
	m.e.moves.Unlock()
	if m.next != nil {
		if err := m.next.Release(ctx, second...); err != nil {
			return err
		}
	}
	return m.Log.Release(ctx, first...)
}
