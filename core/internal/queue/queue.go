// Package queue dispatches one log to its consumers: credit, fairness, acknowledgements, redelivery,
// priorities, selectors, message groups, expiry, limits, dead letters. It decides; the engine stores.
// A queue has no goroutine while nothing happens.
package queue

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/wyemq/wye/core/engine"
)

// ErrInUse refuses a consumer because of another one that wants to be alone.
var ErrInUse = errors.New("the queue has a consumer that allows no other")

// ErrUnknown says that a record is not held by the consumer that settles it.
var ErrUnknown = errors.New("not delivered to this consumer, or settled already")

// ErrClosed refuses what is asked of a queue that was closed or deleted.
var ErrClosed = errors.New("the queue is closed")

// Config is how a queue behaves. Zero values mean what the comments say.
type Config struct {
	MaxDeliveries       int // 0: 10; -1: no limit
	Backoff, MaxBackoff time.Duration
	TTL                 time.Duration
	MaxLength           int
	MaxBytes            int64
	Overflow            string // reject, drop_head, dead_letter
	Priorities          bool
	ExpiresIdle         time.Duration
	AutoDelete          bool
	ExpiredToDLQ        bool
}

// Hooks are what a queue asks its owner.
type Hooks struct {
	// Dead returns the ops that store r elsewhere as a dead letter (nil: it is dropped); they go into the
	// batch that settles it. reason: max_deliveries, rejected, expired, max_length.
	Dead func(r engine.Record, attempts int, reason string) []engine.Op
	// Group returns the message group of m or "", and whether the group closes after it.
	Group func(m *engine.Message) (key string, last bool)
	// Dropped is told how many records left without being delivered or kept elsewhere.
	Dropped func(reason string, n int)
	// Idle is called once when the queue should be deleted: AutoDelete, ExpiresIdle.
	Idle func()
}

// What is read ahead of the consumers. With selectors more may be looked at: a consumer that finds nothing in the
// window makes it grow up to selectorWindow, beyond which matching messages wait for the window to move.
const (
	windowItems    = 1024
	windowBytes    = 8 << 20
	selectorWindow = 100_000
	batchItems     = 256
	maxGroups      = 10_000
)

// Stats describes a queue.
type Stats struct {
	Ready, Unacked, Consumers int
	Bytes                     int64
}

// Queue dispatches one log. Its methods may be called concurrently.
type Queue struct {
	id    engine.LogID
	eng   engine.Engine
	cfg   Config
	hooks Hooks
	log   engine.Log

	mu        sync.Mutex
	lanes     [10]lane
	waiting   []*item // nacked, until their back-off is over
	more      bool    // the log may have more to read
	depth     int     // messages that were let in and not settled
	bytes     int64
	unacked   int
	consumers []*Consumer // in the order they are served: priority, then turn
	groups    map[string]*Consumer
	selectors int // consumers with Match
	turn      int
	expires   time.Time // the first expiry among what is ready
	timer     *time.Timer
	idleTimer *time.Timer

	used, running, again, closed bool
	runs                         sync.WaitGroup
}

// Open claims the log id and dispatches it.
func Open(ctx context.Context, eng engine.Engine, id engine.LogID, cfg Config, h Hooks) (*Queue, error) {
	if cfg.MaxDeliveries == 0 {
		cfg.MaxDeliveries = 10
	}
	if cfg.MaxBackoff == 0 {
		cfg.MaxBackoff = time.Minute
	}
	q := &Queue{id: id, eng: eng, cfg: cfg, hooks: h, more: true}
	q.mu.Lock()
	defer q.mu.Unlock()
	log, err := eng.Open(ctx, id, engine.LogOptions{Lanes: true, Ready: q.ready})
	if err != nil {
		return nil, fmt.Errorf("open log %s: %w", id, err)
	}
	q.log = log
	s := log.Stats()
	q.depth, q.bytes = int(s.Depth), int64(s.Bytes)
	q.watchIdle()
	return q, nil
}

// ID returns the id of the log.
func (q *Queue) ID() engine.LogID { return q.id }

// ready is called by the engine when the log has more.
func (q *Queue) ready() {
	q.mu.Lock()
	q.more = true
	q.kick()
	q.mu.Unlock()
}

// Reserve counts a message in before its Append is committed. With overflow reject a queue at its limit
// refuses with an error wrapping engine.ErrFull; else it takes the message, and the oldest leave.
func (q *Queue) Reserve(bytes int, _ uint8) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return ErrClosed
	}
	if q.cfg.Overflow == "" || q.cfg.Overflow == "reject" {
		switch {
		case q.cfg.MaxLength > 0 && q.depth >= q.cfg.MaxLength:
			return fmt.Errorf("%d messages are waiting, %d are permitted: %w", q.depth, q.cfg.MaxLength, engine.ErrFull)
		case q.cfg.MaxBytes > 0 && q.bytes+int64(bytes) > q.cfg.MaxBytes:
			return fmt.Errorf("%d bytes are waiting, %d are permitted: %w", q.bytes, q.cfg.MaxBytes, engine.ErrFull)
		}
	}
	q.depth++
	q.bytes += int64(bytes)
	q.used = true
	return nil
}

