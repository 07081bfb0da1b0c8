package core

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/wyemq/wye/core/engine"
	"github.com/wyemq/wye/core/internal/queue"
	"github.com/wyemq/wye/core/internal/subtree"
)

// routing is where one message goes. It is pooled: a publish to direct subscribers costs no memory.
type routing struct {
	found    subtree.Result[*entry]
	matching []*entry      // those found, or known
	queues   []*boundQueue // reserved
	bytes    int
	stored   bool          // in a durable log, or retained; set by ops
	multiple []*attachment // those of sessions with several direct subscriptions
	together []Delivery    // for one of these sessions
}

var routings = sync.Pool{New: func() any { return new(routing) }}

func (r *routing) release() {
	clear(r.queues)
	r.queues = r.queues[:0]
	clear(r.found.Direct)
	r.found.Direct, r.matching = r.found.Direct[:0], nil
	routings.Put(r)
}

// reserve finds where m goes, which from has published, and takes the room it needs in every queue; when one refuses, none
// has it.
func (r *routing) reserve(ctx context.Context, v *vhost, m *Message, declared *QueueConfig, from *Session) error {
	if !strings.HasPrefix(m.Destination, "topic/") {
		return r.reserveNamed(ctx, v, m, declared, &from.principal)
	}
	return r.reserveBound(v, m, from)
}

// reserveNamed does that for a queue, which by has asked for: nil is the broker itself.
func (r *routing) reserveNamed(ctx context.Context, v *vhost, m *Message, declared *QueueConfig, by *Principal) error {
	r.bytes = m.size()
	bq, err := v.namedQueue(ctx, m.Destination, declared, by)
	if err != nil {
		return err
	}
	return r.take(bq, m)
}

// reserveBound does that for a topic. from may be nil.
func (r *routing) reserveBound(v *vhost, m *Message, from *Session) error {
	r.bytes = m.size()
	r.match(v, m.Destination, from)
	for _, e := range r.matching {
		if e.queue == nil || !m.Persistent && e.queue.skipsTransient() {
			continue
		}
		err := r.take(e.queue, m)
		if errors.Is(err, queue.ErrClosed) { // the subscription has ended since it was found: no matter of the publisher's
			continue
		}
		if err != nil {
			r.unreserve()
			return err
		}
	}
	if m.Retain {
		for _, e := range r.matching {
			if c := e.catching.Load(); c != nil {
				c.note(m.Destination)
			}
		}
	}
	return nil
}

// match finds the entries for dest, and remembers them for its publisher.
func (r *routing) match(v *vhost, dest string, from *Session) {
	var w *way
	if from != nil {
		if w = from.way(dest); w != nil && w.generation != 0 && w.generation == v.index.Generation() {
			r.matching = w.matching
			return
		}
	}
	v.index.Match(dest, &r.found)
	r.matching = r.found.Direct
	isQueue := func(e *entry) bool { return e.queue != nil } // may hold much, and its end is not awaited
	if w == nil || len(r.matching) > mostMatching || slices.ContainsFunc(r.matching, isQueue) {
		return
	}
	known := *w
	known.generation, known.matching = r.found.Generation, slices.Clone(r.matching)
	from.learn(known)
}

func (r *routing) take(bq *boundQueue, m *Message) error {
	if err := bq.q.Reserve(r.bytes, uint8(m.Priority.Level())); err != nil {
		bq.overflows(bq.q, 1)
		return fmt.Errorf("%s: %w", bq.name, engineErr(err))
	}
	r.queues = append(r.queues, bq)
	return nil
}

func (r *routing) unreserve() {
	for _, bq := range r.queues {
		bq.q.Unreserve(r.bytes)
	}
	clear(r.queues)
	r.queues = r.queues[:0]
}

// direct hands m to the direct subscriptions found, and returns how many there are.
func (r *routing) direct(m *Message, from *Session) int {
	n := 0
	for _, e := range r.matching {
		a := e.direct.Load()
		if a == nil || !a.wants(m, from) {
			continue
		}
		n++
		if a.s.directs.Load() > 1 {
			r.multiple = append(r.multiple, a)
		} else {
			a.push(m, from)
		}
	}
	if len(r.multiple) > 0 {
		r.overlapping(m, from)
	}
	if from != nil {
		from.published(n)
	}
	return n
}

