package core

import (
	"fmt"
	"net/url"
	"strings"

	"github.com/wyemq/wye/core/engine"
)

// restore brings back what was there when the engine was closed, or the process died: queues and groups, then sessions
// with their queues, and at last what may publish to them: delayed messages and wills. Messages are the engine's.
func (b *Broker) restore() error {
	var sessions []*state
	if b.durable {
		if err := b.restoreQueues(); err != nil {
			return fmt.Errorf("restore queues: %w", err)
		}
		var err error
		if sessions, err = b.restoreSessions(); err != nil {
			return fmt.Errorf("restore sessions: %w", err)
		}
	}
	var err error
	if b.delayed, err = openDelayed(b); err != nil {
		return err
	}
	b.comeBack(sessions)
	for _, v := range b.allVHosts() {
		if b.served[v.name] == nil {
			b.log.Warn("virtual host is in the store and not configured: nobody can log in to it", "vhost", v.name)
		}
	}
	return nil
}

// bucket returns what the engine has in a bucket.
func (b *Broker) bucket(name string, fn func(key string, value []byte) error) error {
	type pair struct {
		key   string
		value []byte
	}
	var all []pair
	b.eng.State().Watch(name, func(key string, value []byte, _ uint64) { all = append(all, pair{key, value}) })()
	for _, p := range all {
		if err := fn(p.key, p.value); err != nil {
			return fmt.Errorf("%s %s: %w", name, p.key, err)
		}
	}
	return nil
}

// cutVHost takes the virtual host off a key or log id.
func (b *Broker) cutVHost(key string) (v *vhost, rest string, err error) {
	token, rest, ok := strings.Cut(key, "/")
	name, err := url.PathUnescape(token)
	if err != nil || !ok {
		return nil, "", fmt.Errorf("key %q: %w", key, ErrInternal)
	}
	return b.vhost(name), rest, nil
}

// restoreQueues opens the queues and groups that were defined, and those that only have a log: their definition, which
// says nothing then, was lost in a crash.
func (b *Broker) restoreQueues() error {
	err := b.bucket(bucketQueues, func(key string, value []byte) error {
		_, rest, _ := strings.Cut(key, "/")
		v, _, err := b.cutVHost(rest)
		if err != nil {
			return err
		}
		spec, err := decodeQueueSpec(value)
		if err != nil {
			return err
		}
		spec.durable, spec.own = true, true
		bq, err := v.open(b.ctx, engine.LogID(key), spec)
		if err == nil {
			bq.defined.Store(true)
		}
		return err
	})
	if err != nil {
		return err
	}
	if err := b.restoreStaying(); err != nil {
		return err
	}
	ids, err := b.logs("q/")
	for _, id := range ids {
		v, name, err := b.cutVHost(strings.TrimPrefix(string(id), "q/"))
		if err != nil {
			return err
		}
		if _, err = v.make(b.ctx, id, queueSpec{kind: kindQueue, dest: "queue/" + name, durable: true, own: true}); err != nil {
			return err
		}
	}
	return err
}

// logs lists the logs whose id begins with prefix.
func (b *Broker) logs(prefix string) (ids []engine.LogID, err error) {
	err = b.eng.Logs(b.ctx, prefix, func(id engine.LogID, _ engine.Stats) bool {
		ids = append(ids, id)
		return true
	})
	return ids, engineErr(err)
}

// restoreSessions reads the sessions and opens the queues of their subscriptions. Logs that belong to no subscription are
// dropped: they were left when a subscription was about to be made, or to end.
func (b *Broker) restoreSessions() ([]*state, error) {
	known := make(map[string]*state)
	var all []*state
	err := b.bucket(bucketSessions, func(key string, value []byte) error {
		v, rest, err := b.cutVHost(key)
		if err != nil {
			return err
		}
		client, err := url.PathUnescape(rest)
		if err != nil {
			return err
		}
		st := newState(v, client, owner{})
		st.stored, st.whole = true, true
		if err := st.decode(value); err != nil {
			return err
		}
		known[key] = st
		all = append(all, st)
		return nil
	})
	if err != nil {
		return nil, err
	}
	err = b.bucketOf(bucketSubscriptions, known, func(st *state, id string, value []byte) error {
		sub, err := decodeSubscription(value)
		if err != nil {
			return err
		}
		sub.ID = id
		st.mu.Lock()
		st.set(sub)
		st.mu.Unlock()
		return st.reopen(&sub)
	})
	if err != nil {
		return nil, err
	}
	err = b.bucketOf(bucketValues, known, func(st *state, key string, data []byte) error {
		if st.values == nil {
			st.values = make(map[string]value)
		}
		st.values[key] = value{data, true}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return all, b.dropOrphans()
}

// bucketOf returns what the engine has in a bucket of sessions.
func (b *Broker) bucketOf(name string, known map[string]*state, fn func(st *state, key string, value []byte) error) error {
	return b.bucket(name, func(key string, value []byte) error {
		at := strings.IndexByte(key, '/')
		end := at + 1 + strings.IndexByte(key[at+1:], '/')
		if st := known[key[:max(end, 0)]]; st != nil {
			return fn(st, key[end+1:], value)
		}
		return nil // of a session that is being made or forgotten
	})
}

// reopen opens the queue of a subscription that waits for its client.
func (st *state) reopen(sub *Subscription) error {
	if !sub.Durable || !strings.HasPrefix(sub.Filter, "topic/") {
		return nil
	}
	v := st.v
	if sub.Group != "" {
		bq, err := v.make(v.b.ctx, v.groupLog(sub.Group, sub.Filter), queueSpec{
			kind: kindGroup, dest: sub.Filter, group: sub.Group, durable: true, stays: !sub.WithSession, declared: sub.Queue, own: true,
		})
		if err == nil && !sub.WithSession {
			bq.stay()
		}
		return err
	}
	_, err := v.open(v.b.ctx, v.sessionLog(st.client, sub.ID), queueSpec{
		kind: kindSession, dest: sub.Filter, client: st.client, durable: true, by: st.by, own: true,
	})
	return err
}

func (b *Broker) dropOrphans() error {
	for _, prefix := range []string{"s/", "g/"} {
		ids, err := b.logs(prefix)
		if err != nil {
			return err
		}
		for _, id := range ids {
			v, _, err := b.cutVHost(strings.TrimPrefix(string(id), prefix))
			if err != nil {
				return err
			}
			if v.lookup(id) != nil {
				continue
			}
			if err := b.eng.Drop(b.ctx, id); err != nil {
				return engineErr(err)
			}
		}
	}
	return nil
}

// comeBack makes sessions wait for their clients again. Those that were connected when the process died have left now.
func (b *Broker) comeBack(sessions []*state) {
	now := timeNow()
	for _, st := range sessions {
		st.saving.Lock()
		st.mu.Lock()
		st.count()
		crashed := st.left.IsZero()
		if crashed {
			st.left = now
		}
		over := st.ended(now)
		if crashed && !over {
			st.tell(st.save())
		}
		st.mu.Unlock()
		st.saving.Unlock()
		if over {
			st.v.mu.Lock()
			st.v.kept[st.client] = st
			st.v.mu.Unlock()
			b.background(st.end)
			continue
		}
		st.wait()
	}
}
