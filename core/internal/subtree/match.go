package subtree

import "strings"

// Result is what Match finds. The zero Result is ready. It belongs to one goroutine at a time and is
// meant to be used again, which saves its memory: keep them in a [sync.Pool].
type Result[T comparable] struct {
	// Direct has the entries without a group, in no particular order. An entry that is under several
	// filters that match is there once for each.
	Direct []T
	// Groups has the groups, in no particular order.
	Groups []Group[T]
	// Generation is that of the tree.
	Generation uint64

	members []T // of all groups

	// seen has the '#' nodes below another '#' that were visited. The first visit is the one with
	// the most levels left, which finds all that later ones would: so each entry is found once,
	// and the work is bounded.
	seen map[*node[T]]struct{}
	work int // nodes visited
}

// Group is a group of entries that share what matches: one member is to get it.
type Group[T comparable] struct {
	Name, Filter string
	// Members is never empty. It is a copy and valid until its Result is used again. The order changes
	// only when members come and go.
	Members []T
}

// Reset forgets what was found, so that it can be collected, and keeps the memory.
func (r *Result[T]) Reset() {
	clear(r.Direct)
	clear(r.Groups)
	clear(r.members)
	r.truncate()
}

func (r *Result[T]) truncate() {
	r.Direct, r.Groups, r.members, r.work = r.Direct[:0], r.Groups[:0], r.members[:0], 0
}

// Match replaces what r holds by the entries whose filter matches dest. It does not allocate when r
// has room from earlier matches.
func (t *Tree[T]) Match(dest string, r *Result[T]) {
	r.truncate()
	t.mu.RLock()
	defer t.mu.RUnlock()
	r.Generation = t.generation.Load()
	rest, isTopic := strings.CutPrefix(dest, topicPrefix)
	if !isTopic {
		if l := t.names[dest]; l != nil {
			r.take(l)
		}
		return
	}
	if strings.HasPrefix(rest, "$") { // no leading wildcard [MQTT-4.7.2-1]
		level, rest, more := strings.Cut(rest, "/")
		if c := t.topics.children[level]; c != nil {
			c.match(rest, !more, false, r)
		}
	} else {
		t.topics.match(rest, false, false, r)
	}
	r.forgetSeen()
}

func (r *Result[T]) take(l *leaf[T]) {
	r.Direct = append(r.Direct, l.direct.items...)
	if l.shared == nil {
		return
	}
	for _, g := range l.shared.set.items {
		from := len(r.members)
		r.members = append(r.members, g.members.items...)
		// Should members grow later, this group keeps the old array, whose content is the same.
		r.Groups = append(r.Groups, Group[T]{g.name, g.filter, r.members[from:len(r.members):len(r.members)]})
	}
}

// match visits what is reachable from n by the levels of rest; nested says that a '#' came before.
func (n *node[T]) match(rest string, over, nested bool, r *Result[T]) {
	r.work++
	if n.many != nil && (!nested || r.first(n.many)) {
		n.many.matchMany(rest, over, r)
	}
	if over {
		r.take(&n.leaf)
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

// matchMany visits what follows a '#', which may take any number of levels. A '#' that follows
// directly takes nothing that this one could not.
func (n *node[T]) matchMany(rest string, over bool, r *Result[T]) {
	for m := n; m != nil; m = m.many {
		r.take(&m.leaf)
	}
	for !over {
		level, next, more := strings.Cut(rest, "/")
		for m := n; m != nil; m = m.many {
			r.work++
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

// first reports whether n is visited for the first time.
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

// forgetSeen keeps no nodes alive, nor a map that one hostile set of filters made large: clearing it
// would cost every later match.
func (r *Result[T]) forgetSeen() {
	switch n := len(r.seen); {
	case n > 1024:
		r.seen = nil
	case n > 0:
		clear(r.seen)
	}
}
