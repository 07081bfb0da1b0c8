package selector_test

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/wyemq/wye/core/selector"
)

// header is a Source: what STOMP has, and what a few names of JMS have.
type header map[string]string

func (h header) Lookup(name string) (selector.Value, bool) {
	switch name {
	case "JMSPriority":
		return selector.Int(4), true
	case "half":
		return selector.Number(0.5), true
	case "nan":
		return selector.Number(math.NaN()), true
	case "on":
		return selector.Bool(true), true
	case "off":
		return selector.Bool(false), true
	case "smallest":
		return selector.Int(math.MinInt64), true
	case "largest":
		return selector.Number(math.MaxFloat64), true
	}
	v, ok := h[name]
	return selector.String(v), ok
}

// unknown is tested with: neither x nor NOT x selects.
const unknown = "unknown"

// check evaluates text and NOT text.
func check(t *testing.T, text string, src selector.Source, want string) {
	t.Helper()
	got := func(text string) bool {
		s, err := selector.Parse(text)
		if err != nil {
			t.Fatalf("Parse(%q): %v", text, err)
		}
		return s.Match(src)
	}
	is, isNot := got(text), got("NOT ("+text+")")
	have := unknown
	switch {
	case is && isNot:
		have = "both"
	case is:
		have = "true"
	case isNot:
		have = "false"
	}
	if have != want {
		t.Errorf("%s is %s, want %s", text, have, want)
	}
}

// TestSpecification has the examples of Jakarta Messaging 3.1, section 3.8.1.1.
func TestSpecification(t *testing.T) {
	for _, c := range []struct {
		text string
		src  header
		want string
	}{
		{"JMSType = 'car' AND color = 'blue' AND weight > 2500", header{"JMSType": "car", "color": "blue", "weight": "2501"}, "true"},
		{"JMSType = 'car' AND color = 'blue' AND weight > 2500", header{"JMSType": "car", "color": "blue", "weight": "2500"}, "false"},
		{"age BETWEEN 15 AND 19", header{"age": "15"}, "true"},
		{"age BETWEEN 15 AND 19", header{"age": "19"}, "true"},
		{"age BETWEEN 15 AND 19", header{"age": "20"}, "false"},
		{"age BETWEEN 15 AND 19", header{}, unknown},
		{"age NOT BETWEEN 15 AND 19", header{"age": "14"}, "true"},
		{"age NOT BETWEEN 15 AND 19", header{"age": "17"}, "false"},
		{"age >= 15 AND age <= 19", header{"age": "17"}, "true"},
		{"Country IN ('UK', 'US', 'France')", header{"Country": "UK"}, "true"},
		{"Country IN ('UK', 'US', 'France')", header{"Country": "Peru"}, "false"},
		{"Country NOT IN ('UK', 'US', 'France')", header{"Country": "UK"}, "false"},
		{"Country NOT IN ('UK', 'US', 'France')", header{"Country": "Peru"}, "true"},
		{"Country IN ('UK', 'US')", header{}, unknown},
		{"Country NOT IN ('UK', 'US')", header{}, unknown},
		{"phone LIKE '12%3'", header{"phone": "123"}, "true"},
		{"phone LIKE '12%3'", header{"phone": "12993"}, "true"},
		{"phone LIKE '12%3'", header{"phone": "1234"}, "false"},
		{"word LIKE 'l_se'", header{"word": "lose"}, "true"},
		{"word LIKE 'l_se'", header{"word": "loose"}, "false"},
		{`underscored LIKE '\_%' ESCAPE '\'`, header{"underscored": "_foo"}, "true"},
		{`underscored LIKE '\_%' ESCAPE '\'`, header{"underscored": "bar"}, "false"},
		{"phone NOT LIKE '12%3'", header{"phone": "123"}, "false"},
		{"phone NOT LIKE '12%3'", header{"phone": "1234"}, "true"},
		{"phone LIKE '12%3'", header{}, unknown},
		{"phone NOT LIKE '12%3'", header{}, unknown},
		{"prop_name IS NULL", header{}, "true"},
		{"prop_name IS NULL", header{"prop_name": ""}, "false"},
		{"prop_name IS NOT NULL", header{"prop_name": "x"}, "true"},
		{"prop_name IS NOT NULL", header{}, "false"},
		{"literal = 'it''s'", header{"literal": "it's"}, "true"},
	} {
		check(t, c.text, c.src, c.want)
	}
}

