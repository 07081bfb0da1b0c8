package websocket

import (
	"errors"
	"fmt"
	"io"
	"unicode/utf8"

	"github.com/wyemq/wye/core"
)

// message reads one message, within the limits; a text must be UTF-8 (RFC 6455, section 8.1).
type message struct {
	c     *conn
	r     io.Reader
	total int64
	err   error
	text  bool
	cut   int               // bytes of a character that is not complete
	part  [utf8.UTFMax]byte // and these are they
}

// Read implements io.Reader.
func (m *message) Read(p []byte) (int, error) {
	if m.err != nil {
		return 0, m.err
	}
	if why := m.c.Ended(); why != nil {
		return 0, why
	}
	p = m.c.Clip(p)
	n, err := m.r.Read(p)
	for err == nil && n < len(p) && m.c.buffered() { // gorilla gives no more than was in its own buffer
		var more int
		more, err = m.r.Read(p[n:])
		n += more
	}
	m.total += int64(n)
	if m.err = m.check(p[:n], err); m.err != nil && !errors.Is(m.err, io.EOF) {
		n = 0
	}
	return n, m.err
}

// check returns the error that reading b, with err, amounts to.
func (m *message) check(b []byte, err error) error {
	if limit := m.c.Received(len(b)); limit != nil {
		return limit
	}
	if m.total > m.c.most { // inflated; what is sent plainly is refused by the head of the frame
		return m.c.Fail(m.c.tooBig())
	}
	if m.text && !m.valid(b) {
		return m.c.Fail(fmt.Errorf("text message: %w", core.ErrNotUTF8))
	}
	switch {
	case err == nil:
		return nil
	case !errors.Is(err, io.EOF) || m.c.below.err != nil:
		return m.c.failed(err)
	case m.cut > 0:
		return m.c.Fail(fmt.Errorf("text message ends within a character: %w", core.ErrNotUTF8))
	default:
		return io.EOF
	}
}

// valid checks the next bytes of a text, and keeps the beginning of a character that is not complete.
func (m *message) valid(p []byte) bool {
	for m.cut > 0 && len(p) > 0 {
		m.part[m.cut] = p[0]
		m.cut++
		p = p[1:]
		if utf8.FullRune(m.part[:m.cut]) {
			if r, size := utf8.DecodeRune(m.part[:m.cut]); r == utf8.RuneError && size <= 1 {
				return false
			}
			m.cut = 0
		}
	}
	end := len(p)
	for back := 1; back < utf8.UTFMax && back <= len(p); back++ {
		if utf8.RuneStart(p[len(p)-back]) {
			if !utf8.FullRune(p[len(p)-back:]) {
				end = len(p) - back
			}
			break
		}
	}
	m.cut += copy(m.part[m.cut:], p[end:])
	return utf8.Valid(p[:end])
}
