package selector

import (
	"strings"
	"unicode/utf8"
)

// pattern is the pattern of LIKE, cut at each '%'. The first part must be at the start of the text and the last at its
// end; those between are found one after the other, each as early as possible. Nothing is ever tried
// again, so the cost is one pass, or for parts with '_' one pass for each of their characters.
type pattern []part

// part is what stands between two '%'.
type part struct {
	text string // without '_': it can be searched for fast
	any  []element
}

// element is one character, or any one.
type element struct {
	r   rune
	any bool
}

// maxSearched is the number of characters that the parts which are searched for and hold '_' may have in one
// selector.
const maxSearched = 256

// newPattern compiles text; escape is -1 for none. It returns false when the escape character escapes
// nothing.
func newPattern(text string, escape rune) (pattern, bool) {
	var out pattern
	var elements []element
	wild, escaped := false, false
	end := func() {
		p := part{any: elements}
		if !wild {
			var b strings.Builder
			for _, e := range elements {
				b.WriteRune(e.r)
			}
			p = part{text: b.String()}
		}
		out = append(out, p)
		elements, wild = nil, false
	}
	for _, r := range text {
		switch {
		case escaped:
			elements = append(elements, element{r: r})
			escaped = false
		case r == escape:
			escaped = true
		case r == '%':
			end()
		case r == '_':
			elements = append(elements, element{any: true})
			wild = true
		default:
			elements = append(elements, element{r: r})
		}
	}
	end()
	return out, !escaped
}

// searched returns how many characters are in parts with '_' that are searched for.
func (p pattern) searched() int {
	n := 0
	for i := 1; i < len(p)-1; i++ {
		n += len(p[i].any)
	}
	return n
}

func (p pattern) match(s string) bool {
	n, ok := p[0].prefix(s)
	if len(p) == 1 {
		return ok && n == len(s)
	}
	if !ok {
		return false
	}
	s = s[n:]
	last := &p[len(p)-1]
	if n, ok = last.suffix(s); !ok {
		return false
	}
	s = s[:n]
	for i := 1; i < len(p)-1; i++ {
		if n, ok = p[i].find(s); !ok {
			return false
		}
		s = s[n:]
	}
	return true
}

// prefix returns where the part ends that s begins with.
func (p *part) prefix(s string) (int, bool) {
	if p.any == nil {
		return len(p.text), strings.HasPrefix(s, p.text)
	}
	n := 0
	for _, e := range p.any {
		r, size := utf8.DecodeRuneInString(s[n:])
		if size == 0 || !e.any && e.r != r {
			return 0, false
		}
		n += size
	}
	return n, true
}

// suffix returns where the part begins that s ends with.
func (p *part) suffix(s string) (int, bool) {
	if p.any == nil {
		return len(s) - len(p.text), strings.HasSuffix(s, p.text)
	}
	n := len(s)
	for range p.any {
		_, size := utf8.DecodeLastRuneInString(s[:n])
		if size == 0 {
			return 0, false
		}
		n -= size
	}
	_, ok := p.prefix(s[n:])
	return n, ok
}

// find returns where the first occurrence in s ends.
func (p *part) find(s string) (int, bool) {
	if p.any == nil {
		i := strings.Index(s, p.text)
		return i + len(p.text), i >= 0
	}
	for at := 0; at < len(s); {
		if n, ok := p.prefix(s[at:]); ok {
			return at + n, true
		}
		_, size := utf8.DecodeRuneInString(s[at:])
		at += size
	}
	return 0, false
}
