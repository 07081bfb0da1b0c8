package selector

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Bounds that keep hostile selectors cheap.
const (
	maxText  = 64 << 10
	maxDepth = 200
	maxNodes = 5000
)

// Parse reads a selector. The error is a *SyntaxError.
func Parse(text string) (*Selector, error) {
	p := &parser{text: text}
	if len(text) > maxText {
		return nil, &SyntaxError{text, maxText, fmt.Sprintf("longer than %d bytes", maxText)}
	}
	p.next()
	root := p.or()
	if p.err == nil && p.tok.kind != tokEnd {
		p.fail("unexpected " + p.tok.describe())
	}
	if p.err != nil {
		return nil, p.err
	}
	return &Selector{root: root, text: text}, nil
}

type tokenKind uint8

const (
	tokEnd tokenKind = iota
	tokName
	tokKeyword
	tokString
	tokNumber
	tokSymbol
)

type token struct {
	kind tokenKind
	text string // keywords in upper case
	n    float64
	pos  int
}

func (t token) describe() string {
	switch t.kind {
	case tokEnd:
		return "end"
	case tokString:
		return "string '" + t.text + "'"
	default:
		return strconv.Quote(t.text)
	}
}

// parser is a recursive descent over OR, AND, NOT, comparison, sum, product, sign, primary.
type parser struct {
	text  string
	at    int
	tok   token
	err   error
	depth int
	nodes int
}

func (p *parser) fail(msg string) { p.failAt(p.tok.pos, msg) }

func (p *parser) failAt(pos int, msg string) {
	if p.err == nil {
		p.err = &SyntaxError{p.text, pos, msg}
	}
	p.tok = token{kind: tokEnd, pos: len(p.text)}
	p.at = len(p.text)
}

// enter bounds depth and size; false: give up.
func (p *parser) enter() bool {
	p.depth++
	p.nodes++
	if p.depth > maxDepth || p.nodes > maxNodes {
		p.fail("the expression is too large")
		return false
	}
	return p.err == nil
}

func (p *parser) leave() { p.depth-- }

func (p *parser) keyword(w string) bool {
	if p.tok.kind == tokKeyword && p.tok.text == w {
		p.next()
		return true
	}
	return false
}