// TestThreeValues has the truth tables of the specification.
func TestThreeValues(t *testing.T) {
	const T, F, U = "true", "false", unknown
	expr := map[string]string{T: "1 = 1", F: "1 = 2", U: "missing = 1"}
	for _, c := range []struct{ a, b, and, or string }{
		{T, T, T, T},
		{T, F, F, T},
		{T, U, U, T},
		{F, T, F, T},
		{F, F, F, F},
		{F, U, F, U},
		{U, T, U, T},
		{U, F, F, U},
		{U, U, U, U},
	} {
		check(t, expr[c.a]+" AND "+expr[c.b], header{}, c.and)
		check(t, expr[c.a]+" OR "+expr[c.b], header{}, c.or)
	}
	for a, want := range map[string]string{T: F, F: T, U: U} {
		check(t, "NOT "+expr[a], header{}, want)
		check(t, "NOT NOT "+expr[a], header{}, a)
	}
}

func TestMatch(t *testing.T) {
	src := header{
		"a": "7", "b": "2", "f": "2.50", "text": "abc", "date": "2024-01-02", "yes": "TRUE", "no": "false",
		"content-type": "text/plain", "x.y": "dot", "n:s": "colon", "odd name": "odd", "é": "e", "empty": "",
		"big": "9007199254740993", "spaced": " 7 ", "minus": "-3", "exp": "1e3", "huge": "1e400", "bad": "1e", "plus": "+5",
		"long": "12345678901234567890", "lowest": "-9223372036854775808", "digits": strings.Repeat("0", 500) + "7", "ee": "1e5e", "e--": "1e--5", "10": "ten", "quote\"d": "q", "tiny": "1e-400",
	}
	for _, c := range []struct{ text, want string }{
		// Precedence.
		{"1 = 2 AND 1 = 2 OR 1 = 1", "true"},
		{"1 = 1 OR 1 = 1 AND 1 = 2", "true"},
		{"(1 = 1 OR 1 = 1) AND 1 = 2", "false"},
		{"NOT 1 = 2 AND 1 = 1", "true"},
		{"1 + 2 * 3 = 7", "true"},
		{"(1 + 2) * 3 = 9", "true"},
		{"10 - 4 - 3 = 3", "true"},
		{"100 / 10 / 5 = 2", "true"},
		{"-2 * -3 = 6", "true"},
		{"- - a = 7", "true"},
		{"+a = 7", "true"},
		{"a between 1 and 10 and b = 2", "true"},
		// Numbers are exact, divide as in Java, and know their limits.
		{"a / b = 3", "true"},
		{"a / 2.0 = 3.5", "true"},
		{"a / 0 = 1", unknown},
		{"a / 0.0 = 1", unknown},
		{"big = 9007199254740993", "true"},
		{"big = 9007199254740992", "false"},
		{"big > 9007199254740992", "true"},
		{"9223372036854775807 + 1 > 9.0e18", "true"},
		{"9223372036854775807 * 2 > 1.0e19", "true"},
		{"smallest - 1 < 0", "true"},
		{"-smallest > 0", "true"},
		{"smallest / -1 > 0", "true"},
		{"smallest * -1 > 0", "true"},
		{"-1 * smallest > 0", "true"},
		{"0 * a = 0", "true"},
		{"lowest = smallest", "true"},
		{"largest * 10 > 0", unknown},
		{"long > 1", "true"},
		{"f = 2.5", "true"},
		{"spaced = 7", "true"},
		{"minus = -3", "true"},
		{"plus = 5", "true"},
		{"exp = 1000", "true"},
		{"tiny = 0", "true"},
		{"huge > 1", unknown},
		{"digits > 1", unknown},
		{"a + nan = 1", unknown},
		{"missing <> 1", unknown},
		{`ee = 1 OR "e--" = 1`, unknown},
		{"largest > 1 AND largest < largest * 1.0", "false"},
		{"bad = 1", unknown},
		{"date = 2024", unknown},
		{"empty = 0", unknown},
		{"text = 1", unknown},
		{"text <> 1", unknown},
		{"text + 1 = 1", unknown},
		{"1 + text = 1", unknown},
		{"-text = 1", unknown},
		{"missing + 1 IS NULL", "true"},
		{"nan IS NULL", "true"},
		{"half + half = 1", "true"},
		{"-half < 0", "true"},
		{"JMSPriority + 1 = 5", "true"},
		// Literals.
		{"0x1F = 31 AND 0X1fL = 31", "true"},
		{"010 = 8 AND 0 = 0 AND 00 = 0", "true"},
		{"7L = a AND 7. = a AND 7d = a AND .5 = half AND 5E-1 = half AND 0.05e+1F = half", "true"},
		{"7f / 2 = 3.5", "true"},
		// Strings have equality only; two headers that are numbers also have an order.
		{"text = 'abc'", "true"},
		{"text = 'ABC'", "false"},
		{"text <> 'abc'", "false"},
		{"text != 'x'", "true"},
		{"a > b", "true"},
		{"a <= b", "false"},
		{"text > b", unknown},
		{"b < text", unknown},
		{"'abc' = text", "true"},
		{"'' = empty", "true"},
		{"7 = '7'", "true"},
		// Truth values.
		{"yes", "true"},
		{"no", "false"},
		{"text", unknown},
		{"JMSPriority", unknown},
		{"missing", unknown},
		{"yes AND NOT no", "true"},
		{"yes = TRUE", "true"},
		{"yes <> false", "true"},
		{"no = true", "false"},
		{"text = TRUE", unknown},
		{"on AND on = yes AND off <> on", "true"},
		{"on > off", unknown},
		{"on = 1", unknown},
		{"TRUE", "true"},
		{"(a = 7) = (b = 2)", "true"},
		// IN is a chain of =, so what cannot be compared is unknown.
		{"a IN (1, 7.0)", "true"},
		{"a IN (1, -7, '7')", "true"},
		{"minus IN (-3)", "true"},
		{"text IN (1, 2)", unknown},
		{"text NOT IN (1, 2)", unknown},
		{"text IN (1, 'abc')", "true"},
		{"text IN ('x')", "false"},
		// BETWEEN: false when either side is.
		{"a BETWEEN b AND 10", "true"},
		{"a BETWEEN missing AND 1", "false"},
		{"a BETWEEN missing AND 10", unknown},
		{"a NOT BETWEEN 8 AND 6", "true"},
		// IS NULL.
		{"(a = missing) IS NULL", "true"},
		// Names.
		{"content-type = 'text/plain'", "true"},
		{`"content-type" = 'text/plain'`, "true"},
		{"x.y = 'dot' AND n:s = 'colon' AND é = 'e'", "true"},
		{`"odd name" = 'odd' AND "10" = 'ten' AND "quote""d" = 'q'`, "true"},
		{"Text IS NULL", "true"},
		{"a-b = 5", "true"},
		{"a - b = 5", "true"},
		{"a -b = 5", "true"},
		{"a-2 = 5", "true"},
		{"(a-b) * 2 = 10", "true"},
		{"a-missing = 5", unknown},
		{"no-header IS NULL", "true"},
		{"a-in IS NULL", "true"},
		{"a-b-b = 3", "true"},
		// Keywords in any case, white space of any kind.
		{"a\tin\n(7)\r\nAnd\fNot text iS nUlL", "true"},
		{"text like 'a%'and b=2", "true"},
	} {
		check(t, c.text, src, c.want)
	}
}

