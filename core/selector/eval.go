package selector

import "math"

// node is one operation of the tree.
type node interface{ eval(src Source) Value }

type (
	literal struct{ v Value }
	name    struct{ name string }
	// dashed is a-b: the header of that name, else the difference.
	dashed struct {
		name string
		diff node
	}
	// logic is all of its terms, or any. A list and not a tree, so that long chains are not deep.
	logic struct {
		and   bool
		terms []node
	}
	not     struct{ x node }
	compare struct {
		op          comparison
		left, right node
	}
	// arith works from left to right.
	arith struct {
		first node
		steps []step
	}
	step struct {
		op byte
		x  node
	}
	negate  struct{ x node }
	between struct{ x, lo, hi node }
	in      struct {
		x    node
		list []Value
	}
	like struct {
		x       node
		pattern pattern
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

func (n *dashed) eval(src Source) Value {
	if v, ok := src.Lookup(n.name); ok {
		return v
	}
	return n.diff.eval(src)
}

func (n *logic) eval(src Source) Value {
	decides := truthOf(!n.and)
	result := decides.not()
	for _, x := range n.terms {
		switch t := x.eval(src).truth(); t { //nolint:exhaustive // the third changes nothing
		case decides:
			return t.value()
		case unknown:
			result = unknown
		}
	}
	return result.value()
}

func (n *not) eval(src Source) Value { return n.x.eval(src).truth().not().value() }

func (n *compare) eval(src Source) Value {
	return n.op.of(n.left.eval(src), n.right.eval(src)).value()
}

// comparison is one of = <> < <= > >=.
type comparison uint8

const (
	equal comparison = iota
	unequal
	less
	lessOrEqual
	greater
	greaterOrEqual
)

func (op comparison) equality() bool { return op <= unequal }

// of compares two values: as numbers when one is, as truth values when one is, else as text, which has
// no order [Jakarta Messaging 3.8.1.1] unless both say numbers.
func (op comparison) of(l, r Value) truth {
	switch {
	case l.kind == Null || r.kind == Null:
		return unknown
	case l.kind == KindNumber || r.kind == KindNumber:
		return op.numbers(l, r)
	case l.kind == KindBool || r.kind == KindBool:
		a, b := l.truth(), r.truth()
		if a == unknown || b == unknown || !op.equality() {
			return unknown
		}
		return truthOf((a == b) == (op == equal))
	case op.equality():
		return truthOf((l.s == r.s) == (op == equal))
	default:
		return op.numbers(l, r)
	}
}

func (op comparison) numbers(l, r Value) truth {
	a, ok := l.number()
	if !ok {
		return unknown
	}
	b, ok := r.number()
	switch {
	case !ok:
		return unknown
	case a.exact && b.exact:
		return truthOf(op.holds(a.i < b.i, a.i == b.i))
	default:
		return truthOf(op.holds(a.f < b.f, a.f == b.f))
	}
}

func (op comparison) holds(isLess, isEqual bool) bool {
	switch op {
	case equal:
		return isEqual
	case unequal:
		return !isEqual
	case less:
		return isLess
	case lessOrEqual:
		return isLess || isEqual
	case greater:
		return !isLess && !isEqual
	default:
		return !isLess
	}
}

func (n *arith) eval(src Source) Value {
	a, ok := n.first.eval(src).number()
	if !ok {
		return Value{}
	}
	for i := range n.steps {
		b, ok := n.steps[i].x.eval(src).number()
		if !ok {
			return Value{}
		}
		if a, ok = calculate(n.steps[i].op, a, b); !ok {
			return Value{}
		}
	}
	return a.value()
}

// calculate is exact where it can be.
func calculate(op byte, a, b number) (number, bool) {
	if a.exact && b.exact {
		if op == '/' && b.i == 0 {
			return number{}, false
		}
		if i, ok := calculateInt(op, a.i, b.i); ok {
			return exactly(i), true
		}
	}
	f := a.f
	switch op {
	case '+':
		f += b.f
	case '-':
		f -= b.f
	case '*':
		f *= b.f
	default:
		f /= b.f
	}
	return number{f: f}, !math.IsNaN(f) && !math.IsInf(f, 0)
}

// calculateInt returns false on overflow.
func calculateInt(op byte, a, b int64) (int64, bool) {
	switch op {
	case '+':
		c := a + b
		return c, (a^c)&(b^c) >= 0
	case '-':
		c := a - b
		return c, (a^b)&(a^c) >= 0
	case '*':
		if a == 0 || b == 0 {
			return 0, true
		}
		c := a * b
		return c, c/b == a && !(b == -1 && a == math.MinInt64) && !(a == -1 && b == math.MinInt64)
	default:
		return a / b, !(b == -1 && a == math.MinInt64)
	}
}

func (n *negate) eval(src Source) Value {
	a, ok := n.x.eval(src).number()
	switch {
	case !ok:
		return Value{}
	case a.exact && a.i != math.MinInt64:
		return Int(-a.i)
	default:
		return Number(-a.f)
	}
}

// between is lo <= x AND x <= hi.
func (n *between) eval(src Source) Value {
	x := n.x.eval(src)
	lo := greaterOrEqual.of(x, n.lo.eval(src))
	hi := lessOrEqual.of(x, n.hi.eval(src))
	switch {
	case lo == no || hi == no:
		return Bool(false)
	case lo == unknown || hi == unknown:
		return Value{}
	default:
		return Bool(true)
	}
}

// in is x = a OR x = b OR …
func (n *in) eval(src Source) Value {
	x := n.x.eval(src)
	result := no
	for i := range n.list {
		switch equal.of(x, n.list[i]) {
		case yes:
			return Bool(true)
		case unknown:
			result = unknown
		case no:
		}
	}
	return result.value()
}

func (n *isNull) eval(src Source) Value { return Bool(n.x.eval(src).kind == Null) }

func (n *like) eval(src Source) Value {
	x := n.x.eval(src)
	if x.kind != KindString {
		return Value{}
	}
	return Bool(n.pattern.match(x.s))
}
