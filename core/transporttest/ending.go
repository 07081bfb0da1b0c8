package transporttest

import (
	"context"
	"errors"
	"io"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/wyemq/wye/core"
)

func closeElsewhere(t testing.TB, s Suite) {
	ends := make(chan error, 2)
	srv := serve(t, s, DefaultLimits(), func(_ context.Context, c core.Conn) error {
		c.LoggedIn()
		var work sync.WaitGroup
		timer := time.NewTimer(20 * time.Millisecond) // so that a read is under way
		work.Go(func() {
			<-timer.C
			c.Close(core.ErrTakenOver)
		})
		err := each(c, func(core.Kind, []byte) error { return nil })
		work.Wait()
		ends <- err
		_, _, again := c.NextReader()
		ends <- again
		if err := c.WriteMessage(core.Binary, []byte("last words")); err != nil {
			t.Errorf("WriteMessage after Close, before ServeConn has returned: %v", err)
		}
		return err
	})
	c := srv.dial()
	for _, which := range []string{"the read under way", "a read after Close"} {
		if err := await(t, ends, which); !errors.Is(err, core.ErrTakenOver) {
			t.Errorf("%s ended with %v, want the error given to Close", which, err)
		}
	}
	words, err := endOf(t, c)
	if words != "last words" {
		t.Errorf("client: got %q before the end, want the last words, which were not flushed", words)
	}
	wantEnd(t, err, core.ErrTakenOver)
}

func closeCountsOnce(t testing.TB, s Suite) {
	ends := make(chan error, 2)
	srv := serve(t, s, DefaultLimits(), func(_ context.Context, c core.Conn) error {
		c.LoggedIn()
		begun := time.Now()
		c.Close(nil)
		c.Close(core.ErrAdmin)
		if d := time.Since(begun); d > time.Second {
			t.Errorf("Close took %s", d)
		}
		_, _, err := c.NextReader()
		ends <- err
		return nil
	})
	c := srv.dial()
	if err := await(t, ends, "the end"); !errors.Is(err, io.EOF) {
		t.Errorf("reads end with %v after Close(nil), want io.EOF", err)
	}
	_, err := endOf(t, c)
	if end := new(EndError); errors.As(err, &end) && end.Code != 1000 {
		t.Errorf("close code %d, want 1000", end.Code)
	}
}

func closeIsBounded(t testing.TB, s Suite) {
	l := DefaultLimits()
	l.Linger = 50 * time.Millisecond
	release := make(chan struct{})
	srv := serve(t, s, l, func(_ context.Context, c core.Conn) error {
		c.LoggedIn()
		_ = c.WriteMessage(core.Binary, []byte("written before"))
		c.Close(core.ErrAdmin)
		<-release // a handler that takes no notice
		if err := c.WriteMessage(core.Binary, []byte("too late")); err == nil {
			if err = c.Flush(); err == nil {
				t.Errorf("writes still work after the linger")
			}
		}
		return nil
	})
	c := srv.dial()
	words, err := endOf(t, c)
	close(release)
	if words != "written before" {
		t.Errorf("client: got %q, want what was written before Close", words)
	}
	wantEnd(t, err, core.ErrAdmin)
}

func closeReason(t testing.TB, s Suite) {
	srv := serve(t, s, DefaultLimits(), func(_ context.Context, c core.Conn) error {
		c.LoggedIn()
		_ = c.WriteMessage(core.Binary, []byte("sorry"))
		return &long{core.ErrDenied}
	})
	c := srv.dial()
	words, err := endOf(t, c)
	if words != "sorry" {
		t.Errorf("client: got %q, want what was written before ServeConn returned", words)
	}
	wantEnd(t, err, core.ErrDenied)
}

// long is an error with more text than any close frame holds, not all of it ASCII.
type long struct{ error }

func (l *long) Error() string { return strings.Repeat("€", 200) }
func (l *long) Unwrap() error { return l.error }

// lastWordsAreRead: bytes that nobody has read must not take the last words with them.
func lastWordsAreRead(t testing.TB, s Suite) {
	begin := make(chan struct{})
	srv := serve(t, s, DefaultLimits(), func(_ context.Context, c core.Conn) error {
		c.LoggedIn()
		<-begin
		_ = c.WriteMessage(core.Binary, make([]byte, 100_000))
		return core.ErrDenied
	})
	c := srv.dial()
	for range 10 {
		send(t, c, strings.Repeat("x", 10_000))
	}
	close(begin)
	words, err := endOf(t, c)
	if len(words) != 100_000 {
		t.Errorf("client: got %d of the last 100,000 bytes, then %v", len(words), err)
	}
	wantEnd(t, err, core.ErrDenied)
}

