package wire_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/wyemq/wye/core"
	"github.com/wyemq/wye/transports/internal/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// session is the least that a transport does.
type session struct {
	wire.Conn
	serve func(*session) error
	said  error
}

func (s *session) Serve(context.Context) error { return s.serve(s) }

func (s *session) Goodbye(err error) {
	s.said = err
	s.Leave([]byte("bye"))
}

// run serves one connection over a pipe, in a bubble, to the end; client is the other side.
func run(t *testing.T, l wire.Limits, ping time.Duration, serve func(*session) error, client func(net.Conn, context.CancelFunc)) *session {
	t.Helper()
	s := &session{serve: serve}
	synctest.Test(t, func(t *testing.T) {
		h := &wire.Hub{Limits: l, Log: slog.New(slog.DiscardHandler), PingEvery: ping, Ping: []byte("ping")}
		ctx, cancel := context.WithCancel(t.Context())
		h.Start(ctx)
		var work sync.WaitGroup
		work.Go(h.Run)
		synctest.Wait()
		ours, theirs := net.Pipe()
		if err := h.Reserve(nil); err != nil {
			t.Fatal(err)
		}
		s.Attach(h, ours, &core.ConnInfo{ID: wire.NewID()})
		h.Serve(&s.Conn, s)
		client(theirs, cancel)
		cancel()
		_ = theirs.Close()
		work.Wait()
	})
	return s
}

func limits() wire.Limits {
	return wire.Limits{
		MaxMessageSize: 1000, MaxMessageSizeBeforeLogin: 100, LoginTimeout: 10 * time.Second, WriteTimeout: 10 * time.Second,
		Linger: 2 * time.Second, ShutdownTimeout: 5 * time.Second,
	}
}

// about checks a time that the clock of a hub has measured, in steps, and that a linger may have followed.
func about(t *testing.T, what string, got, want time.Duration) {
	t.Helper()
	if got < want || got > want+3*time.Second {
		t.Errorf("%s after %s, want %s", what, got, want)
	}
}

// readEnd reads until that fails, and returns why reads ended.
func readEnd(s *session) error {
	nc := wire.NewReader(s.Net())
	b := make([]byte, 10)
	for {
		n, err := nc.Read(b)
		s.Heard(n)
		if why := s.Ended(); why != nil {
			return why
		}
		if err != nil {
			return err
		}
	}
}

func TestClock(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*wire.Limits)
		login  bool
		want   error
		after  time.Duration
	}{
		{"login timeout", func(*wire.Limits) {}, false, core.ErrLoginTimeout, 10 * time.Second},
		{"idle timeout", func(l *wire.Limits) { l.IdleTimeout = 75 * time.Second }, true, core.ErrHeartbeat, 75 * time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := limits()
			c.change(&l)
			s := run(t, l, 0, func(s *session) error {
				if c.login {
					s.LoggedIn()
				}
				return readEnd(s)
			}, func(nc net.Conn, _ context.CancelFunc) {
				begun := time.Now()
				b, err := io.ReadAll(nc)
				about(t, "the end", time.Since(begun), c.after)
				if string(b) != "bye" || err != nil {
					t.Errorf("client: got %q, %v", b, err)
				}
			})
			if !errors.Is(s.said, c.want) {
				t.Errorf("ended with %v, want %v", s.said, c.want)
			}
		})
	}
}

// TestClockLetsLive: whoever is heard, or has a deadline of its own, is not idle.
func TestClockLetsLive(t *testing.T) {
	l := limits()
	l.IdleTimeout = 75 * time.Second
	for _, c := range []struct {
		name string
		own  bool
		says bool
	}{{"is heard", false, true}, {"has a deadline", true, false}} {
		t.Run(c.name, func(t *testing.T) {
			s := run(t, l, 25*time.Second, func(s *session) error {
				s.LoggedIn()
				if c.own {
					_ = s.SetReadDeadline(time.Now().Add(time.Hour))
				}
				return readEnd(s)
			}, func(nc net.Conn, _ context.CancelFunc) {
				pings := 0
				for begun := time.Now(); time.Since(begun) < 10*time.Minute; pings++ {
					b := make([]byte, 4)
					if _, err := io.ReadFull(nc, b); err != nil || string(b) != "ping" {
						t.Fatalf("after %s: %q, %v", time.Since(begun), b, err)
					}
					if c.says {
						_, _ = nc.Write([]byte("x"))
					}
				}
				if pings < 20 || pings > 25 {
					t.Errorf("%d pings in 10 minutes, one every 25 s", pings)
				}
			})
			if s.said != nil && !errors.Is(s.said, core.ErrShutdown) && !errors.Is(s.said, io.EOF) {
				t.Errorf("ended with %v", s.said)
			}
		})
	}
}

