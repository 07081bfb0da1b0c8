package protocoltest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/wyemq/wye/core"
)

// sendTimeout bounds Send when the broker reads nothing.
const sendTimeout = time.Minute

// Peer is the client's end of a [Pipe]. Its methods may be called concurrently.
type Peer struct {
	p *Pipe

	// how what is sent is changed on its way; guarded by Pipe.mu
	chop     int  // pieces of so many bytes; 0: whole
	chopMsgs bool // each piece is a message
	holding  bool
	held     []Message
	halve    bool // send half of the next message, then lose the connection
	tap      func(data []byte)
}

// Serve runs ServeConn of h, a [core.Protocol] or a [core.Mux], over a new pipe and finishes the
// pipe with its result, as a transport does. ctx is the context of ServeConn.
func Serve(ctx context.Context, h interface {
	ServeConn(ctx context.Context, c core.Conn) error
}, o PipeOptions,
) *Peer {
	conn, peer := NewPipe(ctx, o)
	go func() { conn.Finish(conn.Run(func() error { return h.ServeConn(ctx, conn) })) }() // ends with the connection: Peer.Done
	return peer
}

// Info returns what the broker's end says of the connection.
func (c *Peer) Info() *core.ConnInfo { return c.p.Info() }

// Send sends one message, the parts joined; on a stream, bytes. It waits while the broker does not
// read, a minute at most, and fails when the connection has ended.
func (c *Peer) Send(k core.Kind, parts ...[]byte) error {
	var data []byte
	for _, part := range parts {
		data = append(data, part...)
	}
	p := c.p
	p.mu.Lock()
	defer p.mu.Unlock()
	if c.tap != nil {
		c.tap(data)
	}
	if c.holding {
		c.held = append(c.held, Message{k, data})
		return nil
	}
	return c.send(k, data)
}

// SendSplit sends one message in pieces of at most n bytes, as fragments of WebSocket or segments of
// TCP: the reader gets them one by one.
func (c *Peer) SendSplit(k core.Kind, data []byte, n int) error {
	c.p.mu.Lock()
	defer c.p.mu.Unlock()
	return c.pieces(k, data, n, false)
}

// SendPart sends the beginning of a message that more must follow; the last piece is sent by Send
// or SendSplit. On a stream it is the same as Send.
func (c *Peer) SendPart(k core.Kind, data []byte) error {
	c.p.mu.Lock()
	defer c.p.mu.Unlock()
	return c.push(segment{k, data, false})
}

// Chop makes every Send go in pieces of at most n bytes; 0: whole again. With messages each piece is
// a message of its own, as clients do that take a WebSocket for a stream.
func (c *Peer) Chop(n int, messages bool) {
	c.p.mu.Lock()
	defer c.p.mu.Unlock()
	c.chop, c.chopMsgs = n, messages
}

// Hold keeps back what is sent until Release.
func (c *Peer) Hold() {
	c.p.mu.Lock()
	defer c.p.mu.Unlock()
	c.holding = true
}

// Release sends what was held back, joined to one message.
func (c *Peer) Release() error {
	c.p.mu.Lock()
	defer c.p.mu.Unlock()
	c.holding = false
	held := c.held
	c.held = nil
	if len(held) == 0 {
		return nil
	}
	var all []byte
	for _, m := range held {
		all = append(all, m.Data...)
	}
	return c.send(held[0].Kind, all)
}

// Halve makes the next Send lose the connection after half of its bytes.
func (c *Peer) Halve() {
	c.p.mu.Lock()
	defer c.p.mu.Unlock()
	c.halve = true
}

func (c *Peer) send(k core.Kind, data []byte) error {
	if c.halve {
		err := c.push(segment{k, data[:len(data)/2], false})
		c.end(c.lost())
		return err
	}
	return c.pieces(k, data, c.chop, c.chopMsgs)
}

func (c *Peer) pieces(k core.Kind, data []byte, n int, messages bool) error {
	for n > 0 && len(data) > n {
		if err := c.push(segment{k, data[:n:n], messages}); err != nil {
			return err
		}
		data = data[n:]
	}
	return c.push(segment{k, data, true})
}

// push waits for room and queues s. The lock is held.
func (c *Peer) push(s segment) error {
	p := c.p
	s.data = append([]byte(nil), s.data...)
	if p.o.Stream {
		if len(s.data) == 0 {
			return nil
		}
		s.kind = core.Binary
	}
	limit := time.Now().Add(sendTimeout)
	for {
		select {
		case <-p.finished:
			return fmt.Errorf("send: the broker has closed: %w", io.ErrClosedPipe)
		default:
		}
		switch {
		case p.inEnd != nil:
			return fmt.Errorf("send after the end: %w", io.ErrClosedPipe)
		case p.inBytes == 0 || p.inBytes+len(s.data) <= p.o.Buffer:
			p.in = append(p.in, s)
			p.inBytes += len(s.data)
			p.cond.Broadcast()
			return nil
		case !time.Now().Before(limit):
			return fmt.Errorf("send: the broker has read nothing for %s: %w", sendTimeout, os.ErrDeadlineExceeded)
		}
		p.wait(limit)
	}
}

