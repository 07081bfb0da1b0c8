package disk

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/cockroachdb/pebble/v2"

	"github.com/wyemq/wye/core/engine"
)

// state is small keyed state. All of it is in memory as well.
type state struct {
	mu       sync.RWMutex // of what follows
	buckets  map[string]map[string]value
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

// load reads everything, and returns the highest revision.
func (s *state) load(db *pebble.DB) (last uint64, err error) {
	s.buckets = make(map[string]map[string]value)
	it, err := db.NewIter(&pebble.IterOptions{LowerBound: []byte{kindState}, UpperBound: []byte{kindState + 1}})
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, it.Error(), it.Close()) }()
	for ok := it.First(); ok; ok = it.Next() {
		d := decoder{b: it.Key()[1:]}
		bucket := string(d.take(d.uvarint()))
		key := string(d.b)
		v, err := it.ValueAndErr()
		if err != nil {
			return 0, err
		}
		w := decoder{b: v}
		rev := w.uvarint()
		if d.bad || w.bad {
			return 0, fmt.Errorf("what is stored under %q cannot be read", it.Key())
		}
		s.set(bucket, key, value{slices.Clone(w.b), rev})
		last = max(last, rev)
	}
	return last, nil
}

func (s *state) set(bucket, key string, v value) {
	if v.data == nil {
		v.data = []byte{}
	}
	b := s.buckets[bucket]
	if b == nil {
		b = make(map[string]value)
		s.buckets[bucket] = b
	}
	b[key] = v
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

type stateKey struct{ bucket, key string }

// stateChange is a change of a group; gone: it is a deletion.
type stateChange struct {
	stateKey
	value
	gone bool
}

// stateChanges are those of the group under way.
type stateChanges struct {
	last uint64 // revision
	list []stateChange
	at   map[stateKey]int // in list, the last of each
	key  []byte
	val  []byte
}

// now returns what a key will be after the changes so far.
func (c *stateChanges) now(s *state, k stateKey) (rev uint64, ok bool) {
	if i, changed := c.at[k]; changed {
		return c.list[i].rev, !c.list[i].gone
	}
	_, rev, ok = s.Get(k.bucket, k.key)
	return rev, ok
}

// agrees reports whether a key is as an op wants it to be.
func (c *stateChanges) agrees(s *state, bucket, key string, rev uint64) bool {
	if rev == 0 {
		return true
	}
	is, ok := c.now(s, stateKey{bucket, key})
	if rev == engine.Absent {
		return !ok
	}
	return ok && is == rev
}

func (c *stateChanges) add(x stateChange) {
	if c.at == nil {
		c.at = make(map[stateKey]int)
	}
	c.at[x.stateKey] = len(c.list)
	c.list = append(c.list, x)
}

func (c *stateChanges) put(g *group, bucket, key string, data []byte) error {
	c.last++
	c.add(stateChange{stateKey: stateKey{bucket, key}, value: value{data, c.last}})
	c.key = appendStateKey(c.key[:0], bucket, key)
	c.val = append(binary.AppendUvarint(c.val[:0], c.last), data...)
	return g.batch.Set(c.key, c.val, nil)
}

func (c *stateChanges) delete(s *state, g *group, bucket, key string) error {
	k := stateKey{bucket, key}
	if _, ok := c.now(s, k); !ok {
		return nil
	}
	c.last++
	c.add(stateChange{stateKey: k, value: value{nil, c.last}, gone: true})
	c.key = appendStateKey(c.key[:0], bucket, key)
	return g.batch.Delete(c.key, nil)
}

// finish stores the last revision, as the key that has it may be gone.
func (c *stateChanges) finish(g *group) error {
	if len(c.list) == 0 {
		return nil
	}
	return g.batch.Set([]byte{kindCounter, 's'}, binary.AppendUvarint(nil, c.last), nil)
}

// publish makes the changes visible, and tells who watches.
func (c *stateChanges) publish(s *state) {
	if len(c.list) == 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range c.list {
		x := &c.list[i]
		if x.gone {
			delete(s.buckets[x.bucket], x.key)
			if len(s.buckets[x.bucket]) == 0 {
				delete(s.buckets, x.bucket)
			}
		} else {
			if x.data == nil {
				x.data = []byte{}
			}
			s.set(x.bucket, x.key, x.value)
		}
		for _, w := range s.watchers {
			if w.bucket == x.bucket {
				w.fn(x.key, x.data, x.rev)
			}
		}
	}
	clear(c.list)
	c.list = c.list[:0]
	clear(c.at)
}
