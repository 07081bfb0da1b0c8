package peer

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
	"unicode/utf8"
)

// Conn is a connection that is logged in. One goroutine may read and acknowledge, any may write.
type Conn struct {
	nc     net.Conn
	target Target
	codec  codec
	key    maskKey
	op     byte // of data frames; 0: no WebSocket

	// ReceiveMax is how many unconfirmed publishes the broker permits; 0: it has not said.
	ReceiveMax int

	in      inbox
	unread  bool // it may hold more than was worked off
	p       Packet
	scratch []byte
	out     []byte // answers, framed, sent after each read
	latest  []byte // a cumulative acknowledgement, which the next one makes needless

	subscribed uint16 // subscriptions so far

	mu sync.Mutex // of writes
}

// Dial connects and logs in.
func Dial(ctx context.Context, t Target, l Login) (*Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, t.Timeout)
	defer cancel()
	c := &Conn{target: t}
	if err := c.dial(ctx, &l); err != nil {
		if c.nc != nil {
			c.nc.Close()
		}
		return nil, fmt.Errorf("connect to %s: %w", t.Addr, err)
	}
	return c, nil
}

func (c *Conn) dial(ctx context.Context, l *Login) error {
	t := &c.target
	d := net.Dialer{}
	if t.Source != "" {
		d.LocalAddr = &net.TCPAddr{IP: net.ParseIP(t.Source)}
	}
	nc, err := d.DialContext(ctx, "tcp", t.Addr)
	if err != nil {
		return err
	}
	if t.TLS != nil {
		nc = tls.Client(nc, t.TLS)
	}
	c.nc = nc
	// Who gives up meanwhile is heard: the deadline passes at once.
	defer context.AfterFunc(ctx, func() { _ = nc.SetDeadline(time.Unix(1, 0)) })()
	switch t.Protocol {
	case STOMP:
		c.codec, c.op = &stomp{}, opText
	case MQTT:
		c.codec, c.op = &mqtt{level: 4}, opBinary
	case MQTT5:
		c.codec, c.op = &mqtt{level: 5}, opBinary
	default:
		return fmt.Errorf("protocol %q", t.Protocol)
	}
	c.p.codec = c.codec
	if t.WebSocket {
		rest, err := upgrade(nc, t)
		if err != nil {
			return err
		}
		c.in.webSocket = true
		c.key = maskKey(randomBytes(4))
		if len(rest) > 0 {
			c.in.buf = append(make([]byte, 0, minInbox), rest...)[:minInbox]
			c.in.last = len(rest)
			c.in.err = c.in.open()
			c.unread = true
		}
	} else {
		c.op = 0
	}
	return c.login(l)
}

// login waits for the answer.
func (c *Conn) login(l *Login) error {
	if err := c.send(c.codec.connect(nil, &c.target, l)); err != nil {
		return err
	}
	for connected := false; !connected; {
		err := c.ReadBatch(func(p *Packet) error {
			if p.Kind != Connected {
				return nil
			}
			connected = true
			c.ReceiveMax, _ = strconv.Atoi(p.Header("receive-maximum"))
			return errEnough
		})
		if err != nil {
			return fmt.Errorf("login: %w", err)
		}
	}
	return nil
}

// frame appends a packet as it goes over the wire.
func (c *Conn) frame(dst, payload []byte) []byte {
	if c.op == 0 {
		return append(dst, payload...)
	}
	dst, _ = c.key.frame(dst, c.opcode(payload), payload)
	return dst
}

// opcode is that of a packet: STOMP is text, as browsers send it, unless it is none. RFC 6455, section 8.1.
func (c *Conn) opcode(payload []byte) byte {
	if c.op == opText && !utf8.Valid(payload) {
		return opBinary
	}
	return c.op
}

func (c *Conn) send(payload []byte) error { return c.Write(c.frame(nil, payload)) }

// Write sends what a Template has made.
func (c *Conn) Write(framed []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, err := c.nc.Write(framed)
	return err
}

// errEnough is what a handler returns that leaves the rest of the batch for the next read: a resumed session has
// messages right behind the answer to the login.
var errEnough = errors.New("enough")

// ErrGone is what a read says when the broker has closed the connection without a word.
var ErrGone = errors.New("the broker has closed the connection")

// ReadBatch reads once and hands over every packet that is there, then sends the answers that were gathered,
// in one write. It returns the error of the connection, of the handler, or a RefusedError when the broker
// has said no.
func (c *Conn) ReadBatch(handle func(*Packet) error) error {
	if !c.unread {
		if err := c.in.read(c.nc); errors.Is(err, io.EOF) {
			return ErrGone
		} else if err != nil {
			return err
		}
	}
	c.unread = false
	for c.in.from < c.in.to {
		b := c.in.buf[c.in.from:c.in.to]
		n, err := c.codec.parse(b, &c.p)
		if err != nil {
			return fmt.Errorf("the broker sends what is not %s: %w", c.target.Protocol, err)
		}
		if n == 0 {
			break
		}
		c.in.from += n
		switch c.p.Kind {
		case Refused:
			return c.refusal()
		case Received, Released:
			c.out = c.answer(c.out, &c.p)
		default:
		}
		if err := handle(&c.p); errors.Is(err, errEnough) {
			c.unread = c.in.from < c.in.to
			break
		} else if err != nil {
			return err
		}
	}
	if err := c.flush(); err != nil {
		return err
	}
	return c.in.err
}

