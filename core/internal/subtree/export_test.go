package subtree

// Work returns how many nodes the last Match visited.
func (r *Result[T]) Work() int { return r.work }

// Clean reports whether nothing is left in t, not even an empty node.
func (t *Tree[T]) Clean() bool { return t.topics.empty() && len(t.names) == 0 }

// Cap returns how many entries a filter has room for.
func (t *Tree[T]) Cap(filter string) int { return cap(t.leaf(filter).direct.items) }
