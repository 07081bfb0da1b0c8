package protocoltest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"runtime/pprof"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wyemq/wye/core"
	"github.com/wyemq/wye/core/coretest"
)

// soon bounds everything that must not take long. Time is fake: a wait that is not needed costs
// nothing.
const soon = 5 * time.Second

// connLabel marks the goroutines of a connection in profiles.
const connLabel = "protocoltest.conn"

// env is one broker with the protocol, and what is connected to it, for the length of one check.
type env struct {
	t      *testing.T
	suite  *Suite
	broker *core.Broker
	proto  core.Protocol
	mux    *core.Mux
	log    *bytes.Buffer // of the Mux: panics
	ctx    context.Context
	stop   context.CancelFunc
	conns  []*conn
	plains []*coretest.Client
}

// conn is a client of the protocol.
type conn struct {
	Client
	e    *env
	peer *Peer
	id   string
	told uint64 // messages the peer had been sent when mark was called
}

// newEnv makes a broker and the protocol. When the check has ended, everything is closed in order,
// and what is left over fails the check. There is one for each check.
func newEnv(t *testing.T, s *Suite, opts ...coretest.Option) *env {
	t.Helper()
	e := &env{t: t, suite: s, log: new(bytes.Buffer)}
	e.broker = coretest.Broker(t, opts...)
	e.proto = s.New(e.broker)
	mux, err := core.NewMux(slog.New(slog.NewTextHandler(e.log, nil)), e.proto)
	if err != nil {
		t.Fatalf("a Mux does not take the protocol: %v", err)
	}
	e.mux = mux
	e.ctx, e.stop = context.WithCancel(t.Context())
	t.Cleanup(runRunner(t, e.proto))
	t.Cleanup(e.finish)
	return e
}

// runRunner runs a protocol that is a Runner, and returns what ends it.
func runRunner(t testing.TB, p core.Protocol) (stop func()) {
	t.Helper()
	r, ok := p.(core.Runner)
	if !ok {
		return func() {}
	}
	ctx, cancel := context.WithCancel(context.Background())
	ready, ended := make(chan struct{}), make(chan error, 1)
	go func() { ended <- r.Run(ctx, func() { close(ready) }) }()
	select {
	case <-ready:
	case err := <-ended:
		t.Fatalf("Run returned before it was ready: %v", err)
	case <-time.After(soon):
		t.Fatalf("Run did not call ready for %s", soon)
	}
	return func() {
		cancel()
		select {
		case err := <-ended:
			if err != nil {
				t.Errorf("Run returned %v when its ctx was done, want nil", err)
			}
		case <-time.After(soon):
			t.Errorf("Run has not returned %s after its ctx was done", soon)
		}
	}
}

// pipe returns the kind of connection that p is tested on.
func (s *Suite) pipe(p core.Protocol) PipeOptions {
	o := s.Pipe
	if tokens := p.Subprotocols(); o.Subprotocol == "" && !o.Stream && len(tokens) > 0 {
		o.Subprotocol = tokens[0]
	}
	return o
}

// finish closes all that is connected, and looks for what is left over.
func (e *env) finish() {
	for _, c := range e.plains {
		c.Gone()
	}
	for _, c := range e.conns {
		c.peer.Close()
	}
	for _, c := range e.conns {
		if _, _, ok := c.peer.Closed(soon); !ok {
			e.t.Errorf("%s: ServeConn has not returned %s after the peer closed", c.id, soon)
		}
	}
	e.stop()
	for _, c := range e.conns {
		_, err, ok := c.peer.Closed(soon)
		if !ok {
			e.t.Fatalf("%s: ServeConn has not returned %s after its ctx was done", c.id, soon)
		}
		if errors.Is(err, core.ErrInternal) {
			e.t.Errorf("%s: ServeConn returned an internal error: %v", c.id, err)
		}
	}
	synctest.Wait()
	if e.log.Len() > 0 {
		e.t.Errorf("the Mux logged: %s", strings.ReplaceAll(e.log.String(), `\n`, "\n"))
	}
	if n := e.broker.Stats().Sessions; n > 0 {
		e.t.Errorf("%d sessions are left in the broker after every connection has ended: Session.Close was not called", n)
	}
	e.strays()
}

// strays fails the check when goroutines that connections have started are still there.
func (e *env) strays() {
	var buf bytes.Buffer
	_ = pprof.Lookup("goroutine").WriteTo(&buf, 1) // writes to memory do not fail
	for stack := range strings.SplitSeq(buf.String(), "\n\n") {
		if strings.Contains(stack, connLabel) && strings.Contains(stack, e.t.Name()+"#") {
			e.t.Errorf("a goroutine is left after ServeConn has returned:\n%s", stack)
		}
	}
}

