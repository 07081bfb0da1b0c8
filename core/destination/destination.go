package destination

import (
	"errors"
	"fmt"
	"iter"
	"strings"
	"unicode/utf8"
)

// ErrInvalid is wrapped by every error of this package. The errors quote the name, shortened, and say
// in words what is wrong with it.
var ErrInvalid = errors.New("invalid destination")

// Kind says what a destination is. The zero Kind is none.
type Kind uint8

// The kinds.
const (
	Topic Kind = iota + 1 // every subscriber gets each message
	Queue                 // each message goes to one consumer
	Temp                  // a queue that lives as long as the session that made it
)

// String returns the first word of a written destination: "topic", "queue" or "temp".
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

// Limits of a name, that is of what follows the kind and its '/'.
const (
	MaxBytes  = 65535 // what an MQTT string can hold
	MaxLevels = 128
)

// Join writes out a destination or a filter. It checks nothing: a level that holds a '/' counts as
// two.
func Join(k Kind, levels ...string) string {
	size := len(k.String())
	for _, level := range levels {
		size += 1 + len(level)
	}
	var b strings.Builder
	b.Grow(size)
	b.WriteString(k.String())
	for _, level := range levels {
		b.WriteByte('/')
		b.WriteString(level)
	}
	return b.String()
}

// Split returns the kind of dest and the name that follows it. It looks at the kind alone; Check and
// CheckFilter look at the name.
func Split(dest string) (Kind, string, error) {
	word, name, ok := strings.Cut(dest, "/")
	if ok {
		switch word {
		case "topic":
			return Topic, name, nil
		case "queue":
			return Queue, name, nil
		case "temp":
			return Temp, name, nil
		}
	}
	return 0, "", invalid(dest, "must begin with topic/, queue/ or temp/")
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

// Check returns nil when dest is a name that messages can be sent to, otherwise an error that says what
// is wrong. Every name it passes CheckFilter passes too.
func Check(dest string) error {
	k, name, err := check(dest)
	if err != nil || k != Topic {
		return err
	}
	if i := strings.IndexAny(name, "+#"); i >= 0 {
		return invalid(dest, fmt.Sprintf("a topic that is sent to holds no wildcard, this one has %q", name[i]))
	}
	return nil
}

// CheckFilter returns nil when filter can be subscribed to: a topic filter, or the name of a queue or
// temporary destination. Otherwise the error says what is wrong.
func CheckFilter(filter string) error {
	k, name, err := check(filter)
	if err != nil || k != Topic {
		return err
	}
	for level := range Levels(name) {
		if len(level) > 1 && strings.ContainsAny(level, "+#") {
			return invalid(filter, fmt.Sprintf("a wildcard stands alone in its level, not as in %q", clip(level)))
		}
	}
	return nil
}

// check does what names and filters have in common.
func check(dest string) (Kind, string, error) {
	k, name, err := Split(dest)
	switch {
	case err != nil:
		return 0, "", err
	case name == "":
		return 0, "", invalid(dest, "the name is empty")
	case len(name) > MaxBytes:
		return 0, "", invalid(dest, fmt.Sprintf("%d bytes are more than %d", len(name), MaxBytes))
	case strings.IndexByte(name, 0) >= 0:
		return 0, "", invalid(dest, "holds a NUL")
	case !utf8.ValidString(name):
		return 0, "", invalid(dest, "is not UTF-8")
	}
	if n := strings.Count(name, "/") + 1; n > MaxLevels {
		return 0, "", invalid(dest, fmt.Sprintf("%d levels are more than %d", n, MaxLevels))
	}
	if k != Topic && hasWildcardLevel(name) {
		return 0, "", invalid(dest, fmt.Sprintf("a %s has no wildcards", k))
	}
	return k, name, nil
}

func invalid(dest, why string) error { return fmt.Errorf("%w %q: %s", ErrInvalid, clip(dest), why) }

// clip keeps hostile names short in logs and on the wire.
func clip(s string) string {
	if len(s) <= 100 {
		return s
	}
	return strings.ToValidUTF8(s[:100], "") + "…"
}

func hasWildcardLevel(name string) bool {
	if !strings.ContainsAny(name, "+#") {
		return false
	}
	for level := range Levels(name) {
		if level == "+" || level == "#" {
			return true
		}
	}
	return false
}
