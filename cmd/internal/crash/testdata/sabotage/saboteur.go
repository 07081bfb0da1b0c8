package main

import (
	"context"
	"slices"
	"sync/atomic"
	"time"

	"github.com/wyemq/wye/core/engine"
	"github.com/wyemq/wye/plugins/disk"
)

// delay is how late things are that should be on disk already.
const delay = 50 * time.Millisecond

// saboteur is the disk engine, with one thing wrong.
type saboteur struct {
	*disk.Engine
	harm func(e *saboteur, b *engine.Batch, done func(error))
	mode string
	n    atomic.Int64
}

// harms are what may be wrong with Commit.
var harms = map[string]func(e *saboteur, b *engine.Batch, done func(error)){
	"none": (*saboteur).honest,
	// Nothing is flagged: see log.Next.
	"flag": (*saboteur).honest,
	// What is appended is confirmed before it is stored: as if it were not synced, and the power failed.
	"unsynced": func(e *saboteur, b *engine.Batch, done func(error)) {
		if !has(b, engine.Append) {
			e.honest(b, done)
			return
		}
		go done(nil)
		time.AfterFunc(delay, func() { e.honest(b, nil) })
	},
	"append":   dropping(engine.Append, 100),
	"settle":   dropping(engine.Settle, 100),
	"failed":   dropping(engine.Failed, 1),
	"retained": dropping(engine.Retain, 3),
	// What protocols keep for their sessions is not stored.
	"values": func(e *saboteur, b *engine.Batch, done func(error)) {
		b.Ops = slices.DeleteFunc(slices.Clone(b.Ops), func(op engine.Op) bool { return op.Bucket == "values" })
		e.honest(b, done)
	},
	// The sends of a transaction are stored one by one.
	"torn": func(e *saboteur, b *engine.Batch, done func(error)) {
		i := slices.IndexFunc(b.Ops, func(op engine.Op) bool { return op.Kind == engine.Append })
		rest := &engine.Batch{Ops: slices.Clone(b.Ops[i+1:]), Relaxed: b.Relaxed}
		if i < 0 || !has(rest, engine.Append) {
			e.honest(b, done)
			return
		}
		e.honest(&engine.Batch{Ops: slices.Clone(b.Ops[:i+1]), Relaxed: b.Relaxed}, nil)
		time.AfterFunc(delay, func() { e.honest(rest, done) })
	},
	// The acknowledgements of a transaction are stored after its sends.
	"acks": func(e *saboteur, b *engine.Batch, done func(error)) {
		if !has(b, engine.Append) || !has(b, engine.Settle) {
			e.honest(b, done)
			return
		}
		settles := func(op engine.Op) bool { return op.Kind == engine.Settle }
		sends := slices.DeleteFunc(slices.Clone(b.Ops), settles)
		acks := slices.DeleteFunc(slices.Clone(b.Ops), func(op engine.Op) bool { return !settles(op) })
		e.honest(&engine.Batch{Ops: sends}, nil)
		time.AfterFunc(delay, func() { e.honest(&engine.Batch{Ops: acks}, done) })
	},
	// Now and then something comes late.
	"order": func(e *saboteur, b *engine.Batch, done func(error)) {
		if has(b, engine.Append) && e.n.Add(1)%50 == 0 {
			time.AfterFunc(delay, func() { e.honest(b, done) })
			return
		}
		e.honest(b, done)
	},
}

// dropping forgets each n-th op of a kind.
func dropping(kind engine.OpKind, n int64) func(e *saboteur, b *engine.Batch, done func(error)) {
	return func(e *saboteur, b *engine.Batch, done func(error)) {
		b.Ops = slices.DeleteFunc(slices.Clone(b.Ops), func(op engine.Op) bool { return op.Kind == kind && e.n.Add(1)%n == 0 })
		e.honest(b, done)
	}
}

func has(b *engine.Batch, kind engine.OpKind) bool {
	return slices.ContainsFunc(b.Ops, func(op engine.Op) bool { return op.Kind == kind })
}

// Commit does what is wrong.
func (e *saboteur) Commit(b *engine.Batch, done func(error)) { e.harm(e, b, done) }

// honest is the Commit of the disk engine, which knows its own logs only.
func (e *saboteur) honest(b *engine.Batch, done func(error)) {
	theirs := &engine.Batch{Ops: slices.Clone(b.Ops), Relaxed: b.Relaxed}
	for i := range theirs.Ops {
		if l, ok := theirs.Ops[i].Log.(*log); ok {
			theirs.Ops[i].Log = l.Log
		}
	}
	e.Engine.Commit(theirs, done)
}

// log is one of the disk engine.
type log struct {
	engine.Log
	e *saboteur
}

func (e *saboteur) Open(ctx context.Context, id engine.LogID, o engine.LogOptions) (engine.Log, error) {
	l, err := e.Engine.Open(ctx, id, o)
	if err != nil {
		return nil, err
	}
	return &log{l, e}, nil
}

// Next forgets what was handed out before, if that is the mode.
func (l *log) Next(most, maxBytes int) ([]engine.Record, error) {
	rs, err := l.Log.Next(most, maxBytes)
	if l.e.mode == "flag" {
		for i := range rs {
			rs[i].Redelivered, rs[i].Deliveries = false, 0
		}
	}
	return rs, err
}
