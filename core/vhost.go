package core

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/wyemq/wye/core/destination"
	"github.com/wyemq/wye/core/engine"
	"github.com/wyemq/wye/core/internal/queue"
	"github.com/wyemq/wye/core/internal/subtree"
	"github.com/wyemq/wye/core/internal/tandem"
)

// defaultVHost is the namespace of clients that name none.
const defaultVHost = "/"

// vhost is a namespace: its own routing table, queues and kept sessions.
type vhost struct {
	b         *Broker
	name      string
	settings  VHost
	token     string // name, fit to be a part of a log id
	index     *subtree.Tree[*entry]
	retaining retaining
	stats     stats
	awaiting  awaiting

	mu     sync.RWMutex
	queues map[engine.LogID]*boundQueue
	kept   map[string]*state // sessions whose client is away, and those connected that would be kept
	temps  map[string]*Session

	online int // sessions; guarded by Broker.mu
}

// entry is what the index holds: a direct subscription, or a queue bound to a filter.
type entry struct {
	direct atomic.Pointer[attachment] // nil when it has ended, because a publisher may know of it for long
	queue  *boundQueue

	catching atomic.Pointer[catchUp] // while a subscription is told what is retained
}

func newVHost(b *Broker, name string) *vhost {
	v := &vhost{
		b: b, name: name, token: url.PathEscape(name), index: subtree.New[*entry](),
		queues: make(map[engine.LogID]*boundQueue), kept: make(map[string]*state), temps: make(map[string]*Session),
	}
	v.retaining.underway = &b.retaining
	v.stats.init()
	return v
}

// lookup returns a queue that exists.
func (v *vhost) lookup(id engine.LogID) *boundQueue {
	v.mu.RLock()
	defer v.mu.RUnlock()
	return v.queues[id]
}

// open returns the queue with this id, made by spec when it is not there yet.
func (v *vhost) open(ctx context.Context, id engine.LogID, spec queueSpec) (bq *boundQueue, err error) {
	if bq := v.lookup(id); bq != nil {
		return bq, nil
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if bq := v.queues[id]; bq != nil {
		return bq, nil
	}
	if spec.owner != "" && v.temps[spec.owner] == nil {
		return nil, fmt.Errorf("temporary queue %q has gone with its session: %w", spec.dest, ErrNotFound)
	}
	if err := v.claim(&spec); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			v.free(&spec)
		}
	}()
	bq = &boundQueue{
		v: v, id: id, kind: spec.kind, name: spec.name(), filter: spec.filter(), durable: spec.durable, stays: spec.stays,
		spec: spec, counts: spec, gone: make(chan struct{}),
	}
	cfg := v.config(&spec)
	bq.cfg.Store(&cfg)
	bq.q, err = queue.Open(ctx, v.b.eng, id, cfg.queue(), queue.Hooks{
		Dead: func(r engine.Record, attempts int, reason string) []engine.Op {
			return v.deadLetter(bq, *bq.cfg.Load(), r, attempts, reason)
		},
		Undo:  v.unreserve,
		Load:  v.b.loaded,
		Group: messageGroup,
		Dropped: func(q *queue.Queue, reason string, n int) {
			v.stats.dropped(reason, n)
			if reason == queue.ReasonLength {
				bq.overflows(q, n)
			}
		},
		Idle: func() { v.b.background(func() { _ = v.remove(v.b.ctx, bq) }) },
	})
	if err != nil {
		return nil, fmt.Errorf("open queue %s: %w", bq.name, engineErr(err))
	}
	v.queues[id] = bq
	if bq.filter != "" {
		bq.entry = &entry{queue: bq}
		v.index.Add(bq.filter, bq.entry)
	}
	return bq, nil
}

// claim counts a queue that is about to be made, if it may be. The caller holds mu.
func (v *vhost) claim(spec *queueSpec) error {
	l := &v.b.options().Limits
	if most := v.settings.MaxQueues; most > 0 && len(v.queues) >= most && !spec.own {
		return v.refuse(spec, ofVHost, "max_queues", "%d queues are the most that this virtual host may have", most)
	}
	if v.b.queues.Add(1) > int64(l.Queues) && !spec.own {
		v.b.queues.Add(-1)
		return v.refuse(spec, ofAll, "queues", "%d queues are the most there may be", l.Queues)
	}
	if err := v.claimDurable(spec); err != nil {
		v.b.queues.Add(-1)
		return err
	}
	return nil
}

// claimDurable counts it among the durable ones of its user.
func (v *vhost) claimDurable(spec *queueSpec) error {
	if !spec.counted() || v.b.claimQueue(accountKey{v.name, spec.by}) || spec.own {
		return nil
	}
	v.freeDurable(spec)
	return v.refuse(spec, ofAll, "user_durable_queues", "%d durable queues are the most one user may have", v.b.options().Limits.UserDurableQueues)
}

