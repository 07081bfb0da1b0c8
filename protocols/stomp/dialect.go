package stomp

import (
	"fmt"
	"strings"

	"github.com/wyemq/wye/core"
)

// Dialect says how the destinations of a listener are written.
type Dialect string

// The dialects. They differ in what separates the levels of a topic and what the wildcards are:
//
//	rabbitmq  /topic/a.b   *      #         text with '/' is refused
//	slash     /topic/a/b   * or + ** or #   as Spring's simple broker
//	activemq  /topic/a.b   *      >         '.' and '/', '*' and '+', '>' and '#' change places
//	auto      slash if what follows /topic/ contains '/', else rabbitmq
const (
	Auto     Dialect = "auto"
	RabbitMQ Dialect = "rabbitmq"
	ActiveMQ Dialect = "activemq"
	Slash    Dialect = "slash"
)

// style is how one topic is written.
type style uint8

const (
	dots style = iota
	slashes
	swapped
)

// style returns how text, what follows the prefix, is written.
func (d Dialect) style(text string) (style, error) {
	hasSlash := strings.IndexByte(text, '/') >= 0
	switch d {
	case ActiveMQ:
		return swapped, nil
	case Slash:
		return slashes, nil
	case RabbitMQ:
		if hasSlash {
			return 0, fmt.Errorf("topic %q: levels are separated by dots here, a level cannot contain '/': %w", text, core.ErrInvalid)
		}
		return dots, nil
	default:
		if hasSlash {
			return slashes, nil
		}
		return dots, nil
	}
}

// composites reports whether a destination header may list several.
func (d Dialect) composites() bool { return d == Auto || d == ActiveMQ }

// reserved returns the characters that are percent-decoded in a topic of style s, and printed so where
// they would be taken for something else.
func (d Dialect) reserved(s style) string {
	switch {
	case s == swapped:
		return "%,"
	case s == slashes && d == Auto:
		return "%/*+#,"
	case s == slashes:
		return "%/*+#"
	case d == Auto:
		return "%./*#,"
	default:
		return "%./*#"
	}
}

// reservedInQueue is the same for the names of queues, which are opaque.
func (d Dialect) reservedInQueue() string {
	switch d {
	case ActiveMQ:
		return "%,"
	case Auto:
		return "%/,"
	default:
		return "%/"
	}
}

// topic turns text as written into levels joined by '/'. Only a filter may have wildcards.
func (d Dialect) topic(text string, s style, filter bool) (string, error) {
	if text == "" {
		return "", fmt.Errorf("the destination names no topic: %w", core.ErrInvalid)
	}
	reserved, written := d.reserved(s), text
	if s == swapped {
		text = strings.Map(swap, decode(text, reserved))
	}
	separator := byte('/')
	if s == dots {
		separator = '.'
	}
	var b strings.Builder
	b.Grow(len(text))
	for rest, more := text, true; more; {
		var level string
		level, rest, more = strings.Cut(rest, string(separator))
		wild := wildcard(level, s)
		switch {
		case wild != "" && !filter:
			return "", fmt.Errorf("topic %q: a message cannot be sent to a wildcard: %w", written, core.ErrInvalid)
		case wild != "":
			level = wild
		default:
			if s != swapped {
				level = decode(level, reserved)
			}
			if i := strings.IndexAny(level, "/+#\x00"); i >= 0 {
				return "", fmt.Errorf("topic %q: a level cannot contain %q, MQTT clients could not address it: %w", written, level[i], core.ErrInvalid)
			}
		}
		b.WriteString(level)
		if more {
			b.WriteByte('/')
		}
	}
	return b.String(), nil
}

// wildcard returns "+" or "#" if level, as written, is one.
func wildcard(level string, s style) string {
	switch level {
	case "*":
		if s == swapped {
			return ""
		}
		return "+"
	case "+":
		if s != dots {
			return "+"
		}
	case "**":
		if s == slashes {
			return "#"
		}
	case "#":
		return "#"
	}
	return ""
}

// swap exchanges the six characters of ActiveMQ's mapping between its names and those of MQTT.
func swap(r rune) rune {
	switch r {
	case '.':
		return '/'
	case '/':
		return '.'
	case '*':
		return '+'
	case '+':
		return '*'
	case '>':
		return '#'
	case '#':
		return '>'
	default:
		return r
	}
}

// appendTopic appends topic, levels joined by '/', as written in style s.
func (d Dialect) appendTopic(b []byte, topic string, s style) []byte {
	if d == Auto && s == slashes && strings.IndexByte(topic, '/') < 0 {
		s = dots // without a slash it would be read so
	}
	reserved := d.reserved(s)
	for rest, more := topic, true; more; {
		var level string
		level, rest, more = strings.Cut(rest, "/")
		switch {
		case s == swapped:
			b = d.appendSwapped(b, level)
		case level == "*":
			b = append(b, "%2A"...)
		case level == "**" && s == slashes:
			b = append(b, "%2A*"...)
		default:
			b = d.appendText(b, level, reserved, s == dots, more && s == slashes, rest)
		}
		if more {
			if s == slashes {
				b = append(b, '/')
			} else {
				b = append(b, '.')
			}
		}
	}
	return b
}

func (d Dialect) appendSwapped(b []byte, level string) []byte {
	for i := range len(level) {
		switch c := level[i]; {
		case c == ',':
			b = append(b, "%2C"...)
		case c == '%' && decodable(level[i:], "%,"):
			b = append(b, "%25"...)
		default:
			b = append(b, byte(swap(rune(c))))
		}
	}
	return b
}

// appendText appends text that is not split any further; follow is what comes after it and a slash,
// if more.
func (d Dialect) appendText(b []byte, text, reserved string, dot, more bool, follow string) []byte {
	for i := range len(text) {
		switch c := text[i]; {
		case c == '%' && decodable(text[i:], reserved):
			b = append(b, "%25"...)
		case c == '.' && dot:
			b = append(b, "%2E"...)
		case c == ',' && (d == ActiveMQ || d == Auto && splits(text[i+1:], more, follow)):
			b = append(b, "%2C"...)
		default:
			b = append(b, c)
		}
	}
	return b
}

// splits reports whether a comma before rest would begin another destination: "/queue/" and the like.
func splits(rest string, more bool, follow string) bool {
	if rest == "" {
		return more && startsKnown(follow)
	}
	return rest[0] == '/' && startsKnown(rest[1:])
}

// decodable reports whether s begins with "%xx" for one of the reserved characters.
func decodable(s, reserved string) bool {
	c, ok := unhex(s)
	return ok && strings.IndexByte(reserved, c) >= 0
}

// unhex returns the character that s, beginning with "%xx", stands for.
func unhex(s string) (byte, bool) {
	if len(s) < 3 || s[0] != '%' {
		return 0, false
	}
	hi, ok1 := nibble(s[1])
	lo, ok2 := nibble(s[2])
	return hi<<4 | lo, ok1 && ok2
}

func nibble(c byte) (byte, bool) {
	switch {
	case c >= '0' && c <= '9':
		return c - '0', true
	case c >= 'A' && c <= 'F':
		return c - 'A' + 10, true
	case c >= 'a' && c <= 'f':
		return c - 'a' + 10, true
	default:
		return 0, false
	}
}

// decode resolves "%xx" of the reserved characters and leaves every other '%' alone.
func decode(s, reserved string) string {
	if strings.IndexByte(s, '%') < 0 {
		return s
	}
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && decodable(s[i:], reserved) {
			c, _ := unhex(s[i:])
			b = append(b, c)
			i += 2
			continue
		}
		b = append(b, s[i])
	}
	return string(b)
}
