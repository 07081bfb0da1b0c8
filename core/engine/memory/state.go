package memory

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"sync"

	"github.com/wyemq/wye/core/engine"
)

// state is small keyed state.
type state struct {
	mu       sync.RWMutex // of what follows
	buckets  map[string]map[string]value
	last     uint64
	watchers []*watcher
}

var _ engine.State = (*state)(nil)

type value struct {
	data []byte
	rev  uint64
}

type watcher struct {
	bucket string
	fn     func(key string, val []byte, rev uint64)
}

// agrees reports whether a key is as an op wants it to be.
func (s *state) agrees(bucket, key string, rev uint64) bool {
	if rev == 0 {
		return true
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	v, ok := s.buckets[bucket][key]
	if rev == engine.Absent {
		return !ok
	}
	return ok && v.rev == rev
}

func (s *state) put(bucket, key string, data []byte) {
	if data == nil {
		data = []byte{}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.buckets == nil {
		s.buckets = make(map[string]map[string]value)
	}
	b := s.buckets[bucket]
	if b == nil {
		b = make(map[string]value)
		s.buckets[bucket] = b
	}
	s.last++
	b[key] = value{data, s.last}
	s.tell(bucket, key, data)
}

func (s *state) delete(bucket, key string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b := s.buckets[bucket]
	if _, ok := b[key]; !ok {
		return
	}
	delete(b, key)
	if len(b) == 0 {
		delete(s.buckets, bucket)
	}
	s.last++
	s.tell(bucket, key, nil)
}

func (s *state) tell(bucket, key string, data []byte) {
	for _, w := range s.watchers {
		if w.bucket == bucket {
			w.fn(key, data, s.last)
		}
	}
}

// Get implements engine.State.
func (s *state) Get(bucket, key string) ([]byte, uint64, bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	v, ok := s.buckets[bucket][key]
	return v.data, v.rev, ok
}

// Watch implements engine.State. The replay is in the order of the changes.
func (s *state) Watch(bucket string, fn func(key string, val []byte, rev uint64)) (cancel func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b := s.buckets[bucket]
	keys := slices.SortedFunc(maps.Keys(b), func(x, y string) int { return cmp.Compare(b[x].rev, b[y].rev) })
	for _, k := range keys {
		fn(k, b[k].data, b[k].rev)
	}
	w := &watcher{bucket, fn}
	s.watchers = append(s.watchers, w)
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.watchers = slices.DeleteFunc(s.watchers, func(x *watcher) bool { return x == w })
	}
}

// Barrier implements engine.State: there is one node, and it has applied everything that was done.
func (*state) Barrier(context.Context, string, uint64) error { return nil }
