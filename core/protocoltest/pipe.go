package protocoltest

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/wyemq/wye/core"
)

// PipeOptions says what kind of connection a [Pipe] is. The zero value is a WebSocket-like
// connection on loopback addresses, without a subprotocol, with the default limits.
type PipeOptions struct {
	// Stream makes it a byte stream, as plain TCP is; else it carries messages.
	Stream bool
	// ID, Listener, Transport, Subprotocol, Path, Local, Remote, TLS and Header are those of
	// [core.ConnInfo]; empty: "pipe", "pipe", "pipe", "", "", loopback, loopback, nil, nil.
	ID, Listener, Transport, Subprotocol, Path string
	Local, Remote                              net.Addr
	TLS                                        *tls.ConnectionState
	Header                                     http.Header
	// Buffer is how many bytes are on their way in each direction before the sender waits; 0: 64 KiB.
	Buffer int
	// Gather is how many bytes WriteMessage keeps before it sends without being asked; 0: 64 KiB.
	Gather int
	// WriteTimeout is how long a write waits for a peer that reads nothing; 0: 10 s.
	WriteTimeout time.Duration
	// Linger is how long writes go on working after Close; 0: 2 s.
	Linger time.Duration
	// LoginTimeout ends the reads of a connection that is not logged in in time; 0: 10 s.
	LoginTimeout time.Duration
	// MaxMessage is the largest message after login; 0: 4 MiB. A stream has no such limit.
	MaxMessage int64
	// MaxBeforeLogin is how many bytes may come in before login; 0: 64 KiB.
	MaxBeforeLogin int64
	// Rests makes each wait for the peer a rest, if the protocol can rest: see [core.Rester].
	Rests bool
}

func (o PipeOptions) withDefaults() PipeOptions {
	o.ID = cmp.Or(o.ID, "pipe")
	o.Listener = cmp.Or(o.Listener, "pipe")
	o.Transport = cmp.Or(o.Transport, "pipe")
	if o.Local == nil {
		o.Local = &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 61614}
	}
	if o.Remote == nil {
		o.Remote = &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 40_000}
	}
	o.Buffer = cmp.Or(o.Buffer, 64<<10)
	o.Gather = cmp.Or(o.Gather, 64<<10)
	o.WriteTimeout = cmp.Or(o.WriteTimeout, 10*time.Second)
	o.Linger = cmp.Or(o.Linger, 2*time.Second)
	o.LoginTimeout = cmp.Or(o.LoginTimeout, 10*time.Second)
	o.MaxMessage = cmp.Or(o.MaxMessage, 4<<20)
	o.MaxBeforeLogin = cmp.Or(o.MaxBeforeLogin, 64<<10)
	return o
}

// Pipe is an in-memory [core.Conn] that keeps every promise of it, in a testing/synctest bubble or
// out of one. It has no goroutine.
type Pipe struct {
	o      PipeOptions
	ctx    context.Context //nolint:containedctx // that of ServeConn, for as long as the connection lives
	info   core.ConnInfo
	login  *time.Timer
	unhook func() bool

	mu   sync.Mutex
	cond sync.Cond // of every change below

	in       []segment // sent by the peer, not yet read
	inBytes  int
	inEnd    error // why no more will come from the peer
	early    int64 // bytes read before login
	current  int   // number of the message being read
	reading  bool  // the message being read has not been read to its end
	total    int64 // bytes read of it
	loggedIn bool
	deadline time.Time
	resume   func() error // given to Rest

	gathered      []Message // written, not yet sent
	gatheredBytes int
	appended      uint64 // messages written so far
	moved         uint64 // messages sent so far
	sent          []Message
	sentBytes     int
	lastTaken     time.Time // when the peer last read
	peerGone      bool
	writeErr      error

	why      error // why reads have ended by Close
	closed   bool
	closedAt time.Time
	finished chan struct{} // closed by Finish
	result   error         // given to Finish
}

// segment is a piece of a message that the peer sent.
type segment struct {
	kind core.Kind
	data []byte
	last bool
}

// Message is a message as it travels over a [Pipe].
type Message struct {
	Kind core.Kind
	Data []byte
}

// cost is what a message takes of a buffer: empty ones are not free, as they are not on a wire.
func (m Message) cost() int { return len(m.Data) + 2 }

var _ core.Conn = (*Pipe)(nil)

