package coretest

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/wyemq/wye/core/engine"
	"github.com/wyemq/wye/core/engine/memory"
)

// Disk is what outlives a broker: what an engine on it has been told, and what of that is safe. Make it with [NewDisk], open
// an engine on it with Open, one at a time; after the engine was closed, or after Kill, another one finds what is there.
//
// The engine claims to be durable, and hands back all messages without Ref, so that everything is decoded. A batch that is
// not relaxed is done after Sync, with all that came before it.
type Disk struct {
	t testing.TB

	mu      sync.Mutex
	sync    time.Duration
	journal []entry // what happened, in order
	safe    int     // how many of them a crash leaves
	strict  int     // batches that had to be synced
	relaxed int
	fail    error
	open    *diskEngine
}

// entry is something that changed the content.
type entry struct {
	ops    []step
	drop   engine.LogID
	purged engine.LogID
	keep   []engine.Seq
	handed map[engine.LogID][]engine.Seq
}

// step is an engine.Op without what belongs to one life of an engine.
type step struct {
	engine.Op
	log engine.LogID
}

// NewDisk returns an empty disk.
func NewDisk(t testing.TB) *Disk { return &Disk{t: t} }

// Sync makes a batch that is not relaxed take so long.
func (d *Disk) Sync(took time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.sync = took
}

// Fail makes what is committed from now on fail, as a full disk does; nil ends that.
func (d *Disk) Fail(err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.fail = err
}

// Commits returns how many batches came so far, and how many of them had to be synced.
func (d *Disk) Commits() (all, strict int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.strict + d.relaxed, d.strict
}

// Open returns an engine on what is there.
func (d *Disk) Open() engine.Engine {
	d.t.Helper()
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.open != nil {
		d.t.Fatal("the disk has an engine already")
	}
	d.open = &diskEngine{d: d, Engine: d.replay(), logs: make(map[engine.LogID]*diskLog)}
	return d.open
}

// Kill ends the engine as kill -9 does: what was not synced is lost, whether it was relaxed or its done is still to come,
// and what was read counts as handed out. What is under way fails, so that the broker above can be closed; nothing that it
// does has an effect.
func (d *Disk) Kill() {
	d.mu.Lock()
	e := d.open
	d.open = nil
	d.journal = d.journal[:d.safe:d.safe]
	if e != nil {
		e.dead = true
		for _, c := range e.waiting {
			defer e.Engine.Commit(&engine.Batch{}, c.done) // when it is closed
		}
		handed := make(map[engine.LogID][]engine.Seq)
		for id, l := range e.logs {
			handed[id] = l.given
		}
		d.journal = append(d.journal, entry{handed: handed})
		d.safe = len(d.journal)
	}
	d.mu.Unlock()
	if e != nil {
		_ = e.Engine.Close(context.Background())
	}
}

// replay makes an engine with the content of the journal, and nobody having a log of it.
func (d *Disk) replay() *memory.Engine {
	e := memory.New()
	logs := make(map[engine.LogID]engine.Log)
	log := func(id engine.LogID) engine.Log {
		if logs[id] == nil {
			l, err := e.Open(context.Background(), id, engine.LogOptions{Ready: func() {}})
			if err != nil {
				d.t.Errorf("replay: %v", err)
			}
			logs[id] = l
		}
		return logs[id]
	}
	release := func(id engine.LogID, handed []engine.Seq) {
		if err := log(id).Release(context.Background(), handed...); err != nil {
			d.t.Errorf("replay: %v", err)
		}
		delete(logs, id)
	}
	for _, x := range d.journal {
		switch {
		case x.drop != "":
			delete(logs, x.drop)
			_ = e.Drop(context.Background(), x.drop)
		case x.purged != "":
			_, _, _ = log(x.purged).Purge(context.Background(), x.keep...)
		case x.handed != nil:
			for id, seqs := range x.handed {
				release(id, seqs)
			}
		default:
			ops := make([]engine.Op, len(x.ops))
			for i, s := range x.ops {
				if ops[i] = s.Op; s.log != "" {
					ops[i].Log = log(s.log)
				}
			}
			done := make(chan error, 1)
			e.Commit(&engine.Batch{Ops: ops}, func(err error) { done <- err })
			if err := <-done; err != nil {
				d.t.Errorf("replay: %v", err)
			}
		}
	}
	for id := range logs {
		release(id, nil)
	}
	return e
}

// diskEngine is an engine on a disk.
type diskEngine struct {
	d *Disk
	*memory.Engine
	// d.mu guards these.
	logs    map[engine.LogID]*diskLog
	waiting []diskCommit
	timer   *time.Timer
	dead    bool
}

type diskCommit struct {
	entry   entry
	batch   *engine.Batch
	done    func(error)
	relaxed bool
}

// Caps implements engine.Engine.
func (e *diskEngine) Caps() engine.Caps {
	c := e.Engine.Caps()
	c.Durable = true
	return c
}

