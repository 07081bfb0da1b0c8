package selector_test

import (
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/wyemq/wye/core/selector"
)

func TestSyntaxErrors(t *testing.T) {
	for _, c := range []struct {
		text string
		pos  int
		msg  string
	}{
		{"", 0, "expected a name, a literal or (, found the end"},
		{"  ", 2, "found the end"},
		{"a =", 3, "found the end"},
		{"a = = 1", 4, `found "="`},
		{"a = 1 b", 6, `unexpected "b"`},
		{"a = b = c", 6, `unexpected "="`},
		{"(a = 1", 6, "expected ), found the end"},
		{"a = 1)", 5, `unexpected ")"`},
		{"a = 'x", 4, "the quote is not closed"},
		{`"a = 1`, 0, "the quote is not closed"},
		{`"" = 1`, 0, "a name is empty"},
		{"a = 1 AND", 9, "found the end"},
		{"AND a = 1", 0, `found "AND"`},
		{"a ? 1", 2, `unexpected character "?"`},
		{"a = 1;", 5, `unexpected character ";"`},
		{"a = é€", 6, `unexpected character "€"`},
		{"a = 'x' \xff", 8, "is not UTF-8"},
		{"a IS 1", 5, "expected NULL"},
		{"a NOT 1", 6, "expected BETWEEN, IN or LIKE after NOT"},
		{"a BETWEEN 1 OR 2", 12, "expected AND"},
		{"a IN 1", 5, "expected (, found \"1\""},
		{"a IN ()", 6, "expected a string or number"},
		{"a IN (1", 7, "expected , or ), found the end"},
		{"a IN (b)", 6, "expected a string or number"},
		{"a IN (-'x')", 7, "expected a string or number"},
		{"a LIKE b", 7, "expected a string after LIKE"},
		{"a LIKE 'x' ESCAPE 'ab'", 18, "one character"},
		{"a LIKE 'x' ESCAPE ''", 18, "one character"},
		{"a LIKE 'x!' ESCAPE '!'", 7, "ends with its escape character"},
		{"1 LIKE 'x'", 0, "LIKE compares strings"},
		{"a = 1x", 4, `"1x" is not a number`},
		{"a = 1.2.3", 4, "not a number"},
		{"a = 1e", 4, "not a number"},
		{"a = 0x", 4, "not a number"},
		{"a = 0x-1", 4, "not a number"},
		{"a = 089", 4, "not a number"},
		{"a = 5LL", 4, "not a number"},
		{"a = 5.0fd", 4, "not a number"},
		{"a = 1_000", 4, "not a number"},
		{"a = 1e999", 4, "not a number"},
		// What has the wrong type is refused while somebody is there to read why.
		{"5", 0, "expected a condition, found a number"},
		{"'x'", 0, "expected a condition, found a string"},
		{"a + 1", 0, "expected a condition, found a number"},
		{"a = 1 AND 5", 10, "expected a condition, found a number"},
		{"NOT 'x'", 4, "expected a condition, found a string"},
		{"a + 'x' = 1", 4, "expected a number, found a string"},
		{"(a = 1) + 1 = 2", 1, "expected a number, found a condition"},
		{"-'x' = 1", 1, "expected a number, found a string"},
		{"date > '2024-01-01'", 7, "a string has no order; compare it with = or <>"},
		{"a BETWEEN 'a' AND 'b'", 10, "a string has no order"},
		{"a < TRUE", 4, "a condition has no order"},
		{"a-b * 2 = 1", 0, "put the name in double quotes, or spaces around the '-'"},
		{"1 + content-length > 5", 4, "here '-' could be"},
		{"-a-b = 1", 1, "here '-' could be"},
	} {
		_, err := selector.Parse(c.text)
		var se *selector.SyntaxError
		if !errors.As(err, &se) {
			t.Errorf("Parse(%q) = %v, want a SyntaxError", c.text, err)
			continue
		}
		if se.Pos != c.pos || !strings.Contains(se.Msg, c.msg) {
			t.Errorf("Parse(%q): %d %q, want %d %q", c.text, se.Pos, se.Msg, c.pos, c.msg)
		}
	}
}

func TestErrorText(t *testing.T) {
	for text, want := range map[string]string{
		"color = 'red' AND ?":                  `syntax error at position 19, near "?": unexpected character "?"`,
		"a =":                                  `syntax error at the end (position 4): expected a name, a literal or (, found the end`,
		"a ! " + strings.Repeat("é", 50_000/2): `syntax error at position 3, near "! ééééééééé…": unexpected character "!"`,
	} {
		if _, err := selector.Parse(text); err == nil || err.Error() != want {
			t.Errorf("error is %v, want %s", err, want)
		}
	}
}