// NewPipe returns the two ends of a connection: that of the broker, for ServeConn, whose context ctx
// is, and that of the client. Whoever calls ServeConn calls Finish with its result, as a transport
// closes the socket; [Serve] does both.
func NewPipe(ctx context.Context, o PipeOptions) (*Pipe, *Peer) {
	p := &Pipe{o: o.withDefaults(), ctx: ctx, finished: make(chan struct{}), lastTaken: time.Now()}
	p.cond.L = &p.mu
	o = p.o
	p.info = core.ConnInfo{
		ID: o.ID, Listener: o.Listener, Transport: o.Transport, Subprotocol: o.Subprotocol, Path: o.Path,
		Local: o.Local, Remote: o.Remote, TLS: o.TLS, Header: o.Header, Stream: o.Stream,
	}
	p.login = time.AfterFunc(o.LoginTimeout, func() {
		p.mu.Lock()
		late := !p.loggedIn
		p.mu.Unlock()
		if late {
			p.Close(fmt.Errorf("%s have passed: %w", o.LoginTimeout, core.ErrLoginTimeout))
		}
	})
	p.unhook = context.AfterFunc(ctx, func() { p.Close(core.ErrShutdown) })
	return p, &Peer{p: p}
}

// Info implements [core.Conn].
func (p *Pipe) Info() *core.ConnInfo { return &p.info }

// LoggedIn implements [core.Conn].
func (p *Pipe) LoggedIn() {
	p.login.Stop()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.loggedIn = true
}

// SetReadDeadline implements [core.Conn].
func (p *Pipe) SetReadDeadline(t time.Time) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.deadline = t
	p.cond.Broadcast()
	return nil
}

