package transporttest

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/wyemq/wye/core"
)

func writers(t testing.TB, s Suite) {
	const number, each = 8, 150
	srv := serve(t, s, DefaultLimits(), func(ctx context.Context, c core.Conn) error {
		c.LoggedIn()
		var work sync.WaitGroup
		for w := range number {
			work.Go(func() {
				for i := range each {
					body := bytes.Repeat([]byte{byte(w)}, []int{1, 100, 3000, 40_000, 70_000}[(i+w)%5])
					var head [8]byte
					binary.BigEndian.PutUint32(head[:], uint32(w<<16|i))
					binary.BigEndian.PutUint32(head[4:], uint32(len(body)))
					if err := c.WriteMessage(core.Binary, head[:], body[:len(body)/2], body[len(body)/2:]); err != nil {
						t.Errorf("WriteMessage: %v", err)
					}
					if i%3 == 0 {
						_ = c.Flush() // a failure comes again
					}
				}
			})
		}
		work.Wait()
		return c.Flush()
	})
	c := srv.dial()
	all, _ := endOf(t, c)
	var next [number]int
	for b := []byte(all); len(b) > 0; {
		if len(b) < 8 {
			t.Fatalf("%d bytes are left over", len(b))
		}
		id, n := binary.BigEndian.Uint32(b), int(binary.BigEndian.Uint32(b[4:]))
		w, i := int(id>>16), int(id&0xffff)
		if w >= number || i != next[w] || len(b) < 8+n || bytes.Count(b[8:8+n], []byte{byte(w)}) != n {
			t.Fatalf("a message was torn or came out of order: writer %d, message %d of %d bytes", w, i, n)
		}
		next[w]++
		b = b[8+n:]
	}
	for w, n := range next {
		if n != each {
			t.Errorf("of writer %d came %d messages, want %d", w, n, each)
		}
	}
}

// counting counts the writes of the connections it accepts.
type counting struct {
	net.Listener
	writes atomic.Int64
}

func (l *counting) Accept() (net.Conn, error) {
	nc, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &counted{nc, l}, nil
}

type counted struct {
	net.Conn
	l *counting
}

// CloseWrite keeps the half-close of the connection below.
func (c *counted) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}

func (c *counted) Write(b []byte) (int, error) {
	c.l.writes.Add(1)
	return c.Conn.Write(b)
}

func batching(t testing.TB, s Suite) {
	tr, ok := s.New(t, DefaultLimits()).(ListenerServer)
	if !ok || s.Listen == nil {
		t.Skip("the transport cannot serve a listener made elsewhere, so its writes cannot be counted")
	}
	const most = 4
	l := &counting{Listener: s.Listen(t)}
	srv := start(t, s, l.Addr(), func(ctx context.Context) error {
		return tr.ServeListener(ctx, l, handler(func(_ context.Context, c core.Conn) error {
			c.LoggedIn()
			before := l.writes.Load()
			for range 1000 {
				if err := c.WriteMessage(core.Binary, []byte("sixteen"), []byte(" byte"), []byte("s..\n")); err != nil {
					return err
				}
			}
			if err := c.Flush(); err != nil {
				return err
			}
			if n := l.writes.Load() - before; n > most {
				t.Errorf("1,000 messages of 16 bytes and a Flush cost %d writes, want %d at most", n, most)
			}
			return nil
		}))
	})
	c := srv.dial()
	if got, _ := endOf(t, c); len(got) != 16_000 {
		t.Errorf("client: got %d bytes, want 16,000", len(got))
	}
}

// push writes until that fails.
func push(c core.Conn, size int) error {
	b := make([]byte, size)
	for {
		if err := c.WriteMessage(core.Binary, b); err != nil {
			return err
		}
		if err := c.Flush(); err != nil {
			return err
		}
	}
}

func slowReader(t testing.TB, s Suite) {
	beside(t)
	l := DefaultLimits()
	l.WriteTimeout, l.Linger = busy, 200*time.Millisecond
	wrote, read := make(chan error, 1), make(chan error, 1)
	srv := serve(t, s, l, func(ctx context.Context, c core.Conn) error {
		c.LoggedIn()
		_, r, err := c.NextReader()
		if err != nil {
			return err
		}
		var b [1]byte
		if _, err := r.Read(b[:]); err != nil {
			return err
		}
		if b[0] != 'p' {
			return echo(ctx, c)
		}
		var work sync.WaitGroup
		work.Go(func() { wrote <- push(c, 10_000) })
		err = each(c, func(core.Kind, []byte) error { return nil })
		read <- err
		work.Wait()
		return err
	})
	stuck, other := srv.dial(), srv.dial()
	send(t, stuck, "p")
	send(t, other, "e")
	for {
		select {
		case err := <-wrote:
			if !errors.Is(err, core.ErrSlowConsumer) {
				t.Errorf("writing to a peer that reads nothing ended with %v, want ErrSlowConsumer", err)
			}
			if err := await(t, read, "the end of the reads"); !errors.Is(err, core.ErrSlowConsumer) {
				t.Errorf("reads end with %v, want ErrSlowConsumer", err)
			}
			return
		case <-time.After(10 * time.Millisecond):
			begun := time.Now()
			send(t, other, "undisturbed")
			receive(t, other, 11)
			if d := time.Since(begun); d > l.WriteTimeout {
				t.Errorf("another connection was answered after %s", d)
			}
		}
	}
}

// slowButReading: what counts is that the peer takes something, not how much.
func slowButReading(t testing.TB, s Suite) {
	beside(t)
	l := DefaultLimits()
	l.WriteTimeout = busy
	const size, piece = 16 << 20, 64 << 10 // the system takes a part of size for itself
	srv := serve(t, s, l, func(_ context.Context, c core.Conn) error {
		c.LoggedIn()
		begun := time.Now()
		err := c.WriteMessage(core.Binary, make([]byte, size))
		if err == nil {
			err = c.Flush()
		}
		if err != nil {
			t.Errorf("a peer that reads slowly, but reads, was cut off after %s: %v", time.Since(begun), err)
		}
		if d := time.Since(begun); d < l.WriteTimeout {
			t.Errorf("the check shows nothing: all was written within %s", d)
		}
		return err
	})
	nc := srv.dial().NetConn()
	if tc, ok := nc.(*net.TCPConn); ok {
		_ = tc.SetReadBuffer(piece)
	}
	got, pause := 0, time.NewTicker(l.WriteTimeout/25)
	defer pause.Stop()
	for end := time.Now().Add(l.WriteTimeout * 3 / 2); time.Now().Before(end); <-pause.C {
		n, err := io.CopyN(io.Discard, nc, piece)
		if got += int(n); err != nil {
			t.Fatalf("client: after %d of %d bytes: %v", got, size, err)
		}
	}
	rest, err := io.Copy(io.Discard, nc)
	const ahead = 128 << 10 // a client may have read that when it connected
	if got += int(rest); got < size-ahead {
		t.Errorf("client: got %d of %d bytes, then %v", got, size, err)
	}
}
