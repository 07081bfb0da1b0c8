package core

import (
	"context"
	"strings"
	"sync"
	"time"
)

// forever is an expiry that never comes: the longest that MQTT can say is shorter.
const forever = 136 * 365 * 24 * time.Hour

// state is what a session leaves behind when its connection ends: subscriptions with their queues,
// small values of the protocol, a will that waits.
type state struct {
	v      *vhost
	client string
	user   string // whose it is; empty: nobody's

	mu        sync.Mutex
	session   *Session // nil while the client is away
	subs      map[string]Subscription
	values    map[string][]byte
	expiry    time.Duration
	will      *Message
	willDelay time.Duration
	timers    [2]*time.Timer // of the will, of the session
	over      bool
}

// away reports whether the state waits for its client.
func (st *state) away() bool {
	st.mu.Lock()
	defer st.mu.Unlock()
	return st.session == nil
}

func (st *state) put(key string, value []byte) {
	st.mu.Lock()
	defer st.mu.Unlock()
	switch {
	case value == nil:
		delete(st.values, key)
	case st.values == nil:
		st.values = map[string][]byte{key: value}
	default:
		st.values[key] = value
	}
}

func (st *state) get(key string) ([]byte, bool) {
	st.mu.Lock()
	defer st.mu.Unlock()
	v, ok := st.values[key]
	return v, ok
}

func (st *state) keys(prefix string, fn func(string, []byte) bool) {
	type pair struct {
		key   string
		value []byte
	}
	st.mu.Lock()
	var found []pair
	for k, v := range st.values {
		if strings.HasPrefix(k, prefix) {
			found = append(found, pair{k, v})
		}
	}
	st.mu.Unlock()
	for _, p := range found {
		if !fn(p.key, p.value) {
			return
		}
	}
}

func (st *state) setExpiry(d time.Duration) {
	st.mu.Lock()
	st.expiry = d
	st.mu.Unlock()
}

func (st *state) setWill(m *Message, delay time.Duration) {
	st.mu.Lock()
	st.will, st.willDelay = m, delay
	st.mu.Unlock()
}

// remember keeps a subscription that would be resumed. Those of a session that is not kept are not
// worth the memory, but the expiry may still be set when the client leaves.
func (st *state) remember(sub *Subscription) {
	if !sub.Durable && sub.Meta == nil {
		st.forget(sub.ID)
		return
	}
	kept := *sub
	kept.Data = nil
	st.mu.Lock()
	if st.subs == nil {
		st.subs = make(map[string]Subscription)
	}
	st.subs[sub.ID] = kept
	st.mu.Unlock()
}

// subscription returns what is remembered under an id.
func (st *state) subscription(id string) (Subscription, bool) {
	st.mu.Lock()
	defer st.mu.Unlock()
	sub, ok := st.subs[id]
	return sub, ok
}

func (st *state) forget(id string) *Subscription {
	st.mu.Lock()
	defer st.mu.Unlock()
	sub, ok := st.subs[id]
	if !ok {
		return nil
	}
	delete(st.subs, id)
	return &sub
}

// resume hands the state to a session that has come back; false when it ended meanwhile.
func (st *state) resume(s *Session, expiry time.Duration) ([]Subscription, bool) {
	st.stopTimers()
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.over {
		return nil, false
	}
	st.session, st.expiry, st.will = s, expiry, nil // the will of the old connection is void [MQTT-3.1.3-9]
	subs := make([]Subscription, 0, len(st.subs))
	for _, sub := range st.subs {
		subs = append(subs, sub)
	}
	return subs, true
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
	st.mu.Lock()
	st.session = nil
	expiry := st.expiry
	delay := min(st.willDelay, expiry)
	hasWill := st.will != nil
	if hasWill && delay > 0 {
		st.timers[0] = time.AfterFunc(delay, func() { st.v.b.background(st.fireWill) })
	}
	if expiry > 0 && expiry < forever {
		st.timers[1] = time.AfterFunc(expiry, func() { st.v.b.background(st.end) })
	}
	st.mu.Unlock()
	if hasWill && delay <= 0 {
		st.fireWill()
	}
	if expiry <= 0 {
		st.end()
		return
	}
	st.v.mu.Lock()
	st.v.kept[st.client] = st
	st.v.mu.Unlock()
}

// fireWill publishes the will, unless the client has come back.
func (st *state) fireWill() {
	st.mu.Lock()
	m := st.will
	if st.session != nil {
		m = nil
	} else {
		st.will = nil
	}
	st.mu.Unlock()
	if m == nil {
		return
	}
	m = m.Clone()
	if !m.Expires.IsZero() { // counted from now, not from the login
		m.Expires = timeNow().Add(m.Expires.Sub(m.Timestamp))
	}
	m.Timestamp = noTime
	st.v.b.stamp(m)
	st.v.b.inject(st.v, m, nil, nil)
}

// end forgets the session: its private queues go, a will that still waits is published.
func (st *state) end() {
	st.mu.Lock()
	if st.session != nil || st.over {
		st.mu.Unlock()
		return
	}
	st.over = true
	subs := st.subs
	st.subs, st.values = nil, nil
	st.mu.Unlock()
	st.stopTimers()
	st.v.mu.Lock()
	if st.v.kept[st.client] == st {
		delete(st.v.kept, st.client)
	}
	st.v.mu.Unlock()
	for id := range subs {
		_ = st.v.removeLog(context.WithoutCancel(st.v.b.ctx), st.v.sessionLog(st.client, id))
	}
	st.fireWill()
}

// timeNow is time.Now; it stands alone so that the hot paths that need the time can be found.
func timeNow() time.Time { return time.Now() }
