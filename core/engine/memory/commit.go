package memory

import (
	"fmt"
	"sync"

	"github.com/wyemq/wye/core/engine"
)

// groupMost is how many batches are applied before their dones are called.
const groupMost = 1024

// commit is a batch on its way.
type commit struct {
	batch *engine.Batch
	done  func(error)
	late  bool // the engine was closed before
}

// committer applies batches one after the other. Its goroutine runs while there are any.
type committer struct {
	e *Engine

	mu      sync.Mutex // of what follows
	idle    sync.Cond  // the goroutine has ended
	queue   []commit
	running bool
	closed  bool

	// The goroutine's own.
	spare []commit
	errs  []error
	woken []*log
}

func (c *committer) init(e *Engine) {
	c.e = e
	c.idle.L = &c.mu
}

func (c *committer) add(b *engine.Batch, done func(error)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.queue = append(c.queue, commit{b, done, c.closed})
	if !c.running {
		c.running = true
		go c.run() // close waits for it
	}
}

// close returns when everything that was queued is done.
func (c *committer) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	for c.running {
		c.idle.Wait()
	}
}

func (c *committer) run() {
	for {
		c.mu.Lock()
		work := c.queue
		if len(work) == 0 {
			c.running = false
			if cap(work) > groupMost {
				c.queue = nil
			}
			if cap(c.spare) > groupMost {
				c.spare = nil
			}
			c.idle.Broadcast()
			c.mu.Unlock()
			return
		}
		c.queue = c.spare[:0]
		c.mu.Unlock()
		for i := 0; i < len(work); i += groupMost {
			c.group(work[i:min(i+groupMost, len(work))])
		}
		clear(work)
		c.spare = work
	}
}

// group applies batches, wakes the logs that have more to read, and then says that they are done.
func (c *committer) group(work []commit) {
	c.errs = c.errs[:0]
	for i := range work {
		err := c.check(&work[i])
		if err == nil {
			for j := range work[i].batch.Ops {
				c.do(&work[i].batch.Ops[j])
			}
		}
		c.errs = append(c.errs, err)
	}
	for i, l := range c.woken {
		c.woken[i] = nil
		l.woken = false
		if ready := l.ready(); ready != nil {
			ready()
		}
	}
	c.woken = c.woken[:0]
	for i := range work {
		if done := work[i].done; done != nil {
			done(c.errs[i])
		}
	}
}

// check finds what would make a batch fail, before anything of it is applied.
func (c *committer) check(w *commit) error {
	if w.late {
		return fmt.Errorf("commit: the engine is closed: %w", engine.ErrUnavailable)
	}
	if n := len(w.batch.Ops); n > atomicOps {
		return fmt.Errorf("commit %d ops: %w", n, engine.ErrScope)
	}
	for i := range w.batch.Ops {
		op := &w.batch.Ops[i]
		switch op.Kind {
		case engine.Settle, engine.Failed:
			if own, ok := op.Log.(*owned); !ok || own.l.e != c.e || !own.valid() {
				return fmt.Errorf("settle in a log that is not open: %w", engine.ErrNotOwner)
			}
		case engine.Put, engine.Delete:
			if !c.e.state.agrees(op.Bucket, op.Key, op.Rev) {
				return fmt.Errorf("%s of %s/%s: %w", verb(op.Kind), op.Bucket, op.Key, engine.ErrConflict)
			}
		case engine.Append, engine.Retain:
		default:
			return fmt.Errorf("op of kind %d: %w", op.Kind, engine.ErrScope)
		}
	}
	return nil
}

func verb(k engine.OpKind) string {
	if k == engine.Delete {
		return "delete"
	}
	return "put"
}

// do carries out one step.
func (c *committer) do(op *engine.Op) {
	switch op.Kind {
	case engine.Append:
		for _, id := range op.Logs {
			l := c.e.log(id)
			if l.append(op.Msg) && !l.woken {
				l.woken = true
				c.woken = append(c.woken, l)
			}
		}
	case engine.Settle:
		own, _ := op.Log.(*owned)
		own.l.settle(op.Seqs)
	case engine.Failed:
		own, _ := op.Log.(*owned)
		own.l.failed(op.Seqs)
	case engine.Retain:
		c.e.retained.set(op.Topic, op.Msg)
	case engine.Put:
		c.e.state.put(op.Bucket, op.Key, op.Value)
	case engine.Delete:
		c.e.state.delete(op.Bucket, op.Key)
	}
}
