package selector

import (
	"fmt"
	"strings"
)

// Source is what a selector looks names up in, usually one message.
type Source interface {
	// Lookup returns the value called name, false when there is none. Match calls it from its own
	// goroutine, once for each time a name is needed, and keeps nothing of what it returns.
	Lookup(name string) (Value, bool)
}

// LookupFunc is a function that is a Source.
type LookupFunc func(name string) (Value, bool)

// Lookup calls f.
func (f LookupFunc) Lookup(name string) (Value, bool) { return f(name) }

var _ Source = LookupFunc(nil)

// Selector is a parsed expression. It never changes and may be used by many goroutines.
type Selector struct {
	root node
	text string
	cost int
}

// String returns the text it was parsed from.
func (s *Selector) String() string { return s.text }

// Cost returns how many operations a match takes at most.
func (s *Selector) Cost() int { return s.cost }

// Match reports whether the expression is true for src; false and unknown are both no.
func (s *Selector) Match(src Source) bool { return s.root.eval(src).truth() == yes }

// SyntaxError says what is wrong with a selector, and where.
type SyntaxError struct {
	Text string // the selector
	Pos  int    // in bytes, from 0
	Msg  string
}

// Error shows the position, counted from 1 in bytes, and what stands there.
func (e *SyntaxError) Error() string {
	near := clip(e.Text[min(e.Pos, len(e.Text)):])
	if near == "" {
		return fmt.Sprintf("syntax error at the end (position %d): %s", e.Pos+1, e.Msg)
	}
	return fmt.Sprintf("syntax error at position %d, near %q: %s", e.Pos+1, near, e.Msg)
}

func clip(s string) string {
	if len(s) <= 20 {
		return s
	}
	return strings.ToValidUTF8(s[:20], "") + "…"
}
