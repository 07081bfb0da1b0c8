package memory

import (
	"context"

	"github.com/wyemq/wye/core/engine"
)

// state is small keyed state. Engine.mu guards it.
type state struct {
	e        *Engine
	buckets  map[string]map[string]value
	last     uint64
	watchers map[*watcher]struct{}
}

type value struct {
	data []byte
	rev  uint64
}

type watcher struct {
	bucket string
	fn     func(key string, val []byte, rev uint64)
}

func (s *state) rev(bucket, key string) uint64 { return s.buckets[bucket][key].rev }

func (s *state) put(bucket, key string, data []byte) {
	s.last++
	b := s.buckets[bucket]
	switch {
	case data == nil:
		delete(b, key)
	case b == nil:
		if s.buckets == nil {
			s.buckets = make(map[string]map[string]value)
		}
		b = make(map[string]value)
		s.buckets[bucket] = b
		fallthrough
	default:
		b[key] = value{data, s.last}
	}
	for w := range s.watchers {
		if w.bucket == bucket {
			w.fn(key, data, s.last)
		}
	}
}

// Get implements engine.State.
func (s *state) Get(bucket, key string) ([]byte, uint64, bool) {
	s.e.mu.Lock()
	defer s.e.mu.Unlock()
	v, ok := s.buckets[bucket][key]
	return v.data, v.rev, ok
}

// Watch implements engine.State.
func (s *state) Watch(bucket string, fn func(key string, val []byte, rev uint64)) (cancel func()) {
	s.e.mu.Lock()
	defer s.e.mu.Unlock()
	for k, v := range s.buckets[bucket] {
		fn(k, v.data, v.rev)
	}
	if s.watchers == nil {
		s.watchers = make(map[*watcher]struct{})
	}
	w := &watcher{bucket, fn}
	s.watchers[w] = struct{}{}
	return func() {
		s.e.mu.Lock()
		defer s.e.mu.Unlock()
		delete(s.watchers, w)
	}
}

// Barrier implements engine.State: there is one node, and it has applied everything that was done.
func (*state) Barrier(context.Context, string, uint64) error { return nil }

var _ engine.State = (*state)(nil)
