// Package outbox holds what waits to be written to one session: a bounded queue of droppable
// items with an overflow policy, and a queue of items that are bounded elsewhere (by credit).
// It starts no goroutines and never blocks.
package outbox

import (
	"slices"
	"sync"
)

// Policy says what happens to droppable items when the box is full.
type Policy uint8

// The policies.
const (
	DropOldest Policy = iota
	DropNew
	Conflate   // keep the newest of each key, then drop the oldest
	Disconnect // refuse; the caller ends the session
)

// ParsePolicy returns the policy with this name of the configuration.
func ParsePolicy(name string) (Policy, bool) {
	switch name {
	case "", "drop_oldest":
		return DropOldest, true
	case "drop_new":
		return DropNew, true
	case "conflate":
		return Conflate, true
	case "disconnect":
		return Disconnect, true
	default:
		return 0, false
	}
}

// Config bounds the droppable items.
type Config[T any] struct {
	Items  int
	Bytes  int64
	Policy Policy
	// Size returns the bytes an item counts for; Key what Conflate keeps one of.
	Size func(*T) int64
	Key  func(*T) any
}

// Box is the outbox of one session. Its methods may be called concurrently. The zero value of an
// idle box holds no memory beside itself.
type Box[T any] struct {
	mu    sync.Mutex
	drop  []T // droppable items from head on
	head  int
	bytes int64
	taken int64 // bytes of the droppable items that were taken last, and are perhaps still being written
	sure  []T // items that are never dropped
}

// Push appends a droppable item. It returns how many items were dropped to make room (or the item
// itself), and false when the policy is Disconnect and the box is full. size is c.Size of the item,
// which the caller passes so that the item need not be on the heap.
func (b *Box[T]) Push(c *Config[T], item T, size int64) (dropped int, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.push(c, item, size)
}

// PushTogether appends droppable items that no other goes between, and that one Take gets together. The
// items are not kept. The results are those of Push, added up.
func (b *Box[T]) PushTogether(c *Config[T], items []T) (dropped int, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	ok = true
	for i := range items {
		n, fits := b.push(c, items[i], c.Size(&items[i]))
		dropped += n
		ok = ok && fits
	}
	return dropped, ok
}

func (b *Box[T]) push(c *Config[T], item T, size int64) (dropped int, ok bool) {
	if b.full(c, size) {
		switch c.Policy {
		case Disconnect:
			return 1, false
		case DropNew:
			return 1, true
		case Conflate:
			dropped = b.conflate(c)
		case DropOldest:
		}
		for b.head < len(b.drop) && b.full(c, size) {
			b.removeHead(c)
			dropped++
		}
	}
	if b.head > 1024 && b.head*2 > len(b.drop) {
		b.compact()
	}
	b.drop = append(b.drop, item)
	b.bytes += size
	return dropped, true
}

// full reports whether size more bytes do not fit. One item always fits, however large.
func (b *Box[T]) full(c *Config[T], size int64) bool {
	n := len(b.drop) - b.head
	return n >= c.Items || n > 0 && b.bytes+size > c.Bytes
}

func (b *Box[T]) removeHead(c *Config[T]) {
	var zero T
	b.bytes -= c.Size(&b.drop[b.head])
	b.drop[b.head] = zero
	b.head++
}

func (b *Box[T]) compact() {
	n := copy(b.drop, b.drop[b.head:])
	clear(b.drop[n:])
	b.drop, b.head = b.drop[:n], 0
}

// conflate keeps the newest item of each key, in order, and returns how many it dropped.
func (b *Box[T]) conflate(c *Config[T]) int {
	b.compact()
	last := make(map[any]int, len(b.drop))
	for i := range b.drop {
		last[c.Key(&b.drop[i])] = i
	}
	kept := 0
	for i := range b.drop {
		if last[c.Key(&b.drop[i])] != i {
			b.bytes -= c.Size(&b.drop[i])
			continue
		}
		b.drop[kept] = b.drop[i]
		kept++
	}
	dropped := len(b.drop) - kept
	clear(b.drop[kept:])
	b.drop = b.drop[:kept]
	return dropped
}

// PushSure appends items that are never dropped: their sender holds credit for them.
func (b *Box[T]) PushSure(items ...T) {
	b.mu.Lock()
	b.sure = append(b.sure, items...)
	b.mu.Unlock()
}

// Take moves everything that waits to the end of buf and returns it; items that cannot be dropped
// come first.
func (b *Box[T]) Take(buf []T) []T {
	b.mu.Lock()
	defer b.mu.Unlock()
	buf = append(buf, b.sure...)
	buf = append(buf, b.drop[b.head:]...)
	clear(b.sure)
	clear(b.drop)
	b.sure, b.drop, b.head, b.bytes, b.taken = b.sure[:0], b.drop[:0], 0, 0, b.bytes
	return buf
}

// Remove drops every waiting item for which gone is true, those included that are never dropped otherwise.
func (b *Box[T]) Remove(c *Config[T], gone func(*T) bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.compact()
	kept := 0
	for i := range b.drop {
		if gone(&b.drop[i]) {
			b.bytes -= c.Size(&b.drop[i])
			continue
		}
		b.drop[kept] = b.drop[i]
		kept++
	}
	clear(b.drop[kept:])
	b.drop = b.drop[:kept]
	b.sure = slices.DeleteFunc(b.sure, func(item T) bool { return gone(&item) })
}

// Len returns how many items wait.
func (b *Box[T]) Len() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.drop) - b.head + len(b.sure)
}

// Bytes returns what the droppable items count for, those included that were taken last.
func (b *Box[T]) Bytes() int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.bytes + b.taken
}

// keep is how many items an idle box has room for: a session that gets a message now and then should
// not allocate for each.
const keep = 4

// Shrink gives the memory of an empty box back, but for a few items.
func (b *Box[T]) Shrink() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.drop) == b.head && cap(b.drop) > keep {
		b.drop, b.head = nil, 0
	}
	if len(b.sure) == 0 && cap(b.sure) > keep {
		b.sure = nil
	}
}
