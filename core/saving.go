package core

import (
	"context"
	"errors"
	"fmt"
	"net/url"

	"github.com/wyemq/wye/core/engine"
)

// key names the session in the engine's state; what belongs to the session has it, and a slash, before its own.
func (st *state) key() string { return st.v.token + "/" + url.PathEscape(st.client) }

// save returns what makes the engine know the session as it is: the session itself and, when it is kept, what the engine
// does not have yet of the rest. The caller holds mu, and saving until the ops are committed.
func (st *state) save() (ops []engine.Op) {
	if !st.v.b.durable || st.over {
		return nil
	}
	key := st.key()
	if st.expiry <= 0 && st.will == nil && !st.whole {
		if st.stored {
			st.stored = false
			ops = append(ops, engine.Op{Kind: engine.Delete, Bucket: bucketSessions, Key: key})
		}
		return ops
	}
	st.stored = true
	ops = append(ops, engine.Op{Kind: engine.Put, Bucket: bucketSessions, Key: key, Value: st.encode()})
	if st.expiry > 0 && (!st.whole || st.behind) {
		st.whole, st.behind = true, false
		for _, sub := range st.subs {
			ops = append(ops, st.putSub(&sub))
		}
		for k := range st.values {
			st.soil(k)
		}
	}
	return st.riders(ops)
}

// riders adds the values that the engine does not have as they are. The caller holds mu, and saving until the ops are
// committed.
func (st *state) riders(ops []engine.Op) []engine.Op {
	for k := range st.dirty {
		ops = append(ops, st.rider(k))
	}
	clear(st.dirty)
	return ops
}

// rider is what the engine is to be told of a value.
func (st *state) rider(key string) engine.Op {
	v := st.values[key]
	op := engine.Op{Kind: engine.Put, Bucket: bucketValues, Key: st.key() + "/" + key, Value: v.data}
	if v.data == nil {
		op.Kind = engine.Delete
		delete(st.values, key)
	} else {
		st.values[key] = value{v.data, true}
	}
	return op
}

// spoiled is told of ops that the engine has refused: what was in them is to be told again.
func (st *state) spoiled(ops []engine.Op) {
	st.mu.Lock()
	defer st.mu.Unlock()
	if !st.whole || st.over {
		return
	}
	prefix := len(st.key()) + 1
	for _, op := range ops {
		if op.Bucket != bucketValues {
			st.behind = true
			continue
		}
		k := op.Key[prefix:]
		if _, ok := st.values[k]; !ok {
			if st.values == nil {
				st.values = make(map[string]value)
			}
			st.values[k] = value{stored: true}
		}
		st.soil(k)
	}
}

func (st *state) putSub(sub *Subscription) engine.Op {
	return engine.Op{Kind: engine.Put, Bucket: bucketSubscriptions, Key: st.key() + "/" + sub.ID, Value: sub.encode()}
}

// erase is everything that makes the engine forget the session. The caller holds mu, and saving until the ops are committed.
func (st *state) erase() (ops []engine.Op) {
	if !st.stored {
		return nil
	}
	key := st.key()
	ops = append(ops, engine.Op{Kind: engine.Delete, Bucket: bucketSessions, Key: key})
	if !st.whole {
		return ops
	}
	for id := range st.subs {
		ops = append(ops, engine.Op{Kind: engine.Delete, Bucket: bucketSubscriptions, Key: key + "/" + id})
	}
	for k, v := range st.values {
		if v.stored {
			ops = append(ops, engine.Op{Kind: engine.Delete, Bucket: bucketValues, Key: key + "/" + k})
		}
	}
	return ops
}

// tell commits ops, and nobody waits for that. The will of a session that is not kept is not worth a sync. The caller holds
// saving.
func (st *state) tell(ops []engine.Op) {
	if len(ops) == 0 {
		return
	}
	st.v.b.eng.Commit(&engine.Batch{Ops: ops, Relaxed: !st.whole}, func(err error) {
		if err != nil && !errors.Is(err, engine.ErrUnavailable) {
			st.v.b.log.Error("session not stored", "client", st.client, "error", err)
		}
		if err != nil {
			st.spoiled(ops)
		}
	})
}

// remember keeps a subscription that would be resumed, and returns when the engine has it, with the ops that belong to it.
// Those of a session that is not kept are not worth the memory, but the expiry may still be set when the client leaves. With
// an error all is as before; had says whether there was such a subscription.
func (st *state) remember(ctx context.Context, sub *Subscription, ops []engine.Op) (had bool, err error) {
	if !sub.Durable && sub.Meta == nil {
		old, err := st.forget(ctx, sub.ID, ops)
		return old != nil, err
	}
	kept := *sub
	kept.Data = nil
	st.saving.Lock()
	st.mu.Lock()
	old, had := st.subs[sub.ID]
	st.set(kept)
	if st.whole && !st.over {
		put := st.putSub(&kept)
		now := old
		now.Retained = kept.Retained // matters at the moment of subscribing only: a resumed one is not written again
		same := had && string(put.Value) == string(now.encode())
		switch {
		case st.behind && same: // it promises nothing that it did not before
			st.tell(st.save())
		case st.behind:
			ops = append(ops, st.save()...)
		case !same:
			ops = st.riders(append(ops, put))
		}
	}
	st.mu.Unlock()
	if err = st.told(ctx, ops); err == nil {
		return had, nil
	}
	st.mu.Lock()
	defer st.mu.Unlock()
	switch {
	case st.over:
	case had:
		st.set(old)
	default:
		st.unset(sub.ID)
	}
	return had, err
}

// forget forgets a subscription, and returns it if there was one, when the engine has forgotten it and done what belongs
// to it.
func (st *state) forget(ctx context.Context, id string, ops []engine.Op) (*Subscription, error) {
	st.saving.Lock()
	st.mu.Lock()
	sub, ok := st.subs[id]
	st.unset(id)
	if ok && st.whole && !st.over {
		ops = append(ops, engine.Op{Kind: engine.Delete, Bucket: bucketSubscriptions, Key: st.key() + "/" + id})
	}
	st.mu.Unlock()
	err := st.told(ctx, ops)
	if !ok {
		return nil, err
	}
	return &sub, err
}

// told commits ops and returns when that is done. The caller holds saving, which is given up.
func (st *state) told(ctx context.Context, ops []engine.Op) error {
	if len(ops) == 0 {
		st.saving.Unlock()
		return nil
	}
	done := make(chan error, 1)
	st.v.b.eng.Commit(&engine.Batch{Ops: ops}, func(err error) {
		if err != nil {
			st.spoiled(ops)
		}
		done <- err
	})
	st.saving.Unlock()
	select {
	case err := <-done:
		return engineErr(err)
	case <-ctx.Done():
		return fmt.Errorf("store: %w", ctx.Err())
	}
}
