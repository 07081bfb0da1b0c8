package frame

import (
	"bytes"
	"fmt"

	"github.com/wyemq/wye/core"
)

// Limits bound one frame. All must be positive.
type Limits struct {
	// Headers is the number of header lines.
	Headers int
	// HeaderBytes is the size of command and headers together.
	HeaderBytes int
	// Body is the size of the body.
	Body int
}

// DefaultLimits returns the limits used when nobody says otherwise.
func DefaultLimits() Limits { return Limits{Headers: 1000, HeaderBytes: 64 << 10, Body: 4 << 20} }

const (
	// maxCommand is longer than any command; without an end of line after so many octets what
	// arrives is not STOMP.
	maxCommand = 32
	// firstBody is what is allocated at most for a body that was announced and has not arrived.
	firstBody = 16 << 10
	// keepHead is the longest head that the next one is compared with.
	keepHead = 1 << 10
	// keepFields is the longest header list whose memory is kept for the next frame.
	keepFields = 32
)

// Parser makes frames of octets. The zero value is not ready, use [NewParser]. A Parser belongs to
// one goroutine.
type Parser struct {
	limits  Limits
	version Version
	state   state
	head    []byte // of a frame whose head has not arrived as a whole
	body    []byte
	need    int // octets of the body; -1: until NUL
	frame   Frame
	fields  []Field
	last    string // the head that frame and need have, of a SEND: who publishes seldom changes it; empty: another one's
	err     error
}

type state uint8

const (
	between state = iota // before a frame: line ends are heart-beats or trailing ones
	inHead
	inBody
)

// NewParser returns a parser for a connection on which no version is agreed yet.
func NewParser(l Limits) *Parser { return &Parser{limits: l} }

// SetVersion says which version was agreed; it holds from the next frame on.
func (p *Parser) SetVersion(v Version) { p.version, p.last = v, "" }

// SetLimits changes the limits from the next frame on.
func (p *Parser) SetLimits(l Limits) { p.limits, p.last = l, "" }

// Forget drops what is kept to make the next frame cheaper, unless one has begun. The frame returned last is no longer
// valid.
func (p *Parser) Forget() {
	if p.state == between {
		p.fields, p.last, p.frame = nil, "", Frame{}
	}
}

// Partial reports whether a frame has begun and is not complete.
func (p *Parser) Partial() bool { return p.state != between }

// Held returns how many octets of a frame that is not complete the parser holds.
func (p *Parser) Held() int { return len(p.head) + cap(p.body) }

// Next takes octets of data until a frame is complete and returns it with the rest of data. It
// returns nil when all of data was taken and more is needed; a line end between frames, a
// heart-beat among them, is just taken. data is not kept. The frame is valid until the next call
// and nobody writes to its Header; its strings and its Body are the caller's for ever.
//
// Errors are final and wrap [core.ErrInvalid], [core.ErrNotUTF8] or [core.ErrTooBig].
func (p *Parser) Next(data []byte) (f *Frame, rest []byte, err error) {
	if p.err != nil {
		return nil, nil, p.err
	}
	if p.state == between {
		if data = skipEOL(data); len(data) == 0 {
			return nil, nil, nil
		}
		p.state = inHead
	}
	if p.state == inHead {
		known := p.again(data)
		if known > 0 {
			data = data[known:]
		} else if data, err = p.nextHead(data); err != nil {
			p.err = err
			return nil, nil, err
		} else if data == nil {
			return nil, nil, nil
		}
		p.frame.Again = known > 0
		p.state = inBody
	}
	done, rest, err := p.takeBody(data)
	if err != nil {
		p.err = err
		return nil, nil, err
	}
	if !done {
		return nil, nil, nil
	}
	p.state, p.frame.Body, p.body = between, p.body, nil
	return &p.frame, rest, nil
}

// again returns the length of the head that data begins with, its empty line included, if it is the last one once more.
func (p *Parser) again(data []byte) int {
	n := len(p.last)
	if n == 0 || len(p.head) > 0 || len(data) <= n || data[n] != '\n' || string(data[:n]) != p.last {
		return 0
	}
	return n + 1
}

// nextHead takes the head off data, and returns what follows; nil when the head is not complete.
func (p *Parser) nextHead(data []byte) ([]byte, error) {
	block, rest, err := p.takeHead(data)
	if err == nil && block == nil {
		return nil, nil
	}
	if err == nil {
		err = p.parseHead(block)
	}
	p.head = nil
	return rest, err
}