// refuse counts and logs that a queue reaches a limit, and returns why it may not be.
func (v *vhost) refuse(spec *queueSpec, section, limit, format string, most int) error {
	err := &limitError{section, limit, fmt.Sprintf("open queue %s: "+format, spec.name(), most), ErrLimit}
	v.b.note(limit, false, true, whom{client: spec.client, user: spec.by.user, remote: spec.by.from}, err)
	return err
}

// free counts it out.
func (v *vhost) free(spec *queueSpec) {
	v.b.queues.Add(-1)
	v.freeDurable(spec)
}

func (v *vhost) freeDurable(spec *queueSpec) {
	if spec.counted() {
		v.b.freeQueue(accountKey{v.name, spec.by})
	}
}

// make is open of a queue that is remembered, if it is durable. Nobody waits for that: what is appended to it later is not
// safe before, and a queue that nobody has declared is known again by its log.
func (v *vhost) make(ctx context.Context, id engine.LogID, spec queueSpec) (*boundQueue, error) {
	bq, err := v.open(ctx, id, spec)
	if err != nil {
		return nil, err
	}
	if op, ok := bq.define(); ok && bq.defining.CompareAndSwap(false, true) {
		v.b.eng.Commit(&engine.Batch{Ops: []engine.Op{op}, Relaxed: spec.declared == nil && spec.kind == kindQueue}, func(err error) {
			bq.defining.Store(false)
			bq.defined.Store(err == nil)
		})
	}
	return bq, nil
}

// remove deletes a queue and what is in it. That of a group can be found until its log is dropped: who would join waits for
// that, and does not open the same log meanwhile.
func (v *vhost) remove(ctx context.Context, bq *boundQueue) error {
	v.mu.Lock()
	if v.queues[bq.id] != bq || bq.ending {
		v.mu.Unlock()
		return nil
	}
	bq.ending = true
	if bq.kind != kindGroup {
		v.forget(bq)
	}
	if bq.entry != nil {
		v.index.Remove(bq.filter, bq.entry)
	}
	v.mu.Unlock()
	defer close(bq.gone)
	bq.mu.Lock()
	bq.deleted = true
	bq.mu.Unlock()
	err := bq.q.Delete(ctx)
	if bq.kind == kindGroup {
		v.mu.Lock()
		v.forget(bq)
		v.mu.Unlock()
	}
	if err != nil {
		return engineErr(err)
	}
	return v.undefine(ctx, bq)
}

// forget makes room for another queue in the place of bq. The caller holds mu.
func (v *vhost) forget(bq *boundQueue) {
	delete(v.queues, bq.id)
	v.free(&bq.counts)
}

// undefine makes the engine forget how a queue was declared, unless there is another one in its place by now.
func (v *vhost) undefine(ctx context.Context, bq *boundQueue) error {
	if !v.b.durable || bq.volatile() || bq.kind == kindSession {
		return nil
	}
	id := tandem.Durable(bq.id)
	done := make(chan error, 1)
	v.mu.Lock()
	if v.queues[bq.id] == nil && v.queues[id] == nil {
		batch := &engine.Batch{Ops: []engine.Op{{Kind: engine.Delete, Bucket: bucketQueues, Key: string(id)}}}
		if bq.kind == kindGroup {
			batch.Ops = append(batch.Ops, engine.Op{Kind: engine.Delete, Bucket: bucketStaying, Key: string(id)})
		}
		v.b.eng.Commit(batch, func(err error) { done <- err })
	} else {
		done <- nil
	}
	v.mu.Unlock()
	select {
	case err := <-done:
		return engineErr(err)
	case <-ctx.Done():
		return ctx.Err()
	}
}

// background runs fn in a goroutine that Close waits for.
func (b *Broker) background(fn func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.closed {
		b.work.Go(fn)
	}
}

// close releases every queue, so that the next owner finds it as it is.
func (v *vhost) close(ctx context.Context) {
	v.mu.Lock()
	queues := v.queues
	v.queues = make(map[engine.LogID]*boundQueue)
	states := v.kept
	v.kept = make(map[string]*state)
	v.mu.Unlock()
	for _, st := range states {
		st.stopTimers()
	}
	for _, bq := range queues {
		if err := bq.q.Close(ctx); err != nil {
			v.b.log.Warn("queue not released", "queue", bq.name, "error", err)
		}
	}
}

// allQueues lists the queues, for what is done without mu.
func (v *vhost) allQueues() []*boundQueue {
	v.mu.RLock()
	defer v.mu.RUnlock()
	all := make([]*boundQueue, 0, len(v.queues))
	for _, bq := range v.queues {
		all = append(all, bq)
	}
	return all
}

