package websocket

import (
	"bufio"
	"bytes"
	"compress/flate"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"github.com/gorilla/websocket"

	"github.com/wyemq/wye/core"
	"github.com/wyemq/wye/transports/internal/wire"
)

// Parts of a frame's first byte (RFC 6455, section 5.2).
const (
	final   = 0x80
	rsv1    = 0x40 // compressed (RFC 7692, section 6)
	opClose = 0x8
	opPing  = 0x9
	opPong  = 0xA
)

// controlSize is how many bytes a control frame may carry.
const controlSize = 125

// conn is an upgraded connection.
type conn struct {
	wire.Conn
	hub   *wire.Hub
	h     core.Handler
	ws    *websocket.Conn
	br    *bufio.Reader // gorilla's: frame heads and control frames; what is read ahead is in below
	below below
	msg   message
	most  int64

	before  func() error // see BeforeWait
	deflate bool
	pong    bool // one waits to be sent; belongs to the reader
	peer    int  // the code of the peer's close frame; 0: there was none; belongs to the reader
}

var (
	_ core.Conn   = (*conn)(nil)
	_ core.Waiter = (*conn)(nil)
)

// below is the net.Conn that gorilla works on. It reads ahead, and sends what gorilla writes: the answer to
// the upgrade, and then only close frames, which are dropped, because Goodbye sends the one that counts.
type below struct {
	net.Conn
	c      *conn
	in     *wire.Reader
	opened bool
	err    error // of the last read: gorilla passes on its text only
}

// take makes nc the connection's, and returns what gorilla works on.
func (c *conn) take(h *wire.Hub, nc net.Conn, info *core.ConnInfo) (net.Conn, *bufio.Reader) {
	_ = nc.SetDeadline(time.Time{}) // those of the HTTP server
	c.hub = h
	c.Attach(h, nc, info)
	c.below = below{Conn: nc, c: c, in: wire.NewReader(nc)}
	c.br = bufio.NewReaderSize(&c.below, gorillaBuffer)
	return &c.below, c.br
}

func (b *below) Read(p []byte) (int, error) {
	if err := b.c.waits(); err != nil {
		b.err = err
		return 0, err
	}
	n, err := b.in.Read(p)
	if err != nil {
		b.err = err
		return n, err
	}
	b.c.Heard(n)
	return n, nil
}

// buffered reports whether there is something that can be read without waiting.
func (c *conn) buffered() bool { return c.br.Buffered() > 0 || c.below.in.Buffered() > 0 }

// waits is called before a read that may wait for the peer.
func (c *conn) waits() error {
	if c.below.in.Buffered() > 0 {
		return nil
	}
	if c.pong {
		c.pong = false
		_ = c.Flush() // a failure ends the reads
	}
	if c.before == nil {
		return nil
	}
	return c.before()
}

// BeforeWait implements core.Waiter.
func (c *conn) BeforeWait(fn func() error) { c.before = fn }

func (b *below) Write(p []byte) (int, error) {
	if b.opened {
		return len(p), nil
	}
	b.opened = true
	b.c.deflate = bytes.Contains(p, []byte("\r\nSec-WebSocket-Extensions: permessage-deflate"))
	if err := b.c.Append(p); err != nil {
		return 0, err
	}
	return len(p), b.c.Flush()
}

// The deadlines are those of wire.Conn, not gorilla's.
func (b *below) SetDeadline(time.Time) error      { return nil }
func (b *below) SetWriteDeadline(time.Time) error { return nil }
func (b *below) SetReadDeadline(time.Time) error  { return nil }

// open is called once after the upgrade.
func (c *conn) open(ws *websocket.Conn) {
	c.ws = ws
	ws.SetReadLimit(c.most)
	ws.SetPongHandler(func(string) error { return nil }) // Heard has noted it
	ws.SetPingHandler(func(data string) error {
		c.pong = true
		_ = c.Append([]byte{final | opPong, byte(len(data))}, []byte(data)) // a failure ends the reads
		return nil
	})
	ws.SetCloseHandler(func(code int, _ string) error {
		c.peer = code
		return nil
	})
}

