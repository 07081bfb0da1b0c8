package acl

import (
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/wyemq/wye/core"
)

// pattern is a name with wildcards and variables. The zero pattern matches nothing.
type pattern struct {
	everything bool
	topic      bool
	escaped    bool    // names of its kind are, as url.PathEscape does it
	prefix     string  // every name begins with it: most patterns are ruled out by it
	levels     []level // the kind first
}

// level is one level of a pattern: a wildcard, or texts and variables that follow each other.
type level struct {
	wild  string // "+" or "#"
	parts []part
}

// part is a text, a variable or anything.
type part struct {
	text     string
	variable string // "user", "client", "group" or "claim.<name>"; empty: text counts
	any      bool   // whatever is there, nothing included; once in a level
}

const (
	one  = "+"
	many = "#"
)

// kinds are those of names.
func kinds() []string {
	return []string{"topic", "queue", "temp", "group", "client", "vhost", "broker"}
}

func parsePattern(text string) (pattern, error) {
	if text == many {
		return pattern{everything: true}, nil
	}
	kind, rest, ok := strings.Cut(text, "/")
	if !ok || rest == "" || !slices.Contains(kinds(), kind) {
		return pattern{}, fmt.Errorf("must begin with one of %s/, or be #, has %q", strings.Join(kinds(), "/, "), text)
	}
	p := pattern{topic: kind == "topic", escaped: kind == "group" || kind == "client" || kind == "vhost"}
	for l := range strings.SplitSeq(text, "/") {
		if l == one || l == many {
			p.levels = append(p.levels, level{wild: l})
			continue
		}
		if strings.ContainsAny(l, "+#") {
			return pattern{}, fmt.Errorf("a wildcard stands alone in its level, not as in %q", text)
		}
		parts, err := parseParts(l)
		if err != nil {
			return pattern{}, fmt.Errorf("%w, as in %q", err, text)
		}
		if p.escaped {
			escape(parts)
		}
		p.levels = append(p.levels, level{parts: parts})
	}
	p.prefix = kind
	for _, l := range p.levels[1:] {
		if len(l.parts) != 1 || l.parts[0].variable != "" || l.parts[0].any {
			break
		}
		p.prefix += "/" + l.parts[0].text
	}
	return p, nil
}

// escape writes texts as names that are escaped have them, whether they are so already or as people write them.
func escape(parts []part) {
	for i := range parts {
		if plain, err := url.PathUnescape(parts[i].text); err == nil {
			parts[i].text = plain
		}
		parts[i].text = url.PathEscape(parts[i].text)
	}
}

func parseParts(l string) ([]part, error) {
	var parts []part
	if strings.Count(l, "*") > 1 {
		return nil, fmt.Errorf("* is once in a level, not as in %q", l)
	}
	for l != "" {
		i := strings.IndexAny(l, "{}*")
		if i < 0 {
			return append(parts, part{text: l}), nil
		}
		if i > 0 {
			parts = append(parts, part{text: l[:i]})
		}
		if l[i] == '*' {
			parts, l = append(parts, part{any: true}), l[i+1:]
			continue
		}
		name, rest, ok := strings.Cut(l[i+1:], "}")
		claim, isClaim := strings.CutPrefix(name, "claim.")
		if l[i] == '}' || !ok || name != "user" && name != "client" && name != "group" && (!isClaim || claim == "") {
			return nil, fmt.Errorf("braces hold user, client, group or claim.<name>, not %q", l[i:])
		}
		parts = append(parts, part{variable: name})
		l = rest
	}
	return parts, nil
}

// matches reports whether the pattern, of a rule that allows, covers dest or, of one that denies, matches some of it.
func (pt *pattern) matches(p *core.Principal, dest string, allow bool) bool {
	if pt.everything {
		return true
	}
	m := matcher{p: p, topic: pt.topic, escaped: pt.escaped, allow: allow}
	if !pt.topic || !strings.HasPrefix(dest, "topic/") || !strings.ContainsAny(dest, "+#") {
		return strings.HasPrefix(dest, pt.prefix) && m.name(pt.levels, dest)
	}
	return m.filter(pt.levels, strings.Split(dest, "/"))
}

// matcher is one question.
type matcher struct {
	p       *core.Principal
	topic   bool
	escaped bool
	allow   bool
}

// name walks pattern and name; on a mismatch it goes back to the last "#", which takes one level more.
func (m *matcher) name(ls []level, dest string) bool {
	at, over := 0, false
	back, backDest, backAt, canGoBack := 0, "", 0, false
	for i := 0; !over; {
		if i < len(ls) && ls[i].wild == many && !m.reserved(at, dest) {
			i++
			back, backDest, backAt, canGoBack = i, dest, at, true
			if i == len(ls) {
				return true
			}
			continue
		}
		have, rest, more := strings.Cut(dest, "/")
		if i < len(ls) && m.level(&ls[i], at, have) {
			i, at, dest, over = i+1, at+1, rest, !more
			if !over {
				continue
			}
			if onlyMany(ls[i:]) {
				return true
			}
		}
		if !canGoBack {
			return false
		}
		_, backDest, more = strings.Cut(backDest, "/")
		if !more {
			return false
		}
		backAt++
		i, at, dest, over = back, backAt, backDest, false
	}
	return false
}

