package destination

import "strings"

const topicPrefix = "topic/"

// HasWildcard reports whether a valid filter can match more than the one destination of the same name.
func HasWildcard(filter string) bool {
	name, isTopic := strings.CutPrefix(filter, topicPrefix)
	return isTopic && hasWildcardLevel(name)
}

// Match reports whether a filter matches a destination. Both must be valid: for others the answer
// means nothing, but there is one. It does not allocate, and its cost is at most the product of
// the numbers of levels. Only for topics is it more than a comparison.
func Match(filter, dest string) bool {
	pattern, isTopic := strings.CutPrefix(filter, topicPrefix)
	if !isTopic {
		return filter == dest
	}
	name, isTopic := strings.CutPrefix(dest, topicPrefix)
	if !isTopic {
		return false
	}
	if strings.HasPrefix(name, "$") { // [MQTT-4.7.2-1]
		first, _, _ := strings.Cut(pattern, "/")
		if first == "+" || first == "#" {
			return false
		}
	}
	return matchLevels(pattern, name)
}

// matchLevels walks both lists; on a mismatch it goes back to the last '#', which takes one level
// more. Going back further cannot help: what comes between two '#' is best matched as early as possible.
func matchLevels(pattern, name string) bool {
	f, n := cursor{rest: pattern}, cursor{rest: name}
	var backF, backN cursor
	back := false
	for !n.over {
		if !f.over {
			level, next := f.level()
			if level == "#" {
				f, backF, backN, back = next, next, n, true
				continue
			}
			if have, after := n.level(); level == "+" || level == have {
				f, n = next, after
				continue
			}
		}
		if !back {
			return false
		}
		_, backN = backN.level()
		f, n = backF, backN
	}
	for !f.over {
		level, next := f.level()
		if level != "#" {
			return false
		}
		f = next
	}
	return true
}

// cursor walks the levels of a name; "" has one level, which is empty.
type cursor struct {
	rest string
	over bool
}

func (c cursor) level() (string, cursor) {
	level, rest, more := strings.Cut(c.rest, "/")
	return level, cursor{rest, !more}
}
