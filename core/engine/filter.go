package engine

import (
	"slices"
	"strings"
)

// Filter is a filter of [Retained.Match], cut into its levels, for engines that follow it level by level. Where it has been
// followed to is said by places, the sorted numbers of the levels that may come next, len(f) for its end: there are several
// after a '#', and each topic is found once.
type Filter []string

// ParseFilter cuts a filter into levels.
func ParseFilter(filter string) Filter { return strings.Split(filter, "/") }

// Start returns the places before the first level of a topic.
func (f Filter) Start() []int { return f.closure(make([]int, 1, 8)) }

// Step returns the places after one more level of a topic; none: no topic that begins so matches. at is not changed.
func (f Filter) Step(at []int, level string) (next []int) {
	for _, n := range at {
		switch {
		case n == len(f):
			continue
		case f[n] == "#":
		case f[n] == "+" || f[n] == level:
			n++
		default:
			continue
		}
		if len(next) == 0 || next[len(next)-1] < n {
			next = append(next, n)
		}
	}
	return f.closure(next)
}

// Ends reports whether a topic that ends here matches.
func (f Filter) Ends(at []int) bool { return at[len(at)-1] == len(f) }

// closure adds the places that are reached because '#' stands for no level at all.
func (f Filter) closure(at []int) []int {
	for i := 0; i < len(at); i++ {
		if n := at[i]; n < len(f) && f[n] == "#" {
			if k, found := slices.BinarySearch(at, n+1); !found {
				at = slices.Insert(at, k, n+1)
			}
		}
	}
	return at
}
