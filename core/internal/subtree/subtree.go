// Package subtree is the index of subscriptions: which entries does a destination match?
//
// It is a trie by level. The cost of a match depends on the levels of the destination and on what is
// found, not on how many other filters there are. Matches run beside each other; a change waits
// for them.
package subtree

import (
	"strings"
	"sync"
)

// Tree maps filters to entries. Its methods may be called concurrently.
type Tree[T comparable] struct {
	mu   sync.RWMutex
	root node[T]
	size int
}

// New returns an empty tree.
func New[T comparable]() *Tree[T] { return &Tree[T]{} }

// Result is what Match finds. It can be used again, which saves its memory.
type Result[T comparable] struct {
	Direct []T
	// seen holds the '#' nodes below another '#' that were visited. The first visit is the one with
	// the most levels left, which finds all that later ones would: so each entry is found once,
	// and the work for filters such as "#/a/#/a/#" stays linear.
	seen map[*node[T]]struct{}
}

// node is one level of the trie. one and many are the children for '+' and '#'.
type node[T comparable] struct {
	children  map[string]*node[T]
	one, many *node[T]
	entries   []T
	index     map[T]int // position in entries, once there are several
}

// indexFrom is the number of entries from which on a node keeps their positions.
const indexFrom = 16

// Add puts v under filter. The same v may be added once for a filter.
func (t *Tree[T]) Add(filter string, v T) {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := &t.root
	for rest, more := filter, true; more; {
		var level string
		level, rest, more = strings.Cut(rest, "/")
		n = n.child(level)
	}
	n.entries = append(n.entries, v)
	switch {
	case n.index != nil:
		n.index[v] = len(n.entries) - 1
	case len(n.entries) >= indexFrom:
		n.index = make(map[T]int, 2*indexFrom)
		for i, e := range n.entries {
			n.index[e] = i
		}
	}
	t.size++
}

func (n *node[T]) child(level string) *node[T] {
	switch level {
	case "+":
		if n.one == nil {
			n.one = new(node[T])
		}
		return n.one
	case "#":
		if n.many == nil {
			n.many = new(node[T])
		}
		return n.many
	}
	c := n.children[level]
	if c == nil {
		if n.children == nil {
			n.children = make(map[string]*node[T])
		}
		c = new(node[T])
		n.children[strings.Clone(level)] = c
	}
	return c
}

func (n *node[T]) get(level string) *node[T] {
	switch level {
	case "+":
		return n.one
	case "#":
		return n.many
	default:
		return n.children[level]
	}
}

// Remove takes v from under filter; false when it was not there.
func (t *Tree[T]) Remove(filter string, v T) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.root.remove(filter, false, v) {
		return false
	}
	t.size--
	return true
}

func (n *node[T]) remove(rest string, over bool, v T) bool {
	if over {
		return n.drop(v)
	}
	level, rest, more := strings.Cut(rest, "/")
	c := n.get(level)
	if c == nil || !c.remove(rest, !more, v) {
		return false
	}
	if c.empty() {
		switch level {
		case "+":
			n.one = nil
		case "#":
			n.many = nil
		default:
			delete(n.children, level)
		}
	}
	return true
}

func (n *node[T]) drop(v T) bool {
	i, ok := -1, false
	if n.index != nil {
		i, ok = n.index[v]
	} else {
		for j, e := range n.entries {
			if e == v {
				i, ok = j, true
				break
			}
		}
	}
	if !ok {
		return false
	}
	last := len(n.entries) - 1
	moved := n.entries[last]
	n.entries[i] = moved
	var zero T
	n.entries[last] = zero
	n.entries = n.entries[:last]
	if n.index != nil {
		n.index[moved] = i
		delete(n.index, v)
	}
	return true
}

func (n *node[T]) empty() bool {
	return len(n.entries) == 0 && len(n.children) == 0 && n.one == nil && n.many == nil
}

// Len returns how many entries there are.
func (t *Tree[T]) Len() int {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.size
}

// Match appends to r the entries whose filter matches dest. A wildcard right after the kind matches no
// level that starts with '$'.
func (t *Tree[T]) Match(dest string, r *Result[T]) {
	clear(r.seen)
	kind, rest, more := strings.Cut(dest, "/")
	t.mu.RLock()
	defer t.mu.RUnlock()
	n := t.root.children[kind]
	if n == nil {
		return
	}
	if !more {
		r.take(n)
		return
	}
	if strings.HasPrefix(rest, "$") {
		level, rest, more := strings.Cut(rest, "/")
		if c := n.children[level]; c != nil {
			c.match(rest, !more, false, r)
		}
		return
	}
	n.match(rest, false, false, r)
}

func (r *Result[T]) take(n *node[T]) { r.Direct = append(r.Direct, n.entries...) }

// match visits what is reachable from n by the levels of rest; nested says that a '#' came before.
func (n *node[T]) match(rest string, over, nested bool, r *Result[T]) {
	if n.many != nil && (!nested || r.first(n.many)) {
		n.many.matchMany(rest, over, r)
	}
	if over {
		r.take(n)
		return
	}
	level, rest, more := strings.Cut(rest, "/")
	if c := n.children[level]; c != nil {
		c.match(rest, !more, nested, r)
	}
	if n.one != nil {
		n.one.match(rest, !more, nested, r)
	}
}

func (r *Result[T]) first(n *node[T]) bool {
	if _, ok := r.seen[n]; ok {
		return false
	}
	if r.seen == nil {
		r.seen = make(map[*node[T]]struct{})
	}
	r.seen[n] = struct{}{}
	return true
}

// matchMany visits what follows a '#', which may take any number of levels. A '#' that follows
// directly takes nothing that this one could not.
func (n *node[T]) matchMany(rest string, over bool, r *Result[T]) {
	for m := n; m != nil; m = m.many {
		r.take(m)
	}
	for !over {
		level, next, more := strings.Cut(rest, "/")
		for m := n; m != nil; m = m.many {
			if c := m.children[level]; c != nil {
				c.match(next, !more, true, r)
			}
			if m.one != nil {
				m.one.match(next, !more, true, r)
			}
		}
		rest, over = next, !more
	}
}