// Close implements [core.Conn].
func (p *Pipe) Close(err error) {
	if err == nil {
		err = io.EOF
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.close(err)
}

func (p *Pipe) close(err error) {
	if !p.closed {
		p.closed, p.why, p.closedAt = true, err, time.Now()
		p.cond.Broadcast()
	}
}

// Finish is what a transport does when ServeConn has returned err: what is gathered is sent, then the
// peer sees the end. The first call counts.
func (p *Pipe) Finish(err error) {
	p.login.Stop()
	p.unhook()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.close(io.EOF)
	select {
	case <-p.finished:
		return
	default:
	}
	p.move(true)
	p.result = err
	if p.writeErr == nil {
		p.writeErr = io.ErrClosedPipe
	}
	p.in, p.inBytes = nil, 0
	close(p.finished)
	p.cond.Broadcast()
}

// wait returns when something has changed or t, if it is not zero, has come. p.mu is held.
func (p *Pipe) wait(t time.Time) {
	if !t.IsZero() {
		timer := time.AfterFunc(time.Until(t), func() {
			p.mu.Lock()
			defer p.mu.Unlock()
			p.cond.Broadcast()
		})
		defer timer.Stop()
	}
	p.cond.Wait()
}

// readErr returns why nothing may be read any more.
func (p *Pipe) readErr() error {
	if p.ctx.Err() != nil {
		p.close(core.ErrShutdown)
	}
	if p.closed {
		return p.why
	}
	if !p.deadline.IsZero() && !time.Now().Before(p.deadline) {
		return fmt.Errorf("pipe read: %w", os.ErrDeadlineExceeded)
	}
	return nil
}

// NextReader implements [core.Conn].
func (p *Pipe) NextReader() (core.Kind, io.Reader, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for {
		if err := p.readErr(); err != nil {
			return 0, nil, err
		}
		for p.reading && !p.o.Stream && len(p.in) > 0 { // what the reader before left
			p.reading = !p.take(len(p.in[0].data))
		}
		switch {
		case len(p.in) > 0:
			p.current++
			p.reading, p.total = true, 0
			return p.in[0].kind, &messageReader{p: p, number: p.current}, nil
		case p.inEnd != nil && p.reading && !p.o.Stream:
			return 0, nil, io.ErrUnexpectedEOF
		case p.inEnd != nil:
			return 0, nil, p.inEnd
		case p.resume != nil:
			return 0, nil, core.ErrResting
		}
		p.wait(p.deadline)
	}
}

// take counts n bytes of the first segment out, and reports whether the message ends with them.
func (p *Pipe) take(n int) (last bool) {
	s := &p.in[0]
	s.data = s.data[n:]
	p.inBytes -= n
	p.total += int64(n)
	if !p.loggedIn {
		p.early += int64(n)
	}
	if len(s.data) == 0 {
		last = s.last
		p.in = p.in[1:]
		p.cond.Broadcast()
	}
	return last
}

// messageReader reads one message; on a stream, everything.
type messageReader struct {
	p      *Pipe
	number int
	err    error
}

// Read implements io.Reader.
func (r *messageReader) Read(b []byte) (int, error) {
	p := r.p
	p.mu.Lock()
	defer p.mu.Unlock()
	if r.err != nil {
		return 0, r.err
	}
	if r.number != p.current {
		return 0, fmt.Errorf("read of a message after NextReader was called: %w", core.ErrInternal)
	}
	if len(b) == 0 {
		return 0, nil
	}
	for {
		n, err := r.read(b)
		if err != nil {
			if !isTimeout(err) && !errors.Is(err, core.ErrResting) {
				r.err = err
			}
			return n, err
		}
		if n > 0 {
			return n, nil
		}
	}
}

// read returns what there is, or waits for a change and returns nothing.
func (r *messageReader) read(b []byte) (int, error) {
	p := r.p
	if err := p.readErr(); err != nil {
		return 0, err
	}
	if !p.reading {
		return 0, io.EOF
	}
	if len(p.in) == 0 {
		switch {
		case p.inEnd == nil && p.o.Stream && p.resume != nil:
			return 0, core.ErrResting
		case p.inEnd == nil:
			p.wait(p.deadline)
			return 0, nil
		case p.o.Stream:
			return 0, p.inEnd
		default:
			return 0, io.ErrUnexpectedEOF
		}
	}
	n := copy(b, p.in[0].data)
	if p.take(n) && !p.o.Stream {
		p.reading = false
	}
	if !p.loggedIn && p.early > p.o.MaxBeforeLogin {
		return 0, fmt.Errorf("more than %d bytes before login: %w", p.o.MaxBeforeLogin, core.ErrTooBig)
	}
	if !p.o.Stream && p.total > p.o.MaxMessage {
		return 0, fmt.Errorf("message of more than %d bytes: %w", p.o.MaxMessage, core.ErrTooBig)
	}
	return n, nil
}

// WriteMessage implements [core.Conn].
func (p *Pipe) WriteMessage(k core.Kind, parts ...[]byte) error {
	size := 0
	for _, part := range parts {
		size += len(part)
	}
	data := make([]byte, 0, size)
	for _, part := range parts {
		data = append(data, part...)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.gatheredBytes >= p.o.Gather { // another writer waits for the peer
		if err := p.drain(p.appended); err != nil {
			return err
		}
	}
	if err := p.mayWrite(); err != nil {
		return err
	}
	m := Message{k, data}
	p.gathered = append(p.gathered, m)
	p.gatheredBytes += m.cost()
	p.appended++
	if p.gatheredBytes >= p.o.Gather {
		return p.drain(p.appended)
	}
	return nil
}

// Flush implements [core.Conn].
func (p *Pipe) Flush() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.drain(p.appended)
}

// mayWrite returns why writes fail.
func (p *Pipe) mayWrite() error {
	switch {
	case p.writeErr != nil:
		return p.writeErr
	case p.closed && time.Since(p.closedAt) >= p.o.Linger:
		return fmt.Errorf("write %s after the close: %w", p.o.Linger, p.why)
	default:
		return nil
	}
}

// drain sends the first target messages, and waits for room, bounded.
func (p *Pipe) drain(target uint64) error {
	began := time.Now()
	for {
		if err := p.mayWrite(); err != nil {
			return err
		}
		p.move(false)
		if p.moved >= target {
			return nil
		}
		limit := began
		if p.lastTaken.After(limit) {
			limit = p.lastTaken
		}
		limit = limit.Add(p.o.WriteTimeout)
		if !time.Now().Before(limit) {
			p.writeErr = fmt.Errorf("the peer has read nothing for %s: %w", time.Since(began), core.ErrSlowConsumer)
			p.cond.Broadcast()
			return p.writeErr
		}
		if end := p.closedAt.Add(p.o.Linger); p.closed && end.Before(limit) {
			limit = end
		}
		p.wait(limit)
	}
}

// move puts what is gathered on its way, as far as there is room; all of it when forced.
func (p *Pipe) move(force bool) {
	n := 0
	for n < len(p.gathered) {
		cost := p.gathered[n].cost()
		if !force && p.sentBytes > 0 && p.sentBytes+cost > p.o.Buffer {
			break
		}
		if !p.peerGone {
			p.sent = append(p.sent, p.gathered[n])
			p.sentBytes += cost
		}
		p.gatheredBytes -= cost
		n++
	}
	if n == 0 {
		return
	}
	p.gathered = append(p.gathered[:0:0], p.gathered[n:]...)
	p.moved += uint64(n)
	p.cond.Broadcast()
}
