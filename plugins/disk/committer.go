package disk

import (
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/wyemq/wye/core/engine"
)

const (
	// A group is what is synced at once.
	groupMost  = 4096
	groupBytes = 8 << 20
	// syncLag bounds how long a relaxed batch may stay in memory only.
	syncLag = 100 * time.Millisecond
)

// commit is a batch on its way, or a step of the engine's own.
type commit struct {
	batch *engine.Batch
	step  func(g *group) error // runs alone, between groups of batches
	sync  bool                 // of step
	done  func(error)
	late  bool // the engine was closed before
}

// group is what is committed together.
type group struct {
	e       *Engine
	work    []commit
	errs    []error
	batch   *pebble.Batch
	sync    bool
	wrote   bool
	decided atomic.Bool // somebody says what became of it
}

// committer applies batches one after the other: all that has come while the one before was synced at once. Its
// goroutine runs while there are any.
type committer struct {
	e *Engine

	mu      sync.Mutex // of what follows
	idle    sync.Cond  // the goroutine has ended
	queue   []commit
	running bool
	closed  bool
	broken  bool   // everything is refused
	current *group // nil between groups

	// The goroutine's own.
	spare    []commit
	touched  []*log
	unsynced []*log // what they have reserved is not on disk yet
	state    stateChanges
	topics   topicChanges
	refs     map[uint64]uint64 // of shared bodies, in this group
	dirty    bool              // there is something that was not synced
	lag      *time.Timer
	key      []byte
	val      []byte
}

func (c *committer) init(e *Engine) {
	c.e = e
	c.idle.L = &c.mu
	c.refs = make(map[uint64]uint64)
}

func (c *committer) add(w commit) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.put(w)
}

// put is add with the mutex held.
func (c *committer) put(w commit) {
	w.late = c.closed
	c.queue = append(c.queue, w)
	if !c.running {
		c.running = true
		go c.run() // close waits for it
	}
}

// do runs a step and waits for it.
func (c *committer) do(sync bool, step func(g *group) error) error {
	done := make(chan error, 1)
	c.add(commit{step: step, sync: sync, done: func(err error) { done <- err }})
	return <-done
}

// close returns when everything that was queued is done.
func (c *committer) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	for c.running {
		c.idle.Wait()
	}
	if c.lag != nil {
		c.lag.Stop()
		c.lag = nil
	}
}

// run is the committer's goroutine.
func (c *committer) run() {
	for {
		c.mu.Lock()
		work, broken := c.queue, c.broken
		if len(work) == 0 {
			c.running = false
			c.shrink()
			c.idle.Broadcast()
			c.mu.Unlock()
			return
		}
		c.queue = c.spare[:0]
		c.spare = nil
		c.mu.Unlock()
		if broken {
			c.refuse(work)
			continue
		}
		if !c.commit(work) {
			return // the engine has failed; another goroutine refuses what comes
		}
		clear(work)
		c.spare = work
	}
}

// shrink gives back what a burst has needed.
func (c *committer) shrink() {
	if cap(c.queue) > groupMost {
		c.queue = nil
	}
	if cap(c.val) > groupBytes {
		c.val = nil
	}
}

// commit carries out all that was queued, in groups. It returns false when the engine has failed.
func (c *committer) commit(work []commit) bool {
	for len(work) > 0 {
		n := c.cut(work)
		g := &group{e: c.e, work: work[:n]}
		c.mu.Lock()
		if c.broken { // by another goroutine
			c.queue = append(append([]commit(nil), work...), c.queue...)
			c.running = true
			c.mu.Unlock()
			go c.run()
			return false
		}
		c.current = g
		c.mu.Unlock()
		if err := c.attempt(g); err != nil {
			c.rest(work[n:])
			c.e.hang()
			c.e.fail(err)
			return false
		}
		c.mu.Lock()
		c.current = nil
		c.mu.Unlock()
		if !g.decided.CompareAndSwap(false, true) {
			c.rest(work[n:])
			return false
		}
		c.publish(g)
		work = work[n:]
	}
	return true
}

// rest puts back what has not begun.
func (c *committer) rest(work []commit) {
	if len(work) == 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.queue = append(append([]commit(nil), work...), c.queue...)
	if c.broken && !c.running {
		c.running = true
		go c.run()
	}
}

// cut returns how much of the work makes the next group. What is relaxed shares the sync of what is not, as the order of
// the dones has to be kept and groups of its own cost more than they give.
func (c *committer) cut(work []commit) int {
	if work[0].step != nil {
		return 1
	}
	bytes := 0
	for i := range work {
		if work[i].step != nil || i == groupMost || bytes > groupBytes {
			return i
		}
		for j := range work[i].batch.Ops {
			op := &work[i].batch.Ops[j]
			if op.Msg != nil {
				bytes += len(op.Msg.Body) + len(op.Msg.Header)
			}
			bytes += len(op.Value)
		}
	}
	return len(work)
}

