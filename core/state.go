package core

import (
	"context"
	"strings"
	"sync"
	"time"

	"github.com/wyemq/wye/core/engine"
)

// forever is an expiry that never comes: the longest that MQTT can say is shorter.
const forever = 136 * 365 * 24 * time.Hour

// state is what a session leaves behind when its connection ends: subscriptions with their queues,
// small values of the protocol, a will that waits. A durable engine has a copy of it: all of a session
// that is kept, the will alone of one that is not.
type state struct {
	v      *vhost
	client string
	by     owner // whose it is; one without a name has nobody's

	// saving is held from the moment when it is decided what to tell the engine until the engine is told, so that it
	// hears everything in order. It is taken before mu.
	saving sync.Mutex

	mu        sync.Mutex
	session   *Session // nil while the client is away
	subs      map[string]Subscription
	values    map[string]value
	expiry    time.Duration
	left      time.Time // when the connection ended; zero while there is one
	will      *Message
	willDelay time.Duration
	timers    [2]*time.Timer // of the will, of the session
	over      bool
	lasting   bool // counted in Broker.lasting

	stored   bool                // the engine has the session
	whole    bool                // and subscriptions and values
	dirty    map[string]struct{} // values that the engine does not have as they are
	underway int                 // batches with values that are not done
	behind   bool                // the engine has refused something else, and is to be told everything
}

// value is what Session.Put keeps. Without data it has been deleted, and the engine is to hear of it.
type value struct {
	data   []byte
	stored bool // the engine has it, or an earlier one of the same key
}

// newState returns the state of a new session.
func newState(v *vhost, client string, by owner) *state { return &state{v: v, client: client, by: by} }

// away reports whether the state waits for its client.
func (st *state) away() bool {
	st.mu.Lock()
	defer st.mu.Unlock()
	return st.session == nil
}

func (st *state) put(key string, data []byte) {
	st.mu.Lock()
	defer st.mu.Unlock()
	old := st.values[key]
	if data == nil && !old.stored {
		delete(st.values, key)
		delete(st.dirty, key) // the engine need not hear of it
		return
	}
	if st.values == nil {
		st.values = make(map[string]value)
	}
	st.values[key] = value{data, old.stored}
	if st.whole {
		st.soil(key)
	}
}

// soil takes note of a value that the engine is to be told. The caller holds mu.
func (st *state) soil(key string) {
	if st.dirty == nil {
		st.dirty = make(map[string]struct{})
	}
	st.dirty[key] = struct{}{}
}

func (st *state) get(key string) ([]byte, bool) {
	st.mu.Lock()
	defer st.mu.Unlock()
	v := st.values[key]
	return v.data, v.data != nil
}

func (st *state) keys(prefix string, fn func(string, []byte) bool) {
	type pair struct {
		key  string
		data []byte
	}
	st.mu.Lock()
	var found []pair
	for k, v := range st.values {
		if v.data != nil && strings.HasPrefix(k, prefix) {
			found = append(found, pair{k, v.data})
		}
	}
	st.mu.Unlock()
	for _, p := range found {
		if !fn(p.key, p.data) {
			return
		}
	}
}

// subscription returns what is remembered under an id.
func (st *state) subscription(id string) (Subscription, bool) {
	st.mu.Lock()
	defer st.mu.Unlock()
	sub, ok := st.subs[id]
	return sub, ok
}

// begin makes the state that of a connected session: a new one, or what an earlier one has left. false: it has ended.
func (st *state) begin(s *Session, l *Login, expiry time.Duration) (subs []Subscription, ok bool) {
	st.stopTimers()
	st.saving.Lock()
	defer st.saving.Unlock()
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.over || st.ended(timeNow()) {
		return nil, false
	}
	st.session, st.expiry, st.left = s, expiry, noTime
	st.count()
	st.will, st.willDelay = l.Will, l.WillDelay // that of the old connection is void [MQTT-3.1.3-9]
	subs = make([]Subscription, 0, len(st.subs))
	for _, sub := range st.subs {
		subs = append(subs, sub)
	}
	st.tell(st.save())
	return subs, true
}

// ended reports whether the session has expired. The caller holds mu.
func (st *state) ended(now time.Time) bool {
	return !st.left.IsZero() && st.expiry < forever && !now.Before(st.left.Add(st.expiry))
}

