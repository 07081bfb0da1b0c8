package transporttest

import (
	"context"
	"errors"
	"net"
	"testing"
	"time"

	"github.com/wyemq/wye/core"
)

// Limits are what a check asks of the transport. All are set.
type Limits struct {
	MaxMessageSize, MaxMessageSizeBeforeLogin           int64
	LoginTimeout, WriteTimeout, Linger, ShutdownTimeout time.Duration
}

// Suite is a transport under test.
type Suite struct {
	// New returns a transport that will listen on a free port of 127.0.0.1, with these limits, no
	// idle timeout and no limit of connections.
	New func(t testing.TB, l Limits) core.Transport
	// Dial returns a client of the transport that is bound to addr.
	Dial func(t testing.TB, addr net.Addr) Client
	// Stream says that the transport carries no messages.
	Stream bool
	// Rests says that a silent connection whose protocol can rest (core.Rester) does so, within some seconds.
	Rests bool
	// Listen binds a listener for ServeListener of transports that have it; nil: such checks
	// are skipped. It is needed to count the system calls.
	Listen func(t testing.TB) net.Listener
}

// ListenerServer is an optional interface of a transport that can serve a listener made elsewhere.
type ListenerServer interface {
	ServeListener(ctx context.Context, l net.Listener, h core.Handler) error
}

// Client is the other side. One goroutine may receive while another sends.
type Client interface {
	// Send sends the parts as one message, each part in a segment (and frame, where there are such) of
	// its own. The client is not logged in to anything: the bytes are the check's.
	Send(k core.Kind, parts ...[]byte) error
	// Receive returns the next message, or on streams what has come. The error is io.EOF after an
	// orderly end, an *EndError where the transport gives a code and a reason.
	Receive() ([]byte, error)
	// Close takes an orderly leave.
	Close() error
	// NetConn is the connection below.
	NetConn() net.Conn
}

// EndError is the end of a connection as the peer explained it.
type EndError struct {
	Code   int
	Reason string
}

func (e *EndError) Error() string { return e.Reason }

// DefaultLimits are the limits of a check that asks for none of its own.
func DefaultLimits() Limits {
	return Limits{
		MaxMessageSize: 1 << 20, MaxMessageSizeBeforeLogin: 64 << 10,
		LoginTimeout: time.Minute, WriteTimeout: 5 * time.Second, Linger: 2 * time.Second, ShutdownTimeout: 10 * time.Second,
	}
}

// Check is one thing that must hold.
type Check struct {
	Name string
	Run  func(t testing.TB, s Suite)
}

// Checks lists all, for whoever wants to run some of them; Test runs all.
func Checks() []Check {
	return []Check{
		{"Info", info},
		{"Order", order},
		{"Sizes", sizes},
		{"Split", split},
		{"Writers", writers},
		{"Batching", batching},
		{"PeerCloses", peerCloses},
		{"PeerDrops", peerDrops},
		{"CloseElsewhere", closeElsewhere},
		{"CloseCountsOnce", closeCountsOnce},
		{"CloseIsBounded", closeIsBounded},
		{"CloseReason", closeReason},
		{"LastWordsAreRead", lastWordsAreRead},
		{"PeerGone", peerGone},
		{"ReadDeadline", readDeadline},
		{"Shutdown", shutdown},
		{"ShutdownIsBounded", shutdownIsBounded},
		{"SlowReader", slowReader},
		{"SlowButReading", slowButReading},
		{"TooBigBeforeLogin", tooBigBeforeLogin},
		{"ReadAheadOfLogin", readAheadOfLogin},
		{"TooBig", tooBig},
		{"LoginTimeout", loginTimeout},
		{"RefusalsAreTold", refusalsAreTold},
		{"LoginLiftsTimeout", loginLiftsTimeout},
		{"RestGoesOn", restGoesOn},
		{"RestEnds", restEnds},
		{"Panic", panics},
		{"ConnectAndDrop", connectAndDrop},
		{"Goroutines", goroutines},
	}
}

// Test runs every check on s.
func Test(t *testing.T, s Suite) {
	t.Helper()
	for _, c := range Checks() {
		t.Run(c.Name, func(t *testing.T) { c.Run(t, s) })
	}
}

// patience is how long a check waits for what must happen. It is not a measure of anything.
const patience = 20 * time.Second

// busy is a time in which everybody gets to run and a handshake is done, however busy the machine.
const busy = time.Second

