package transporttest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/wyemq/wye/core"
)

// each calls f with what comes, until the reads end, and returns why; nil for io.EOF.
func each(c core.Conn, f func(k core.Kind, b []byte) error) error {
	buf := make([]byte, 4096)
	for {
		k, r, err := c.NextReader()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		var whole []byte
		for {
			n, err := r.Read(buf)
			if c.Info().Stream && n > 0 {
				if err := f(k, buf[:n]); err != nil {
					return err
				}
			} else {
				whole = append(whole, buf[:n]...)
			}
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				return err
			}
		}
		if c.Info().Stream {
			return nil
		}
		if err := f(k, whole); err != nil {
			return err
		}
	}
}

// echo sends everything back.
func echo(_ context.Context, c core.Conn) error {
	c.LoggedIn()
	return each(c, func(k core.Kind, b []byte) error {
		if err := c.WriteMessage(k, b); err != nil {
			return err
		}
		return c.Flush()
	})
}

func info(t testing.TB, s Suite) {
	infos := make(chan *core.ConnInfo, 2)
	srv := serve(t, s, DefaultLimits(), func(ctx context.Context, c core.Conn) error {
		if first := c.Info(); c.Info() != first {
			t.Errorf("Info returns something new each time")
		}
		infos <- c.Info()
		return echo(ctx, c)
	})
	ids := make(map[string]bool)
	for range 2 {
		c := srv.dial()
		i := await(t, infos, "the connection")
		ids[i.ID] = true
		if i.Local == nil || i.Local.String() != c.NetConn().RemoteAddr().String() {
			t.Errorf("Local is %v, the client dialled %v", i.Local, c.NetConn().RemoteAddr())
		}
		if i.Remote == nil || i.Remote.String() != c.NetConn().LocalAddr().String() {
			t.Errorf("Remote is %v, the client is %v", i.Remote, c.NetConn().LocalAddr())
		}
		if !i.Loopback() {
			t.Errorf("Loopback is false for %v - %v", i.Local, i.Remote)
		}
		if i.Stream != s.Stream || i.Transport == "" || i.Listener == "" {
			t.Errorf("Info is %+v", i)
		}
	}
	if len(ids) != 2 || ids[""] {
		t.Errorf("the ids of two connections are %v", ids)
	}
}

func order(t testing.TB, s Suite) {
	srv := serve(t, s, DefaultLimits(), echo)
	c := srv.dial()
	var want strings.Builder
	for i := range 1000 {
		m := fmt.Sprintf("message %d;", i)
		want.WriteString(m)
		send(t, c, m)
	}
	if got := receive(t, c, want.Len()); string(got) != want.String() {
		t.Errorf("1,000 messages came back in another order or changed")
	}
}

func sizes(t testing.TB, s Suite) {
	srv := serve(t, s, DefaultLimits(), echo)
	c := srv.dial()
	for _, n := range []int{1, 125, 126, 127, 4095, 4096, 32<<10 - 1, 32 << 10, 32<<10 + 1, 1<<16 - 1, 1 << 16, 300_000, 1 << 20} {
		b := make([]byte, n)
		for i := range b {
			b[i] = byte(i * 7)
		}
		if err := c.Send(core.Binary, b); err != nil {
			t.Fatalf("send %d bytes: %v", n, err)
		}
		if got := receive(t, c, n); !bytes.Equal(got, b) {
			t.Errorf("a message of %d bytes came back changed", n)
		}
	}
}

