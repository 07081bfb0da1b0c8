package selector

import (
	"math"
	"strconv"
	"strings"
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

// Value is a header's value or an intermediate result. The zero Value is Null.
type Value struct {
	kind Kind
	b    bool // the truth value, or that the number is i
	s    string
	n    uint64 // an int64, or the bits of a float64
}

// String makes a Value of text.
func String(s string) Value { return Value{kind: KindString, s: s} }

// Int makes a Value of an integer, which is compared exactly.
func Int(i int64) Value { return Value{kind: KindNumber, b: true, n: uint64(i)} }

// Number makes a Value of a number. NaN is Null.
func Number(n float64) Value {
	if math.IsNaN(n) {
		return Value{}
	}
	return Value{kind: KindNumber, n: math.Float64bits(n)}
}

// Bool makes a Value of a truth value.
func Bool(b bool) Value { return Value{kind: KindBool, b: b} }

// Kind returns the type.
func (v Value) Kind() Kind { return v.kind }

// truth is a value of three-valued logic.
type truth uint8

const (
	unknown truth = iota
	no
	yes
)

func truthOf(b bool) truth {
	if b {
		return yes
	}
	return no
}

func (t truth) value() Value {
	if t == unknown {
		return Value{}
	}
	return Bool(t == yes)
}

func (t truth) not() truth {
	switch t {
	case yes:
		return no
	case no:
		return yes
	default:
		return unknown
	}
}

// truth reads a truth value, or a header that says true or false.
func (v Value) truth() truth {
	switch v.kind {
	case KindBool:
		return truthOf(v.b)
	case KindString:
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

// number is an operand of arithmetic and of comparison.
type number struct {
	exact bool
	i     int64   // if exact
	f     float64 // always
}

// maxNumber is the length in bytes of what is read as a number.
const maxNumber = 400

func exactly(i int64) number { return number{true, i, float64(i)} }

func (n number) value() Value {
	switch {
	case n.exact:
		return Int(n.i)
	case math.IsInf(n.f, 0):
		return Value{}
	default:
		return Number(n.f)
	}
}

// number reads a number, or a header that is one.
func (v Value) number() (number, bool) {
	switch v.kind {
	case KindNumber:
		if v.b {
			return exactly(int64(v.n)), true
		}
		return number{f: math.Float64frombits(v.n)}, true
	case KindString:
		return parseNumber(strings.TrimSpace(v.s))
	default:
		return number{}, false
	}
}

// parseNumber reads a decimal number as headers and literals have it. Errors of strconv cost an
// allocation, and values such as "2024-01-02" are common, so what is no number is found out first.
//
// A number longer than maxNumber is none: otherwise each of 5,000 comparisons would read all of a large header.
func parseNumber(s string) (number, bool) {
	digits := strings.TrimLeft(s, "+-")
	if len(s)-len(digits) > 1 || digits == "" || len(s) > maxNumber {
		return number{}, false
	}
	whole, rest := leadingDigits(digits)
	if rest == "" {
		if i, ok := parseInt(whole, s[0] == '-'); ok {
			return exactly(i), true
		}
	}
	fraction := ""
	if strings.HasPrefix(rest, ".") {
		fraction, rest = leadingDigits(rest[1:])
	}
	if whole == "" && fraction == "" {
		return number{}, false
	}
	exponent := 0
	if rest != "" {
		var ok bool
		if exponent, ok = parseExponent(rest); !ok {
			return number{}, false
		}
	}
	// The position of the first digit that counts, from the point: 0.00123 has -2, 123 has 3.
	point := len(strings.TrimLeft(whole, "0"))
	if point == 0 {
		point = len(strings.TrimLeft(fraction, "0")) - len(fraction)
	}
	if point+exponent > 308 { // ParseFloat might fail
		return number{}, false
	}
	f, err := strconv.ParseFloat(s, 64)
	return number{f: f}, err == nil
}

func leadingDigits(s string) (digits, rest string) {
	n := 0
	for n < len(s) && s[n] >= '0' && s[n] <= '9' {
		n++
	}
	return s[:n], s[n:]
}

// parseExponent reads "e-12". Its value is clipped to what makes any difference.
func parseExponent(s string) (int, bool) {
	if s[0] != 'e' && s[0] != 'E' {
		return 0, false
	}
	s = s[1:]
	digits := strings.TrimPrefix(strings.TrimPrefix(s, "-"), "+")
	if len(s)-len(digits) > 1 {
		return 0, false
	}
	digits, rest := leadingDigits(digits)
	if digits == "" || rest != "" {
		return 0, false
	}
	n := 0
	for i := range len(digits) {
		n = min(10*n+int(digits[i]-'0'), 1<<20)
	}
	if s[0] == '-' {
		n = -n
	}
	return n, true
}

func parseInt(digits string, minus bool) (int64, bool) {
	digits = strings.TrimLeft(digits, "0")
	if len(digits) > 19 {
		return 0, false
	}
	var n uint64 // 19 digits fit
	for i := range len(digits) {
		n = 10*n + uint64(digits[i]-'0')
	}
	switch {
	case minus && n <= 1<<63:
		return -int64(n), true
	case !minus && n < 1<<63:
		return int64(n), true
	}
	return 0, false
}