func TestLike(t *testing.T) {
	for _, c := range []struct {
		text, pattern string
		want          bool
	}{
		{"", "", true},
		{"a", "", false},
		{"", "%", true},
		{"", "_", false},
		{"", "%%", true},
		{"abc", "abc", true},
		{"abc", "ab", false},
		{"abc", "a%", true},
		{"abc", "%c", true},
		{"abc", "%b%", true},
		{"abc", "%d%", false},
		{"abc", "a%b%c", true},
		{"abc", "a%c%b", false},
		{"abc", "___", true},
		{"abc", "____", false},
		{"abc", "_b_", true},
		{"abc", "%_", true},
		{"abc", "_%_%_", true},
		{"ab", "_%_%_", false},
		{"ab", "ab%ab", false},
		{"abab", "ab%ab", true},
		{"aba", "ab%ba", false},
		{"aXbYc", "a_b%c", true},
		{"xaXbx", "%a_b%", true},
		{"xaab", "%a_b%", true},
		{"xaXc", "%a_b%", false},
		{"a%b", "a!%b", true},
		{"aXb", "a!%b", false},
		{"a!b", "a!!b", true},
		{"ABC", "abc", false},
		{"a\nb", "a%b", true},
		{"a\nb", "a_b", true},
		{"é", "_", true},
		{"é", "__", false},
		{"é", "%_%_%", false},
		{"éa", "%_a", true},
		{"世界", "_界", true},
		{"世界", "%_界%", true},
		{"\xff\xfe", "__", true},
		{"a\xff", "a_", true},
		{"mississippi", "%iss%ip%", true},
		{"mississippi", "m%is%is%is%", false},
		{"mississippi", "%_ss_ss_pp%", true},
	} {
		check(t, fmt.Sprintf("x LIKE '%s' ESCAPE '!'", c.pattern), header{"x": c.text}, fmt.Sprint(c.want))
	}
	check(t, "x LIKE 'a_c'", header{"x": "abc"}, "true")
	check(t, "x LIKE '€%€€' ESCAPE '€'", header{"x": "%€"}, "true")
	check(t, "JMSPriority LIKE '4'", header{}, unknown)
	check(t, "'abc' LIKE 'a%'", header{}, "true")
}