// overlapping hands m to sessions that may have matched several times: all of a session's deliveries side by
// side, so that its protocol may merge them.
func (r *routing) overlapping(m *Message, from *Session) {
	if len(r.multiple) > 1 {
		slices.SortFunc(r.multiple, func(a, b *attachment) int { return cmp.Compare(a.s.number, b.s.number) })
	}
	for i := 0; i < len(r.multiple); {
		s := r.multiple[i].s
		r.together = r.together[:0]
		for ; i < len(r.multiple) && r.multiple[i].s == s; i++ {
			r.together = append(r.together, Delivery{Message: m, Sub: r.multiple[i].sub.Load(), Attempt: 1})
		}
		s.offer(r.together)
		s.waken(from)
	}
	clear(r.multiple)
	clear(r.together)
	r.multiple, r.together = r.multiple[:0], r.together[:0]
}

// ops appends what the engine has to do for m to ops, and the ids of its logs to logs, which then belong to the engine.
func (r *routing) ops(b *Broker, v *vhost, m *Message, ops []engine.Op, logs []engine.LogID) []engine.Op {
	if len(r.queues) == 0 && !m.Retain {
		return ops
	}
	r.stored = m.Retain
	for _, bq := range r.queues {
		r.stored = r.stored || bq.stored()
	}
	em := b.record(m, r.stored)
	if len(r.queues) > 0 {
		for _, bq := range r.queues {
			logs = append(logs, bq.id)
		}
		ops = append(ops, engine.Op{Kind: engine.Append, Logs: logs, Msg: em})
	}
	if m.Retain && strings.HasPrefix(m.Destination, "topic/") {
		op := engine.Op{Kind: engine.Retain, Topic: v.retainKey(m.Destination)}
		if len(m.Body) > 0 {
			op.Msg = em
		}
		ops = append(ops, op)
	}
	return ops
}

// skipsTransient: messages that are not persistent do not wait for a private queue's client to come
// back (MQTT QoS 0 while the session is offline).
func (bq *boundQueue) skipsTransient() bool {
	if bq.kind != kindSession {
		return false
	}
	bq.mu.Lock()
	defer bq.mu.Unlock()
	return bq.members == 0
}

// expired reports whether m is no longer worth delivering.
func (m *Message) expired(now time.Time) bool { return !m.Expires.IsZero() && !now.Before(m.Expires) }

// inject routes a message that no session publishes: a will, a delayed message, $SYS. by is whose it is, nil: the broker's own.
// What is refused is dropped. done may be nil.
func (b *Broker) inject(v *vhost, m *Message, by *Principal, extra []engine.Op, done func(error)) {
	stored := v.retainIfRoom(m, by == nil)
	r := routings.Get().(*routing)
	defer r.release()
	var err error
	if strings.HasPrefix(m.Destination, "topic/") {
		err = r.reserveBound(v, m, nil)
	} else {
		err = r.reserveNamed(b.ctx, v, m, nil, by)
	}
	if err != nil {
		v.stats.dropped(ReasonID(err), 1)
		r.unreserve()
	}
	r.direct(m, nil)
	batch := &engine.Batch{Ops: r.ops(b, v, m, extra, nil), Relaxed: !m.Persistent && len(extra) == 0}
	if len(batch.Ops) == 0 {
		stored(false)
		if done != nil {
			done(nil)
		}
		return
	}
	queues, bytes := append([]*boundQueue(nil), r.queues...), r.bytes
	commit := b.spread
	if len(extra) > 0 {
		commit = b.eng.Commit
	}
	commit(batch, func(err error) {
		stored(err == nil)
		if err != nil {
			for _, bq := range queues {
				bq.q.Unreserve(bytes)
			}
		}
		if done != nil {
			done(engineErr(err))
		}
	})
}

// Inject publishes m in the name of the broker itself, past authorization and interceptors:
// for plugins that publish what they know, as $SYS does. vhost "" is the default; nobody hears it in one that is not there.
func (b *Broker) Inject(vhost string, m *Message) {
	if v := b.known(vhost); v != nil {
		b.stamp(m)
		b.inject(v, m, nil, nil, nil)
	}
}