// beside lets a check that does little but wait run at the same time as others of that kind, after all the rest.
func beside(t testing.TB) {
	if t, ok := t.(*testing.T); ok {
		t.Parallel()
	}
}

// handler is a core.Handler made of a function. It knows every subprotocol.
type handler func(ctx context.Context, c core.Conn) error

func (handler) Subprotocols() []string { return []string{"test"} }

func (handler) Select(offered []string) (string, bool) {
	if len(offered) == 0 {
		return "", false
	}
	return offered[0], true
}

func (h handler) ServeConn(ctx context.Context, c core.Conn) error { return h(ctx, c) }

// server is a transport that serves.
type server struct {
	t    testing.TB
	s    Suite
	addr net.Addr
	stop context.CancelFunc
	done chan struct{}
	err  error
}

func serve(t testing.TB, s Suite, l Limits, h handler) *server {
	t.Helper()
	tr := s.New(t, l)
	addr, err := tr.Listen(t.Context())
	if err != nil {
		t.Fatalf("Listen: %v", err)
	}
	return start(t, s, addr, func(ctx context.Context) error { return tr.Serve(ctx, h) })
}

func start(t testing.TB, s Suite, addr net.Addr, run func(context.Context) error) *server {
	ctx, cancel := context.WithCancel(context.Background())
	srv := &server{t: t, s: s, addr: addr, stop: cancel, done: make(chan struct{})}
	go func() { // end waits for it
		defer close(srv.done)
		srv.err = run(ctx)
	}()
	t.Cleanup(srv.end)
	return srv
}

// end stops the server and checks that it did so properly. It may be called several times.
func (s *server) end() {
	s.t.Helper()
	s.stop()
	select {
	case <-s.done:
		if s.err != nil {
			s.t.Errorf("Serve returned %v, want nil after its ctx was done", s.err)
		}
	case <-time.After(2 * patience):
		s.t.Errorf("Serve does not return although its ctx is done")
	}
}

// dial returns a client that is closed at the end, with bounded reads.
func (s *server) dial() Client {
	s.t.Helper()
	c := s.s.Dial(s.t, s.addr)
	_ = c.NetConn().SetReadDeadline(time.Now().Add(patience))
	s.t.Cleanup(func() { _ = c.NetConn().Close() })
	return c
}

// receive returns the next n bytes, whatever the messages they come in.
func receive(t testing.TB, c Client, n int) []byte {
	t.Helper()
	var all []byte
	for len(all) < n {
		b, err := c.Receive()
		all = append(all, b...)
		if err != nil {
			t.Fatalf("client: got %d of %d bytes, then %v", len(all), n, err)
		}
	}
	if len(all) > n {
		t.Fatalf("client: got %d bytes, want %d: %.100q", len(all), n, all)
	}
	return all
}

func send(t testing.TB, c Client, parts ...string) {
	t.Helper()
	bs := make([][]byte, len(parts))
	for i, p := range parts {
		bs[i] = []byte(p)
	}
	if err := c.Send(core.Binary, bs...); err != nil {
		t.Fatalf("client: send: %v", err)
	}
}

// endOf reads to the end and returns what came before, and the end.
func endOf(t testing.TB, c Client) (string, error) {
	t.Helper()
	var all []byte
	for {
		_ = c.NetConn().SetReadDeadline(time.Now().Add(patience))
		b, err := c.Receive()
		all = append(all, b...)
		if err == nil {
			continue
		}
		if isTimeout(err) {
			t.Fatalf("client: the connection does not end; got %.100q", all)
		}
		return string(all), err
	}
}

func isTimeout(err error) bool {
	var ne net.Error
	return errors.As(err, &ne) && ne.Timeout()
}

// wantEnd checks code and reason where the transport gives them.
func wantEnd(t testing.TB, err error, reason *core.Reason) {
	t.Helper()
	var end *EndError
	if !errors.As(err, &end) {
		return
	}
	if want := core.CloseCode(reason); end.Code != want {
		t.Errorf("client: close code %d (%s), want %d", end.Code, end.Reason, want)
	}
	if id := reason.ID(); len(end.Reason) < len(id) || end.Reason[:len(id)] != id {
		t.Errorf("client: close reason %q, want one that begins with %q", end.Reason, id)
	}
}

// await returns what comes through ch.
func await[T any](t testing.TB, ch <-chan T, what string) T {
	t.Helper()
	select {
	case v := <-ch:
		return v
	case <-time.After(patience):
		t.Fatalf("%s does not come", what)
		panic("not reached")
	}
}
