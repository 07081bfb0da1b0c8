package disk

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/wyemq/wye/core/engine"
)

const (
	matchChunk = 128
	matchBytes = 1 << 20
	// expiredMost is how many expired messages are deleted with one group, and expiredGap how often is looked.
	expiredMost = 256
	expiredGap  = time.Second
)

// A topic is stored so that its levels are in order, and what is below it comes right after it: levels are divided by
// two bytes that no level begins with.
const (
	levelEnd  = "\x00\x01"
	afterAll  = "\x00\x02" // after all that is below
	escapeNUL = "\x00\xff"
)

func appendTopic(b []byte, topic string) []byte {
	if strings.IndexByte(topic, 0) >= 0 {
		topic = strings.ReplaceAll(topic, "\x00", escapeNUL)
	}
	return append(b, strings.ReplaceAll(topic, "/", levelEnd)...)
}

// retained reads the messages from disk: there may be more than memory holds.
type retained struct {
	e    *Engine
	size atomic.Pointer[size]
}

// size is how much is retained.
type size struct{ topics, bytes int64 }

// appendTo is how it is stored, as readSize reads it.
func (s size) appendTo(b []byte) []byte {
	return binary.AppendVarint(binary.AppendVarint(b, s.topics), s.bytes)
}

// readSize reports whether the bytes were counted, too: earlier versions have not.
func readSize(b []byte) (s size, whole bool) {
	topics, n := binary.Varint(b)
	bytes, m := binary.Varint(b[max(n, 0):])
	return size{topics, bytes}, m > 0
}

var _ engine.Retained = (*retained)(nil)

// Size implements engine.Retained.
func (r *retained) Size() (topics int, bytes int64) {
	s := r.size.Load()
	return int(s.topics), s.bytes
}

// load reads how much there is.
func (r *retained) load() error {
	v, err := r.e.counter('r')
	if err != nil {
		return err
	}
	s, whole := readSize(v)
	if !whole {
		if s, err = r.count(); err != nil {
			return err
		}
	}
	r.size.Store(&s)
	return nil
}

// count looks at all that there is.
func (r *retained) count() (s size, err error) {
	it, err := r.e.db.NewIter(&pebble.IterOptions{LowerBound: []byte{kindTopic}, UpperBound: []byte{kindTopic + 1}})
	if err != nil {
		return s, err
	}
	defer func() { err = errors.Join(err, it.Error(), it.Close()) }()
	for ok := it.First(); ok; ok = it.Next() {
		i, err := look(it.Value())
		if err != nil {
			return s, err
		}
		s.topics++
		s.bytes += int64(i.size)
	}
	return s, nil
}

// Match implements engine.Retained. No lock is held.
func (r *retained) Match(ctx context.Context, filter string, fn func(*engine.Message) bool) error {
	if !strings.ContainsAny(filter, "+#") {
		return r.one(ctx, filter, fn)
	}
	w := &walk{filter: engine.ParseFilter(filter)}
	literal := 0
	for literal < len(w.filter) && w.filter[literal] != "+" && w.filter[literal] != "#" {
		literal++
	}
	w.at = appendTopic([]byte{kindTopic}, strings.Join(w.filter[:literal], "/"))
	w.end = []byte{kindTopic + 1}
	if literal > 0 {
		w.end = append(slices.Clone(w.at), afterAll...)
	}
	for {
		ms, more, err := r.chunk(ctx, w)
		if err != nil {
			return r.e.readError(err)
		}
		for _, m := range ms {
			if err := ctx.Err(); err != nil {
				return err
			}
			if !fn(m) {
				return nil
			}
		}
		if !more {
			return ctx.Err()
		}
	}
}

// one is Match of a filter without wildcards.
func (r *retained) one(ctx context.Context, topic string, fn func(*engine.Message) bool) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	m, err := r.get(topic)
	if err != nil {
		return r.e.readError(err)
	}
	if m != nil && !expired(m, time.Now()) {
		fn(m)
	}
	return nil
}

// get returns the message of a topic, or nil.
func (r *retained) get(topic string) (*engine.Message, error) {
	if err := r.e.use(); err != nil {
		return nil, err
	}
	defer r.e.reads.RUnlock()
	v, closer, err := r.e.db.Get(appendTopic([]byte{kindTopic}, topic))
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, nil //nolint:nilnil // there is none
	}
	if err != nil {
		return nil, err
	}
	m, err := decodeMessage(v)
	return m, errors.Join(err, closer.Close())
}

func expired(m *engine.Message, now time.Time) bool {
	return !m.Expires.IsZero() && !now.Before(m.Expires)
}

// walk is one Match.
type walk struct {
	filter  engine.Filter
	at, end []byte // what is left to look at
}

// chunk reads some of the messages that match, and moves on.
func (r *retained) chunk(ctx context.Context, w *walk) (out []*engine.Message, more bool, err error) {
	if err := r.e.use(); err != nil {
		return nil, false, err
	}
	defer r.e.reads.RUnlock()
	it, err := r.e.db.NewIter(&pebble.IterOptions{LowerBound: w.at, UpperBound: w.end})
	if err != nil {
		return nil, false, err
	}
	defer func() { err = errors.Join(err, it.Error(), it.Close()) }()
	now := time.Now()
	size, looked := 0, 0
	for ok := it.First(); ok; {
		if len(out) == matchChunk || size > matchBytes || looked == 4096 {
			w.at = slices.Clone(it.Key())
			return out, true, nil
		}
		if looked++; looked%64 == 0 && ctx.Err() != nil {
			return nil, false, ctx.Err()
		}
		match, skip := w.look(it.Key())
		if match {
			v, err := it.ValueAndErr()
			if err != nil {
				return nil, false, err
			}
			m, err := decodeMessage(v)
			if err != nil {
				return nil, false, err
			}
			if !expired(m, now) {
				out = append(out, m)
				size += footprint(m)
			}
		}
		if skip != nil {
			ok = it.SeekGE(skip)
		} else {
			ok = it.Next()
		}
	}
	return out, false, nil
}

