package websocket

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/gorilla/websocket"

	"github.com/wyemq/wye/core"
	"github.com/wyemq/wye/transports/internal/wire"
)

// conn is an upgraded connection.
type conn struct {
	wire.Conn
	ws     *websocket.Conn
	nc     net.Conn
	in     *wire.Reader
	msg    message
	closed atomic.Bool // a close frame was written
}

var _ core.Conn = (*conn)(nil)

// below is the net.Conn that gorilla works on: it reads through wire.Reader and writes through wire.Out.
// gorilla writes the answer to the upgrade and control frames, each with one Write.
type below struct {
	net.Conn
	c      *conn
	opened bool
}

// own makes nc the connection's. What the HTTP server has read ahead is nothing, or gorilla refuses.
func (c *conn) own(nc net.Conn, _ *bufio.ReadWriter) net.Conn {
	c.nc = nc
	c.in = wire.NewReader(nc)
	c.Take(nc)
	return &below{Conn: nc, c: c}
}

func (b *below) Read(p []byte) (int, error) { return b.c.in.Read(p) }

func (b *below) Write(p []byte) (int, error) {
	if b.opened && len(p) > 0 && p[0] == 0x88 && b.c.closed.Swap(true) {
		return len(p), nil // one close frame is enough
	}
	b.opened = true
	if err := b.c.Append(p); err != nil {
		return 0, err
	}
	return len(p), b.c.Flush()
}

// SetDeadline and SetWriteDeadline do nothing: wire.Out bounds its writes, wire.Conn the reads.
func (b *below) SetDeadline(time.Time) error      { return nil }
func (b *below) SetWriteDeadline(time.Time) error { return nil }
func (b *below) SetReadDeadline(time.Time) error  { return nil }

func (c *conn) start(ws *websocket.Conn, state *tls.ConnectionState) {
	c.ws = ws
	c.Info_.TLS = state
	ws.SetPongHandler(func(string) error { c.Alive(); return nil })
	answer := ws.PingHandler()
	ws.SetPingHandler(func(data string) error { c.Alive(); return answer(data) })
}

// serve runs the protocol, then says goodbye.
func (c *conn) serve(ctx context.Context, h core.Handler) error {
	defer c.nc.Close()
	err := h.ServeConn(ctx, c)
	c.finish(err)
	return err
}

// finish sends what is left and the close frame, and waits for the peer's, bounded by the linger: so
// the last words arrive.
func (c *conn) finish(err error) {
	if errors.Is(err, core.ErrSlowConsumer) {
		c.Hurry()
	}
	if !c.closed.Swap(true) {
		text := websocket.FormatCloseMessage(core.CloseCode(err), closeText(err))
		frame := append([]byte{0x88, byte(len(text))}, text...)
		if c.Append(frame) != nil {
			return
		}
	}
	if c.Flush() != nil {
		return
	}
	c.Linger()
	for {
		if _, _, err := c.ws.NextReader(); err != nil {
			return
		}
	}
}

// closeText is the reason of a close frame: the stable id, then what happened, 123 bytes at most
// (RFC 6455, section 5.5).
func closeText(err error) string {
	if err == nil || errors.Is(err, io.EOF) {
		return ""
	}
	id := core.ReasonID(err)
	text := id + ": " + err.Error()
	if len(text) > 123 {
		text = strings.ToValidUTF8(text[:120], "") + "…"
	}
	return text
}

// ping is what the clock of the listener does for each connection. It must not wait for a peer that does
// not read.
func ping(w *wire.Conn) { w.Beat([]byte{0x89, 0}) }

// NextReader implements core.Conn.
func (c *conn) NextReader() (core.Kind, io.Reader, error) {
	if why := c.Ended(); why != nil {
		return 0, nil, why
	}
	t, r, err := c.ws.NextReader()
	if err != nil {
		return 0, nil, c.readError(err)
	}
	c.msg = message{c: c, r: r, text: t == websocket.TextMessage}
	return core.Kind(t), &c.msg, nil
}

func (c *conn) readError(err error) error {
	var ce *websocket.CloseError
	switch {
	case errors.As(err, &ce) && c.Ended() == nil:
		switch ce.Code {
		case websocket.CloseNormalClosure, websocket.CloseGoingAway, websocket.CloseNoStatusReceived:
			return io.EOF
		case websocket.CloseAbnormalClosure:
			return io.ErrUnexpectedEOF
		}
		return fmt.Errorf("closed by the peer: %w", err)
	case c.Ended() == nil && strings.HasPrefix(err.Error(), "websocket: "):
		return fmt.Errorf("%w: %w", core.ErrInvalid, err)
	default:
		return c.ReadError(err)
	}
}

// message reads one message, within the limits; text must be UTF-8 (RFC 6455, section 8.1).
type message struct {
	c     *conn
	r     io.Reader
	total int64
	text  bool
	part  [utf8.UTFMax]byte // of a character that was cut
	cut   int
}

func (m *message) Read(p []byte) (int, error) {
	n, err := m.r.Read(p)
	m.total += int64(n)
	if lim := m.c.Received(n, m.total); lim != nil {
		return 0, lim
	}
	if m.text && n > 0 && !m.valid(p[:n]) {
		return 0, fmt.Errorf("text message: %w", core.ErrNotUTF8)
	}
	switch {
	case errors.Is(err, io.EOF):
		if m.cut > 0 {
			return 0, fmt.Errorf("text message ends within a character: %w", core.ErrNotUTF8)
		}
		return n, io.EOF
	case err != nil:
		return n, m.c.readError(err)
	}
	return n, nil
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

// WriteMessage implements core.Conn: one frame, unmasked, gathered until Flush.
func (c *conn) WriteMessage(k core.Kind, parts ...[]byte) error {
	n := 0
	for _, p := range parts {
		n += len(p)
	}
	var head [10]byte
	head[0] = 0x80 | byte(k)
	size := 2
	switch {
	case n < 126:
		head[1] = byte(n)
	case n < 1<<16:
		head[1] = 126
		binary.BigEndian.PutUint16(head[2:], uint16(n))
		size = 4
	default:
		head[1] = 127
		binary.BigEndian.PutUint64(head[2:], uint64(n))
		size = 10
	}
	return c.Append(head[:size], parts...)
}