// peerGone: a peer that has closed cannot be written to, which is said, but what it sent before is read.
func peerGone(t testing.TB, s Suite) {
	closed := make(chan struct{})
	words := make(chan int, 1)
	srv := serve(t, s, DefaultLimits(), func(_ context.Context, c core.Conn) error {
		c.LoggedIn()
		<-closed
		var err error
		for began := time.Now(); err == nil && time.Since(began) < 10*time.Second; { // the first writes meet nobody
			err = c.WriteMessage(core.Binary, []byte("x"))
			if err == nil {
				err = c.Flush()
			}
		}
		if !errors.Is(err, core.ErrGone) {
			t.Errorf("writes to a peer that has closed: %v, want ErrGone", err)
		}
		n := 0
		for {
			_, r, err := c.NextReader()
			if err != nil {
				break
			}
			b, err := io.ReadAll(r)
			n += len(b)
			if err != nil {
				break
			}
		}
		words <- n
		return nil
	})
	c := srv.dial()
	for range 3 {
		send(t, c, "said before")
	}
	_ = c.NetConn().Close()
	close(closed)
	if n := <-words; n != 33 {
		t.Errorf("%d of 33 bytes were read that the peer sent before it closed", n)
	}
}

func shutdown(t testing.TB, s Suite) {
	const number = 5
	reading, ends := make(chan struct{}, number), make(chan error, number)
	srv := serve(t, s, DefaultLimits(), func(ctx context.Context, c core.Conn) error {
		c.LoggedIn()
		err := each(c, func(core.Kind, []byte) error {
			reading <- struct{}{}
			return nil
		})
		if ctx.Err() == nil {
			t.Errorf("the ctx of ServeConn is not done at shutdown")
		}
		ends <- err
		if err := c.WriteMessage(core.Binary, []byte("goodbye")); err != nil {
			t.Errorf("WriteMessage at shutdown: %v", err)
		}
		return err
	})
	clients := make([]Client, number)
	for i := range clients {
		clients[i] = srv.dial()
		send(t, clients[i], "x")
		await(t, reading, "the message")
	}
	srv.stop()
	for _, c := range clients {
		if err := await(t, ends, "the end"); !errors.Is(err, core.ErrShutdown) {
			t.Errorf("reads end with %v at shutdown, want ErrShutdown", err)
		}
		words, err := endOf(t, c)
		if words != "goodbye" {
			t.Errorf("client: got %q at shutdown, want the last words", words)
		}
		wantEnd(t, err, core.ErrShutdown)
		_ = c.NetConn().Close()
	}
	srv.end()
}

func shutdownIsBounded(t testing.TB, s Suite) {
	l := DefaultLimits()
	l.ShutdownTimeout, l.Linger = 50*time.Millisecond, 50*time.Millisecond
	release, in := make(chan struct{}), make(chan struct{})
	var left sync.WaitGroup
	left.Add(1)
	srv := serve(t, s, l, func(context.Context, core.Conn) error {
		defer left.Done()
		close(in)
		<-release // a handler that takes no notice
		return nil
	})
	c := srv.dial()
	await(t, in, "the connection")
	srv.stop()
	await(t, srv.done, "the end of Serve")
	_, _ = endOf(t, c)
	close(release)
	left.Wait()
}

func panics(t testing.TB, s Suite) {
	srv := serve(t, s, DefaultLimits(), func(_ context.Context, c core.Conn) error {
		c.LoggedIn()
		return each(c, func(k core.Kind, b []byte) error {
			if string(b) == "panic" {
				panic("as ordered by the check")
			}
			_ = c.WriteMessage(k, b)
			return c.Flush()
		})
	})
	c, other := srv.dial(), srv.dial()
	send(t, c, "panic")
	_, err := endOf(t, c)
	wantEnd(t, err, core.ErrInternal)
	send(t, other, "undisturbed")
	receive(t, other, 11)
}

func connectAndDrop(t testing.TB, s Suite) {
	srv := serve(t, s, DefaultLimits(), echo)
	other := srv.dial()
	var work sync.WaitGroup
	for range 4 {
		work.Go(func() {
			for range 50 {
				_ = srv.s.Dial(t, srv.addr).NetConn().Close()
			}
		})
	}
	dropped := make(chan struct{})
	go func() { // ends when the others have
		work.Wait()
		close(dropped)
	}()
	for {
		send(t, other, "undisturbed")
		receive(t, other, 11)
		select {
		case <-dropped:
			return
		default:
		}
	}
}

func goroutines(t testing.TB, s Suite) {
	before := runtime.NumGoroutine()
	srv := serve(t, s, DefaultLimits(), echo)
	for i := range 20 {
		c := srv.dial()
		send(t, c, "x")
		receive(t, c, 1)
		switch i % 3 {
		case 0:
			_ = c.NetConn().Close()
		case 1:
			_ = c.Close()
			_ = c.NetConn().Close()
		default:
			t.Cleanup(func() { _ = c.NetConn().Close() })
			go func() { // ends with the connection
				_, _ = endOf(t, c)
				_ = c.NetConn().Close()
			}()
		}
	}
	srv.end()
	for deadline := time.Now().Add(patience); runtime.NumGoroutine() > before; runtime.Gosched() {
		if time.Now().After(deadline) {
			buf := make([]byte, 64<<10)
			t.Fatalf("%d goroutines before, %d after Serve has returned:\n%s", before, runtime.NumGoroutine(), buf[:runtime.Stack(buf, true)])
		}
	}
}
