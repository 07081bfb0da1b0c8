package protocoltest_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wyemq/wye/core"
	"github.com/wyemq/wye/core/protocoltest"
)

func TestPipeMessages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conn, peer := protocoltest.NewPipe(t.Context(), protocoltest.PipeOptions{})
		defer conn.Finish(nil)
		check(t, peer.Send(core.Text, []byte("one")))
		check(t, peer.Send(core.Binary, nil))
		check(t, peer.SendSplit(core.Text, []byte("three"), 2))
		for _, want := range []protocoltest.Message{{core.Text, []byte("one")}, {core.Binary, nil}, {core.Text, []byte("three")}} {
			k, r, err := conn.NextReader()
			check(t, err)
			got, err := io.ReadAll(r)
			check(t, err)
			if k != want.Kind || !bytes.Equal(got, want.Data) {
				t.Errorf("read %v %q, want %v %q", k, got, want.Kind, want.Data)
			}
		}
		check(t, peer.Send(core.Text, []byte("left unread")))
		check(t, peer.Send(core.Text, []byte("next")))
		_, first, err := conn.NextReader()
		check(t, err)
		_, r, err := conn.NextReader()
		check(t, err)
		if got, err := io.ReadAll(r); err != nil || string(got) != "next" {
			t.Errorf("read %q %v, want the message after the one left unread", got, err)
		}
		if _, err := first.Read(make([]byte, 1)); err == nil {
			t.Error("a reader is valid after NextReader was called again")
		}
	})
}

func TestPipeStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conn, peer := protocoltest.NewPipe(t.Context(), protocoltest.PipeOptions{Stream: true})
		defer conn.Finish(nil)
		check(t, peer.Send(core.Text, []byte("one")))
		check(t, peer.Send(core.Text, []byte("two")))
		peer.CloseSend()
		k, r, err := conn.NextReader()
		check(t, err)
		if got, err := io.ReadAll(r); k != core.Binary || err != nil || string(got) != "onetwo" {
			t.Errorf("read %v %q %v, want one endless binary message", k, got, err)
		}
		if _, _, err := conn.NextReader(); !errors.Is(err, io.EOF) {
			t.Errorf("at the end of a stream: %v, want io.EOF", err)
		}
		check(t, conn.WriteMessage(core.Text, []byte("a"), []byte("b")))
		check(t, conn.WriteMessage(core.Text, []byte("c")))
		check(t, conn.Flush())
		if k, b, err := peer.Receive(0); k != core.Binary || string(b) != "abc" || err != nil {
			t.Errorf("received %v %q %v, want all bytes as they are", k, b, err)
		}
	})
}

func TestPipeGathersUntilFlush(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conn, peer := protocoltest.NewPipe(t.Context(), protocoltest.PipeOptions{Gather: 100})
		defer conn.Finish(nil)
		check(t, conn.WriteMessage(core.Text, []byte("a"), []byte("b")))
		if _, _, err := peer.Receive(time.Second); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("before Flush the peer received something: %v", err)
		}
		check(t, conn.Flush())
		if _, b, err := peer.Receive(0); err != nil || string(b) != "ab" {
			t.Errorf("received %q %v, want the parts joined", b, err)
		}
		check(t, conn.WriteMessage(core.Text, make([]byte, 200)))
		if _, b, err := peer.Receive(0); err != nil || len(b) != 200 {
			t.Errorf("a full buffer was not sent: %d bytes, %v", len(b), err)
		}
	})
}

func TestPipeSlowConsumer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conn, peer := protocoltest.NewPipe(t.Context(), protocoltest.PipeOptions{Buffer: 1000, Gather: 100, WriteTimeout: 3 * time.Second})
		defer conn.Finish(nil)
		began := time.Now()
		written := 0
		var err error
		for err == nil {
			written += 50
			err = conn.WriteMessage(core.Text, make([]byte, 50))
		}
		if !errors.Is(err, core.ErrSlowConsumer) || time.Since(began) != 3*time.Second {
			t.Errorf("after %s: %v, want ErrSlowConsumer after 3s", time.Since(began), err)
		}
		if written > 1200 || peer.Waiting() > 1200 {
			t.Errorf("%d bytes were taken, %d are kept; the buffers hold 1100", written, peer.Waiting())
		}
		if err := conn.Flush(); !errors.Is(err, core.ErrSlowConsumer) {
			t.Errorf("a write after the failed one: %v", err)
		}
	})
}

func TestPipeReadingPeerIsNotSlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conn, peer := protocoltest.NewPipe(t.Context(), protocoltest.PipeOptions{Buffer: 100, Gather: 100, WriteTimeout: 3 * time.Second})
		conn.LoggedIn()
		go func() {
			defer conn.Finish(nil)
			for range 10 {
				if err := conn.WriteMessage(core.Text, make([]byte, 100)); err != nil {
					t.Error(err)
				}
			}
		}()
		n := 0
		for {
			time.Sleep(2 * time.Second) // as fake as all time here
			if _, _, err := peer.Receive(0); err != nil {
				break
			}
			n++
		}
		if n != 10 {
			t.Errorf("received %d messages of 10", n)
		}
	})
}