// TestWriteTimeout: exactly the time is granted to a peer that takes nothing; a byte now and then is enough.
func TestWriteTimeout(t *testing.T) {
	var took time.Duration
	s := run(t, limits(), 0, func(s *session) error {
		s.LoggedIn()
		begun := time.Now()
		_ = s.Append(nil, make([]byte, 10))
		err := s.Flush()
		took = time.Since(begun)
		if again := s.Append(nil, []byte("x")); !errors.Is(again, core.ErrSlowConsumer) {
			t.Errorf("then Append returns %v", again)
		}
		return err
	}, func(nc net.Conn, _ context.CancelFunc) {
		for range 5 {
			time.Sleep(7 * time.Second)
			if _, err := nc.Read(make([]byte, 1)); err != nil {
				t.Errorf("client: %v", err)
			}
		}
		time.Sleep(time.Minute)
	})
	if !errors.Is(s.said, core.ErrSlowConsumer) {
		t.Errorf("ended with %v, want ErrSlowConsumer", s.said)
	}
	about(t, "the end", took, 45*time.Second)
}

// TestShutdownTimeout: a handler that does not return is not waited for.
func TestShutdownTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		s := &session{serve: func(*session) error { <-release; return nil }}
		h := &wire.Hub{Limits: limits(), Log: slog.New(slog.DiscardHandler)}
		ctx, cancel := context.WithCancel(t.Context())
		h.Start(ctx)
		if err := h.Reserve(nil); err != nil {
			t.Fatal(err)
		}
		ours, theirs := net.Pipe()
		s.Attach(h, ours, &core.ConnInfo{ID: wire.NewID()})
		h.Serve(&s.Conn, s)
		begun := time.Now()
		cancel()
		h.Run()
		about(t, "the end of Run", time.Since(begun), 7*time.Second)
		if err := h.Reserve(nil); !errors.Is(err, core.ErrShutdown) {
			t.Errorf("Reserve after the end: %v", err)
		}
		close(release)
		_ = theirs.Close()
	})
}

// Whoever has one address of IPv6 has many, which count as one.
func TestReserveIPv6(t *testing.T) {
	l := limits()
	l.MaxConnectionsPerAddress = 2
	h := &wire.Hub{Limits: l, Log: slog.New(slog.DiscardHandler)}
	h.Start(t.Context())
	for i, c := range []struct {
		ip string
		ok bool
	}{
		{"2001:db8:0:1::1", true},
		{"2001:db8:0:1:ffff::2", true},
		{"2001:db8:0:1::3", false},
		{"2001:db8:0:2::1", true},
		{"::ffff:192.0.2.1", true},
		{"::ffff:192.0.2.2", true},
		{"192.0.2.1", true},
		{"::ffff:192.0.2.1", false},
	} {
		if err := h.Reserve(&net.TCPAddr{IP: net.ParseIP(c.ip), Port: 1000 + i}); (err == nil) != c.ok {
			t.Errorf("%s: %v", c.ip, err)
		}
	}
}

func TestReserve(t *testing.T) {
	l := limits()
	l.MaxConnections, l.MaxConnectionsPerAddress = 3, 2
	h := &wire.Hub{Limits: l, Log: slog.New(slog.DiscardHandler)}
	a, b := &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 1}, &net.TCPAddr{IP: net.IPv4(192, 0, 2, 2), Port: 1}
	if err := h.Reserve(a); !errors.Is(err, core.ErrUnavailable) {
		t.Errorf("before Start: %v", err)
	}
	h.Start(t.Context())
	for i, want := range []struct {
		addr net.Addr
		per  bool
		ok   bool
	}{{a, false, true}, {a, false, true}, {a, true, false}, {b, false, true}, {b, false, false}} {
		err := h.Reserve(want.addr)
		limit := new(wire.LimitError)
		if (err == nil) != want.ok || !want.ok && (!errors.As(err, &limit) || limit.PerAddress != want.per || !errors.Is(err, core.ErrLimit)) {
			t.Errorf("%d: %v", i, err)
		}
	}
	h.Release(a)
	if err := h.Reserve(b); err != nil {
		t.Errorf("after Release: %v", err)
	}
	if n := h.Stats().Ended["limit_exceeded"]; n != 2 {
		t.Errorf("%d refusals were counted, want 2", n)
	}
}

