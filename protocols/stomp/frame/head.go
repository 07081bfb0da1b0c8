package frame

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/wyemq/wye/core"
)

// parseHead sets the frame's command and headers, and how long the body is. All header strings are
// parts of one string.
func (p *Parser) parseHead(block []byte) error {
	end := bytes.IndexByte(block, '\n')
	line := block[:max(end, 0)]
	crlf := len(line) > 0 && line[len(line)-1] == '\r'
	if crlf {
		line = line[:len(line)-1]
	}
	if len(line) > maxCommand || bytes.IndexByte(line, '\r') >= 0 {
		return fmt.Errorf("%q is no command: %w", clip(string(line)), core.ErrInvalid)
	}
	p.frame = Frame{Command: command(line)}
	if !utf8.Valid(block) {
		return fmt.Errorf("command or headers: %w", core.ErrNotUTF8)
	}
	if cap(p.fields) > keepFields {
		p.fields = nil
	}
	clear(p.fields) // hold no strings of frames that are gone
	p.fields, p.last = p.fields[:0], ""
	v := p.version
	if p.frame.Command == Connect || p.frame.Command == Connected || p.frame.Command == Stomp {
		v = Raw
	}
	text := string(block)
	if err := p.parseLines(text[end+1:], v, crlf || v != V11); err != nil {
		return err
	}
	p.frame.Header = p.fields
	if v == V10 || v == Raw && !has(p.fields, "accept-version") {
		trim(p.fields)
	}
	if p.frame.Command == Send && len(text) <= keepHead && len(p.fields) <= keepFields {
		p.last = text
	}
	return p.measure()
}

// parseLines splits text into fields. chomp says that a CR before LF belongs to the line end: always
// but in 1.1, which knows no CRLF and may have a CR in a value; there, if the command line had one.
func (p *Parser) parseLines(text string, v Version, chomp bool) error {
	for len(text) > 0 {
		var line string
		line, text, _ = strings.Cut(text, "\n")
		if chomp {
			line = strings.TrimSuffix(line, "\r")
		}
		if len(p.fields) >= p.limits.Headers {
			return fmt.Errorf("more than %d headers: %w", p.limits.Headers, core.ErrTooBig)
		}
		name, value, ok := strings.Cut(line, ":")
		if !ok {
			return fmt.Errorf("header line %q has no colon: %w", clip(line), core.ErrInvalid)
		}
		if v != V11 && strings.IndexByte(line, '\r') >= 0 {
			// STOMP 1.2, "Augmented BNF": no CR in a header; 1.0 does not say.
			return fmt.Errorf("header line %q has a bare CR: %w", clip(line), core.ErrInvalid)
		}
		if (v == V11 || v == V12) && strings.IndexByte(line, '\\') >= 0 {
			var err error
			if name, err = unescape(name, v); err != nil {
				return err
			}
			if value, err = unescape(value, v); err != nil {
				return err
			}
		}
		if name == "" || v <= V10 && strings.Trim(name, " \t") == "" {
			return fmt.Errorf("header line %q has no name: %w", clip(line), core.ErrInvalid)
		}
		p.fields = append(p.fields, Field{Name: name, Value: value})
	}
	return nil
}

// measure finds out where the body ends.
func (p *Parser) measure() error {
	p.need = -1
	text, ok := p.frame.Get("content-length")
	if !ok {
		return nil
	}
	n, err := strconv.ParseUint(strings.Trim(text, " \t"), 10, 63)
	if err != nil {
		return fmt.Errorf("content-length %q is no length: %w", clip(text), core.ErrInvalid)
	}
	if n > uint64(p.limits.Body) {
		return fmt.Errorf("content-length %d: %w", n, p.bodyTooLong())
	}
	p.need = int(n)
	return nil
}

// unescape resolves the escapes of v. Others are fatal (STOMP 1.2, "Value Encoding").
func unescape(s string, v Version) (string, error) {
	i := strings.IndexByte(s, '\\')
	if i < 0 {
		return s, nil
	}
	b := make([]byte, i, len(s))
	copy(b, s)
	for ; i < len(s); i++ {
		c := s[i]
		if c != '\\' {
			b = append(b, c)
			continue
		}
		i++
		switch {
		case i == len(s):
			return "", fmt.Errorf("header %q ends in a backslash: %w", clip(s), core.ErrInvalid)
		case s[i] == 'n':
			b = append(b, '\n')
		case s[i] == 'c':
			b = append(b, ':')
		case s[i] == '\\':
			b = append(b, '\\')
		case s[i] == 'r' && v == V12:
			b = append(b, '\r')
		default:
			return "", fmt.Errorf("undefined escape %q in header %q: %w", s[i-1:i+1], clip(s), core.ErrInvalid)
		}
	}
	return string(b), nil
}

// trim removes the padding that 1.0 allows around names and values.
func trim(fields []Field) {
	for i := range fields {
		fields[i].Name = strings.Trim(fields[i].Name, " \t")
		fields[i].Value = strings.Trim(fields[i].Value, " \t")
	}
}

func has(fields []Field, name string) bool {
	for i := range fields {
		if strings.Trim(fields[i].Name, " \t") == name {
			return true
		}
	}
	return false
}

// clip keeps what is quoted in an error short.
func clip(s string) string {
	const most = 60
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "..."
}