func TestPipeReadErrors(t *testing.T) {
	why := errors.New("why")
	for name, c := range map[string]struct {
		do   func(*protocoltest.Pipe, *protocoltest.Peer, func())
		want error
	}{
		"peer closes":  {func(_ *protocoltest.Pipe, p *protocoltest.Peer, _ func()) { p.Close() }, io.EOF},
		"peer is lost": {func(_ *protocoltest.Pipe, p *protocoltest.Peer, _ func()) { p.Abort() }, io.ErrUnexpectedEOF},
		"ctx is done":  {func(_ *protocoltest.Pipe, _ *protocoltest.Peer, cancel func()) { cancel() }, core.ErrShutdown},
		"Close(err)":   {func(c *protocoltest.Pipe, _ *protocoltest.Peer, _ func()) { c.Close(why); c.Close(nil) }, why},
		"Close(nil)":   {func(c *protocoltest.Pipe, _ *protocoltest.Peer, _ func()) { c.Close(nil); c.Close(why) }, io.EOF},
		"deadline": {func(c *protocoltest.Pipe, _ *protocoltest.Peer, _ func()) {
			_ = c.SetReadDeadline(time.Now().Add(time.Second))
		}, os.ErrDeadlineExceeded},
		"no login": {func(*protocoltest.Pipe, *protocoltest.Peer, func()) {}, core.ErrLoginTimeout},
		"half a message": {func(_ *protocoltest.Pipe, p *protocoltest.Peer, _ func()) {
			p.Halve()
			_ = p.Send(core.Text, []byte("half"))
		}, io.ErrUnexpectedEOF},
		"too big": {func(c *protocoltest.Pipe, p *protocoltest.Peer, _ func()) {
			c.LoggedIn()
			_ = p.Send(core.Text, make([]byte, 101))
		}, core.ErrTooBig},
		"too big before login": {func(_ *protocoltest.Pipe, p *protocoltest.Peer, _ func()) { _ = p.Send(core.Text, make([]byte, 11)) }, core.ErrTooBig},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				conn, peer := protocoltest.NewPipe(ctx, protocoltest.PipeOptions{MaxMessage: 100, MaxBeforeLogin: 10})
				defer conn.Finish(nil)
				go func() {
					synctest.Wait() // the read is under way
					c.do(conn, peer, cancel)
				}()
				_, r, err := conn.NextReader()
				if err == nil {
					_, err = io.ReadAll(r)
				}
				if !errors.Is(err, c.want) {
					t.Errorf("read: %v, want %v", err, c.want)
				}
				if errors.Is(c.want, io.EOF) || errors.Is(c.want, io.ErrUnexpectedEOF) || name == "no login" {
					return
				}
				if err := conn.WriteMessage(core.Text, []byte("goodbye")); err != nil {
					t.Errorf("goodbye: %v", err)
				}
			})
		})
	}
}

func TestPipeLastWordsArrive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conn, peer := protocoltest.NewPipe(t.Context(), protocoltest.PipeOptions{})
		conn.Close(core.ErrTakenOver)
		check(t, conn.WriteMessage(core.Text, []byte("goodbye")))
		conn.Finish(core.ErrTakenOver)
		if _, b, err := peer.Receive(0); err != nil || string(b) != "goodbye" {
			t.Errorf("received %q %v, want the last words", b, err)
		}
		if _, _, err := peer.Receive(time.Hour); !errors.Is(err, io.EOF) {
			t.Errorf("after them: %v, want io.EOF", err)
		}
		if code, err, ok := peer.Closed(0); code != 1008 || !errors.Is(err, core.ErrTakenOver) || !ok {
			t.Errorf("closed with %d %v %v", code, err, ok)
		}
		if err := conn.WriteMessage(core.Text, nil); err == nil {
			t.Error("a write after Finish succeeded")
		}
		if err := peer.Send(core.Text, nil); err == nil {
			t.Error("a send after Finish succeeded")
		}
	})
}

func TestPipeLinger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conn, _ := protocoltest.NewPipe(t.Context(), protocoltest.PipeOptions{Linger: time.Second})
		defer conn.Finish(nil)
		conn.Close(core.ErrAdmin)
		time.Sleep(1500 * time.Millisecond)
		if err := conn.WriteMessage(core.Text, nil); !errors.Is(err, core.ErrAdmin) {
			t.Errorf("a write after the linger: %v", err)
		}
	})
}

func TestPipeBackPressure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conn, peer := protocoltest.NewPipe(t.Context(), protocoltest.PipeOptions{Buffer: 100})
		defer conn.Finish(nil)
		conn.LoggedIn()
		check(t, peer.Send(core.Text, make([]byte, 100)))
		if err := peer.Send(core.Text, make([]byte, 100)); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("send to a broker that does not read: %v", err)
		}
		_, r, err := conn.NextReader()
		check(t, err)
		_, err = io.ReadAll(r)
		check(t, err)
		check(t, peer.Send(core.Text, make([]byte, 100)))
	})
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