// count counts the state among those that last longer than their connection, if it does. The caller holds mu.
func (st *state) count() {
	if lasting := st.expiry > 0 && !st.over; lasting != st.lasting {
		st.lasting = lasting
		if lasting {
			st.v.b.lasting.Add(1)
		} else {
			st.v.b.lasting.Add(-1)
		}
	}
}

func (st *state) setExpiry(d time.Duration) {
	st.saving.Lock()
	defer st.saving.Unlock()
	st.mu.Lock()
	defer st.mu.Unlock()
	if d == st.expiry || st.over {
		return
	}
	st.expiry = d
	st.count()
	st.tell(st.save())
}

// dropWill forgets the will. The engine hears of it at once: the client has been promised that nobody will.
func (st *state) dropWill() {
	st.saving.Lock()
	defer st.saving.Unlock()
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.will != nil {
		st.will = nil
		st.tell(st.save())
	}
}

// pendingWill returns the will, or nil.
func (st *state) pendingWill() *Message {
	st.mu.Lock()
	defer st.mu.Unlock()
	return st.will
}

func (st *state) stopTimers() {
	st.mu.Lock()
	defer st.mu.Unlock()
	for i, t := range st.timers {
		if t != nil {
			t.Stop()
			st.timers[i] = nil
		}
	}
}

// leave is called when the connection has ended, or hangs and another one takes over.
func (st *state) leave() {
	st.saving.Lock()
	st.mu.Lock()
	st.session, st.left = nil, timeNow()
	over := st.expiry <= 0
	if !over {
		st.tell(st.save())
	}
	st.mu.Unlock()
	st.saving.Unlock()
	if over {
		st.end()
		return
	}
	st.wait()
}

// wait lets the will and the end of the session come at their times, which count from when the connection ended.
func (st *state) wait() {
	st.v.mu.Lock()
	st.v.kept[st.client] = st
	st.v.mu.Unlock()
	st.mu.Lock()
	if st.session != nil || st.over {
		st.mu.Unlock()
		return
	}
	due := false
	if st.will != nil {
		delay := time.Until(st.left.Add(min(st.willDelay, st.expiry)))
		if due = delay <= 0; !due {
			st.timers[0] = time.AfterFunc(delay, func() { st.v.b.background(st.fireWill) })
		}
	}
	if st.expiry < forever {
		st.timers[1] = time.AfterFunc(time.Until(st.left.Add(st.expiry)), func() { st.v.b.background(st.end) })
	}
	st.mu.Unlock()
	if due {
		st.fireWill()
	}
}

// fireWill publishes the will, unless the client has come back.
func (st *state) fireWill() {
	st.saving.Lock()
	defer st.saving.Unlock()
	st.mu.Lock()
	m := st.will
	if st.session != nil || m == nil {
		st.mu.Unlock()
		return
	}
	st.will = nil
	ops := st.save()
	st.mu.Unlock()
	st.publish(m, ops)
}

// publish publishes a will, in one batch with what is to be forgotten with it.
func (st *state) publish(m *Message, ops []engine.Op) {
	m = m.Clone()
	if !m.Expires.IsZero() { // counted from now, not from the login
		m.Expires = timeNow().Add(m.Expires.Sub(m.Timestamp))
	}
	m.Timestamp = noTime
	st.v.b.stamp(m)
	st.v.b.inject(st.v, m, &Principal{Name: st.by.user, Remote: st.by.from}, ops, nil)
}

// end forgets the session: a will that still waits is published, its private queues go.
func (st *state) end() {
	st.saving.Lock()
	st.mu.Lock()
	if st.session != nil || st.over {
		st.mu.Unlock()
		st.saving.Unlock()
		return
	}
	for _, sub := range st.subs {
		st.await(&sub, -1)
	}
	st.over = true
	st.count()
	subs, will := st.subs, st.will
	ops := st.erase()
	st.subs, st.values, st.will = nil, nil, nil
	st.mu.Unlock()
	if will != nil {
		st.publish(will, ops)
	} else {
		st.tell(ops)
	}
	st.saving.Unlock()
	st.stopTimers()
	st.v.mu.Lock()
	if st.v.kept[st.client] == st {
		delete(st.v.kept, st.client)
	}
	st.v.mu.Unlock()
	ctx := context.WithoutCancel(st.v.b.ctx)
	for id, sub := range subs {
		_ = st.v.removeLog(ctx, st.v.sessionLog(st.client, id))
		st.v.endGroup(&sub)
	}
}

// timeNow is time.Now; it stands alone so that the hot paths that need the time can be found.
func timeNow() time.Time { return time.Now() }
