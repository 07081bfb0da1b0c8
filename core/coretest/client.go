package coretest

import (
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/wyemq/wye/core"
)

// Client is a client without a protocol: a session that records what it is sent.
type Client struct {
	*core.Session
	*Sink
	// Conn is what the session was opened with.
	Conn *Conn
}

// Connect opens a session of b. Protocol and Conn of l are set if they are not. The session is
// closed with the test; as a protocol would, it also closes when the broker ends it.
func Connect(t testing.TB, b *core.Broker, l core.Login) *Client {
	t.Helper()
	c, err := TryConnect(t, b, l)
	if err != nil {
		t.Fatalf("connect %q: %v", l.ClientID, err)
	}
	return c
}

// TryConnect is Connect for logins that may be refused.
func TryConnect(t testing.TB, b *core.Broker, l core.Login) (*Client, error) {
	t.Helper()
	c := &Client{Sink: NewSink(), Conn: NewConn()}
	if l.Protocol == "" {
		l.Protocol = "coretest"
	}
	l.Conn = c.Conn
	s, err := b.Connect(t.Context(), l, c.Deliver)
	if err != nil {
		return nil, err
	}
	c.Session = s
	ended := make(chan struct{})
	go func() { // what a protocol's read loop does
		defer close(ended)
		_, _, _ = c.Conn.NextReader()
		c.Fail(io.ErrClosedPipe)
		_ = s.Close()
	}()
	t.Cleanup(func() {
		c.Conn.Close(nil)
		<-ended
	})
	return c, nil
}

// Gone closes the session as a client does that leaves, and waits for that.
func (c *Client) Gone() {
	c.Conn.Close(nil)
	_ = c.Close()
}

// Conn is a [core.Conn] that takes everything and sends nothing. Make it with [NewConn].
type Conn struct {
	closed chan struct{}

	mu      sync.Mutex
	why     error
	flushed int
}

var _ core.Conn = (*Conn)(nil)

// NewConn returns a connection on loopback addresses.
func NewConn() *Conn { return &Conn{closed: make(chan struct{})} }

// NextReader waits for Close.
func (c *Conn) NextReader() (core.Kind, io.Reader, error) {
	<-c.closed
	return 0, nil, c.Why()
}

// WriteMessage forgets what it is given.
func (*Conn) WriteMessage(core.Kind, ...[]byte) error { return nil }

// Flush counts.
func (c *Conn) Flush() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.flushed++
	return nil
}

// Flushed returns how often Flush was called.
func (c *Conn) Flushed() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.flushed
}

// SetReadDeadline does nothing.
func (*Conn) SetReadDeadline(time.Time) error { return nil }

// LoggedIn does nothing.
func (*Conn) LoggedIn() {}

// Close ends NextReader. The first call counts.
func (c *Conn) Close(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	select {
	case <-c.closed:
		return
	default:
	}
	if err == nil {
		err = io.EOF
	}
	c.why = err
	close(c.closed)
}

// Why returns what the connection was closed with: io.EOF for nil, nil while it is open.
func (c *Conn) Why() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.why
}

// Closed waits for Close and returns why. After ten seconds the test fails.
func (c *Conn) Closed(t testing.TB) error {
	t.Helper()
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-c.closed:
		return c.Why()
	case <-timer.C:
		t.Fatal("the connection was not closed")
		return nil
	}
}

// Info implements core.Conn.
func (*Conn) Info() *core.ConnInfo {
	a := &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1}
	return &core.ConnInfo{ID: "coretest", Listener: "coretest", Transport: "coretest", Local: a, Remote: a}
}