// answer appends what p wants said.
func (c *Conn) answer(dst []byte, p *Packet) []byte {
	c.scratch = c.codec.answer(c.scratch[:0], p)
	if len(c.scratch) == 0 {
		return dst
	}
	return c.frame(dst, c.scratch)
}

// Ack acknowledges p at the end of the batch. To be called from the handler.
func (c *Conn) Ack(p *Packet) { c.out = c.answer(c.out, p) }

// AckUpTo acknowledges p and all before it (STOMP, ack:client). To be called from the handler.
func (c *Conn) AckUpTo(p *Packet) { c.latest = c.answer(c.latest[:0], p) }

// flush sends the answers.
func (c *Conn) flush() error {
	if c.in.pong != nil {
		c.out, _ = c.key.frame(c.out, opPong, c.in.pong)
		c.in.pong = nil
	}
	c.out = append(c.out, c.latest...)
	c.latest = c.latest[:0]
	if len(c.out) == 0 {
		return nil
	}
	err := c.Write(c.out)
	c.out = c.out[:0]
	return err
}

// refusal is the error that the packet just read means.
func (c *Conn) refusal() error {
	p := &c.p
	if c.target.Protocol == STOMP {
		said := p.Header("message")
		body, _, _ := strings.Cut(strings.TrimSpace(string(p.Body)), "\n")
		switch {
		case strings.Contains(body, strings.TrimRight(said, ".")): // the header is the body cut short, as it often is
			said = body
		case body != "":
			said += ": " + body
		}
		return &RefusedError{Reason: p.Header("reason"), Text: said}
	}
	level := byte(4)
	if c.target.Protocol == MQTT5 {
		level = 5
	}
	e := &RefusedError{Code: p.Code, Text: reason(level, p.Code)}
	if said := p.Header("reason"); said != "" {
		e.Text += ": " + said
	}
	return e
}

// Subscribe subscribes and waits for the answer. What else comes meanwhile goes to handle.
func (c *Conn) Subscribe(s Subscription, handle func(*Packet) error) error {
	c.subscribed++
	id := c.subscribed
	if err := c.send(c.codec.subscribe(nil, &s, id)); err != nil {
		return err
	}
	if err := c.nc.SetReadDeadline(time.Now().Add(c.target.Timeout)); err != nil {
		return err
	}
	for done := false; !done; {
		err := c.ReadBatch(func(p *Packet) error {
			if p.Kind == Subscribed && p.ID == uint32(id) {
				done = true
				return nil
			}
			return handle(p)
		})
		if err != nil {
			return fmt.Errorf("subscribe to %q: %w", s.Filter, err)
		}
	}
	return c.nc.SetReadDeadline(time.Time{})
}

// Publish sends one message; id is what the answer will have, if there is to be one.
func (c *Conn) Publish(p Publication, id uint32) error {
	payload, _ := c.codec.publish(nil, &p, id)
	return c.send(payload)
}

// Ping sends a sign of life: a PINGREQ, or the heart-beat of STOMP.
func (c *Conn) Ping() error { return c.send(c.codec.ping(nil)) }

// SetReadDeadline bounds the reads to come.
func (c *Conn) SetReadDeadline(t time.Time) error { return c.nc.SetReadDeadline(t) }

// Abort breaks the connection off; it may be called from any goroutine.
func (c *Conn) Abort() { c.nc.Close() }

// bye is how to take leave.
func (c *Conn) bye() []byte {
	b := c.frame(nil, c.codec.disconnect(nil))
	if c.op != 0 {
		b, _ = c.key.frame(b, opClose, []byte{0x03, 0xe8}) // 1000
	}
	return b
}

// Leave takes leave and closes, without waiting for anything. Another goroutine may be reading.
func (c *Conn) Leave() {
	_ = c.nc.SetWriteDeadline(time.Now().Add(time.Second)) // the broker may have stopped reading
	_ = c.Write(c.bye())
	c.nc.Close()
}

// Close takes leave, waits until the broker has taken note of it, and closes. Nobody else may read any more.
func (c *Conn) Close() error {
	return c.Bye(func() error {
		for {
			if err := c.ReadBatch(func(*Packet) error { return nil }); err != nil {
				return err
			}
		}
	})
}

// Bye is Close for a connection that another goroutine reads: wait waits for that and returns why it has ended.
func (c *Conn) Bye(wait func() error) error {
	defer c.nc.Close()
	_ = c.nc.SetDeadline(time.Now().Add(c.target.Timeout))
	if err := c.Write(c.bye()); err != nil {
		return err
	}
	err := wait()
	if closed, ok := errors.AsType[*CloseError](err); ok && slices.Contains([]int{1000, 1001, 1005}, closed.Code) ||
		errors.Is(err, ErrGone) || errors.Is(err, syscall.ECONNRESET) {
		return nil
	}
	return err
}

// Beat sends signs of life over all connections, twice in the time, until ctx is done.
func Beat(ctx context.Context, keepAlive time.Duration, conns ...*Conn) {
	t := time.NewTicker(keepAlive / 2)
	defer t.Stop()
	for {
		select {
		case <-t.C:
		case <-ctx.Done():
			return
		}
		for _, c := range conns {
			_ = c.Ping() // who reads it hears that it is gone
		}
	}
}