func TestString(t *testing.T) {
	s, err := selector.Parse("a = 1")
	if err != nil || s.String() != "a = 1" {
		t.Errorf("String = %q, %v", s, err)
	}
	for _, c := range []struct {
		v    selector.Value
		kind selector.Kind
	}{
		{selector.Value{}, selector.Null},
		{selector.String(""), selector.KindString},
		{selector.Number(1), selector.KindNumber},
		{selector.Int(1), selector.KindNumber},
		{selector.Bool(false), selector.KindBool},
		{selector.Number(math.NaN()), selector.Null},
	} {
		if c.v.Kind() != c.kind {
			t.Errorf("Kind of %v = %d, want %d", c.v, c.v.Kind(), c.kind)
		}
	}
}

func TestAllocs(t *testing.T) {
	var src selector.Source = header{
		"color": "blue", "weight": "3000", "date": "2024-01-02", "huge": "1e309", "edge": "9.9e308", "phone": "12-34-56", "flag": "x",
		"many": strings.Repeat("1", 1000), "a": "7", "b": "2",
	}
	for _, text := range []string{
		"color = 'blue' AND weight > 2500",
		"date > 5 OR huge > 1 OR edge > 1 OR many > 2 OR phone + 1 = 2",
		"phone LIKE '1%-_4-%' OR phone LIKE '%x' AND flag",
		"weight BETWEEN 1 AND 2 OR color IN ('red', 'green') OR missing IS NULL AND a-b = 5 AND -a * 2 / b = -7",
	} {
		s, err := selector.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		if n := testing.AllocsPerRun(100, func() { s.Match(src) }); n != 0 {
			t.Errorf("%s: %v allocations, want 0", text, n)
		}
	}
}
