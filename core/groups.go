package core

import (
	"context"
	"sync"

	"github.com/wyemq/wye/core/engine"
	"github.com/wyemq/wye/core/internal/tandem"
)

// awaiting counts, by the durable id of a group's queue, the durable subscriptions to it that sessions remember: of those
// connected, of those away, and of those between the two. Its lock is taken after all others.
type awaiting struct {
	mu    sync.Mutex
	count map[engine.LogID]int
}

func (w *awaiting) add(id engine.LogID, n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.count == nil {
		w.count = make(map[engine.LogID]int)
	}
	if w.count[id] += n; w.count[id] == 0 {
		delete(w.count, id)
	}
}

func (w *awaiting) of(id engine.LogID) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.count[id]
}

// set remembers a subscription. The caller holds mu.
func (st *state) set(sub Subscription) {
	st.unset(sub.ID)
	if st.subs == nil {
		st.subs = make(map[string]Subscription)
	}
	st.subs[sub.ID] = sub
	st.await(&sub, 1)
}

// unset forgets one. The caller holds mu.
func (st *state) unset(id string) {
	if sub, ok := st.subs[id]; ok {
		delete(st.subs, id)
		st.await(&sub, -1)
	}
}

// await counts a subscription in or out, if its group is to wait for it. What comes to a session that is over keeps nothing.
// The caller holds mu.
func (st *state) await(sub *Subscription, n int) {
	if sub.Durable && sub.Group != "" && !st.over {
		st.v.awaiting.add(st.v.groupLog(sub.Group, sub.Filter), n)
	}
}

// awaits returns how many durable subscriptions to a group the session remembers.
func (st *state) awaits(group, filter string) (n int) {
	st.mu.Lock()
	defer st.mu.Unlock()
	for _, sub := range st.subs {
		if sub.Durable && sub.Group == group && sub.Filter == filter {
			n++
		}
	}
	return n
}

// unused reports whether the queue of a group has no member, and none that will come back to it but own subscriptions. The
// caller holds mu.
func (bq *boundQueue) unused(own int) bool {
	return bq.members == 0 && bq.v.awaiting.of(tandem.Durable(bq.id)) <= own
}

// retire lets nobody join any more, and reports whether the queue of a group is to be removed: nobody uses it, own
// subscriptions excepted.
func (bq *boundQueue) retire(own int) bool {
	bq.mu.Lock()
	defer bq.mu.Unlock()
	bq.deleted = bq.deleted || bq.unused(own)
	return bq.deleted
}

// left counts a member out, and deletes a queue that only members keep.
func (bq *boundQueue) left() {
	bq.mu.Lock()
	bq.members--
	bq.mu.Unlock()
	bq.end()
}

// end deletes the queue of a subscription or group when nothing keeps it: no member, no promise, and of a group that is
// with its sessions no session.
func (bq *boundQueue) end() {
	bq.mu.Lock()
	switch {
	case bq.members > 0:
	case bq.kind == kindSession:
		bq.deleted = bq.deleted || !bq.durable
	case bq.kind == kindGroup:
		bq.deleted = bq.deleted || !bq.durable || !bq.stays && bq.unused(0)
	}
	gone := bq.deleted && (bq.kind == kindSession || bq.kind == kindGroup)
	bq.mu.Unlock()
	if gone {
		_ = bq.v.remove(context.WithoutCancel(bq.v.b.ctx), bq)
	}
}

// stay makes the queue of a group stay until [Session.DeleteGroup].
func (bq *boundQueue) stay() {
	bq.mu.Lock()
	defer bq.mu.Unlock()
	bq.stays = true
}

// staying is the op that makes the engine remember that a group stays, which was defined as one that is with its sessions. It
// is apart from the definition, which others may be writing. ok is false when there is no need.
func (bq *boundQueue) staying() (op engine.Op, ok bool) {
	bq.mu.Lock()
	stays := bq.stays
	bq.mu.Unlock()
	if !stays || !bq.v.b.durable || bq.kind != kindGroup || bq.volatile() || bq.spec.stays || bq.stayKnown.Load() {
		return op, false
	}
	key := string(tandem.Durable(bq.id))
	return engine.Op{Kind: engine.Put, Bucket: bucketStaying, Key: key, Value: []byte{storedVersion}}, true
}

// endGroup deletes the queue of a group that is with its sessions, after the last of them.
func (v *vhost) endGroup(sub *Subscription) {
	if !sub.Durable || !sub.WithSession || sub.Group == "" {
		return
	}
	if bq := v.find(v.groupLog(sub.Group, sub.Filter)); bq != nil {
		bq.end()
	}
}

// restoreStaying reads which groups stay.
func (b *Broker) restoreStaying() error {
	return b.bucket(bucketStaying, func(key string, _ []byte) error {
		for _, v := range b.allVHosts() {
			if bq := v.lookup(engine.LogID(key)); bq != nil {
				bq.stay()
				bq.stayKnown.Store(true)
			}
		}
		return nil
	})
}