// Receive returns the next message; on a stream, the bytes that are there. It waits for timeout:
// then the error wraps [os.ErrDeadlineExceeded]. io.EOF: the broker has closed, see Closed.
func (c *Peer) Receive(timeout time.Duration) (core.Kind, []byte, error) {
	p := c.p
	limit := time.Now().Add(timeout)
	p.mu.Lock()
	defer p.mu.Unlock()
	for {
		if m, ok := c.take(); ok {
			return m.Kind, m.Data, nil
		}
		select {
		case <-p.finished:
			return 0, nil, io.EOF
		default:
		}
		if p.peerGone {
			return 0, nil, io.ErrClosedPipe
		}
		if !time.Now().Before(limit) {
			return 0, nil, fmt.Errorf("nothing came for %s: %w", timeout, os.ErrDeadlineExceeded)
		}
		p.wait(limit)
	}
}

// ReceiveAll returns what has come and was not received yet, without waiting.
func (c *Peer) ReceiveAll() []Message {
	c.p.mu.Lock()
	defer c.p.mu.Unlock()
	var all []Message
	for {
		m, ok := c.take()
		if !ok {
			return all
		}
		all = append(all, m)
	}
}

// take removes the first message that has come; on a stream, all bytes.
func (c *Peer) take() (Message, bool) {
	p := c.p
	if len(p.sent) == 0 || p.peerGone {
		return Message{}, false
	}
	m := p.sent[0]
	n := 1
	if p.o.Stream {
		m = Message{Kind: core.Binary}
		for _, s := range p.sent {
			m.Data = append(m.Data, s.Data...)
		}
		n = len(p.sent)
	}
	for _, s := range p.sent[:n] {
		p.sentBytes -= s.cost()
	}
	p.sent = append(p.sent[:0:0], p.sent[n:]...)
	p.lastTaken = time.Now()
	p.cond.Broadcast()
	if p.o.Stream && len(m.Data) == 0 {
		return c.take()
	}
	return m, true
}

// Waiting returns how many bytes the broker has written that were not received yet.
func (c *Peer) Waiting() int {
	c.p.mu.Lock()
	defer c.p.mu.Unlock()
	return c.p.sentBytes + c.p.gatheredBytes
}

// told returns how many messages the broker has sent so far.
func (c *Peer) told() uint64 {
	c.p.mu.Lock()
	defer c.p.mu.Unlock()
	return c.p.moved
}

// CloseSend says that nothing more will be sent, in good order; receiving goes on.
func (c *Peer) CloseSend() {
	c.p.mu.Lock()
	defer c.p.mu.Unlock()
	c.end(io.EOF)
}

// Close closes the connection in good order.
func (c *Peer) Close() {
	c.p.mu.Lock()
	defer c.p.mu.Unlock()
	c.end(io.EOF)
	c.gone()
}

// Abort loses the connection.
func (c *Peer) Abort() {
	c.p.mu.Lock()
	defer c.p.mu.Unlock()
	c.end(c.lost())
	c.gone()
}

// lost is what the broker reads when the connection breaks: a stream cannot tell it from a close.
func (c *Peer) lost() error {
	if c.p.o.Stream {
		return io.EOF
	}
	return io.ErrUnexpectedEOF
}

func (c *Peer) end(err error) {
	if c.p.inEnd == nil {
		c.p.inEnd = err
		c.p.cond.Broadcast()
	}
}

func (c *Peer) gone() {
	p := c.p
	p.peerGone = true
	p.sent, p.sentBytes = nil, 0
	if p.writeErr == nil {
		p.writeErr = fmt.Errorf("pipe write: %w", core.ErrGone)
	}
	p.cond.Broadcast()
}

// Done is closed when ServeConn has returned and the connection has been closed.
func (c *Peer) Done() <-chan struct{} { return c.p.finished }

// Closed waits for Done and returns the close code that a WebSocket client sees and the error of
// ServeConn. ok is false when timeout passed first.
func (c *Peer) Closed(timeout time.Duration) (code int, err error, ok bool) { //nolint:revive // err is the subject, not a failure
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	select {
	case <-c.p.finished:
	case <-timer.C:
		select {
		case <-c.p.finished:
		default:
			return 0, nil, false
		}
	}
	c.p.mu.Lock()
	defer c.p.mu.Unlock()
	return core.CloseCode(c.p.result), c.p.result, true
}

func isTimeout(err error) bool { return errors.Is(err, os.ErrDeadlineExceeded) }