// Unreserve takes a Reserve back whose Append was not committed.
func (q *Queue) Unreserve(bytes int) {
	q.mu.Lock()
	q.depth--
	q.bytes -= int64(bytes)
	q.mu.Unlock()
}

// over reports whether drop_head or dead_letter has to make room.
func (q *Queue) over() bool {
	if q.cfg.Overflow != "drop_head" && q.cfg.Overflow != "dead_letter" {
		return false
	}
	return q.cfg.MaxLength > 0 && q.depth > q.cfg.MaxLength || q.cfg.MaxBytes > 0 && q.bytes > q.cfg.MaxBytes
}

// Stats returns what the queue holds.
func (q *Queue) Stats() Stats {
	q.mu.Lock()
	defer q.mu.Unlock()
	return Stats{Ready: q.depth - q.unacked, Unacked: q.unacked, Consumers: len(q.consumers), Bytes: q.bytes}
}

// Purge drops what waits and is not handed out, and returns how much that was.
func (q *Queue) Purge(ctx context.Context) (uint64, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return 0, ErrClosed
	}
	handed := make(map[engine.Seq]bool)
	for _, c := range q.consumers {
		for seq := range c.held {
			handed[seq] = true
		}
	}
	var seqs []engine.Seq
	var bytes int64
	err := q.log.Browse(ctx, 0, func(r engine.Record) bool {
		if !handed[r.Seq] {
			seqs = append(seqs, r.Seq)
			bytes += int64(len(r.Msg.Body))
		}
		return true
	})
	if err != nil || len(seqs) == 0 {
		return 0, err
	}
	purged := make(map[engine.Seq]bool, len(seqs))
	for _, seq := range seqs {
		purged[seq] = true
	}
	for i := range q.lanes {
		q.lanes[i].remove(func(it *item) bool { return purged[it.rec.Seq] })
	}
	q.waiting = without(q.waiting, purged)
	q.purging(purged)
	q.depth -= len(seqs)
	q.bytes -= bytes
	q.eng.Commit(&engine.Batch{Ops: []engine.Op{{Kind: engine.Settle, Log: q.log, Seqs: seqs}}, Relaxed: true}, func(error) {})
	return uint64(len(seqs)), nil
}

func without(items []*item, gone map[engine.Seq]bool) []*item {
	kept := items[:0]
	for _, it := range items {
		if !gone[it.rec.Seq] {
			kept = append(kept, it)
		}
	}
	clear(items[len(kept):])
	return kept
}

// purging reads what the log still gives out of what was purged, so that it is not dispatched.
func (q *Queue) purging(gone map[engine.Seq]bool) {
	for q.more {
		recs, err := q.log.Next(windowItems, windowBytes)
		if err != nil || len(recs) == 0 {
			q.more = false
			return
		}
		for _, r := range recs {
			if !gone[r.Seq] {
				q.add(r)
			}
		}
	}
}

// Close releases the log: the next owner finds everything that is unsettled.
func (q *Queue) Close(ctx context.Context) error {
	if !q.shut() {
		return nil
	}
	return q.log.Release(ctx)
}

// Delete closes the queue and drops the log with all that is in it.
func (q *Queue) Delete(ctx context.Context) error {
	if !q.shut() {
		return nil
	}
	return errors.Join(q.log.Release(ctx), q.eng.Drop(ctx, q.id))
}

func (q *Queue) shut() bool {
	q.mu.Lock()
	if q.closed {
		q.mu.Unlock()
		return false
	}
	q.closed = true
	for _, t := range []*time.Timer{q.timer, q.idleTimer} {
		if t != nil {
			t.Stop()
		}
	}
	q.mu.Unlock()
	q.runs.Wait()
	return true
}

// watchIdle starts or stops the clock of ExpiresIdle. The caller holds mu.
func (q *Queue) watchIdle() {
	if q.idleTimer != nil {
		q.idleTimer.Stop()
		q.idleTimer = nil
	}
	if q.cfg.ExpiresIdle > 0 && len(q.consumers) == 0 && !q.closed && q.hooks.Idle != nil {
		q.used = false
		q.idleTimer = time.AfterFunc(q.cfg.ExpiresIdle, q.idle)
	}
}

// idle is called when nobody has consumed for a while. Messages that came in meanwhile are use, too.
func (q *Queue) idle() {
	q.mu.Lock()
	unused := !q.used && len(q.consumers) == 0 && !q.closed
	if !unused {
		q.watchIdle()
	}
	q.mu.Unlock()
	if unused {
		q.hooks.Idle()
	}
}
