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

// Config bounds the droppable items, and has the buffers of all boxes that share it. It must not be copied.
type Config[T any] struct {
	Items  int
	Bytes  int64
	Policy Policy
	// Size returns the bytes an item counts for; Key what Conflate keeps one of.
	Size func(*T) int64
	Key  func(*T) any

	buffers sync.Pool
}

// Buffer holds items. It goes round: from a Config to a box, with Take to the writer, with Free back.
type Buffer[T any] struct {
	items []T
	head  int // the first that is not gone
}

// Items returns the items. They belong to the caller of Take until Free.
func (b *Buffer[T]) Items() []T {
	if b == nil {
		return nil
	}
	return b.items[b.head:]
}

// keep is how many items a buffer may have room for that goes round.
const keep = 4096

func (c *Config[T]) buffer() *Buffer[T] {
	if b, ok := c.buffers.Get().(*Buffer[T]); ok {
		return b
	}
	return &Buffer[T]{items: make([]T, 0, 16)}
}

// Free gives a buffer back; b may be nil.
func (c *Config[T]) Free(b *Buffer[T]) {
	if b == nil || cap(b.items) > keep {
		return
	}
	clear(b.items)
	b.items, b.head = b.items[:0], 0
	c.buffers.Put(b)
}

// Box is the outbox of one session. Its methods may be called concurrently. The zero value is ready; an empty box holds no
// memory beside itself.
type Box[T any] struct {
	mu    sync.Mutex
	drop  *Buffer[T] // droppable items; nil: none
	bytes int64
	taken int64      // bytes of the droppable items that were taken last, and are perhaps still being written
	sure  *Buffer[T] // items that are never dropped; nil: none
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
	if b.drop == nil {
		b.drop = c.buffer()
	}
	d := b.drop
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
		for d.head < len(d.items) && b.full(c, size) {
			b.removeHead(c)
			dropped++
		}
	}
	if d.head > 1024 && d.head*2 > len(d.items) {
		d.compact()
	}
	d.items = append(d.items, item)
	b.bytes += size
	return dropped, true
}

// full reports whether size more bytes do not fit. One item always fits, however large.
func (b *Box[T]) full(c *Config[T], size int64) bool {
	n := len(b.drop.items) - b.drop.head
	return n >= c.Items || n > 0 && b.bytes+size > c.Bytes
}

func (b *Box[T]) removeHead(c *Config[T]) {
	var zero T
	d := b.drop
	b.bytes -= c.Size(&d.items[d.head])
	d.items[d.head] = zero
	d.head++
}

func (b *Buffer[T]) compact() {
	n := copy(b.items, b.items[b.head:])
	clear(b.items[n:])
	b.items, b.head = b.items[:n], 0
}

// conflate keeps the newest item of each key, in order, and returns how many it dropped.
func (b *Box[T]) conflate(c *Config[T]) int {
	b.drop.compact()
	items := b.drop.items
	last := make(map[any]int, len(items))
	for i := range items {
		last[c.Key(&items[i])] = i
	}
	i := -1
	return b.remove(c, func(item *T) bool { i++; return last[c.Key(item)] != i })
}

// remove drops the droppable items for which gone is true, and returns how many.
func (b *Box[T]) remove(c *Config[T], gone func(*T) bool) int {
	b.drop.compact()
	items := b.drop.items
	kept := 0
	for i := range items {
		if gone(&items[i]) {
			b.bytes -= c.Size(&items[i])
			continue
		}
		items[kept] = items[i]
		kept++
	}
	clear(items[kept:])
	b.drop.items = items[:kept]
	return len(items) - kept
}

// PushSure appends items that are never dropped: their sender holds credit for them.
func (b *Box[T]) PushSure(c *Config[T], items ...T) {
	b.mu.Lock()
	if b.sure == nil {
		b.sure = c.buffer()
	}
	b.sure.items = append(b.sure.items, items...)
	b.mu.Unlock()
}

// Take takes everything that waits; items that cannot be dropped come first. The caller gives the buffer to Free when it has
// done with it. It is nil when nothing waits.
func (b *Box[T]) Take(c *Config[T]) *Buffer[T] {
	b.mu.Lock()
	drop, sure := b.drop, b.sure
	b.drop, b.sure, b.bytes, b.taken = nil, nil, 0, b.bytes
	b.mu.Unlock()
	if sure == nil {
		return drop
	}
	sure.items = append(sure.items, drop.Items()...)
	c.Free(drop)
	return sure
}

// Remove drops every waiting item for which gone is true, those included that are never dropped otherwise.
func (b *Box[T]) Remove(c *Config[T], gone func(*T) bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.drop != nil {
		b.remove(c, gone)
	}
	if b.sure != nil {
		b.sure.items = slices.DeleteFunc(b.sure.items, func(item T) bool { return gone(&item) })
	}
}

// Len returns how many items wait.
func (b *Box[T]) Len() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.drop.Items()) + len(b.sure.Items())
}

// Bytes returns what the droppable items count for, those included that were taken last.
func (b *Box[T]) Bytes() int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.bytes + b.taken
}