// TestReaddress: who is refused once his address is known gives his place back, and is counted once.
func TestReaddress(t *testing.T) {
	l := limits()
	l.MaxConnections, l.MaxConnectionsPerAddress = 2, 1
	addr := &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 1}
	synctest.Test(t, func(t *testing.T) {
		h := &wire.Hub{Limits: l, Log: slog.New(slog.DiscardHandler)}
		ctx, cancel := context.WithCancel(t.Context())
		h.Start(ctx)
		if err := h.Reserve(addr); err != nil {
			t.Fatal(err)
		}
		for i := range 3 {
			if err := h.Reserve(nil); err != nil {
				t.Fatalf("%d: %v", i, err)
			}
			s := &session{serve: func(s *session) error {
				s.Info().Remote = addr
				h.Readdress(&s.Conn)
				return s.Info().Refused
			}}
			ours, theirs := net.Pipe()
			var reading sync.WaitGroup
			reading.Go(func() { _, _ = io.Copy(io.Discard, theirs) }) // until it is closed
			s.Attach(h, ours, &core.ConnInfo{ID: wire.NewID()})
			h.Serve(&s.Conn, s)
			synctest.Wait()
			if !errors.Is(s.said, core.ErrLimit) {
				t.Errorf("%d: %v", i, s.said)
			}
			_ = ours.Close()
			reading.Wait()
			synctest.Wait()
		}
		if n := h.Stats().Ended["limit_exceeded"]; n != 3 {
			t.Errorf("%d refusals were counted, want 3", n)
		}
		h.Release(addr)
		cancel()
		h.Run()
	})
}

// TestReaddressRefused: who is refused once his address is known is served without a place, and not for long.
func TestReaddressRefused(t *testing.T) {
	l := limits()
	l.MaxConnections, l.MaxConnectionsPerAddress = 2, 1
	addr := &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 1}
	synctest.Test(t, func(t *testing.T) {
		h := &wire.Hub{Limits: l, Log: slog.New(slog.DiscardHandler)}
		ctx, cancel := context.WithCancel(t.Context())
		h.Start(ctx)
		var work sync.WaitGroup
		work.Go(h.Run)
		for _, from := range []net.Addr{addr, nil} {
			if err := h.Reserve(from); err != nil {
				t.Fatal(err)
			}
		}
		header := make(chan struct{})
		s := &session{serve: func(s *session) error {
			<-header
			s.Info().Remote = addr
			h.Readdress(&s.Conn)
			return readEnd(s)
		}}
		ours, theirs := net.Pipe()
		s.Attach(h, ours, &core.ConnInfo{ID: wire.NewID()})
		h.Serve(&s.Conn, s)
		time.Sleep(5 * time.Second)
		if err := h.Reserve(nil); !errors.Is(err, core.ErrLimit) {
			t.Errorf("a third connection: %v", err)
		}
		close(header)
		synctest.Wait()
		if err := h.Reserve(nil); err != nil {
			t.Errorf("in the place that was given back: %v", err)
		} else {
			h.Release(nil)
		}
		if n := h.Stats().Open; n != 0 { // those of Reserve are not served
			t.Errorf("%d connections are open", n)
		}
		begun := time.Now()
		b, err := io.ReadAll(theirs)
		about(t, "the end", time.Since(begun), 2*time.Second)
		if string(b) != "bye" || err != nil || !errors.Is(s.said, core.ErrLimit) {
			t.Errorf("client: %q, %v; said %v", b, err, s.said)
		}
		h.Release(addr)
		cancel()
		work.Wait()
	})
}