// Commit implements engine.Engine.
func (e *diskEngine) Commit(b *engine.Batch, done func(error)) {
	c := diskCommit{batch: &engine.Batch{Relaxed: b.Relaxed}, done: done, relaxed: b.Relaxed}
	for _, op := range b.Ops {
		op.Seqs = slices.Clone(op.Seqs)
		if op.Msg != nil {
			m := *op.Msg
			m.Ref = nil
			op.Msg = &m
		}
		s := step{Op: op}
		s.Log = nil
		if l, ok := op.Log.(*diskLog); ok {
			s.log, op.Log = l.ID(), l.Log
		}
		c.entry.ops = append(c.entry.ops, s)
		c.batch.Ops = append(c.batch.Ops, op)
	}
	d := e.d
	d.mu.Lock()
	defer d.mu.Unlock()
	if e.dead {
		e.Engine.Commit(&engine.Batch{}, done) // fails: it is closed
		return
	}
	if b.Relaxed {
		d.relaxed++
	} else {
		d.strict++
	}
	if d.fail != nil {
		err := fmt.Errorf("commit: %w", d.fail)
		c = diskCommit{batch: &engine.Batch{Relaxed: true}, relaxed: true, done: func(error) {
			if done != nil {
				done(err)
			}
		}}
	}
	if d.sync == 0 || c.relaxed && len(e.waiting) == 0 {
		e.apply(c)
		return
	}
	e.waiting = append(e.waiting, c)
	if e.timer == nil {
		e.timer = time.AfterFunc(d.sync, e.synced)
	}
}

// synced is called when a sync has ended: all that waited for it is safe.
func (e *diskEngine) synced() {
	e.d.mu.Lock()
	defer e.d.mu.Unlock()
	e.flush()
}

// flush is called with the lock of the disk held.
func (e *diskEngine) flush() {
	for _, c := range e.waiting {
		e.apply(c)
	}
	e.waiting, e.timer = nil, nil
}

// apply is called with the lock of the disk held.
func (e *diskEngine) apply(c diskCommit) {
	e.Engine.Commit(c.batch, func(err error) {
		e.d.mu.Lock()
		dead := e.dead
		if !dead && err == nil && len(c.entry.ops) > 0 {
			e.d.journal = append(e.d.journal, c.entry)
		}
		if !dead && err == nil && !c.relaxed {
			e.d.safe = len(e.d.journal)
		}
		e.d.mu.Unlock()
		if dead {
			err = engine.ErrUnavailable
		}
		if c.done != nil {
			c.done(err)
		}
	})
}

// note writes down at once what is no batch.
func (e *diskEngine) note(x entry) {
	e.d.mu.Lock()
	defer e.d.mu.Unlock()
	if !e.dead {
		e.d.journal = append(e.d.journal, x)
		e.d.safe = len(e.d.journal)
	}
}

// Open implements engine.Engine.
func (e *diskEngine) Open(ctx context.Context, id engine.LogID, o engine.LogOptions) (engine.Log, error) {
	l, err := e.Engine.Open(ctx, id, o)
	if err != nil {
		return nil, err
	}
	e.d.mu.Lock()
	defer e.d.mu.Unlock()
	dl := &diskLog{Log: l, e: e}
	e.logs[id] = dl
	return dl, nil
}

// Drop implements engine.Engine.
func (e *diskEngine) Drop(ctx context.Context, id engine.LogID) error {
	err := e.Engine.Drop(ctx, id)
	if err == nil {
		e.note(entry{drop: id})
		e.d.mu.Lock()
		delete(e.logs, id)
		e.d.mu.Unlock()
	}
	return err
}

// Close implements engine.Engine.
func (e *diskEngine) Close(ctx context.Context) error {
	e.d.mu.Lock()
	if e.timer != nil {
		e.timer.Stop()
	}
	e.flush()
	e.d.mu.Unlock()
	err := e.Engine.Close(ctx)
	e.d.mu.Lock()
	defer e.d.mu.Unlock()
	if !e.dead {
		e.d.safe = len(e.d.journal)
		e.dead, e.d.open = true, nil
	}
	return err
}

// diskLog is a log that knows what it has given.
type diskLog struct {
	engine.Log
	e     *diskEngine
	given []engine.Seq
}

// Next implements engine.Log.
func (l *diskLog) Next(most, maxBytes int) ([]engine.Record, error) {
	recs, err := l.Log.Next(most, maxBytes)
	l.e.d.mu.Lock()
	defer l.e.d.mu.Unlock()
	for _, r := range recs {
		l.given = append(l.given, r.Seq)
	}
	return recs, err
}

// Purge implements engine.Log.
func (l *diskLog) Purge(ctx context.Context, keep ...engine.Seq) (records, bytes uint64, err error) {
	records, bytes, err = l.Log.Purge(ctx, keep...)
	if err == nil {
		l.e.note(entry{purged: l.ID(), keep: slices.Clone(keep)})
	}
	return records, bytes, err
}

// Release implements engine.Log.
func (l *diskLog) Release(ctx context.Context, handed ...engine.Seq) error {
	err := l.Log.Release(ctx, handed...)
	if err == nil {
		l.e.note(entry{handed: map[engine.LogID][]engine.Seq{l.ID(): slices.Clone(handed)}})
		l.e.d.mu.Lock()
		delete(l.e.logs, l.ID())
		l.e.d.mu.Unlock()
	}
	return err
}
