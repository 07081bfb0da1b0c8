package subtree

import (
	"strings"
	"sync"
	"sync/atomic"
)

const topicPrefix = "topic/"

// Tree maps filters to entries. All methods may be called concurrently; matches run beside each
// other, a change waits for them and they for it. After Add returns every Match finds the entry, after Remove
// none does.
type Tree[T comparable] struct {
	mu     sync.RWMutex
	topics node[T]
	names  map[string]*leaf[T] // what is no topic
	size   int
	// generation counts changes, from 1.
	generation atomic.Uint64
}

// New returns an empty tree.
func New[T comparable]() *Tree[T] {
	t := &Tree[T]{}
	t.generation.Store(1)
	return t
}

// Generation is another number after each change. What Match found is as good as new while it is that of the Result.
func (t *Tree[T]) Generation() uint64 { return t.generation.Load() }

// Add puts v under filter, so that Match has it in Direct. It returns false, and changes nothing, when
// v is already there.
func (t *Tree[T]) Add(filter string, v T) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.leaf(filter).direct.add(v) {
		return false
	}
	t.size++
	t.generation.Add(1)
	return true
}

// AddMember makes v a member of a group on filter, so that Match has it in Groups. A group is known by its
// name and its filter: the same name on two filters is two groups. It returns false, and changes
// nothing, when v is a member already.
func (t *Tree[T]) AddMember(filter, group string, v T) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.leaf(filter).group(group, filter).members.add(v) {
		return false
	}
	t.size++
	t.generation.Add(1)
	return true
}

// Remove takes back Add. It returns false when v was not there.
func (t *Tree[T]) Remove(filter string, v T) bool {
	return t.remove(filter, func(l *leaf[T]) bool { return l.direct.remove(v) })
}

// RemoveMember takes back AddMember. It returns false when v was no member. A group without members
// is gone.
func (t *Tree[T]) RemoveMember(filter, group string, v T) bool {
	return t.remove(filter, func(l *leaf[T]) bool { return l.leave(group, v) })
}

// Len returns how many entries there are, members of groups included.
func (t *Tree[T]) Len() int {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.size
}

// leaf returns the leaf of a filter and makes it when there is none. An entry is always added to it.
func (t *Tree[T]) leaf(filter string) *leaf[T] {
	rest, isTopic := strings.CutPrefix(filter, topicPrefix)
	if isTopic {
		n := &t.topics
		for more := true; more; {
			var level string
			level, rest, more = strings.Cut(rest, "/")
			n = n.child(level)
		}
		return &n.leaf
	}
	l := t.names[filter]
	if l == nil {
		if t.names == nil {
			t.names = make(map[string]*leaf[T])
		}
		l = new(leaf[T])
		t.names[strings.Clone(filter)] = l
	}
	return l
}

func (t *Tree[T]) remove(filter string, from func(*leaf[T]) bool) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	rest, isTopic := strings.CutPrefix(filter, topicPrefix)
	if isTopic {
		if !t.topics.remove(rest, false, from) {
			return false
		}
	} else {
		l := t.names[filter]
		if l == nil || !from(l) {
			return false
		}
		if l.empty() {
			delete(t.names, filter)
		}
	}
	t.size--
	t.generation.Add(1)
	return true
}

// node is one level of the trie. one and many are the children for '+' and '#'.
type node[T comparable] struct {
	leaf      leaf[T]
	children  map[string]*node[T]
	one, many *node[T]
}

// child returns the child for a level and makes it when there is none.
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
		n.children[strings.Clone(level)] = c // level is a part of a longer string
	}
	return c
}

// remove calls from on the leaf of rest, and cuts off what is empty on the way back.
func (n *node[T]) remove(rest string, over bool, from func(*leaf[T]) bool) bool {
	if over {
		return from(&n.leaf)
	}
	level, rest, more := strings.Cut(rest, "/")
	var c *node[T]
	switch level {
	case "+":
		c = n.one
	case "#":
		c = n.many
	default:
		c = n.children[level]
	}
	if c == nil || !c.remove(rest, !more, from) {
		return false
	}
	if !c.empty() {
		return true
	}
	switch level {
	case "+":
		n.one = nil
	case "#":
		n.many = nil
	default:
		delete(n.children, level)
		if len(n.children) == 0 {
			n.children = nil
		}
	}
	return true
}

func (n *node[T]) empty() bool {
	return n.leaf.empty() && n.children == nil && n.one == nil && n.many == nil
}
