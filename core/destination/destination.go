// Package destination has the canonical names of what messages are sent to, and the filters that
// match them.
//
// A destination is a kind and a list of levels. Written out it is the kind and the levels joined
// by '/': "topic/sensors/1", "queue/jobs/eu", "temp/a1b2/reply". No level of a topic can hold '/',
// '+', '#' or NUL, so the written form says the same as the list, costs no memory to take apart and can
// be compared and hashed. A filter is a topic whose levels may be '+' (any one level) or '#' (any
// number of levels, none included, also in the middle). A wildcard in the first level matches no
// level that starts with '$'. The names of queues are taken literally.
//
// The package knows no protocol: how STOMP or MQTT spell a name is their own business.
package destination

import (
	"errors"
	"fmt"
	"iter"
	"strings"
	"unicode/utf8"
)

// ErrInvalid is wrapped by every error of this package.
var ErrInvalid = errors.New("invalid destination")

// Kind says what a destination is.
type Kind uint8

// The kinds.
const (
	Topic Kind = iota + 1
	Queue
	Temp
)

// String returns the first word of a written destination.
func (k Kind) String() string {
	switch k {
	case Topic:
		return "topic"
	case Queue:
		return "queue"
	case Temp:
		return "temp"
	default:
		return "unknown"
	}
}

// Limits of a name.
const (
	MaxBytes  = 65535 + len("topic/") // what MQTT can say
	MaxLevels = 128
)

// Split returns the kind of dest and what follows it.
func Split(dest string) (Kind, string, error) {
	word, rest, ok := strings.Cut(dest, "/")
	if ok {
		switch word {
		case "topic":
			return Topic, rest, nil
		case "queue":
			return Queue, rest, nil
		case "temp":
			return Temp, rest, nil
		}
	}
	return 0, "", fmt.Errorf("%w %q: must begin with topic/, queue/ or temp/", ErrInvalid, clip(dest))
}

// Check says what is wrong with the name of a destination that is sent to.
func Check(dest string) error {
	k, name, err := check(dest)
	if err != nil || k != Topic {
		return err
	}
	if strings.ContainsAny(name, "+#") {
		return fmt.Errorf("%w %q: a topic that is sent to holds no wildcard", ErrInvalid, clip(dest))
	}
	return nil
}

// CheckFilter says what is wrong with what is subscribed to: a topic filter, or the name of a queue.
func CheckFilter(filter string) error {
	k, name, err := check(filter)
	if err != nil || k != Topic {
		return err
	}
	for level := range Levels(name) {
		if len(level) > 1 && strings.ContainsAny(level, "+#") {
			return fmt.Errorf("%w %q: a wildcard stands alone in its level", ErrInvalid, clip(filter))
		}
	}
	return nil
}

func check(dest string) (Kind, string, error) {
	k, name, err := Split(dest)
	switch {
	case err != nil:
		return 0, "", err
	case name == "":
		return 0, "", fmt.Errorf("%w %q: the name is empty", ErrInvalid, dest)
	case len(dest) > MaxBytes:
		return 0, "", fmt.Errorf("%w %q: %d bytes are more than %d", ErrInvalid, clip(dest), len(dest), MaxBytes)
	case strings.IndexByte(dest, 0) >= 0:
		return 0, "", fmt.Errorf("%w %q: holds a NUL", ErrInvalid, clip(dest))
	case !utf8.ValidString(dest):
		return 0, "", fmt.Errorf("%w %q: is not UTF-8", ErrInvalid, clip(dest))
	case strings.Count(name, "/") >= MaxLevels:
		return 0, "", fmt.Errorf("%w %q: more than %d levels", ErrInvalid, clip(dest), MaxLevels)
	}
	return k, name, nil
}

// clip keeps hostile names out of logs.
func clip(s string) string {
	if len(s) <= 100 {
		return s
	}
	return strings.ToValidUTF8(s[:100], "") + "…"
}

// Levels iterates over the levels of a name (without its kind). It does not allocate.
func Levels(name string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for {
			level, rest, more := strings.Cut(name, "/")
			if !yield(level) || !more {
				return
			}
			name = rest
		}
	}
}

// HasWildcard reports whether a topic filter holds a wildcard level.
func HasWildcard(filter string) bool {
	return strings.HasPrefix(filter, "topic/") && strings.ContainsAny(filter, "+#")
}

// Match reports whether a filter matches a destination. Both must be valid. Its cost is at most the
// product of their lengths.
func Match(filter, dest string) bool {
	rest, isTopic := strings.CutPrefix(filter, "topic/")
	if !isTopic {
		return filter == dest
	}
	name, isTopic := strings.CutPrefix(dest, "topic/")
	if !isTopic {
		return false
	}
	if strings.HasPrefix(name, "$") && rest != "" && (rest[0] == '+' || rest[0] == '#') {
		return false
	}
	return matchLevels(rest, name)
}

// matchLevels walks both lists; on a mismatch it goes back to the last '#', which takes one level more.
func matchLevels(filter, name string) bool {
	f, n := cursor{rest: filter}, cursor{rest: name}
	var backF, backN cursor
	back := false
	for !n.end() {
		if !f.end() {
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
	for !f.end() {
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

func (c cursor) end() bool { return c.over }

func (c cursor) level() (string, cursor) {
	level, rest, more := strings.Cut(c.rest, "/")
	return level, cursor{rest, !more}
}
