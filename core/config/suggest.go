package config

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// unknownKey is a key that does not exist, with what there is beside it.
type unknownKey struct {
	parent, name, origin string
	siblings             []string
}

// reject notes the keys that are left over.
func (d *decoder) reject(parent string, rest map[string]any, siblings []string) {
	for _, name := range slices.Sorted(maps.Keys(rest)) {
		d.unknown = append(d.unknown, unknownKey{parent, name, originOf(rest[name]), siblings})
	}
}

// maxKey is more than the letters of any key.
const maxKey = 1000

// explain says which key may have been meant: the nearest beside it, else one of that name
// elsewhere, else one spelled almost so.
func (d *decoder) explain(u unknownKey) error {
	key, from := join(u.parent, u.name), ""
	if u.origin != "" {
		from = " (" + u.origin + ")"
	}
	if name := nearest(u.name, u.siblings); name != "" {
		return fmt.Errorf("%s: unknown key, did you mean %s?%s", key, join(u.parent, name), from)
	}
	best, least := "", len(key)+maxKey
	for _, known := range d.known {
		if n := distance(key, known); n < least && (n <= 2 || last(known) == u.name) {
			best, least = known, n
		}
	}
	if best != "" {
		return fmt.Errorf("%s: unknown key, did you mean %s?%s", key, best, from)
	}
	siblings := slices.Compact(slices.Sorted(slices.Values(u.siblings)))
	return fmt.Errorf("%s: unknown key, known here: %s%s", key, strings.Join(siblings, ", "), from)
}

// nearest returns the candidate that is less than a third of its letters away from name, "" if none is.
func nearest(name string, candidates []string) string {
	best, least := "", max(1, len(name)/3)+1
	for _, c := range candidates {
		if n := distance(name, c); n < least {
			best, least = c, n
		}
	}
	return best
}

// Nearest returns the candidate that name may be a misspelling of, "" if there is none.
func Nearest(name string, candidates []string) string { return nearest(name, candidates) }

// distance counts the letters to insert, delete or change to make b of a (Levenshtein).
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(row[j+1]+1, row[j]+1, cost)
		}
	}
	return row[len(b)]
}