// TestBounds: what is at a bound is parsed and matched, what is past it is a SyntaxError.
func TestBounds(t *testing.T) {
	nested := func(n int) string { return strings.Repeat("(", n) + "a = 1" + strings.Repeat(")", n) }
	chain := func(n int, op string) string { return strings.Repeat("a "+op+" ", n) }
	searched := func(n int) string { return "a LIKE '%" + strings.Repeat("_", n) + "%'" }
	long := strings.Repeat("x", selector.MaxText-6)
	for _, c := range []struct {
		name, text string
		ok         bool
	}{
		{"deepest", nested(selector.MaxDepth), true},
		{"too deep", nested(selector.MaxDepth + 1), false},
		{"beside each other", strings.Repeat("(a = 1) OR ", 2*selector.MaxDepth) + "a", true},
		{"bomb", nested(30_000), false},
		{"open bomb", strings.Repeat("(", 60_000), false},
		{"NOT", strings.Repeat("NOT ", 15_000) + "a", true},
		{"signs", "a = " + strings.Repeat("-", 60_000) + "1", true},
		{"NOT and parentheses", strings.Repeat("NOT(", 15_000), false},
		{"OR chain", chain(2000, "OR") + "a", true},
		{"too many OR", chain(2600, "OR") + "a", false},
		{"sum", chain(2000, "+") + "a = 1", true},
		{"too long a sum", chain(2600, "+") + "a = 1", false},
		{"list", "a IN (" + strings.Repeat("1,", 4900) + "1)", true},
		{"too long a list", "a IN (" + strings.Repeat("1,", 5000) + "1)", false},
		{"longest", "a = '" + long + "'", true},
		{"too long", "a = '" + long + "x'", false},
		{"many percent", "a LIKE '" + strings.Repeat("%a", 4000) + "'", true},
		{"too many percent", "a LIKE '" + strings.Repeat("%a", 6000) + "'", false},
		{"searched", searched(selector.MaxSearched), true},
		{"too much searched", searched(selector.MaxSearched + 1), false},
		{"searched together", searched(200) + " OR " + searched(100), false},
		{"long without search", "a LIKE '" + strings.Repeat("_", 1000) + "%" + strings.Repeat("_", 1000) + "'", true},
	} {
		s, err := selector.Parse(c.text)
		if (err == nil) != c.ok {
			t.Errorf("%s: %v", c.name, err)
		}
		if err == nil {
			s.Match(header{"a": strings.Repeat("a", 64<<10)})
			continue
		}
		if len(err.Error()) > 200 {
			t.Errorf("%s: the error has %d bytes", c.name, len(err.Error()))
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{
		"JMSType = 'car' AND color = 'blue' AND weight > 2500", "age NOT BETWEEN 15 AND 19", "a IN ('x', -1, 2.5)",
		`u LIKE '\_%' ESCAPE '\'`, "a IS NOT NULL OR NOT b", "-a * (b + 2) / 3 <> .5e3", "content-type = 'it''s'", `"x y" = TRUE`,
		"0x1FL = 010", "a-b = 1", "((((", "a = 'x", "NOT NOT NOT", "a LIKE '%_%_%'", "\xff", "é.ü = '€'",
	} {
		f.Add(s, "12%3", "a-1")
	}
	f.Fuzz(func(t *testing.T, text, a, b string) {
		s, err := selector.Parse(text)
		var se *selector.SyntaxError
		switch {
		case err == nil:
		case !errors.As(err, &se):
			t.Fatalf("%q: %T", text, err)
		case se.Pos < 0 || se.Pos > len(text) || se.Error() == "":
			t.Fatalf("%q: position %d", text, se.Pos)
		default:
			return
		}
		if !utf8.ValidString(text) {
			t.Fatalf("%q is not UTF-8", text)
		}
		src := header{"a": a, "b": b}
		is := s.Match(src)
		if len(text) > selector.MaxText-10 {
			return
		}
		n, err := selector.Parse("NOT (" + text + ")")
		if err != nil {
			if errors.As(err, &se); strings.Contains(se.Msg, "nested") || strings.Contains(se.Msg, "large") {
				return
			}
			t.Fatalf("NOT (%s): %v", text, err)
		}
		if is && n.Match(src) {
			t.Fatalf("%q selects, and NOT of it too", text)
		}
	})
}

// FuzzLike holds LIKE to a definition without care for cost.
func FuzzLike(f *testing.F) {
	f.Add("mississippi", "m%is%_p%")
	f.Add("世界", "%_界%")
	f.Add("a%b", "a!%b")
	f.Add("", "%%")
	f.Fuzz(func(t *testing.T, text, pattern string) {
		if len(pattern) > 12 || len(text) > 24 || !utf8.ValidString(text) || strings.Contains(pattern, "'") {
			return
		}
		s, err := selector.Parse("a LIKE '" + pattern + "' ESCAPE '!'")
		if err != nil {
			return
		}
		if got, want := s.Match(header{"a": text}), likeSlow([]rune(text), []rune(pattern)); got != want {
			t.Fatalf("%q LIKE %q = %v, want %v", text, pattern, got, want)
		}
	})
}

func likeSlow(s, p []rune) bool {
	switch {
	case len(p) == 0:
		return len(s) == 0
	case p[0] == '%':
		return likeSlow(s, p[1:]) || len(s) > 0 && likeSlow(s[1:], p)
	case len(s) == 0:
		return false
	case p[0] == '_':
		return likeSlow(s[1:], p[1:])
	case p[0] == '!':
		return s[0] == p[1] && likeSlow(s[1:], p[2:])
	default:
		return s[0] == p[0] && likeSlow(s[1:], p[1:])
	}
}

func BenchmarkMatch(b *testing.B) {
	for _, c := range []struct{ name, text string }{
		{"equal", "color = 'blue'"},
		{"numbers", "weight > 2500 AND price * 2 <= 99.5"},
		{"typical", "JMSType = 'car' AND color IN ('red', 'blue') AND weight BETWEEN 1000 AND 5000"},
		{"like", "phone LIKE '12%3'"},
		{"likeworst", "long LIKE '%" + strings.Repeat("a_", selector.MaxSearched/2-1) + "b%'"},
	} {
		b.Run("selector="+c.name, func(b *testing.B) {
			s, err := selector.Parse(c.text)
			if err != nil {
				b.Fatal(err)
			}
			var src selector.Source = header{
				"JMSType": "car", "color": "blue", "weight": "3000", "price": "49.5", "phone": "12-993", "long": strings.Repeat("a", 4096),
			}
			b.ReportAllocs()
			for b.Loop() {
				s.Match(src)
			}
		})
	}
}

func BenchmarkParse(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		_, _ = selector.Parse("JMSType = 'car' AND color IN ('red', 'blue') AND weight BETWEEN 1000 AND 5000")
	}
}