// dial connects without a login.
func (e *env) dial() *conn {
	e.t.Helper()
	o := e.suite.pipe(e.proto)
	o.ID = fmt.Sprintf("%s#%d", e.t.Name(), len(e.conns)+1)
	o.Rests = len(e.conns)%2 == 0 // what holds for those that rest holds for all
	pipe, peer := NewPipe(e.ctx, o)
	go pprof.Do(e.ctx, pprof.Labels(connLabel, o.ID), func(ctx context.Context) {
		pipe.Finish(pipe.Run(func() error { return e.mux.ServeConn(ctx, pipe) }))
	})
	c := &conn{e: e, peer: peer, id: o.ID}
	c.Client = e.suite.Client(e.t, peer)
	e.conns = append(e.conns, c)
	return c
}

// connect connects and logs in.
func (e *env) connect() *conn {
	e.t.Helper()
	c := e.dial()
	if err := c.Connect(Login{}); err != nil {
		e.t.Fatalf("%s: connect: %v", c.id, err)
	}
	synctest.Wait()
	return c
}

// plain opens a session of the core, without the protocol.
func (e *env) plain(l core.Login) *coretest.Client {
	e.t.Helper()
	c := coretest.Connect(e.t, e.broker, l)
	e.plains = append(e.plains, c)
	return c
}

// publish publishes through the core.
func (e *env) publish(c *coretest.Client, m *core.Message) {
	e.t.Helper()
	if err := c.Publish(e.ctx, m, nil); err != nil {
		e.t.Fatalf("publish through the core: %v", err)
	}
}

// subscribe subscribes and waits until that has been worked off.
func (c *conn) subscribe(filter string) {
	c.e.t.Helper()
	if err := c.Subscribe(filter); err != nil {
		c.e.t.Fatalf("%s: subscribe %s: %v", c.id, filter, err)
	}
	synctest.Wait()
}

// publish publishes and waits until that has been worked off.
func (c *conn) publish(dest string, body []byte) {
	c.e.t.Helper()
	if err := c.Publish(dest, body); err != nil {
		c.e.t.Fatalf("%s: publish to %s: %v", c.id, dest, err)
	}
	synctest.Wait()
}

// expect fails the check unless the next delivery is this.
func (c *conn) expect(dest string, body []byte) Delivery {
	c.e.t.Helper()
	d, err := c.Receive(soon)
	if err != nil {
		c.e.t.Fatalf("%s: receive: %v; want %.60q on %s", c.id, c.ended(err), body, dest)
	}
	if d.Destination != dest || !bytes.Equal(d.Body, body) {
		c.e.t.Fatalf("%s: received %.60q on %s, want %.60q on %s", c.id, d.Body, d.Destination, body, dest)
	}
	return d
}

// quiet fails the check when a delivery comes.
func (c *conn) quiet() {
	c.e.t.Helper()
	d, err := c.Receive(time.Second)
	if err == nil {
		c.e.t.Fatalf("%s: received %.60q on %s, want nothing", c.id, d.Body, d.Destination)
	}
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		c.e.t.Fatalf("%s: receive: %v; want the connection to go on, silent", c.id, c.ended(err))
	}
}

// ended adds why the broker has closed to err.
func (c *conn) ended(err error) error {
	if _, why, ok := c.peer.Closed(0); ok {
		return fmt.Errorf("%w (ServeConn has returned %w)", err, why)
	}
	return err
}

// mark begins to look whether the peer is told something.
func (c *conn) mark() { c.told = c.peer.told() }

// end waits for the end of the connection, which must come soon with an error that wraps want
// (nil: any, if not nil), and fails the check unless the peer was told why since mark.
func (c *conn) end(what string, want error) {
	c.e.t.Helper()
	_, err, ok := c.peer.Closed(soon)
	switch {
	case !ok:
		c.e.t.Fatalf("%s: %s: ServeConn has not returned after %s", c.id, what, soon)
	case err == nil:
		c.e.t.Errorf("%s: %s: ServeConn returned nil, want an error", c.id, what)
	case want != nil && !errors.Is(err, want):
		c.e.t.Errorf("%s: %s: ServeConn returned %q, want an error that wraps %q", c.id, what, err, want)
	}
	if c.peer.told() == c.told && !c.e.lacks(Goodbye) {
		c.e.t.Errorf("%s: %s: the peer was not told before the connection ended", c.id, what)
	}
}

// pair is two clients that must not notice what happens to others.
type pair struct {
	from, to *conn
	n        int
}

const pairTopic = "topic/kit/bystanders"

func (e *env) pair() *pair {
	e.t.Helper()
	p := &pair{from: e.connect(), to: e.connect()}
	p.to.subscribe(pairTopic)
	return p
}

// exchange sends a message from one to the other.
func (p *pair) exchange() {
	p.from.e.t.Helper()
	p.n++
	body := fmt.Appendf(nil, "%d", p.n)
	p.from.publish(pairTopic, body)
	p.to.expect(pairTopic, body)
}
