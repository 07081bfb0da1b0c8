package stomp_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"time"

	"github.com/wyemq/wye/core"
)

// memConn is a core.Conn in memory: what the client sends goes into in, what the server flushed is in out.
type memConn struct {
	info core.ConnInfo
	ctx  context.Context
	in   chan []byte
	gone chan struct{} // closed by Close
	eof  chan struct{} // closed by the client

	mu        sync.Mutex
	reason    error
	closed    bool
	deadline  time.Time
	moved     chan struct{} // closed when deadline changes
	gathered  []sentMessage
	out       []sentMessage
	loggedIn  bool
	rest      []byte // of a stream
	streamEnd error
}

type sentMessage struct {
	kind core.Kind
	data []byte
}

func newConn(ctx context.Context, info core.ConnInfo) *memConn {
	if info.Local == nil {
		info.Local, info.Remote = &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)}, &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)}
	}
	return &memConn{
		info: info, ctx: ctx, in: make(chan []byte, 1024), // enough for any test's burst
		gone: make(chan struct{}), eof: make(chan struct{}), moved: make(chan struct{}),
	}
}

func (c *memConn) next() ([]byte, error) {
	for {
		c.mu.Lock()
		deadline, moved := c.deadline, c.moved
		c.mu.Unlock()
		var expired <-chan time.Time
		if !deadline.IsZero() {
			t := time.NewTimer(time.Until(deadline))
			defer t.Stop()
			expired = t.C
		}
		select {
		case m := <-c.in:
			return m, nil
		default:
		}
		select {
		case m := <-c.in:
			return m, nil
		case <-c.gone:
			c.mu.Lock()
			defer c.mu.Unlock()
			return nil, c.reason
		case <-c.eof:
			return nil, io.EOF
		case <-c.ctx.Done():
			return nil, core.ErrShutdown
		case <-expired:
			return nil, os.ErrDeadlineExceeded
		case <-moved:
		}
	}
}

func (c *memConn) NextReader() (core.Kind, io.Reader, error) {
	if c.info.Stream && c.streamEnd != nil {
		return 0, nil, c.streamEnd
	}
	if c.info.Stream {
		return core.Binary, streamReader{c}, nil
	}
	m, err := c.next()
	return core.Text, bytes.NewReader(m), err
}

type streamReader struct{ c *memConn }

func (r streamReader) Read(p []byte) (int, error) {
	if len(r.c.rest) == 0 {
		m, err := r.c.next()
		if err != nil {
			r.c.streamEnd = err
			return 0, err
		}
		r.c.rest = m
	}
	n := copy(p, r.c.rest)
	r.c.rest = r.c.rest[n:]
	return n, nil
}

func (c *memConn) WriteMessage(k core.Kind, parts ...[]byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	select {
	case <-c.eof:
		return errors.New("the peer has gone")
	default:
	}
	c.gathered = append(c.gathered, sentMessage{k, bytes.Join(parts, nil)})
	return nil
}

func (c *memConn) Flush() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.out = append(c.out, c.gathered...)
	c.gathered = nil
	return nil
}

func (c *memConn) SetReadDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.deadline = t
	close(c.moved)
	c.moved = make(chan struct{})
	return nil
}

func (c *memConn) LoggedIn() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.loggedIn = true
}

func (c *memConn) Close(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return
	}
	if err == nil {
		err = io.EOF
	}
	c.closed, c.reason = true, err
	close(c.gone)
}

func (c *memConn) Info() *core.ConnInfo { return &c.info }

// take returns the oldest message the server has flushed.
func (c *memConn) take() (sentMessage, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.out) == 0 {
		return sentMessage{}, false
	}
	m := c.out[0]
	c.out = c.out[1:]
	return m, true
}
