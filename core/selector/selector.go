// Package selector has the message selectors of JMS: a part of SQL-92's conditional expressions over the
// headers of a message. A selector is parsed once; evaluating it does not allocate.
//
// Headers of STOMP and MQTT are strings, so a string that is compared with a number is read as one, as
// ActiveMQ does; when it is no number the comparison is unknown. Logic has three values: a
// message is selected only when the whole expression is true.
package selector

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Kind is the type of a Value.
type Kind uint8

// The kinds. Null is what a missing header evaluates to, and unknown.
const (
	Null Kind = iota
	KindString
	KindNumber
	KindBool
)

// Value is a header's value or an intermediate result.
type Value struct {
	kind Kind
	s    string
	n    float64
	b    bool
}

// String makes a Value of text.
func String(s string) Value { return Value{kind: KindString, s: s} }

// Number makes a Value of a number.
func Number(n float64) Value { return Value{kind: KindNumber, n: n} }

// Bool makes a Value of a truth value.
func Bool(b bool) Value { return Value{kind: KindBool, b: b} }

// Source is what a selector looks names up in.
type Source interface {
	// Lookup returns the value called name, false when there is none.
	Lookup(name string) (Value, bool)
}

// Selector is a parsed expression. It may be used by many goroutines.
type Selector struct {
	root node
	text string
}

// String returns the text it was parsed from.
func (s *Selector) String() string { return s.text }

// Match reports whether the expression is true for src.
func (s *Selector) Match(src Source) bool {
	v := s.root.eval(src)
	return v.truth() == yes
}

// SyntaxError says what is wrong with a selector, and where.
type SyntaxError struct {
	Text string
	Pos  int // in bytes, from 0
	Msg  string
}

// Error shows the position.
func (e *SyntaxError) Error() string {
	near := e.Text[min(e.Pos, len(e.Text)):]
	if len(near) > 20 {
		near = strings.ToValidUTF8(near[:20], "") + "…"
	}
	if near == "" {
		return fmt.Sprintf("syntax error at the end (position %d): %s", e.Pos+1, e.Msg)
	}
	return fmt.Sprintf("syntax error at position %d, near %q: %s", e.Pos+1, near, e.Msg)
}

// truth is a value of three-valued logic.
type truth uint8

const (
	unknown truth = iota
	no
	yes
)

func (v Value) truth() truth {
	switch v.kind {
	case KindBool:
		if v.b {
			return yes
		}
		return no
	case KindString: // a header that says true or false
		switch {
		case strings.EqualFold(v.s, "true"):
			return yes
		case strings.EqualFold(v.s, "false"):
			return no
		}
	case Null, KindNumber:
	}
	return unknown
}

func fromTruth(t truth) Value {
	switch t {
	case yes:
		return Bool(true)
	case no:
		return Bool(false)
	default:
		return Value{}
	}
}

// number returns what v is as a number.
func (v Value) number() (float64, bool) {
	switch v.kind {
	case KindNumber:
		return v.n, true
	case KindString:
		// ParseFloat makes an error value for what is no number: look first.
		if !looksNumeric(v.s) {
			return 0, false
		}
		n, err := strconv.ParseFloat(strings.TrimSpace(v.s), 64)
		return n, err == nil
	default:
		return 0, false
	}
}

func looksNumeric(s string) bool {
	s = strings.TrimSpace(s)
	digits := false
	for i := range len(s) {
		switch c := s[i]; {
		case c >= '0' && c <= '9':
			digits = true
		case c == '.' || c == '-' || c == '+' || c == 'e' || c == 'E':
		default:
			return false
		}
	}
	return digits
}

// node is one operation of the tree.
type node interface{ eval(src Source) Value }

type (
	literal struct{ v Value }
	name    struct{ name string }
	logic   struct {
		and         bool
		left, right node
	}
	not     struct{ x node }
	compare struct {
		op          string
		left, right node
	}
	arith struct {
		op          byte
		left, right node
	}
	negate  struct{ x node }
	between struct{ x, lo, hi node }
	in      struct {
		x    node
		list []Value
	}
	like struct {
		x       node
		pattern []element
	}
	isNull struct{ x node }
)

func (n *literal) eval(Source) Value { return n.v }

func (n *name) eval(src Source) Value {
	v, ok := src.Lookup(n.name)
	if !ok {
		return Value{}
	}
	return v
}

