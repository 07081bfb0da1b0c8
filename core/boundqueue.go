package core

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/wyemq/wye/core/engine"
	"github.com/wyemq/wye/core/internal/queue"
	"github.com/wyemq/wye/core/internal/tandem"
)

// The kinds of queues.
const (
	kindQueue   = "queue"   // published to by name
	kindTemp    = "temp"    // the same, and goes with its session
	kindSession = "session" // of one subscription
	kindGroup   = "group"   // of the members of a group
)

// boundQueue is a queue and why it exists.
type boundQueue struct {
	q       *queue.Queue
	v       *vhost
	id      engine.LogID
	kind    string
	name    string // what people call it: a destination, or the filter it is bound to
	filter  string // bound to; empty for queues that are published to by name
	entry   *entry // in the index, when bound
	spec    queueSpec
	counts  queueSpec // what it was counted as; guarded by vhost.mu
	cfg     atomic.Pointer[QueueConfig]
	defined atomic.Bool // the engine has the definition

	defining atomic.Bool // it is told
	promoted atomic.Bool // its log was in memory, and is durable now

	stayKnown atomic.Bool // the engine knows, apart from the definition, that it stays

	warned atomic.Bool // of a declaration that differs
	full   once        // its limits were reached

	promoting sync.Mutex // held while it is made durable

	mu      sync.Mutex
	members int  // attached subscriptions
	durable bool // stays without members
	stays   bool // and, of a group, without sessions that remember it
	deleted bool // nobody joins it any more

	ending bool          // remove is at it; guarded by vhost.mu
	gone   chan struct{} // closed when there may be another one in its place
}

// volatile reports whether the queue is not to be found again after a restart, in a broker whose engine is durable.
func (bq *boundQueue) volatile() bool { return tandem.IsVolatile(bq.id) && !bq.promoted.Load() }

// differs warns, once, when a client declares the queue otherwise than it is: whoever made it, or the policy of the
// configuration, counts.
func (bq *boundQueue) differs(declared *QueueConfig) {
	if declared == nil || bq.kind != kindQueue {
		return
	}
	if is := bq.v.config(&bq.spec); *declared != is && !bq.warned.Swap(true) {
		bq.v.b.log.Warn("queue declared otherwise than it is", "queue", bq.name, "declared", fmt.Sprintf("%+v", *declared), "is", fmt.Sprintf("%+v", is))
	}
}

// stored reports whether its messages are, or soon may be, in a durable log.
func (bq *boundQueue) stored() bool { return bq.kind == kindGroup || !tandem.IsVolatile(bq.id) }

// queueSpec says how to make a queue.
type queueSpec struct {
	kind     string
	dest     string // the destination, or the filter it is bound to
	group    string
	client   string // whose it is, of a session's
	owner    string // of a temporary one: the token of its session, which must be there
	durable  bool
	stays    bool         // of a group: whoever made it keeps it until DeleteGroup
	declared *QueueConfig // by whoever made it
	by       owner        // whoever made it; the zero value: nobody knows
	own      bool         // the broker's, which gets it whatever the limits say: for dead letters, or at a start
}

// counted reports whether the queue counts among the durable ones of its user: those that nobody has asked for do not.
func (spec *queueSpec) counted() bool {
	return spec.durable && spec.kind != kindTemp && !(spec.own && spec.by == owner{})
}

// name is what people call it.
func (spec *queueSpec) name() string {
	switch spec.kind {
	case kindGroup:
		return spec.group + ":" + spec.dest
	case kindSession:
		return spec.client + ":" + spec.dest
	default:
		return spec.dest
	}
}

// filter is what it is bound to.
func (spec *queueSpec) filter() string {
	if spec.kind == kindGroup || spec.kind == kindSession {
		return spec.dest
	}
	return ""
}

// config returns how a queue behaves.
func (v *vhost) config(spec *queueSpec) QueueConfig {
	most, bytes := v.b.options().Limits.SessionQueue, v.b.options().Limits.SessionQueueBytes
	switch spec.kind {
	case kindTemp:
		return QueueConfig{MaxLength: most, MaxBytes: bytes, Overflow: queue.OverflowReject, DeadLetter: noDLQ}
	case kindSession:
		return QueueConfig{
			MaxLength: most, MaxBytes: bytes, Overflow: queue.OverflowDropHead, MaxDeliveries: -1, DeadLetter: noDLQ,
		}
	case kindGroup:
		cfg := QueueConfig{}
		if spec.declared != nil {
			cfg = *spec.declared
		}
		if cfg.MaxLength == 0 {
			cfg.MaxLength, cfg.MaxBytes, cfg.Overflow = most, bytes, queue.OverflowDropHead
		}
		return cfg
	default:
		cfg := v.policy(spec.dest, spec.declared)
		if strings.HasPrefix(spec.dest, "queue/"+dlqPrefix) {
			cfg.DeadLetter, cfg.MaxDeliveries = noDLQ, -1
		}
		return cfg
	}
}

