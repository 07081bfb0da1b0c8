package queue

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/wyemq/wye/core/engine"
)

var (
	// ErrInUse refuses a consumer because of another one that wants to be alone.
	ErrInUse = errors.New("the queue has a consumer that allows no other")
	// ErrUnknown says that a record is not held by the consumer that settles it.
	ErrUnknown = errors.New("not delivered to this consumer, or settled already")
	// ErrClosed refuses what is asked of a queue that was closed or deleted.
	ErrClosed = errors.New("the queue is closed")
)

// What Config.Overflow may say.
const (
	OverflowReject     = "reject"
	OverflowDropHead   = "drop_head"
	OverflowDeadLetter = "dead_letter"
)

// Why a record left without being accepted.
const (
	reasonDeliveries = "max_deliveries"
	reasonRejected   = "rejected"
	reasonExpired    = "expired"
	ReasonLength     = "max_length" // there was no room
)

// Config is how a queue behaves. Zero values mean what the comments say.
type Config struct {
	MaxDeliveries int           // attempts before a record is a dead letter; 0: 10; < 0: no limit
	Backoff       time.Duration // wait after the first nack, doubled at each; 0: none
	MaxBackoff    time.Duration // most of it; 0: one minute
	TTL           time.Duration // most a record may wait; 0: no limit
	MaxLength     int           // records; 0: no limit
	MaxBytes      int64         // body bytes; 0: no limit
	Overflow      string        // "": reject
	Priorities    bool          // order by priority from the start; else from the first record that has one
	ExpiresIdle   time.Duration // Hooks.Idle after so long without consumers and Reserve; 0: never
	AutoDelete    bool          // Hooks.Idle when the last consumer has left
	ExpiredToDLQ  bool          // expired records are dead letters; else they are dropped
}

// Hooks are what a queue asks its owner. Each may be nil. None is called with a lock of the queue held, except Group.
type Hooks struct {
	// Dead returns the ops that store r elsewhere as a dead letter (nil: it is dropped); they go into the batch that
	// settles r. attempts counts the failed ones. reason: max_deliveries, rejected, expired, max_length.
	Dead func(r engine.Record, attempts int, reason string) []engine.Op
	// Undo is told the ops of a batch that failed and had ops of Dead in it.
	Undo func(ops []engine.Op)
	// Load returns m, or what the other hooks, Match and consumers are to be given in its place: once for each record.
	Load func(m *engine.Message) *engine.Message
	// Group returns the message group of m or "", and whether the group closes after it. It must not call the queue.
	Group func(m *engine.Message) (key string, last bool)
	// Dropped is told how many records left q without being accepted or kept elsewhere, which may be before Open returns.
	Dropped func(q *Queue, reason string, n int)
	// Idle is called once when the queue should be deleted: AutoDelete, ExpiresIdle. It must not wait for the queue's
	// Close.
	Idle func()
}

// Stats describes a queue. Ready counts records that are let in and neither handed out nor leaving, those included
// that wait for their back-off or for their Append to be done.
type Stats struct {
	Ready, Unacked, Consumers int
	Bytes                     int64
}

// Queue dispatches one log. Its methods may be called concurrently.
type Queue struct {
	id    engine.LogID
	eng   engine.Engine
	cfg   atomic.Pointer[Config]
	hooks Hooks
	log   engine.Log
	lost  <-chan struct{}
	runs  sync.WaitGroup // the runner, and discards under way

	// io is held while the log is read or purged, never taken with mu held.
	io   sync.Mutex
	read []*item // scratch of the runner

	mu      sync.Mutex // of what follows
	lanes   [lanes]line
	ready   int   // items in all lanes
	body    int64 // their bytes
	more    bool  // the log may have more to read
	mixed   bool  // priorities are in use
	waiting backoffs
	leaving map[engine.Seq]*item // taken out, their settlement is under way
	leavingBytes,
	bytes int64
	depth     int // records that were let in and not settled
	unacked   int // of them, those that are handed out
	clock     clock
	parted    map[engine.Seq]struct{} // what has left since the sweep under way began
	dead      []condemned             // to be discarded by the runner
	retries   []*departure            // what the engine refused
	classes   []*class                // consumers by priority
	browsers  []*Consumer
	remains   []*Consumer // detached, with settlements under way
	consumers int
	selective int // consumers with Match
	exclusive int // consumers that want everything
	groups    groups
	served    []*Consumer // scratch of the runner
	ring      []*Consumer // scratch of the runner

	running, again, purging, closed, told bool
}

// Open claims the log id and dispatches it.
func Open(ctx context.Context, eng engine.Engine, id engine.LogID, cfg Config, h Hooks) (*Queue, error) {
	q := &Queue{id: id, eng: eng, hooks: h, more: true, mixed: cfg.Priorities}
	cfg = cfg.complete()
	q.cfg.Store(&cfg)
	q.mu.Lock() // the engine may call ready before Open has returned
	defer q.mu.Unlock()
	log, err := eng.Open(ctx, id, engine.LogOptions{Lanes: true, Ready: q.wake})
	if err != nil {
		return nil, fmt.Errorf("open log %s: %w", id, err)
	}
	q.log, q.lost = log, log.Lost()
	s := log.Stats()
	q.depth, q.bytes = int(s.Depth), int64(s.Bytes)
	q.clock.used, q.clock.unseen = time.Now(), s.Depth > 0
	q.kick()
	return q, nil
}