func split(t testing.TB, s Suite) {
	seen := make(chan string, 10)
	srv := serve(t, s, DefaultLimits(), func(_ context.Context, c core.Conn) error {
		c.LoggedIn()
		return each(c, func(_ core.Kind, b []byte) error {
			seen <- string(b)
			return nil
		})
	})
	c := srv.dial()
	const want = "one message in three pieces"
	send(t, c, "one ", "message in", " three pieces")
	got := ""
	for len(got) < len(want) {
		got += await(t, seen, "the message")
		if !s.Stream {
			break
		}
	}
	if got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func peerCloses(t testing.TB, s Suite) {
	ends := make(chan error, 1)
	srv := serve(t, s, DefaultLimits(), func(_ context.Context, c core.Conn) error {
		c.LoggedIn()
		for {
			_, r, err := c.NextReader()
			if err == nil {
				_, err = io.Copy(io.Discard, r)
				if err == nil && c.Info().Stream {
					err = io.EOF // io.Copy swallows it
				}
			}
			if err != nil {
				ends <- err
				return err
			}
		}
	})
	c := srv.dial()
	send(t, c, "hello")
	if err := c.Close(); err != nil {
		t.Fatalf("client: Close: %v", err)
	}
	if err := await(t, ends, "the end"); !errors.Is(err, io.EOF) {
		t.Errorf("reads end with %v after an orderly close by the peer, want io.EOF", err)
	}
}

func peerDrops(t testing.TB, s Suite) {
	ends := make(chan error, 1)
	srv := serve(t, s, DefaultLimits(), func(ctx context.Context, c core.Conn) error {
		err := echo(ctx, c)
		ends <- err
		return err
	})
	c, other := srv.dial(), srv.dial()
	send(t, c, "hello")
	receive(t, c, 5)
	_ = c.NetConn().Close()
	_ = await(t, ends, "the end")
	send(t, other, "still here")
	receive(t, other, 10)
}

func readDeadline(t testing.TB, s Suite) {
	ends := make(chan error, 1)
	srv := serve(t, s, DefaultLimits(), func(ctx context.Context, c core.Conn) error {
		c.LoggedIn()
		_ = c.SetReadDeadline(time.Now().Add(time.Hour))
		timer := time.AfterFunc(20*time.Millisecond, func() { _ = c.SetReadDeadline(time.Now().Add(-time.Second)) })
		defer timer.Stop()
		err := each(c, func(core.Kind, []byte) error { return nil })
		ends <- err
		return err
	})
	srv.dial()
	if err := await(t, ends, "the deadline"); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("a read under way ended with %v after its deadline had passed, want os.ErrDeadlineExceeded", err)
	}
}

func tooBigBeforeLogin(t testing.TB, s Suite) {
	l := DefaultLimits()
	l.MaxMessageSizeBeforeLogin = 1000
	ends := make(chan error, 1)
	srv := serve(t, s, l, func(_ context.Context, c core.Conn) error {
		n := 0
		err := each(c, func(_ core.Kind, b []byte) error {
			if n += len(b); n > 1000 {
				t.Errorf("%d bytes were read before login, the limit is 1,000", n)
			}
			return nil
		})
		if n < 600 {
			t.Errorf("only %d bytes were read before login, the limit is 1,000", n)
		}
		ends <- err
		return err
	})
	c := srv.dial()
	send(t, c, strings.Repeat("x", 600))
	_ = c.Send(core.Binary, bytes.Repeat([]byte("y"), 200), bytes.Repeat([]byte("y"), 300))
	if err := await(t, ends, "the end"); !errors.Is(err, core.ErrTooBig) {
		t.Errorf("reads end with %v, want ErrTooBig", err)
	}
	_, err := endOf(t, c)
	wantEnd(t, err, core.ErrTooBig)
}

func readAheadOfLogin(t testing.TB, s Suite) {
	l := DefaultLimits()
	l.MaxMessageSizeBeforeLogin = 1000
	done := make(chan int, 1)
	srv := serve(t, s, l, func(_ context.Context, c core.Conn) error {
		n := 0
		err := each(c, func(_ core.Kind, b []byte) error {
			c.LoggedIn() // with the first of what comes
			n += len(b)
			if n >= 500+50_000 {
				done <- n
			}
			return nil
		})
		return err
	})
	c := srv.dial()
	send(t, c, strings.Repeat("x", 500))
	send(t, c, strings.Repeat("y", 50_000))
	await(t, done, "what was sent behind the login")
}