func (p *parser) symbol(s string) bool {
	if p.tok.kind == tokSymbol && p.tok.text == s {
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

func (p *parser) or() node {
	if !p.enter() {
		return &literal{}
	}
	defer p.leave()
	left := p.and()
	for p.keyword("OR") {
		p.nodes++
		left = &logic{false, left, p.and()}
	}
	return left
}

func (p *parser) and() node {
	left := p.not()
	for p.keyword("AND") {
		p.nodes++
		left = &logic{true, left, p.not()}
	}
	return left
}

func (p *parser) not() node {
	negated := false
	for p.keyword("NOT") {
		negated = !negated
	}
	x := p.comparison()
	if negated {
		return &not{x}
	}
	return x
}

func (p *parser) comparison() node {
	left := p.sum()
	if p.tok.kind == tokSymbol {
		switch op := p.tok.text; op {
		case "=", "<>", "<", "<=", ">", ">=":
			p.next()
			p.nodes++
			return &compare{op, left, p.sum()}
		}
	}
	if p.keyword("IS") {
		negated := p.keyword("NOT")
		p.want(p.keyword("NULL"), "NULL")
		return negateIf(negated, &isNull{left})
	}
	negated := p.keyword("NOT")
	switch {
	case p.keyword("BETWEEN"):
		lo := p.sum()
		p.want(p.keyword("AND"), "AND")
		return negateIf(negated, &between{left, lo, p.sum()})
	case p.keyword("IN"):
		return negateIf(negated, &in{left, p.list()})
	case p.keyword("LIKE"):
		return negateIf(negated, &like{left, p.pattern()})
	case negated:
		p.fail("expected BETWEEN, IN or LIKE after NOT, found " + p.tok.describe())
	}
	return left
}

func negateIf(negated bool, x node) node {
	if negated {
		return &not{x}
	}
	return x
}

func (p *parser) list() (list []Value) {
	p.want(p.symbol("("), "(")
	for p.err == nil {
		p.nodes++
		switch p.tok.kind {
		case tokString:
			list = append(list, String(p.tok.text))
		case tokNumber:
			list = append(list, Number(p.tok.n))
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

func (p *parser) pattern() []element {
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
	var out []element
	escaped := false
	for _, r := range text {
		switch {
		case escaped:
			out = append(out, element{r: r})
			escaped = false
		case r == escape:
			escaped = true
		case r == '%' || r == '_':
			out = append(out, element{wild: byte(r)})
		default:
			out = append(out, element{r: r})
		}
	}
	if escaped {
		p.failAt(pos, "the pattern ends with its escape character")
	}
	return out
}

func (p *parser) sum() node {
	left := p.product()
	for p.tok.kind == tokSymbol && (p.tok.text == "+" || p.tok.text == "-") {
		op := p.tok.text[0]
		p.next()
		p.nodes++
		left = &arith{op, left, p.product()}
	}
	return left
}

func (p *parser) product() node {
	left := p.sign()
	for p.tok.kind == tokSymbol && (p.tok.text == "*" || p.tok.text == "/") {
		op := p.tok.text[0]
		p.next()
		p.nodes++
		left = &arith{op, left, p.sign()}
	}
	return left
}

func (p *parser) sign() node {
	minus := false
	for p.tok.kind == tokSymbol && (p.tok.text == "+" || p.tok.text == "-") {
		minus = minus != (p.tok.text == "-")
		p.next()
	}
	x := p.primary()
	if minus {
		return &negate{x}
	}
	return x
}

func (p *parser) primary() node {
	if !p.enter() {
		return &literal{}
	}
	defer p.leave()
	t := p.tok
	switch t.kind {
	case tokString:
		p.next()
		return &literal{String(t.text)}
	case tokNumber:
		p.next()
		return &literal{Number(t.n)}
	case tokName:
		p.next()
		return &name{t.text}
	case tokKeyword:
		if t.text == "TRUE" || t.text == "FALSE" {
			p.next()
			return &literal{Bool(t.text == "TRUE")}
		}
	case tokSymbol:
		if p.symbol("(") {
			x := p.or()
			p.want(p.symbol(")"), ")")
			return x
		}
	case tokEnd:
	}
	p.fail("expected a name, a literal or (, found " + t.describe())
	return &literal{}
}

var keywords = map[string]bool{
	"AND": true, "OR": true, "NOT": true, "BETWEEN": true, "IN": true, "LIKE": true, "ESCAPE": true,
	"IS": true, "NULL": true, "TRUE": true, "FALSE": true,
}

func (p *parser) next() {
	for p.at < len(p.text) && strings.IndexByte(" \t\r\n\f", p.text[p.at]) >= 0 {
		p.at++
	}
	p.tok = token{pos: p.at}
	if p.at == len(p.text) {
		return
	}
	rest := p.text[p.at:]
	r, _ := utf8.DecodeRuneInString(rest)
	switch {
	case r == '\'' || r == '"':
		p.quoted(byte(r))
	case r >= '0' && r <= '9' || r == '.' && len(rest) > 1 && rest[1] >= '0' && rest[1] <= '9':
		p.number(rest)
	case nameStart(r):
		p.name(rest)
	default:
		p.operator(rest)
	}
}

// quoted reads a string, or between double quotes a name that may hold anything.
func (p *parser) quoted(quote byte) {
	start := p.at
	var b strings.Builder
	for i := p.at + 1; i < len(p.text); i++ {
		if p.text[i] != quote {
			b.WriteByte(p.text[i])
			continue
		}
		if i+1 < len(p.text) && p.text[i+1] == quote { // doubled: one of them
			b.WriteByte(quote)
			i++
			continue
		}
		p.at = i + 1
		p.tok = token{kind: tokString, text: b.String(), pos: start}
		if quote == '"' {
			p.tok.kind = tokName
		}
		return
	}
	p.failAt(start, "the quote is not closed")
}

func (p *parser) number(rest string) {
	n := 0
	for n < len(rest) {
		c := rest[n]
		exponent := (c == '+' || c == '-') && n > 0 && (rest[n-1] == 'e' || rest[n-1] == 'E') && !strings.HasPrefix(rest, "0x")
		if c != '.' && !exponent && (c >= utf8.RuneSelf || !unicode.IsDigit(rune(c)) && !unicode.IsLetter(rune(c))) {
			break
		}
		n++
	}
	text := rest[:n]
	value, err := parseNumber(text)
	if err != nil {
		p.failAt(p.at, strconv.Quote(text)+" is not a number")
		return
	}
	p.tok = token{kind: tokNumber, text: text, n: value, pos: p.at}
	p.at += n
}

// parseNumber knows the literals of Java: suffixes L, F and D, hexadecimal and octal integers.
func parseNumber(text string) (float64, error) {
	lower := strings.ToLower(text)
	if strings.HasPrefix(lower, "0x") {
		n, err := strconv.ParseUint(strings.TrimSuffix(lower[2:], "l"), 16, 64)
		return float64(n), err
	}
	trimmed := strings.TrimRight(lower, "lfd")
	if len(lower)-len(trimmed) > 1 || strings.ContainsAny(trimmed, "_xpin") {
		return 0, strconv.ErrSyntax
	}
	if len(trimmed) > 1 && trimmed[0] == '0' && !strings.ContainsAny(trimmed, ".e89") {
		n, err := strconv.ParseUint(trimmed, 8, 64)
		return float64(n), err
	}
	return strconv.ParseFloat(trimmed, 64)
}

func nameStart(r rune) bool {
	return r == '_' || r == '$' || r != utf8.RuneError && unicode.IsLetter(r)
}

// name reads a keyword or an identifier: that of Java, and '.', ':' and '-' between letters, because headers are called
// "content-type". "a-b" is a header, "a - b" a difference.
func (p *parser) name(rest string) {
	n := 0
	for i, r := range rest {
		joins := (r == '-' || r == '.' || r == ':') && i+1 < len(rest) && nameStart(rune(rest[i+1]))
		if i > 0 && !nameStart(r) && !unicode.IsDigit(r) && !joins {
			break
		}
		n = i + utf8.RuneLen(r)
	}
	text := rest[:n]
	p.tok = token{kind: tokName, text: text, pos: p.at}
	if up := strings.ToUpper(text); keywords[up] {
		p.tok.kind, p.tok.text = tokKeyword, up
	}
	p.at += n
}

func (p *parser) operator(rest string) {
	for _, op := range []string{"<>", "<=", ">=", "!=", "=", "<", ">", "(", ")", ",", "+", "-", "*", "/"} {
		if strings.HasPrefix(rest, op) {
			text := op
			if op == "!=" {
				text = "<>"
			}
			p.tok = token{kind: tokSymbol, text: text, pos: p.at}
			p.at += len(op)
			return
		}
	}
	_, size := utf8.DecodeRuneInString(rest)
	p.failAt(p.at, "unexpected character "+strconv.Quote(rest[:size]))
}
