package selector

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

type tokenKind uint8

const (
	tokEnd tokenKind = iota
	tokName
	tokDashed // a name with '-' that could be a difference
	tokKeyword
	tokString
	tokNumber
	tokSymbol
)

type token struct {
	kind tokenKind
	text string // keywords in upper case
	num  Value
	pos  int
}

func (t token) describe() string {
	switch t.kind {
	case tokEnd:
		return "the end"
	case tokString:
		return "the string '" + clip(t.text) + "'"
	default:
		return strconv.Quote(clip(t.text))
	}
}

// lexer cuts the text into tokens.
type lexer struct {
	text string
	at   int
	tok  token
	err  *SyntaxError // the first; after it there are only ends
}

func (l *lexer) fail(msg string) { l.failAt(l.tok.pos, msg) }

func (l *lexer) failAt(pos int, msg string) {
	if l.err == nil {
		l.err = &SyntaxError{l.text, pos, msg}
	}
	l.tok = token{kind: tokEnd, pos: len(l.text)}
	l.at = len(l.text)
}

func (l *lexer) next() {
	for l.at < len(l.text) && strings.IndexByte(" \t\r\n\f", l.text[l.at]) >= 0 {
		l.at++
	}
	l.tok = token{pos: l.at}
	if l.at == len(l.text) {
		return
	}
	rest := l.text[l.at:]
	r, _ := utf8.DecodeRuneInString(rest)
	switch {
	case r == '\'' || r == '"':
		l.quoted(rest, byte(r))
	case isDigit(r) || r == '.' && len(rest) > 1 && isDigit(rune(rest[1])):
		l.number(rest)
	case nameStart(r):
		l.name(rest)
	default:
		l.operator(rest)
	}
}

func (l *lexer) emit(kind tokenKind, text string, size int) {
	l.tok.kind, l.tok.text = kind, text
	l.at += size
}

// quoted reads a string, or between double quotes a name. The quote doubled is one of them.
func (l *lexer) quoted(rest string, quote byte) {
	for i := 1; i < len(rest); i++ {
		if rest[i] != quote {
			continue
		}
		if i+1 < len(rest) && rest[i+1] == quote {
			i++
			continue
		}
		one := string(quote)
		text := strings.ReplaceAll(rest[1:i], one+one, one)
		switch {
		case quote == '\'':
			l.emit(tokString, text, i+1)
		case text == "":
			l.fail("a name is empty")
		default:
			l.emit(tokName, text, i+1)
		}
		return
	}
	l.fail("the quote is not closed")
}

func isDigit(r rune) bool { return r >= '0' && r <= '9' }

// number reads a literal of Java: decimal, hexadecimal or octal, with the suffixes L, F and D.
func (l *lexer) number(rest string) {
	n := 0
	hex := len(rest) > 1 && (rest[1] == 'x' || rest[1] == 'X')
	for n < len(rest) {
		c := rest[n]
		sign := (c == '+' || c == '-') && n > 0 && (rest[n-1] == 'e' || rest[n-1] == 'E') && !hex
		if !sign && c != '.' && c != '_' && !isDigit(rune(c)) && !(c|0x20 >= 'a' && c|0x20 <= 'z') {
			break
		}
		n++
	}
	v, ok := literalNumber(rest[:n])
	if !ok {
		l.fail(strconv.Quote(clip(rest[:n])) + " is not a number")
		return
	}
	l.tok.num = v
	l.emit(tokNumber, rest[:n], n)
}

func literalNumber(s string) (Value, bool) {
	s = strings.ToLower(s)
	if digits, ok := strings.CutPrefix(s, "0x"); ok {
		i, err := strconv.ParseInt(strings.TrimSuffix(digits, "l"), 16, 64)
		return Int(i), err == nil && isDigitOrHex(digits)
	}
	whole, rest := leadingDigits(s)
	if rest == "" || rest == "l" {
		if len(whole) > 1 && whole[0] == '0' {
			i, err := strconv.ParseInt(whole, 8, 64)
			return Int(i), err == nil
		}
		s = whole
	} else {
		s = strings.TrimRight(s, "fd")
		if len(whole)+len(rest)-len(s) > 1 {
			return Value{}, false
		}
	}
	n, ok := parseNumber(s)
	if ok && rest != "" && rest != "l" {
		n.exact = false // 5.0, 5D
	}
	return n.value(), ok
}

// isDigitOrHex refuses what ParseInt takes beside digits: a sign.
func isDigitOrHex(s string) bool { return s != "" && s[0] != '-' && s[0] != '+' }

func nameStart(r rune) bool {
	return r == '_' || r == '$' || r != utf8.RuneError && unicode.IsLetter(r)
}

// name reads a keyword or a name.
func (l *lexer) name(rest string) {
	n, dash := len(rest), false
	for i, r := range rest {
		if nameStart(r) || i > 0 && unicode.IsDigit(r) {
			continue
		}
		if r == '-' || r == '.' || r == ':' {
			if after, _ := utf8.DecodeRuneInString(rest[i+1:]); nameStart(after) {
				dash = dash || r == '-'
				continue
			}
		}
		n = i
		break
	}
	text := rest[:n]
	switch word := keyword(text); {
	case word != "":
		l.emit(tokKeyword, word, n)
	case dash:
		l.emit(tokDashed, text, n)
	default:
		l.emit(tokName, text, n)
	}
}

// keyword returns text in upper case when it is one.
func keyword(text string) string {
	if len(text) > len("BETWEEN") {
		return ""
	}
	switch up := strings.ToUpper(text); up {
	case "AND", "OR", "NOT", "BETWEEN", "IN", "LIKE", "ESCAPE", "IS", "NULL", "TRUE", "FALSE":
		return up
	default:
		return ""
	}
}

func (l *lexer) operator(rest string) {
	for _, op := range [...]string{"<>", "<=", ">=", "!=", "=", "<", ">", "(", ")", ",", "+", "-", "*", "/"} {
		if strings.HasPrefix(rest, op) {
			text := op
			if op == "!=" { // not SQL-92, but everybody tries it
				text = "<>"
			}
			l.emit(tokSymbol, text, len(op))
			return
		}
	}
	_, size := utf8.DecodeRuneInString(rest)
	l.fail("unexpected character " + strconv.Quote(rest[:size]))
}