func tooBig(t testing.TB, s Suite) {
	if s.Stream {
		return // there are no messages
	}
	l := DefaultLimits()
	l.MaxMessageSize = 1000
	ends := make(chan error, 1)
	srv := serve(t, s, l, func(ctx context.Context, c core.Conn) error {
		err := echo(ctx, c)
		ends <- err
		return err
	})
	c, other := srv.dial(), srv.dial()
	exact := strings.Repeat("x", 1000)
	send(t, c, exact)
	receive(t, c, 1000)
	_ = c.Send(core.Binary, []byte(exact[:500]), []byte(exact[:501]))
	if err := await(t, ends, "the end"); !errors.Is(err, core.ErrTooBig) {
		t.Errorf("reads end with %v, want ErrTooBig", err)
	}
	_, err := endOf(t, c)
	wantEnd(t, err, core.ErrTooBig)
	send(t, other, "undisturbed")
	receive(t, other, 11)
}

func loginTimeout(t testing.TB, s Suite) {
	beside(t)
	l := DefaultLimits()
	l.LoginTimeout = busy
	ends := make(chan error, 1)
	srv := serve(t, s, l, func(_ context.Context, c core.Conn) error {
		err := each(c, func(core.Kind, []byte) error { return nil })
		ends <- err
		return err
	})
	c := srv.dial()
	go func() { // ends with the connection: a client that sends a little all the time
		for range time.Tick(l.LoginTimeout / 10) {
			if c.Send(core.Binary, []byte("x")) != nil {
				return
			}
		}
	}()
	if err := await(t, ends, "the end"); !errors.Is(err, core.ErrLoginTimeout) {
		t.Errorf("reads end with %v, want ErrLoginTimeout", err)
	}
	if !s.Stream {
		_, err := endOf(t, c)
		wantEnd(t, err, core.ErrLoginTimeout)
	}
}

// watched is a handler that is told of refusals.
type watched struct {
	handler
	told chan error
}

var _ core.Doorkeeper = watched{}

func (watched) Admit() error { return nil }

func (w watched) Refused(_ *core.ConnInfo, err error) { w.told <- err }

// refusalsAreTold: of who ends without login, and not for its own wish, the Doorkeeper hears once; of others it does not.
func refusalsAreTold(t testing.TB, s Suite) {
	h := watched{func(_ context.Context, c core.Conn) error {
		return each(c, func(_ core.Kind, b []byte) error {
			switch b[0] {
			case 'l':
				c.LoggedIn()
				return core.ErrAdmin
			case 'e':
				return core.ErrInvalid
			}
			return nil
		})
	}, make(chan error, 10)}
	l := DefaultLimits()
	l.Linger = 100 * time.Millisecond
	tr := s.New(t, l)
	addr, err := tr.Listen(t.Context())
	if err != nil {
		t.Fatalf("Listen: %v", err)
	}
	srv := start(t, s, addr, func(ctx context.Context) error { return tr.Serve(ctx, h) })
	for _, what := range []string{"logged in", "early"} {
		c := srv.dial()
		send(t, c, what)
		_, _ = endOf(t, c)
	}
	_ = srv.dial().Close()
	if err := await(t, h.told, "what the Doorkeeper hears"); !errors.Is(err, core.ErrInvalid) {
		t.Errorf("the Doorkeeper hears %v, want the end of who was not logged in", err)
	}
	_ = srv.dial() // who is there at the end is not refused
	srv.end()
	if n := len(h.told); n > 0 {
		t.Errorf("the Doorkeeper hears %d times more: %v", n, <-h.told)
	}
}

func loginLiftsTimeout(t testing.TB, s Suite) {
	beside(t)
	l := DefaultLimits()
	l.LoginTimeout = busy
	gone := make(chan error, 1)
	srv := serve(t, s, l, func(ctx context.Context, c core.Conn) error {
		err := echo(ctx, c)
		gone <- err
		return err
	})
	c := srv.dial()
	send(t, c, "x")
	receive(t, c, 1)
	select {
	case err := <-gone:
		t.Fatalf("a connection that is logged in ended with %v", err)
	case <-time.After(2 * l.LoginTimeout):
	}
	send(t, c, "still here")
	receive(t, c, 10)
}