func onlyMany(ls []level) bool {
	return !slices.ContainsFunc(ls, func(l level) bool { return l.wild != many })
}

// reserved reports whether a wildcard cannot stand at this place, because a topic begins there with "$". [MQTT-4.7.2-1]
func (m *matcher) reserved(at int, rest string) bool {
	return m.topic && at == 1 && strings.HasPrefix(rest, "$")
}

// level reports whether one level of the pattern is the at-th of a name.
func (m *matcher) level(l *level, at int, have string) bool {
	switch l.wild {
	case one:
		return !m.reserved(at, have)
	case many:
		return false
	default:
		anyFirst := len(l.parts) > 0 && l.parts[0].any
		return !(anyFirst && m.reserved(at, have)) && m.parts(l.parts, at, have)
	}
}

// parts reports whether have is what parts say.
func (m *matcher) parts(parts []part, at int, have string) bool {
	if len(parts) == 0 {
		return have == ""
	}
	first := &parts[0]
	if first.any {
		for i := range len(have) + 1 {
			if m.parts(parts[1:], at, have[i:]) {
				return true
			}
		}
		return false
	}
	if first.variable == "" {
		rest, ok := strings.CutPrefix(have, first.text)
		return ok && m.parts(parts[1:], at, rest)
	}
	switch first.variable {
	case "user":
		return m.value(m.p.Name, parts, at, have)
	case "client":
		return m.value(m.p.ClientID, parts, at, have)
	case "group":
		if len(m.p.Groups) == 0 {
			return !m.allow
		}
		return slices.ContainsFunc(m.p.Groups, func(g string) bool { return m.value(g, parts, at, have) })
	}
	v, _ := m.p.Claims.Get(strings.TrimPrefix(first.variable, "claim."))
	switch v := v.(type) {
	case string:
		return m.value(v, parts, at, have)
	case []any:
		return len(v) == 0 && !m.allow || slices.ContainsFunc(v, func(one any) bool {
			text, _ := one.(string)
			return m.value(text, parts, at, have)
		})
	default:
		return !m.allow
	}
}

// value puts a value in the place of the variable that parts begin with. What could be mistaken for something else than a
// plain level fits what denies, and not what allows.
func (m *matcher) value(v string, parts []part, at int, have string) bool {
	if v == "" || strings.ContainsAny(v, "/+#\x00") || m.topic && at == 1 && strings.HasPrefix(v, "$") {
		return !m.allow
	}
	if m.escaped {
		v = url.PathEscape(v)
	}
	rest, ok := strings.CutPrefix(have, v)
	return ok && m.parts(parts[1:], at, rest)
}

// filter compares with a topic filter, which is the set of names that it matches. Its cost is the product of the numbers
// of levels, whatever a client has written.
func (m *matcher) filter(ls []level, f []string) bool {
	// [MQTT-4.7.2-1], for the first level of either; after this no wildcard at the beginning meets a "$".
	if ls[1].wild != "" && strings.HasPrefix(f[1], "$") || (f[1] == one || f[1] == many) && ls[1].dollar() {
		return false
	}
	width := len(f) + 1
	known := make([]int8, (len(ls)+1)*width)
	var walk func(i, j int) bool
	walk = func(i, j int) bool {
		if k := known[i*width+j]; k != 0 {
			return k > 0
		}
		var yes bool
		if m.allow {
			yes = m.covers(ls, f, i, j, walk)
		} else {
			yes = m.overlaps(ls, f, i, j, walk)
		}
		known[i*width+j] = -1
		if yes {
			known[i*width+j] = 1
		}
		return yes
	}
	return walk(0, 0)
}

// covers reports whether ls[i:] matches every name that f[j:] does.
func (m *matcher) covers(ls []level, f []string, i, j int, walk func(i, j int) bool) bool {
	switch {
	case i == len(ls):
		return j == len(f)
	case ls[i].wild == many:
		return walk(i+1, j) || j < len(f) && walk(i, j+1)
	case j == len(f), f[j] == many:
		return false
	case f[j] == one:
		return ls[i].wild == one && walk(i+1, j+1)
	default:
		return m.level(&ls[i], j, f[j]) && walk(i+1, j+1)
	}
}

// overlaps reports whether some name is matched by ls[i:] and by f[j:]. It may take one for such that begins with "$" behind
// a "#" that stands for nothing: then more is refused than need be.
func (m *matcher) overlaps(ls []level, f []string, i, j int, walk func(i, j int) bool) bool {
	switch {
	case i == len(ls) && j == len(f):
		return true
	case i < len(ls) && ls[i].wild == many:
		return walk(i+1, j) || j < len(f) && walk(i, j+1)
	case j < len(f) && f[j] == many:
		return walk(i, j+1) || i < len(ls) && walk(i+1, j)
	case i == len(ls) || j == len(f):
		return false
	case f[j] == one:
		return walk(i+1, j+1)
	default:
		return m.level(&ls[i], j, f[j]) && walk(i+1, j+1)
	}
}

// dollar reports whether a level is a text that no wildcard at the beginning of a topic stands for.
func (l *level) dollar() bool { return len(l.parts) > 0 && strings.HasPrefix(l.parts[0].text, "$") }