// Connections may come at a rate, in all and for each address; a second's worth of them at once.
func TestConnectionRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := limits()
		l.MaxConnectionRate, l.MaxConnectionRatePerAddress = 6, 4
		h := &wire.Hub{Limits: l, Log: slog.New(slog.DiscardHandler)}
		h.Start(t.Context())
		come := func(last byte, want int) {
			t.Helper()
			admitted := 0
			for range 20 {
				addr := &net.TCPAddr{IP: net.IPv4(192, 0, 2, last), Port: 1}
				err := h.Reserve(addr)
				if err == nil {
					admitted++
					h.Release(addr)
				} else if !errors.Is(err, core.ErrRate) {
					t.Errorf("refused with %v", err)
				}
			}
			if admitted != want {
				t.Errorf("address %d: %d were admitted, want %d", last, admitted, want)
			}
		}
		come(1, 4)
		come(2, 2)
		time.Sleep(time.Minute)
		come(1, 4)
		come(2, 2)
		come(3, 0)
		time.Sleep(500 * time.Millisecond)
		come(1, 2)
		come(3, 1)
		s := h.Stats().Limits
		if s["max_connection_rate_per_address"] == 0 || s["max_connection_rate"] == 0 {
			t.Errorf("counted: %v", s)
		}
	})
}

// A listener that is full serves some more connections, for a short time, so that they are told why.
func TestReserveToRefuse(t *testing.T) {
	h := &wire.Hub{Limits: limits(), Log: slog.New(slog.DiscardHandler)}
	if h.ReserveToRefuse() {
		t.Error("before Start")
	}
	h.Start(t.Context())
	n := 0
	for h.ReserveToRefuse() {
		if n++; n > 1000 {
			break
		}
	}
	if n != 128 {
		t.Errorf("%d places, want 128", n)
	}
}

// TestChange makes other limits hold for connections to come, and counts those that were there before.
func TestChange(t *testing.T) {
	l := limits()
	h := &wire.Hub{Limits: l, Log: slog.New(slog.DiscardHandler)}
	a := &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 1}
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		h.Start(ctx)
		open := func() error {
			if err := h.Reserve(a); err != nil {
				return err
			}
			s := &session{serve: func(s *session) error { <-ctx.Done(); return nil }}
			ours, theirs := net.Pipe()
			s.Attach(h, ours, &core.ConnInfo{ID: wire.NewID(), Remote: a})
			h.Serve(&s.Conn, s)
			t.Cleanup(func() { _ = theirs.Close() })
			return nil
		}
		for i, c := range []struct {
			all, each int
			ok        bool
		}{{0, 0, true}, {0, 2, true}, {0, 2, false}, {0, 0, true}, {3, 0, false}, {4, 0, true}, {0, 4, false}, {0, 5, true}} {
			next := l
			next.MaxConnections, next.MaxConnectionsPerAddress = c.all, c.each
			h.Change(next, 0)
			if got := h.Settings(); got != next {
				t.Errorf("%d: %+v", i, got)
			}
			if err := open(); (err == nil) != c.ok {
				t.Errorf("%d: %v", i, err)
			}
		}
		cancel()
		h.Run()
	})
}

func FuzzProxyHeader(f *testing.F) {
	f.Add([]byte("PROXY TCP4 192.0.2.1 198.51.100.1 4711 80\r\nrest"))
	f.Add([]byte("PROXY UNKNOWN\r\nrest"))
	f.Add([]byte("\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c\x01\x02\x03\x04\x05\x06\x07\x08\x00\x01\x00\x02rest"))
	f.Add([]byte("\r\n\r\n\x00\r\nQUIT\n\x20\x00\x00\x00rest"))
	f.Fuzz(func(t *testing.T, b []byte) {
		r := bytes.NewReader(b)
		from, to, err := wire.ReadProxyHeader(r)
		if (from == nil) != (to == nil) || err != nil && from != nil {
			t.Errorf("%v, %v, %v", from, to, err)
		}
		if err == nil && from != nil {
			line := fmt.Sprintf("PROXY TCP6 %s %s %d %d\r\n", from.(*net.TCPAddr).IP, to.(*net.TCPAddr).IP, from.(*net.TCPAddr).Port, to.(*net.TCPAddr).Port)
			again, _, err := wire.ReadProxyHeader(bytes.NewReader([]byte(line)))
			if err != nil || again.String() != from.String() {
				t.Errorf("%q is read as %v, %v", line, again, err)
			}
		}
	})
}
