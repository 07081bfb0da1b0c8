package core

import (
	"context"
	"fmt"

	"github.com/wyemq/wye/core/engine"
)

// Put keeps a small value with the session, as long as the session is kept; nil deletes. The engine is told with the next
// Publish, Commit or Settle of the session that it has to make durable anyway, all or nothing: what is put right before
// Publish is there after a crash if and only if the message is. Sync and PutNow do not wait for such a chance.
func (s *Session) Put(key string, value []byte) { s.st.put(key, value) }

// Get returns a value kept by Put, of this session or of the one it resumed.
func (s *Session) Get(key string) ([]byte, bool) { return s.st.get(key) }

// Keys calls fn for each key that starts with prefix until it returns false.
func (s *Session) Keys(prefix string, fn func(key string, value []byte) bool) { s.st.keys(prefix, fn) }

// Sync calls done, in order with those of Publish, Commit and Settle, when every value that was put before, and
// every one deleted, is as durable as the session.
func (s *Session) Sync(ctx context.Context, done func(error)) error {
	if s.closed.Load() {
		return ErrClosed
	}
	if !s.st.pending() {
		return s.answer(ctx, func(_ Published, err error) { done(err) }, Published{}, nil)
	}
	p := &pending{done: done}
	return s.acks.begin(ctx, s.b.options().Limits.UnackedPublishes, p, func() {
		s.commit(&engine.Batch{}, true, s.b.eng.Commit, func(err error) { s.acks.finish(p, engineErr(err)) })
	})
}

// Value is what PutNow keeps under a key; nil deletes.
type Value struct {
	Key  string
	Data []byte
}

// PutNow is Put of some values that returns when they are as durable as the session. Unlike Sync it may be
// called from the DeliverFunc, which so says nothing to its client that a crash could make the broker forget.
func (s *Session) PutNow(ctx context.Context, values ...Value) error {
	for _, v := range values {
		s.st.put(v.Key, v.Data)
	}
	return s.st.flush(ctx, values)
}

// commit commits b by means of via, and with it the values that wait for a chance, if there is one.
func (s *Session) commit(b *engine.Batch, chance bool, via func(*engine.Batch, func(error)), done func(error)) {
	if !chance || b.Relaxed || !s.b.durable {
		via(b, done)
		return
	}
	s.st.ride(b, via, done)
}

// pending reports whether the engine is to be told of values.
func (st *state) pending() bool {
	if !st.v.b.durable {
		return false
	}
	st.mu.Lock()
	defer st.mu.Unlock()
	return len(st.dirty)+st.underway > 0 || st.behind
}

// ride commits b together with the values that the engine does not have as they are.
func (st *state) ride(b *engine.Batch, via func(*engine.Batch, func(error)), done func(error)) {
	st.saving.Lock()
	defer st.saving.Unlock()
	st.mu.Lock()
	if len(st.dirty) == 0 && !st.behind || st.over {
		st.mu.Unlock()
		via(b, done)
		return
	}
	n := len(b.Ops)
	if st.behind {
		b.Ops = append(b.Ops, st.save()...)
	} else {
		b.Ops = st.riders(b.Ops)
	}
	st.underway++
	st.mu.Unlock()
	riders := b.Ops[n:]
	via(b, func(err error) {
		st.mu.Lock()
		st.underway--
		st.mu.Unlock()
		if err != nil {
			st.spoiled(riders)
		}
		done(err)
	})
}

// flush tells the engine values by themselves, and waits for that.
func (st *state) flush(ctx context.Context, values []Value) error {
	st.saving.Lock()
	st.mu.Lock()
	var ops []engine.Op
	for _, v := range values {
		if _, ok := st.dirty[v.Key]; ok && !st.over {
			delete(st.dirty, v.Key)
			ops = append(ops, st.rider(v.Key))
		}
	}
	st.mu.Unlock()
	if err := st.told(ctx, ops); err != nil {
		return fmt.Errorf("put: %w", err)
	}
	return nil
}
