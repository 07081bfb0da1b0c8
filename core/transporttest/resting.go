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
	beside(t)
	rested, ended := make(chan core.Conn, 1), make(chan error, 1)
	srv := serve(t, s, lookedAfter(), sleepy(rested, ended, nothing))
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
	beside(t)
	ways := []*restEnd{
		{name: "the peer leaves", end: func(w *restEnd) { _ = w.client.Close() }},
		{name: "Close", end: func(w *restEnd) { w.conn.Close(core.ErrTakenOver) }, want: core.ErrTakenOver},
		{name: "a deadline", first: soon, end: func(*restEnd) {}, want: os.ErrDeadlineExceeded},
		{name: "a deadline set at rest", end: func(w *restEnd) { _ = w.conn.SetReadDeadline(time.Now()) }, want: os.ErrDeadlineExceeded},
		{name: "shutdown", end: func(w *restEnd) { w.srv.stop() }, want: core.ErrShutdown},
	}
	for _, w := range ways {
		rested, ended := make(chan core.Conn, 1), make(chan error, 1)
		if w.first == nil {
			w.first = nothing
		}
		w.rested, w.ended = rested, ended
		w.srv = serve(t, s, lookedAfter(), sleepy(rested, ended, w.first))
		w.client = w.srv.dial()
	}
	for _, w := range ways {
		w.conn = await(t, w.rested, "the rest of a silent connection")
	}
	for _, w := range ways {
		w.end(w)
	}
	for _, w := range ways {
		if err := await(t, w.ended, "the end by "+w.name); !errors.Is(err, w.want) {
			t.Errorf("%s: reads ended with %v, want %v", w.name, err, w.want)
		}
		if _, err := endOf(t, w.client); errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("%s: the client's reads ended with %v", w.name, err)
		}
	}
}

// restEnd is a way in which a rest ends.
type restEnd struct {
	name  string
	first func(core.Conn)
	end   func(*restEnd)
	want  error

	srv    *server
	client Client
	conn   core.Conn
	rested <-chan core.Conn
	ended  <-chan error
}

// soon is a deadline that finds the connection at rest.
func soon(c core.Conn) { _ = c.SetReadDeadline(time.Now().Add(2500 * time.Millisecond)) }

// lookedAfter are limits that make a transport look often who is silent.
func lookedAfter() Limits {
	l := DefaultLimits()
	l.Linger = 200 * time.Millisecond
	return l
}
