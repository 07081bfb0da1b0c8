package subtree

import "strings"

// leaf is what is under one filter.
type leaf[T comparable] struct {
	direct set[T]
	shared *groups[T] // nil without groups, which is nearly always
}

func (l *leaf[T]) empty() bool { return len(l.direct.items) == 0 && l.shared == nil }

// groups are the groups of one filter.
type groups[T comparable] struct {
	set    set[*group[T]]
	byName map[string]*group[T]
}

type group[T comparable] struct {
	name, filter string
	members      set[T]
}

// group returns the group of that name and makes it when there is none.
func (l *leaf[T]) group(name, filter string) *group[T] {
	if l.shared == nil {
		l.shared = &groups[T]{byName: make(map[string]*group[T])}
	}
	g := l.shared.byName[name]
	if g == nil {
		g = &group[T]{name: strings.Clone(name), filter: strings.Clone(filter)}
		l.shared.byName[g.name] = g
		l.shared.set.add(g)
	}
	return g
}

// leave takes v out of a group, and the group away with its last member.
func (l *leaf[T]) leave(name string, v T) bool {
	if l.shared == nil {
		return false
	}
	g := l.shared.byName[name]
	if g == nil || !g.members.remove(v) {
		return false
	}
	if len(g.members.items) == 0 {
		delete(l.shared.byName, name)
		l.shared.set.remove(g)
		if len(l.shared.byName) == 0 {
			l.shared = nil
		}
	}
	return true
}

// set is a slice that knows where its items are, so that adding and removing do not depend on how many
// there are. Small ones, nearly all, do without the map.
type set[T comparable] struct {
	items []T
	index map[T]int // positions, from indexFrom items on
}

const (
	indexFrom  = 16
	shrinkFrom = 64
)

func (s *set[T]) find(v T) int {
	if s.index != nil {
		if i, ok := s.index[v]; ok {
			return i
		}
		return -1
	}
	for i, e := range s.items {
		if e == v {
			return i
		}
	}
	return -1
}

func (s *set[T]) add(v T) bool {
	if s.find(v) >= 0 {
		return false
	}
	s.items = append(s.items, v)
	switch {
	case s.index != nil:
		s.index[v] = len(s.items) - 1
	case len(s.items) >= indexFrom:
		s.reindex(2 * indexFrom)
	}
	return true
}

// remove puts the last item in the place of v.
func (s *set[T]) remove(v T) bool {
	i := s.find(v)
	if i < 0 {
		return false
	}
	last := len(s.items) - 1
	moved := s.items[last]
	s.items[i] = moved
	clear(s.items[last:])
	s.items = s.items[:last]
	if s.index != nil {
		s.index[moved] = i
		delete(s.index, v)
	}
	if c := cap(s.items); c >= shrinkFrom && last < c/4 {
		s.shrink()
	}
	return true
}

// shrink gives back memory when three quarters are unused. It is O(n), once in so many removals.
func (s *set[T]) shrink() {
	s.items = append(make([]T, 0, 2*len(s.items)), s.items...)
	if s.index = nil; len(s.items) >= indexFrom {
		s.reindex(2 * len(s.items))
	}
}

func (s *set[T]) reindex(size int) {
	s.index = make(map[T]int, size)
	for i, e := range s.items {
		s.index[e] = i
	}
}