// Serve implements wire.Session.
func (c *conn) Serve(ctx context.Context) error { return c.h.ServeConn(ctx, c) }

// Goodbye implements wire.Session: the close frame (RFC 6455, section 5.5.1). A peer that closed the
// connection gets its own code back.
func (c *conn) Goodbye(err error) {
	code, text := core.CloseCode(err), reason(err)
	if err == nil && c.Ended() == nil && c.peer != 0 {
		code, text = c.peer, ""
	}
	payload := websocket.FormatCloseMessage(code, text)
	c.Leave(append([]byte{final | opClose, byte(len(payload))}, payload...))
}

// reason is the text of a close frame: the stable id, then what happened; 123 bytes at most.
func reason(err error) string {
	if err == nil {
		return ""
	}
	const most, ellipsis = controlSize - 2, "…"
	text := strings.ToValidUTF8(core.ReasonID(err)+": "+err.Error(), "?")
	if len(text) > most {
		text = strings.ToValidUTF8(text[:most-len(ellipsis)], "") + ellipsis
	}
	return text
}

// NextReader implements core.Conn.
func (c *conn) NextReader() (core.Kind, io.Reader, error) {
	if why := c.Ended(); why != nil {
		return 0, nil, why
	}
	if !c.buffered() {
		if err := c.waits(); err != nil {
			return 0, nil, err
		}
		if err := c.Await(c.below.in); err != nil {
			return 0, nil, err
		}
	}
	t, r, err := c.ws.NextReader()
	if err != nil {
		return 0, nil, c.failed(err)
	}
	c.msg = message{c: c, r: r, text: t == websocket.TextMessage}
	return core.Kind(t), &c.msg, nil
}

// failed says in the words of core why gorilla could not read. It ends all reads.
func (c *conn) failed(err error) error {
	if why := c.Ended(); why != nil {
		return why
	}
	var closed *websocket.CloseError
	var corrupt flate.CorruptInputError
	switch {
	case c.peer != 0:
		switch c.peer {
		case websocket.CloseNormalClosure, websocket.CloseGoingAway, websocket.CloseNoStatusReceived:
			return io.EOF
		}
		return fmt.Errorf("closed by the peer: %w", err)
	case c.below.err != nil && !errors.Is(c.below.err, io.EOF):
		return c.below.err
	case c.below.err != nil || errors.As(err, &closed):
		return io.ErrUnexpectedEOF // RFC 6455, section 7.1.5: 1006
	case errors.Is(err, websocket.ErrReadLimit):
		return c.Fail(c.tooBig())
	case errors.As(err, &corrupt):
		return c.Fail(fmt.Errorf("%w: %w", core.ErrInvalid, err))
	default: // gorilla has found a frame that breaks the rules
		return c.Fail(fmt.Errorf("%w: %s", core.ErrInvalid, strings.TrimPrefix(err.Error(), "websocket: ")))
	}
}

func (c *conn) tooBig() error {
	c.hub.Reached("max_message_size")
	return fmt.Errorf("message of more than %d bytes (max_message_size): %w", c.most, core.ErrTooBig)
}

// WriteMessage implements core.Conn: one frame, unmasked, gathered until Flush.
func (c *conn) WriteMessage(k core.Kind, parts ...[]byte) error {
	n := 0
	for _, p := range parts {
		n += len(p)
	}
	if c.deflate && n >= worthDeflating {
		return c.writeDeflated(k, parts)
	}
	var head [headSize]byte
	return c.Append(frameHead(&head, final|byte(k), n), parts...)
}

// headSize is that of the longest frame head without a mask.
const headSize = 10

// frameHead writes the head of a frame with n bytes (RFC 6455, section 5.2).
func frameHead(head *[headSize]byte, first byte, n int) []byte {
	head[0] = first
	switch {
	case n <= controlSize:
		head[1] = byte(n)
		return head[:2]
	case n < 1<<16:
		head[1] = 126
		binary.BigEndian.PutUint16(head[2:], uint16(n))
		return head[:4]
	default:
		head[1] = 127
		binary.BigEndian.PutUint64(head[2:], uint64(n))
		return head[:10]
	}
}