// complete puts defaults in the place of zero values.
func (c Config) complete() Config {
	if c.MaxDeliveries == 0 {
		c.MaxDeliveries = 10
	}
	if c.MaxBackoff == 0 {
		c.MaxBackoff = time.Minute
	}
	if c.Overflow == "" {
		c.Overflow = OverflowReject
	}
	return c
}

// ID returns the id of the log.
func (q *Queue) ID() engine.LogID { return q.id }

// Reserve counts a message in before its Append is committed. With overflow reject a queue at its limit refuses with an
// error wrapping engine.ErrFull; else the message is taken, and the oldest records that are not handed out leave.
func (q *Queue) Reserve(bytes int, priority uint8) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return ErrClosed
	}
	if q.cfg.Load().Overflow == OverflowReject {
		switch {
		case q.cfg.Load().MaxLength > 0 && q.depth >= q.cfg.Load().MaxLength:
			return fmt.Errorf("%d messages are waiting, %d are permitted: %w", q.depth, q.cfg.Load().MaxLength, engine.ErrFull)
		case q.cfg.Load().MaxBytes > 0 && q.bytes+int64(bytes) > q.cfg.Load().MaxBytes:
			return fmt.Errorf("%d bytes are waiting, %d are permitted: %w", q.bytes, q.cfg.Load().MaxBytes, engine.ErrFull)
		}
	}
	q.depth++
	q.bytes += int64(bytes)
	q.mixed = q.mixed || priority != engine.DefaultPriority
	if q.cfg.Load().ExpiresIdle > 0 {
		q.clock.used = time.Now()
	}
	return nil
}

// Unreserve takes a Reserve back whose Append was not committed.
func (q *Queue) Unreserve(bytes int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.depth--
	q.bytes -= int64(bytes)
}

// Stats returns what the queue holds.
func (q *Queue) Stats() Stats {
	q.mu.Lock()
	defer q.mu.Unlock()
	return Stats{
		Ready: q.depth - q.unacked - len(q.leaving), Unacked: q.unacked, Consumers: q.consumers, Bytes: q.bytes,
	}
}

// Purge drops what waits and is not handed out, and returns how much that was.
func (q *Queue) Purge(ctx context.Context) (uint64, error) {
	q.io.Lock()
	defer q.io.Unlock()
	q.mu.Lock()
	if q.closed {
		q.mu.Unlock()
		return 0, ErrClosed
	}
	q.purging = true
	keep := q.handed(nil)
	for seq := range q.leaving {
		keep = append(keep, seq)
	}
	aside := q.setAside()
	q.mu.Unlock()
	n, bytes, err := q.log.Purge(ctx, keep...)
	q.mu.Lock()
	defer q.mu.Unlock()
	q.purging = false
	if err != nil {
		q.restore(aside)
		q.kick()
		return 0, fmt.Errorf("purge %s: %w", q.id, err)
	}
	q.depth -= int(n)
	q.bytes -= int64(bytes)
	q.kick()
	return n, nil
}

// setAside takes everything out of the lanes and the back-off.
func (q *Queue) setAside() []*item {
	all := make([]*item, 0, q.ready+len(q.waiting))
	for i := range q.lanes {
		all = q.lanes[i].appendTo(all)
		q.lanes[i] = line{}
	}
	all = append(all, q.waiting...)
	q.waiting, q.ready, q.body = nil, 0, 0
	return all
}

// handed adds the records that consumers have, those included whose settlement is under way.
func (q *Queue) handed(seqs []engine.Seq) []engine.Seq {
	add := func(c *Consumer) {
		for _, s := range c.held.slots[c.held.head:] {
			if s.it != nil {
				seqs = append(seqs, s.seq)
			}
		}
	}
	for _, cl := range q.classes {
		for _, c := range cl.members {
			add(c)
		}
	}
	for _, c := range q.remains {
		add(c)
	}
	return seqs
}

// Close releases the log: the next owner finds everything that is unsettled. It waits for the runner, so it must not be
// called from Deliver or from a hook. Settlements that are under way should be done before.
func (q *Queue) Close(ctx context.Context) error {
	if !q.shut() {
		return nil
	}
	q.io.Lock()
	defer q.io.Unlock()
	q.mu.Lock()
	handed := q.handed(nil)
	for _, it := range q.setAside() {
		if it.rec.Redelivered {
			handed = append(handed, it.rec.Seq)
		}
	}
	q.mu.Unlock()
	return q.log.Release(ctx, handed...)
}

// Delete closes the queue and drops the log with all that is in it.
func (q *Queue) Delete(ctx context.Context) error {
	if !q.shut() {
		return nil
	}
	q.io.Lock()
	defer q.io.Unlock()
	return q.eng.Drop(ctx, q.id)
}

// shut ends the runner. It returns false when that was done before.
func (q *Queue) shut() bool {
	q.mu.Lock()
	if q.closed {
		q.mu.Unlock()
		return false
	}
	q.closed = true
	q.clock.stop()
	q.mu.Unlock()
	q.runs.Wait()
	return true
}