// attempt applies a group. What the store says by panicking becomes an error: it is broken then.
func (c *committer) attempt(g *group) (err error) {
	defer func() {
		if p := recover(); p != nil {
			var ok bool
			if err, ok = p.(error); !ok {
				err = fmt.Errorf("%v", p)
			}
			err = &panicError{err, debug.Stack()}
		}
	}()
	c.e.space.looked = false
	g.batch = c.e.db.NewBatch()
	g.errs = make([]error, len(g.work))
	for i := range g.work {
		w := &g.work[i]
		switch {
		case w.late:
			g.errs[i] = fmt.Errorf("commit: the engine is closed: %w", engine.ErrUnavailable)
		case w.step != nil:
			g.errs[i] = w.step(g)
			g.sync = g.sync || w.sync
			if broken := (*storeError)(nil); errors.As(g.errs[i], &broken) {
				return broken.error
			}
		default:
			g.errs[i] = c.check(w.batch)
			if g.errs[i] != nil {
				break
			}
			for j := range w.batch.Ops {
				if err := c.apply(g, &w.batch.Ops[j]); err != nil {
					return err
				}
			}
			g.sync = g.sync || !w.batch.Relaxed && len(w.batch.Ops) > 0
		}
	}
	if err := c.finish(g); err != nil {
		return err
	}
	if g.batch.Empty() && !(g.sync && c.dirty) {
		return g.batch.Close()
	}
	if g.batch.Empty() {
		_ = g.batch.LogData(nil, nil) // so that there is something to sync
	}
	o := pebble.NoSync
	if g.sync {
		o = pebble.Sync
	}
	g.wrote = true
	if err := g.batch.Commit(o); err != nil {
		return err
	}
	return g.batch.Close()
}

// finish adds what belongs to the group as a whole.
func (c *committer) finish(g *group) error {
	for _, l := range c.touched {
		l.mu.Lock()
		l.reserve()
		c.val = l.appendTo(c.val[:0])
		l.mu.Unlock()
		c.key = append(append(c.key[:0], kindLog), l.id...)
		if err := g.batch.Set(c.key, c.val, nil); err != nil {
			return err
		}
	}
	if err := c.state.finish(g); err != nil {
		return err
	}
	if err := c.topics.finish(c, g); err != nil {
		return err
	}
	return c.finishRefs(g)
}

// publish shows readers what is durable now, and says so.
func (c *committer) publish(g *group) {
	for _, l := range c.touched {
		if !l.unsaved {
			l.unsaved = true
			c.unsynced = append(c.unsynced, l)
		}
	}
	if g.sync {
		for i, l := range c.unsynced {
			l.unsaved = false
			l.saved()
			c.unsynced[i] = nil
		}
		c.unsynced = c.unsynced[:0]
		c.dirty = false
	} else if g.wrote {
		c.dirty = true
		c.syncLater()
	}
	c.state.publish(&c.e.state)
	c.topics.publish(&c.e.retained)
	var ready []func()
	for i, l := range c.touched {
		c.touched[i] = nil
		if fn := l.publish(); fn != nil {
			ready = append(ready, fn)
		}
	}
	c.touched = c.touched[:0]
	if g.work[0].step != nil { // who waits for it may hold a lock that Ready needs
		g.work[0].done(g.errs[0])
		g.work = nil
	}
	for _, fn := range ready {
		fn()
	}
	for i := range g.work {
		if done := g.work[i].done; done != nil {
			done(g.errs[i])
		}
	}
}

// syncLater bounds how long what is relaxed may be lost.
func (c *committer) syncLater() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed || c.lag != nil {
		return
	}
	c.lag = time.AfterFunc(syncLag, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.lag = nil; !c.closed {
			c.put(commit{step: func(*group) error { return nil }, sync: true, done: func(error) {}})
		}
	})
}

// touch makes sure that what is known of a log is stored with the group.
func (c *committer) touch(l *log) {
	if !l.touched {
		l.touched = true
		c.touched = append(c.touched, l)
	}
}

// abandon says of everything that it did not happen, or that nobody knows. It is called once, from any goroutine: the
// committer's may hang in the store for ever.
func (c *committer) abandon(reason error) {
	c.mu.Lock()
	c.broken = true
	g, queue := c.current, c.queue
	c.current, c.queue = nil, nil
	c.running = false
	c.idle.Broadcast()
	c.mu.Unlock()
	if g != nil && g.decided.CompareAndSwap(false, true) {
		for i := range g.work {
			if done := g.work[i].done; done != nil {
				done(fmt.Errorf("commit: %w: %w", engine.ErrUnknown, reason))
			}
		}
	}
	c.refuse(queue)
}

// refuse says that the engine is broken.
func (c *committer) refuse(work []commit) {
	for i := range work {
		if done := work[i].done; done != nil {
			done(fmt.Errorf("commit: the engine has failed: %w", engine.ErrUnavailable))
		}
	}
}

// panicError is what the store said in place of an error.
type panicError struct {
	error
	stack []byte
}

func (e *panicError) Unwrap() error { return e.error }

var errClosed = errors.New("the engine is closed")