// skipEOL drops the line ends that may stand between frames.
func skipEOL(data []byte) []byte {
	i := 0
	for i < len(data) && (data[i] == '\n' || data[i] == '\r') {
		i++
	}
	return data[i:]
}

// takeHead returns command and header lines without the empty line that ends them, and what follows.
// In the common case, all of it in data, nothing is copied.
func (p *Parser) takeHead(data []byte) (block, rest []byte, err error) {
	if len(p.head) == 0 {
		for i := 0; ; {
			j := bytes.IndexByte(data[i:], '\n')
			if j < 0 {
				break
			}
			i += j + 1
			if i < len(data) && data[i] == '\n' {
				return p.checkHead(data[:i], data[i+1:])
			}
			if i+1 < len(data) && data[i] == '\r' && data[i+1] == '\n' {
				return p.checkHead(data[:i], data[i+2:])
			}
		}
	}
	for len(data) > 0 {
		n := bytes.IndexByte(data, '\n') + 1
		whole := n > 0
		if !whole {
			n = len(data)
		}
		if len(p.head)+n > p.limits.HeaderBytes {
			return nil, nil, p.tooLong()
		}
		if bytes.IndexByte(data[:n], 0) >= 0 {
			return nil, nil, errNUL
		}
		p.head = append(p.head, data[:n]...)
		data = data[n:]
		if whole && endOfHead(p.head) {
			return p.checkHead(bytes.TrimSuffix(p.head[:len(p.head)-1], []byte{'\r'}), data)
		}
	}
	if n := maxCommand + len("\r\n"); len(p.head) >= n && bytes.IndexByte(p.head[:n], '\n') < 0 {
		return nil, nil, fmt.Errorf("no STOMP command in the first %d octets: %w", maxCommand, core.ErrInvalid)
	}
	return nil, nil, nil
}

var errNUL = fmt.Errorf("NUL among the headers, is the empty line before the body missing?: %w", core.ErrInvalid)

// endOfHead reports whether b ends in an empty line.
func endOfHead(b []byte) bool {
	return bytes.HasSuffix(b, []byte("\n\n")) || bytes.HasSuffix(b, []byte("\n\r\n"))
}

func (p *Parser) checkHead(block, rest []byte) ([]byte, []byte, error) {
	if len(block) > p.limits.HeaderBytes {
		return nil, nil, p.tooLong()
	}
	if bytes.IndexByte(block, 0) >= 0 {
		return nil, nil, errNUL
	}
	return block, rest, nil
}

func (p *Parser) tooLong() error {
	return fmt.Errorf("command and headers of more than %d octets: %w", p.limits.HeaderBytes, core.ErrTooBig)
}

// takeBody collects the body; done when it is complete and its NUL was seen.
func (p *Parser) takeBody(data []byte) (done bool, rest []byte, err error) {
	if p.need < 0 {
		i := bytes.IndexByte(data, 0)
		n := i
		if i < 0 {
			n = len(data)
		}
		if len(p.body)+n > p.limits.Body {
			return false, nil, p.bodyTooLong()
		}
		if n > 0 {
			p.body = append(p.body, data[:n]...)
		}
		if i < 0 {
			return false, nil, nil
		}
		return true, data[i+1:], nil
	}
	if n := min(p.need-len(p.body), len(data)); n > 0 {
		p.grow(n)
		p.body = append(p.body, data[:n]...)
		data = data[n:]
	}
	if len(data) == 0 {
		return false, nil, nil
	}
	if data[0] != 0 {
		return false, nil, fmt.Errorf("no NUL after the %d octets of content-length: %w", p.need, core.ErrInvalid)
	}
	return true, data[1:], nil
}

// grow makes room for n octets: exactly as many as the body has in the end, but never much more
// than have arrived.
func (p *Parser) grow(n int) {
	have := len(p.body) + n
	if have <= cap(p.body) {
		return
	}
	size := min(p.need, max(firstBody, 2*cap(p.body), have))
	body := make([]byte, len(p.body), size)
	copy(body, p.body)
	p.body = body
}

func (p *Parser) bodyTooLong() error {
	return fmt.Errorf("body of more than %d octets: %w", p.limits.Body, core.ErrTooBig)
}
