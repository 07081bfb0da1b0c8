package tcp_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/wyemq/wye/core"
	"github.com/wyemq/wye/core/transporttest"
	"github.com/wyemq/wye/transports/tcp"
)

// recorder is a testing.TB that notes failures instead of reporting them.
type recorder struct {
	testing.TB
	mu       sync.Mutex
	failed   []string
	cleanups []func()
}

func (r *recorder) Errorf(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failed = append(r.failed, fmt.Sprintf(format, args...))
}

func (r *recorder) Fatalf(format string, args ...any) {
	r.Errorf(format, args...)
	runtime.Goexit()
}

func (r *recorder) Fatal(args ...any) { r.Fatalf("%s", fmt.Sprint(args...)) }
func (r *recorder) Cleanup(f func())  { r.cleanups = append(r.cleanups, f) }

// run returns what fails of a check.
func run(t *testing.T, c transporttest.Check, s transporttest.Suite) []string {
	r := &recorder{TB: t}
	var work sync.WaitGroup
	work.Go(func() { c.Run(r, s) })
	work.Wait()
	work.Go(func() {
		for _, f := range slices.Backward(r.cleanups) {
			f()
		}
	})
	work.Wait()
	return r.failed
}

// faulty is a transport whose connections are changed.
type faulty struct {
	*tcp.Transport
	change func(core.Conn) core.Conn
}

func (f *faulty) Serve(ctx context.Context, h core.Handler) error {
	return f.Transport.Serve(ctx, changed{h, f.change})
}

func (f *faulty) ServeListener(ctx context.Context, l net.Listener, h core.Handler) error {
	return f.Transport.ServeListener(ctx, l, changed{h, f.change})
}

type changed struct {
	core.Handler
	change func(core.Conn) core.Conn
}

func (c changed) ServeConn(ctx context.Context, conn core.Conn) error {
	return c.Handler.ServeConn(ctx, c.change(conn))
}

// TestBrokenTransports: a check that cannot fail is none.
func TestBrokenTransports(t *testing.T) {
	otherError := func(which error) func(core.Conn) core.Conn {
		return func(c core.Conn) core.Conn { return &lying{Conn: c, hide: which} }
	}
	for _, c := range []struct {
		check, defect string
		change        func(core.Conn) core.Conn
	}{
		{"Info", "has no addresses", func(c core.Conn) core.Conn { return &nameless{c} }},
		{"Order", "changes bytes", func(c core.Conn) core.Conn { return &garbling{c} }},
		{"Sizes", "changes bytes", func(c core.Conn) core.Conn { return &garbling{c} }},
		{"Writers", "tears messages", func(c core.Conn) core.Conn { return &tearing{c} }},
		{"Batching", "flushes each message", func(c core.Conn) core.Conn { return &eager{c} }},
		{"PeerCloses", "reports an orderly close as an error", otherError(io.EOF)},
		{"CloseElsewhere", "does not return the error of Close", otherError(core.ErrTakenOver)},
		{"CloseElsewhere", "ends writes with Close", func(c core.Conn) core.Conn { return &mute{Conn: c} }},
		{"CloseCountsOnce", "counts the last Close", func(c core.Conn) core.Conn { return &forgetful{Conn: c} }},
		{"ReadDeadline", "hides the deadline", otherError(os.ErrDeadlineExceeded)},
		{"Shutdown", "hides the shutdown", otherError(core.ErrShutdown)},
		{"SlowReader", "hides the slow consumer", otherError(core.ErrSlowConsumer)},
		{"TooBigBeforeLogin", "hides the limit", otherError(core.ErrTooBig)},
		{"LoginTimeout", "hides the timeout", otherError(core.ErrLoginTimeout)},
		{"RestGoesOn", "ends where it should go on", func(c core.Conn) core.Conn { return &tired{c} }},
		{"RestEnds", "does not return the error of Close", otherError(core.ErrTakenOver)},
	} {
		t.Run(c.check+" "+c.defect, func(t *testing.T) {
			t.Parallel()
			s := suite()
			whole := s.New
			s.New = func(t testing.TB, l transporttest.Limits) core.Transport {
				inner, _ := whole(t, l).(*tcp.Transport)
				return &faulty{inner, c.change}
			}
			if !s.Rests && strings.HasPrefix(c.check, "Rest") {
				t.Skip("connections do not rest here")
			}
			i := slices.IndexFunc(transporttest.Checks(), func(k transporttest.Check) bool { return k.Name == c.check })
			if failed := run(t, transporttest.Checks()[i], s); len(failed) == 0 {
				t.Errorf("the check %s passes on a transport that %s", c.check, c.defect)
			}
		})
	}
}

// lying returns another error than the one it hides.
type lying struct {
	core.Conn
	hide error
}

// Rest implements core.Rester.
func (c *lying) Rest(resume func() error) { core.MayRest(c.Conn, resume) }

// tired does not go on after its rest.
type tired struct{ core.Conn }

func (c *tired) Rest(func() error) { core.MayRest(c.Conn, func() error { return nil }) }

var errOther = errors.New("another error")

func (c *lying) lie(err error) error {
	if errors.Is(err, c.hide) {
		return errOther
	}
	return err
}

func (c *lying) NextReader() (core.Kind, io.Reader, error) {
	k, r, err := c.Conn.NextReader()
	return k, &lyingReader{c, r}, c.lie(err)
}

func (c *lying) WriteMessage(k core.Kind, parts ...[]byte) error {
	return c.lie(c.Conn.WriteMessage(k, parts...))
}
func (c *lying) Flush() error { return c.lie(c.Conn.Flush()) }

type lyingReader struct {
	c *lying
	r io.Reader
}

func (r *lyingReader) Read(b []byte) (int, error) {
	n, err := r.r.Read(b)
	return n, r.c.lie(err)
}

type nameless struct{ core.Conn }

func (*nameless) Info() *core.ConnInfo { return &core.ConnInfo{Stream: true} }

type garbling struct{ core.Conn }

func (c *garbling) WriteMessage(k core.Kind, parts ...[]byte) error {
	for _, p := range parts {
		p[len(p)/2]++
	}
	return c.Conn.WriteMessage(k, parts...)
}

type tearing struct{ core.Conn }

func (c *tearing) WriteMessage(k core.Kind, parts ...[]byte) error {
	for _, p := range parts {
		if err := c.Conn.WriteMessage(k, p); err != nil {
			return err
		}
		runtime.Gosched()
	}
	return nil
}

type eager struct{ core.Conn }

func (c *eager) WriteMessage(k core.Kind, parts ...[]byte) error {
	if err := c.Conn.WriteMessage(k, parts...); err != nil {
		return err
	}
	return c.Flush()
}

// mute writes nothing any more after Close.
type mute struct {
	core.Conn
	mu     sync.Mutex
	closed bool
}

func (c *mute) Close(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	c.Conn.Close(err)
}

func (c *mute) WriteMessage(k core.Kind, parts ...[]byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return net.ErrClosed
	}
	return c.Conn.WriteMessage(k, parts...)
}

// forgetful returns the error of the last Close.
type forgetful struct {
	core.Conn
	why error
}

func (c *forgetful) Close(err error) {
	c.why = err
	c.Conn.Close(err)
}

func (c *forgetful) NextReader() (core.Kind, io.Reader, error) { return 0, nil, c.why }
