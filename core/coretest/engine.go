package coretest

import (
	"sync"
	"time"

	"github.com/wyemq/wye/core/engine"
)

// Engine is an [engine.Engine] whose commits can be held back, slowed, failed or swallowed. All else
// is that of the engine below. Make it with [NewEngine].
type Engine struct {
	engine.Engine

	mu      sync.Mutex
	fail    error
	fails   func(*engine.Batch) error
	holding bool
	lose    bool
	delay   time.Duration
	held    []commit
	commits int
}

type commit struct {
	batch *engine.Batch
	done  func(error)
}

// NewEngine returns an engine over e that does as e does, until it is told otherwise.
func NewEngine(e engine.Engine) *Engine { return &Engine{Engine: e} }

// Commit implements engine.Engine.
func (e *Engine) Commit(b *engine.Batch, done func(error)) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.commits++
	switch {
	case e.lose:
	case e.holding:
		e.held = append(e.held, commit{b, done})
	default:
		e.pass(b, done)
	}
}

// pass gives a batch to the engine below, under the lock: the order of commits stays.
func (e *Engine) pass(b *engine.Batch, done func(error)) {
	err := e.fail
	if err == nil && e.fails != nil {
		err = e.fails(b)
	}
	if err != nil {
		// An empty batch: done is called in its turn, and not from within Commit.
		e.Engine.Commit(&engine.Batch{Relaxed: true}, func(error) { done(err) })
		return
	}
	if d := e.delay; d > 0 {
		inner := done
		done = func(err error) { time.AfterFunc(d, func() { inner(err) }) }
	}
	e.Engine.Commit(b, done)
}

// Fail makes commits fail with err and do nothing; nil ends that.
func (e *Engine) Fail(err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.fail = err
}

// FailOn makes those commits fail for which fn returns an error; nil ends that.
func (e *Engine) FailOn(fn func(*engine.Batch) error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.fails = fn
}

// Delay makes done come so much later than the commit takes effect.
func (e *Engine) Delay(d time.Duration) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.delay = d
}

// Hold keeps commits back, as a disk that hangs, until Release.
func (e *Engine) Hold() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.holding = true
}

// Held returns how many commits are kept back.
func (e *Engine) Held() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.held)
}

// Release lets go what was held back, in order.
func (e *Engine) Release() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.holding = false
	for _, c := range e.held {
		e.pass(c.batch, c.done)
	}
	e.held = nil
}

// Lose makes the engine forget commits: nothing happens, and done is never called.
func (e *Engine) Lose() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.lose = true
}

// Commits returns how many batches were committed so far.
func (e *Engine) Commits() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.commits
}