func (n *logic) eval(src Source) Value {
	l := n.left.eval(src).truth()
	if n.and && l == no || !n.and && l == yes {
		return fromTruth(l)
	}
	r := n.right.eval(src).truth()
	switch {
	case n.and && r == no || !n.and && r == yes:
		return fromTruth(r)
	case l == unknown || r == unknown:
		return Value{}
	default:
		return fromTruth(r)
	}
}

func (n *not) eval(src Source) Value {
	switch n.x.eval(src).truth() {
	case yes:
		return Bool(false)
	case no:
		return Bool(true)
	default:
		return Value{}
	}
}

func (n *compare) eval(src Source) Value {
	return fromTruth(compareValues(n.op, n.left.eval(src), n.right.eval(src)))
}

// compareValues: numbers with numbers; strings and truth values only for equality.
func compareValues(op string, l, r Value) truth {
	if l.kind == Null || r.kind == Null {
		return unknown
	}
	if l.kind == KindNumber || r.kind == KindNumber {
		a, okA := l.number()
		b, okB := r.number()
		if !okA || !okB {
			return unknown
		}
		return truthOf(ordered(op, a, b))
	}
	if l.kind == KindBool || r.kind == KindBool {
		a, b := l.truth(), r.truth()
		if a == unknown || b == unknown || op != "=" && op != "<>" {
			return unknown
		}
		return truthOf((a == b) == (op == "="))
	}
	switch op {
	case "=":
		return truthOf(l.s == r.s)
	case "<>":
		return truthOf(l.s != r.s)
	}
	a, okA := l.number()
	b, okB := r.number()
	if !okA || !okB {
		return unknown // strings have no order [JMS 2.0, 3.8.1.1]
	}
	return truthOf(ordered(op, a, b))
}

func ordered(op string, a, b float64) bool {
	switch op {
	case "=":
		return a == b
	case "<>":
		return a != b
	case "<":
		return a < b
	case "<=":
		return a <= b
	case ">":
		return a > b
	default:
		return a >= b
	}
}

func truthOf(b bool) truth {
	if b {
		return yes
	}
	return no
}

func (n *arith) eval(src Source) Value {
	a, okA := n.left.eval(src).number()
	b, okB := n.right.eval(src).number()
	if !okA || !okB {
		return Value{}
	}
	switch n.op {
	case '+':
		a += b
	case '-':
		a -= b
	case '*':
		a *= b
	default:
		a /= b
	}
	if math.IsNaN(a) || math.IsInf(a, 0) {
		return Value{}
	}
	return Number(a)
}

func (n *negate) eval(src Source) Value {
	a, ok := n.x.eval(src).number()
	if !ok {
		return Value{}
	}
	return Number(-a)
}

func (n *between) eval(src Source) Value {
	x := n.x.eval(src)
	lo := compareValues(">=", x, n.lo.eval(src))
	hi := compareValues("<=", x, n.hi.eval(src))
	switch {
	case lo == no || hi == no:
		return Bool(false)
	case lo == unknown || hi == unknown:
		return Value{}
	default:
		return Bool(true)
	}
}

func (n *in) eval(src Source) Value {
	x := n.x.eval(src)
	if x.kind == Null {
		return Value{}
	}
	for _, v := range n.list {
		if compareValues("=", x, v) == yes {
			return Bool(true)
		}
	}
	return Bool(false)
}

func (n *isNull) eval(src Source) Value { return Bool(n.x.eval(src).kind == Null) }

func (n *like) eval(src Source) Value {
	x := n.x.eval(src)
	switch x.kind {
	case KindString:
		return Bool(likeMatch(n.pattern, x.s))
	case Null, KindNumber, KindBool:
	}
	return Value{}
}

// element is one part of a LIKE pattern: a character, any one character, or any number of them.
type element struct {
	r    rune
	wild byte // 0, '_' or '%'
}

// likeMatch goes back only to the last '%', so its cost is at most the product of the lengths.
func likeMatch(pattern []element, s string) bool {
	p, i := 0, 0
	backP, backI := -1, 0
	for i < len(s) {
		r, size := utf8.DecodeRuneInString(s[i:])
		switch {
		case p < len(pattern) && pattern[p].wild == '%':
			p++
			backP, backI = p, i
		case p < len(pattern) && (pattern[p].wild == '_' || pattern[p].wild == 0 && pattern[p].r == r):
			p++
			i += size
		case backP >= 0:
			_, size := utf8.DecodeRuneInString(s[backI:])
			backI += size
			p, i = backP, backI
		default:
			return false
		}
	}
	for p < len(pattern) && pattern[p].wild == '%' {
		p++
	}
	return p == len(pattern)
}