// look reports whether a stored topic matches or, if nothing that begins like it can, the first key that may.
func (w *walk) look(key []byte) (match bool, skip []byte) {
	states := w.filter.Start()
	for from := 1; ; {
		level, end := key[from:], len(key)
		if i := bytes.Index(level, []byte(levelEnd)); i >= 0 {
			level, end = level[:i], from+i
		}
		name := level
		if bytes.IndexByte(level, 0) >= 0 {
			name = bytes.ReplaceAll(level, []byte(escapeNUL), []byte{0})
		}
		next := w.filter.Step(states, string(name))
		if len(next) == 0 {
			return false, w.skip(states, key[:from], name)
		}
		states = next
		if end == len(key) {
			return w.filter.Ends(states), nil
		}
		from = end + len(levelEnd)
	}
}

// skip returns the first key after a level that nothing in the filter stands for.
func (w *walk) skip(states []int, before, level []byte) []byte {
	best := ""
	found := false
	for _, n := range states { // none is a wildcard
		if n < len(w.filter) && w.filter[n] > string(level) && (!found || w.filter[n] < best) {
			best, found = w.filter[n], true
		}
	}
	if found {
		return appendTopic(slices.Clone(before), best)
	}
	if len(before) == 1 {
		return w.end
	}
	return append(slices.Clone(before[:len(before)-len(levelEnd)]), afterAll...)
}

// topicChanges are those of the group under way.
type topicChanges struct {
	size  size
	there map[string]int // bytes of topics of which the store does not show yet what they are; nothing: -1
	sweep time.Time      // when to look for expired ones again
	key   []byte
}

// nothing is what a topic without a message has.
const nothing = -1

// bytes returns what the message of a topic counts as, or nothing.
func (t *topicChanges) bytes(c *committer, topic string) (int, error) {
	if bytes, ok := t.there[topic]; ok {
		return bytes, nil
	}
	t.key = appendTopic(append(t.key[:0], kindTopic), topic)
	v, closer, err := c.e.db.Get(t.key)
	if errors.Is(err, pebble.ErrNotFound) {
		return nothing, nil
	}
	if err != nil {
		return nothing, err
	}
	i, err := look(v)
	return i.size, errors.Join(err, closer.Close())
}

// note counts that a topic has so many bytes, or nothing, in the place of others.
func (t *topicChanges) note(topic string, was, is int) {
	if t.there == nil {
		t.there = make(map[string]int)
	}
	t.there[strings.Clone(topic)] = is
	if was != nothing {
		t.size.topics--
		t.size.bytes -= int64(was)
	}
	if is != nothing {
		t.size.topics++
		t.size.bytes += int64(is)
	}
}

func (t *topicChanges) set(c *committer, g *group, topic string, m *engine.Message) error {
	was, err := t.bytes(c, topic)
	if err != nil {
		return err
	}
	t.key = appendTopic(append(t.key[:0], kindTopic), topic)
	if m == nil {
		t.note(topic, was, nothing)
		if was == nothing {
			return nil
		}
		return g.batch.Delete(t.key, nil)
	}
	t.note(topic, was, m.Size())
	if err := c.setMessage(g, t.key, m); err != nil || m.Expires.IsZero() {
		return err
	}
	return g.batch.Set(appendExpiry(nil, m.Expires, topic), nil, nil)
}

func appendExpiry(b []byte, at time.Time, topic string) []byte {
	b = binary.BigEndian.AppendUint64(append(b, kindExpiry), uint64(nanos(at)))
	return append(b, topic...)
}

// finish deletes some that have expired, and stores how many there are.
func (t *topicChanges) finish(c *committer, g *group) error {
	if now := time.Now(); !now.Before(t.sweep) {
		more, err := t.expire(c, g, now)
		if err != nil {
			return err
		}
		if t.sweep = now; !more {
			t.sweep = now.Add(expiredGap)
		}
	}
	if len(t.there) == 0 {
		return nil
	}
	return g.batch.Set([]byte{kindCounter, 'r'}, t.size.appendTo(nil), nil)
}

func (t *topicChanges) expire(c *committer, g *group, now time.Time) (more bool, err error) {
	it, err := c.e.db.NewIter(&pebble.IterOptions{
		LowerBound: []byte{kindExpiry}, UpperBound: appendExpiry(nil, now, ""),
	})
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, it.Error(), it.Close()) }()
	n := 0
	for ok := it.First(); ok; ok = it.Next() {
		if n++; n > expiredMost {
			return true, nil
		}
		if err := g.batch.Delete(it.Key(), nil); err != nil {
			return false, err
		}
		if err := t.expireOne(c, g, string(it.Key()[9:]), now); err != nil {
			return false, err
		}
	}
	return false, nil
}

// expireOne deletes the message of a topic, unless it was replaced by one that has not expired.
func (t *topicChanges) expireOne(c *committer, g *group, topic string, now time.Time) error {
	if _, changed := t.there[topic]; changed {
		return nil
	}
	key := appendTopic([]byte{kindTopic}, topic)
	v, closer, err := c.e.db.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	m, err := decodeMessage(v)
	if err = errors.Join(err, closer.Close()); err != nil || !expired(m, now) {
		return err
	}
	t.note(topic, m.Size(), nothing)
	return g.batch.Delete(key, nil)
}

func (t *topicChanges) publish(r *retained) {
	if len(t.there) > 0 {
		s := t.size
		r.size.Store(&s)
		clear(t.there)
	}
}
