package selector

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// Bounds that keep hostile selectors cheap.
const (
	maxText  = 64 << 10
	maxDepth = 100
	maxNodes = 5000
)

// Parse reads a selector. The error is a *SyntaxError. An empty text is one: who has no selector does not
// call Parse.
func Parse(text string) (*Selector, error) {
	p := &parser{lexer: lexer{text: text}}
	if len(text) > maxText {
		return nil, &SyntaxError{text, maxText, fmt.Sprintf("longer than %d bytes", maxText)}
	}
	for i, r := range text {
		if r == utf8.RuneError && !strings.HasPrefix(text[i:], string(utf8.RuneError)) {
			return nil, &SyntaxError{text, i, "is not UTF-8"}
		}
	}
	p.next()
	root := p.or()
	if p.err == nil && p.tok.kind != tokEnd {
		p.fail("unexpected " + p.tok.describe())
	}
	p.condition(root)
	if p.err != nil {
		return nil, p.err
	}
	return &Selector{root: root.node, text: text, cost: p.nodes}, nil
}

// parser is a recursive descent over OR, AND, NOT, comparison, sum, product, sign, primary.
type parser struct {
	lexer
	depth, nodes, searched int
}

// operand is a part of the tree and what is known about it.
type operand struct {
	node node
	typ  operandType
	pos  int
}

type operandType uint8

const (
	anything   operandType = iota // a name: known only when a message is there
	difference                    // a-b: a name, or the difference
	aNumber
	aString
	aCondition
)

func (t operandType) String() string {
	switch t {
	case aNumber:
		return "a number"
	case aString:
		return "a string"
	case aCondition:
		return "a condition"
	default:
		return "a name"
	}
}

// count bounds the size; each operation and each member of a list counts.
func (p *parser) count() {
	if p.nodes++; p.nodes > maxNodes {
		p.fail("the expression is too large")
	}
}

// condition refuses what has no truth value.
func (p *parser) condition(x operand) node {
	if x.typ == aNumber || x.typ == aString {
		p.failAt(x.pos, "expected a condition, found "+x.typ.String())
	}
	return x.node
}

// numeric refuses what is no number.
func (p *parser) numeric(x operand) node {
	switch x.typ {
	case difference:
		p.failAt(x.pos, `here '-' could be part of a name or an operator; put the name in double quotes, or spaces around the '-'`)
	case aString, aCondition:
		p.failAt(x.pos, "expected a number, found "+x.typ.String())
	case anything, aNumber:
	}
	return x.node
}

// ordered refuses what cannot be less or greater.
func (p *parser) ordered(x operand) node {
	if x.typ == aString || x.typ == aCondition {
		p.failAt(x.pos, x.typ.String()+" has no order; compare it with = or <>")
	}
	return x.node
}

func (p *parser) keyword(w string) bool {
	if p.tok.kind == tokKeyword && p.tok.text == w {
		p.next()
		return true
	}
	return false
}

func (p *parser) isSymbol(s string) bool { return p.tok.kind == tokSymbol && p.tok.text == s }

func (p *parser) symbol(s string) bool {
	if p.isSymbol(s) {
		p.next()
		return true
	}
	return false
}

func (p *parser) want(ok bool, what string) {
	if !ok {
		p.fail("expected " + what + ", found " + p.tok.describe())
	}
}

func (p *parser) or() operand  { return p.logic("OR", (*parser).and) }
func (p *parser) and() operand { return p.logic("AND", (*parser).not) }

func (p *parser) logic(word string, term func(*parser) operand) operand {
	first := term(p)
	if p.tok.kind != tokKeyword || p.tok.text != word {
		return first
	}
	terms := []node{p.condition(first)}
	for p.keyword(word) {
		p.count()
		terms = append(terms, p.condition(term(p)))
	}
	return operand{&logic{word == "AND", terms}, aCondition, first.pos}
}

func (p *parser) not() operand {
	pos, found, negated := p.tok.pos, false, false
	for p.keyword("NOT") {
		found, negated = true, !negated
	}
	x := p.comparison()
	if found {
		p.count()
		x = operand{negateIf(negated, p.condition(x)), aCondition, pos}
	}
	return x
}

func negateIf(negated bool, x node) node {
	if negated {
		return &not{x}
	}
	return x
}

func (p *parser) comparison() operand {
	left := p.sum()
	result := func(x node) operand {
		p.count()
		return operand{x, aCondition, left.pos}
	}
	if op, ok := p.comparisonOp(); ok {
		right := p.sum()
		if !op.equality() {
			p.ordered(left)
			p.ordered(right)
		}
		return result(&compare{op, left.node, right.node})
	}
	if p.keyword("IS") {
		negated := p.keyword("NOT")
		p.want(p.keyword("NULL"), "NULL")
		return result(negateIf(negated, &isNull{left.node}))
	}
	negated := p.keyword("NOT")
	switch {
	case p.keyword("BETWEEN"):
		x, lo := p.ordered(left), p.ordered(p.sum())
		p.want(p.keyword("AND"), "AND")
		return result(negateIf(negated, &between{x, lo, p.ordered(p.sum())}))
	case p.keyword("IN"):
		return result(negateIf(negated, &in{left.node, p.list()}))
	case p.keyword("LIKE"):
		if left.typ == aNumber || left.typ == aCondition {
			p.failAt(left.pos, "LIKE compares strings, this is "+left.typ.String())
		}
		return result(negateIf(negated, &like{left.node, p.pattern()}))
	case negated:
		p.fail("expected BETWEEN, IN or LIKE after NOT, found " + p.tok.describe())
	}
	return left
}

