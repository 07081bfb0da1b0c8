package transporttest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"testing"
	"time"

	"github.com/wyemq/wye/core"
)

// sleepy is an echo that can rest. rested gets the connection each time it does, ended what it returned in the end.
func sleepy(rested chan<- core.Conn, ended chan<- error, first func(core.Conn)) handler {
	return func(_ context.Context, c core.Conn) error {
		c.LoggedIn()
		run := func() error {
			err := each(c, func(k core.Kind, b []byte) error {
				if err := c.WriteMessage(k, b); err != nil {
					return err
				}
				return c.Flush()
			})
			if errors.Is(err, core.ErrResting) {
				rested <- c
			} else {
				ended <- err
			}
			return err
		}
		core.MayRest(c, run)
		first(c)
		return run()
	}
}

func nothing(core.Conn) {}

// restGoesOn: whoever has rested reads on where it was, as often as that happens.
func restGoesOn(t testing.TB, s Suite) {
	if !s.Rests {
		t.Skip("its connections do not rest")
	}
	rested, ended := make(chan core.Conn, 1), make(chan error, 1)
	srv := serve(t, s, DefaultLimits(), sleepy(rested, ended, nothing))
	c := srv.dial()
	large := bytes.Repeat([]byte("0123456789abcdef"), 20_000)
	for _, body := range [][]byte{[]byte("first"), large} {
		conn := await(t, rested, "the rest of a silent connection")
		if err := conn.WriteMessage(core.Binary, []byte("pushed")); err != nil {
			t.Errorf("WriteMessage at rest: %v", err)
		}
		if err := conn.Flush(); err != nil {
			t.Errorf("Flush at rest: %v", err)
		}
		if got := receive(t, c, len("pushed")); string(got) != "pushed" {
			t.Errorf("got %q, want what was written at rest", got)
		}
		half := len(body) / 2
		sent := make(chan error, 1)
		go func() { sent <- c.Send(core.Binary, body[:half], body[half:]) }() // ends with the connection
		if got := receive(t, c, len(body)); !bytes.Equal(got, body) {
			t.Errorf("%d bytes came back changed", len(body))
		}
		if err := await(t, sent, "the end of Send"); err != nil {
			t.Errorf("send: %v", err)
		}
	}
	if err := c.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
	if err := await(t, ended, "the end"); err != nil {
		t.Errorf("reads ended with %v, want io.EOF", err)
	}
}

// restEnds: what ends a read ends a rest.
func restEnds(t testing.TB, s Suite) {
	if !s.Rests {
		t.Skip("its connections do not rest")
	}
	for _, way := range []struct {
		name  string
		first func(core.Conn)
		end   func(*server, Client, core.Conn)
		want  error
	}{
		{"the peer leaves", nothing, func(_ *server, c Client, _ core.Conn) { _ = c.Close() }, nil},
		{"Close", nothing, func(_ *server, _ Client, conn core.Conn) { conn.Close(core.ErrTakenOver) }, core.ErrTakenOver},
		{"a deadline", func(c core.Conn) { _ = c.SetReadDeadline(time.Now().Add(3 * time.Second)) }, func(*server, Client, core.Conn) {}, os.ErrDeadlineExceeded},
		{"a deadline set at rest", nothing, func(_ *server, _ Client, conn core.Conn) { _ = conn.SetReadDeadline(time.Now()) }, os.ErrDeadlineExceeded},
		{"shutdown", nothing, func(srv *server, _ Client, _ core.Conn) { srv.stop() }, core.ErrShutdown},
	} {
		rested, ended := make(chan core.Conn, 1), make(chan error, 1)
		srv := serve(t, s, DefaultLimits(), sleepy(rested, ended, way.first))
		c := srv.dial()
		conn := await(t, rested, "the rest of a silent connection")
		way.end(srv, c, conn)
		err := await(t, ended, "the end by "+way.name)
		if !errors.Is(err, way.want) {
			t.Errorf("%s: reads ended with %v, want %v", way.name, err, way.want)
		}
		if _, err := endOf(t, c); errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("%s: the client's reads ended with %v", way.name, err)
		}
		srv.end()
	}
}