func (v *vhost) count() (kept int, queues []QueueStats) {
	v.mu.RLock()
	for _, st := range v.kept {
		if st.away() {
			kept++
		}
	}
	v.mu.RUnlock()
	for _, bq := range v.allQueues() {
		s := bq.q.Stats()
		queues = append(queues, QueueStats{
			VHost: v.name, Name: bq.name, Kind: bq.kind,
			Ready: s.Ready, Unacked: s.Unacked, Consumers: s.Consumers, Bytes: s.Bytes,
		})
	}
	return kept, queues
}

// policy returns how a queue behaves: the first policy of the configuration that matches its name,
// what the client declares where the policy says nothing.
func (v *vhost) policy(dest string, declared *QueueConfig) QueueConfig {
	_, name, _ := strings.Cut(dest, "/")
	policies := v.b.options().Queues
	for i := range policies {
		p := &policies[i]
		if destination.Match("topic/"+p.Match, "topic/"+name) {
			return p.Config
		}
	}
	if declared != nil {
		return *declared
	}
	return QueueConfig{}
}

// namedQueue returns the queue of a "queue/…" or "temp/…" destination, made on first use.
// by is who uses it first, nil: the broker itself.
func (v *vhost) namedQueue(ctx context.Context, dest string, declared *QueueConfig, by *Principal) (*boundQueue, error) {
	id := v.queueLog(dest)
	if bq := v.lookup(id); bq != nil {
		bq.differs(declared)
		return bq, nil
	}
	if rest, ok := strings.CutPrefix(dest, "temp/"); ok {
		token, _, _ := strings.Cut(rest, "/")
		return v.open(ctx, id, queueSpec{kind: kindTemp, dest: dest, owner: token, own: by == nil})
	}
	spec := queueSpec{kind: kindQueue, dest: dest, durable: true, declared: declared, own: by == nil}
	if by != nil {
		spec.by = by.owner()
	}
	bq, err := v.make(ctx, id, spec)
	if err == nil {
		bq.differs(declared)
	}
	return bq, err
}

const (
	dlqPrefix = "DLQ."
	noDLQ     = "none"
)

// deadLetter returns the ops that put r into the dead letter queue of bq. It is called with the lock
// of bq's queue held, so it touches other queues only.
func (v *vhost) deadLetter(bq *boundQueue, cfg QueueConfig, r engine.Record, attempts int, reason string) []engine.Op {
	dest := cfg.DeadLetter
	if dest == "" && bq.kind == kindQueue {
		_, name, _ := strings.Cut(bq.name, "/")
		dest = "queue/" + dlqPrefix + name
	}
	if dest == "" || dest == noDLQ {
		return nil
	}
	dest = deadLetterDest(dest)
	dlq, err := v.namedQueue(v.b.ctx, dest, nil, nil)
	if err != nil || dlq == bq {
		v.b.log.Error("message without a dead letter queue", "queue", bq.name, "dead_letter", dest, "error", err)
		return nil
	}
	m := v.b.message(r.Msg).Clone()
	m.Header = append(m.Header, deadLetterHeaders(bq, m, attempts, reason)...)
	m.Destination, m.Expires = dest, noTime
	em := v.b.record(m, dlq.stored())
	if dlq.q.Reserve(m.size(), uint8(m.Priority.Level())) != nil {
		return nil
	}
	return []engine.Op{{Kind: engine.Append, Logs: []engine.LogID{dlq.id}, Msg: em}}
}

// unreserve takes back the room that ops were to fill, whose batch failed.
func (v *vhost) unreserve(ops []engine.Op) {
	for _, op := range ops {
		if op.Kind != engine.Append {
			continue
		}
		for _, id := range op.Logs {
			if bq := v.lookup(id); bq != nil {
				bq.q.Unreserve(op.Msg.Size())
			}
		}
	}
}

// messageGroup reads the group of JMS: JMSXGroupID, and JMSXGroupSeq -1 that closes it.
func messageGroup(m *engine.Message) (key string, last bool) {
	msg, ok := m.Ref.(*Message)
	if !ok {
		return "", false
	}
	if key, ok = msg.Get("JMSXGroupID"); !ok {
		return "", false
	}
	seq, _ := msg.Get("JMSXGroupSeq")
	return key, seq == "-1"
}

// engineErr puts what an engine says into the core's own words.
func engineErr(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, engine.ErrFull):
		return fmt.Errorf("%w: %w", ErrQueueFull, err)
	case errors.Is(err, engine.ErrUnavailable), errors.Is(err, engine.ErrNotOwner), errors.Is(err, engine.ErrUnknown):
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	case errors.Is(err, queue.ErrInUse):
		return fmt.Errorf("%w: %w", ErrInUse, err)
	default:
		return fmt.Errorf("%w: %w", ErrInternal, err)
	}
}