func (p *parser) comparisonOp() (comparison, bool) {
	if p.tok.kind != tokSymbol {
		return 0, false
	}
	for op, text := range [...]string{equal: "=", unequal: "<>", less: "<", lessOrEqual: "<=", greater: ">", greaterOrEqual: ">="} {
		if p.symbol(text) {
			return comparison(op), true
		}
	}
	return 0, false
}

// list reads the strings and numbers of IN.
func (p *parser) list() (list []Value) {
	p.want(p.symbol("("), "(")
	for p.err == nil {
		p.count()
		minus := p.symbol("-")
		switch {
		case p.tok.kind == tokString && !minus:
			list = append(list, String(p.tok.text))
		case p.tok.kind == tokNumber && minus:
			list = append(list, (&negate{&literal{p.tok.num}}).eval(nil))
		case p.tok.kind == tokNumber:
			list = append(list, p.tok.num)
		default:
			p.fail("expected a string or number, found " + p.tok.describe())
			return nil
		}
		p.next()
		if !p.symbol(",") {
			break
		}
	}
	p.want(p.symbol(")"), ", or )")
	return list
}

// pattern reads what follows LIKE.
func (p *parser) pattern() pattern {
	if p.tok.kind != tokString {
		p.fail("expected a string after LIKE, found " + p.tok.describe())
		return nil
	}
	text, pos := p.tok.text, p.tok.pos
	p.next()
	escape := rune(-1)
	if p.keyword("ESCAPE") {
		if p.tok.kind != tokString || utf8.RuneCountInString(p.tok.text) != 1 {
			p.fail("expected a string of one character after ESCAPE, found " + p.tok.describe())
			return nil
		}
		escape, _ = utf8.DecodeRuneInString(p.tok.text)
		p.next()
	}
	out, ok := newPattern(text, escape)
	if !ok {
		p.failAt(pos, "the pattern ends with its escape character")
	}
	for range len(out) - 1 { // each part is a pass
		p.count()
	}
	if p.searched += out.searched(); p.searched > maxSearched {
		p.failAt(pos, fmt.Sprintf("more than %d characters in parts of patterns that have a '_' and stand between two '%%'", maxSearched))
	}
	return out
}

func (p *parser) sum() operand     { return p.arith("+", "-", (*parser).product) }
func (p *parser) product() operand { return p.arith("*", "/", (*parser).sign) }

func (p *parser) arith(a, b string, term func(*parser) operand) operand {
	first := term(p)
	if !p.isSymbol(a) && !p.isSymbol(b) {
		return first
	}
	out := &arith{first: p.numeric(first)}
	for p.isSymbol(a) || p.isSymbol(b) {
		op := p.tok.text[0]
		p.next()
		p.count()
		out.steps = append(out.steps, step{op, p.numeric(term(p))})
	}
	return operand{out, aNumber, first.pos}
}

func (p *parser) sign() operand {
	pos, found, minus := p.tok.pos, false, false
	for p.isSymbol("+") || p.isSymbol("-") {
		found, minus = true, minus != p.isSymbol("-")
		p.next()
	}
	x := p.primary()
	if found {
		p.count()
		x = operand{p.numeric(x), aNumber, pos}
		if minus {
			x.node = &negate{x.node}
		}
	}
	return x
}

func (p *parser) primary() operand {
	p.count()
	t := p.tok
	switch t.kind {
	case tokString:
		p.next()
		return operand{&literal{String(t.text)}, aString, t.pos}
	case tokNumber:
		p.next()
		return operand{&literal{t.num}, aNumber, t.pos}
	case tokName:
		p.next()
		return operand{&name{t.text}, anything, t.pos}
	case tokDashed:
		p.next()
		return dashedName(t)
	case tokKeyword:
		if t.text == "TRUE" || t.text == "FALSE" {
			p.next()
			return operand{&literal{Bool(t.text == "TRUE")}, aCondition, t.pos}
		}
	case tokSymbol:
		if t.text == "(" {
			return p.parentheses()
		}
	case tokEnd:
	}
	p.fail("expected a name, a literal or (, found " + t.describe())
	return operand{node: &literal{}, pos: t.pos}
}

func (p *parser) parentheses() operand {
	if p.depth++; p.depth > maxDepth {
		p.fail(fmt.Sprintf("nested deeper than %d", maxDepth))
		return operand{node: &literal{}}
	}
	p.next()
	x := p.or()
	p.want(p.symbol(")"), ")")
	p.depth--
	if x.typ == difference { // between parentheses both readings are one operand
		x.typ = anything
	}
	return x
}

// dashedName makes the two readings of a-b.
func dashedName(t token) operand {
	var diff *arith
	for word := range strings.SplitSeq(t.text, "-") {
		switch {
		case keyword(word) != "": // a-in is no difference
			return operand{&name{t.text}, anything, t.pos}
		case diff == nil:
			diff = &arith{first: &name{word}}
		default:
			diff.steps = append(diff.steps, step{'-', &name{word}})
		}
	}
	return operand{&dashed{t.text, diff}, difference, t.pos}
}