// queue is c in the words of what dispatches.
func (c *QueueConfig) queue() queue.Config {
	return queue.Config{
		MaxDeliveries: c.MaxDeliveries, Backoff: c.Backoff, MaxBackoff: c.MaxBackoff, TTL: c.TTL,
		MaxLength: c.MaxLength, MaxBytes: c.MaxBytes, Overflow: c.Overflow, Priorities: c.Priorities,
		ExpiresIdle: c.ExpiresIdle, AutoDelete: c.AutoDelete, ExpiredToDLQ: c.ExpiredToDLQ,
	}
}

// The log ids: kind, virtual host, name. Parts that clients choose are escaped, so that no two names
// make the same id.
func (v *vhost) queueLog(dest string) engine.LogID {
	kind, name, _ := strings.Cut(dest, "/")
	return v.place(engine.LogID(kind[:1]+"/"+v.token+"/"+name), kind == kindQueue)
}

// sessionLog and groupLog name the durable log; the one in memory is called by place.
func (v *vhost) sessionLog(client, sub string) engine.LogID {
	return engine.LogID("s/" + v.token + "/" + url.PathEscape(client) + "/" + sub)
}

func (v *vhost) groupLog(group, filter string) engine.LogID {
	return engine.LogID("g/" + v.token + "/" + url.PathEscape(group) + "/" + filter)
}

// place returns the id of a log that need not be durable. That of a group may become so with a later member.
func (v *vhost) place(id engine.LogID, durable bool) engine.LogID {
	switch {
	case !v.b.durable || durable:
		return id
	case strings.HasPrefix(string(id), "g/"):
		return tandem.Movable(id)
	default:
		return tandem.Volatile(id)
	}
}

// find returns the queue of a session or group, durable or not.
func (v *vhost) find(id engine.LogID) *boundQueue {
	bq := v.lookup(id)
	if bq == nil && v.b.durable {
		bq = v.lookup(v.place(id, false))
	}
	return bq
}

// promote makes a queue durable that needed no durability until now, as that of a group whose members did not; it is by's from
// then on. What its log in memory holds stays there: nobody was promised more.
func (v *vhost) promote(ctx context.Context, bq *boundQueue, by owner) error {
	bq.promoting.Lock()
	defer bq.promoting.Unlock()
	before, err := v.recount(bq, by)
	if err != nil {
		return err
	}
	if both, ok := v.b.eng.(*tandem.Engine); ok && bq.volatile() {
		if err := both.Promote(ctx, bq.id); err != nil {
			v.uncount(bq, before)
			return engineErr(err)
		}
		bq.promoted.Store(true)
	}
	return nil
}

// recount counts a queue among the durable ones of by, if it may be one more, unless it counts already. before is what it was
// counted as. The caller holds promoting.
func (v *vhost) recount(bq *boundQueue, by owner) (before queueSpec, err error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	before = bq.counts
	if before.durable || v.queues[bq.id] != bq {
		return before, nil
	}
	now := before
	now.durable, now.by = true, by
	if err := v.claimDurable(&now); err != nil {
		return before, err
	}
	bq.counts = now
	return before, nil
}

// uncount takes recount back. The caller holds promoting.
func (v *vhost) uncount(bq *boundQueue, before queueSpec) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if !before.durable && bq.counts.durable && v.queues[bq.id] == bq {
		v.freeDurable(&bq.counts)
		bq.counts = before
	}
}

// define is the op that makes the engine remember how the queue was declared; ok is false when there is no need.
func (bq *boundQueue) define() (op engine.Op, ok bool) {
	if !bq.v.b.durable || bq.volatile() || bq.kind == kindSession || bq.defined.Load() {
		return op, false
	}
	bq.v.mu.RLock()
	spec := bq.counts
	bq.v.mu.RUnlock()
	return engine.Op{Kind: engine.Put, Bucket: bucketQueues, Key: string(tandem.Durable(bq.id)), Value: spec.encode()}, true
}
