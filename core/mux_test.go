package core_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wyemq/wye/core"
	"github.com/wyemq/wye/core/protocoltest"
)

// echo is a protocol that says its name and then everything it reads.
type echo struct {
	name   string
	tokens []string
	paths  []string
	sniff  string // its first bytes
}

func (p *echo) Name() string           { return p.name }
func (p *echo) Subprotocols() []string { return p.tokens }
func (p *echo) Paths() []string        { return p.paths }

func (p *echo) Sniff(prefix []byte) core.Verdict {
	switch {
	case p.sniff == "":
		return core.No
	case bytes.HasPrefix(prefix, []byte(p.sniff)):
		return core.Yes
	case strings.HasPrefix(p.sniff, string(prefix)):
		return core.More
	default:
		return core.No
	}
}

func (p *echo) ServeConn(_ context.Context, c core.Conn) error {
	conn := core.Stream(c, core.Text)
	if _, err := conn.Write([]byte(p.name + ":")); err != nil {
		return err
	}
	buf := make([]byte, 100)
	for {
		n, err := conn.Read(buf)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if string(buf[:n]) == "panic" {
			panic("oops")
		}
		if _, err := conn.Write(buf[:n]); err != nil {
			return err
		}
	}
}

func protocols() []core.Protocol {
	return []core.Protocol{
		&echo{name: "one", tokens: []string{"v2.one", "v1.one"}, paths: []string{"/one", "/ws"}, sniff: "ONE\n"},
		&echo{name: "two", tokens: []string{"two"}, paths: []string{"/two"}, sniff: "\x10\x01"},
		&echo{name: "three", tokens: []string{"three"}},
	}
}

func newMux(t *testing.T, log *slog.Logger, ps ...core.Protocol) *core.Mux {
	t.Helper()
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	m, err := core.NewMux(log, ps...)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// DESIGN §5: by subprotocol, else by path, else by the first bytes.
func TestMuxPicks(t *testing.T) {
	for name, c := range map[string]struct {
		o     protocoltest.PipeOptions
		input string
		split int
		want  string
		err   error
	}{
		"subprotocol":               {protocoltest.PipeOptions{Subprotocol: "two", Path: "/one"}, "ONE\n", 0, "two:", nil},
		"subprotocol, other case":   {protocoltest.PipeOptions{Subprotocol: "V1.One"}, "x", 0, "one:", nil},
		"unknown subprotocol":       {protocoltest.PipeOptions{Subprotocol: "four", Path: "/one"}, "ONE\n", 0, "", core.ErrUnsupported},
		"path":                      {protocoltest.PipeOptions{Path: "/two"}, "ONE\n", 0, "two:", nil},
		"path with slash":           {protocoltest.PipeOptions{Path: "/ws/"}, "x", 0, "one:", nil},
		"unknown path, first bytes": {protocoltest.PipeOptions{Path: "/"}, "\x10\x01x", 0, "two:", nil},
		"first bytes":               {protocoltest.PipeOptions{Stream: true}, "ONE\nmore", 0, "one:", nil},
		"first bytes, one by one":   {protocoltest.PipeOptions{Stream: true}, "ONE\nmore", 1, "one:", nil},
		"fragments":                 {protocoltest.PipeOptions{}, "ONE\nmore", 1, "one:", nil},
		"nobody's bytes":            {protocoltest.PipeOptions{Stream: true}, "GET / HTTP/1.1\r\n", 0, "", core.ErrInvalid},
		"nobody's bytes, slowly":    {protocoltest.PipeOptions{Stream: true}, "ONX\n", 1, "", core.ErrInvalid},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				peer := protocoltest.Serve(t.Context(), newMux(t, nil, protocols()...), c.o)
				n := c.split
				if n == 0 {
					n = len(c.input)
				}
				if err := peer.SendSplit(core.Text, []byte(c.input), n); err != nil && c.err == nil { // else it may have ended already
					t.Fatal(err)
				}
				synctest.Wait()
				peer.CloseSend()
				_, err, ok := peer.Closed(time.Second)
				if !ok || !errors.Is(err, c.err) {
					t.Fatalf("ended with %v (%v), want %v", err, ok, c.err)
				}
				var got string
				for _, m := range peer.ReceiveAll() {
					got += string(m.Data)
				}
				if c.err == nil && got != c.want+c.input {
					t.Errorf("got %q, want %q: nothing of what was sniffed may be lost", got, c.want+c.input)
				}
			})
		})
	}
}

// A connection that says nothing is not served, and ends in time.
func TestMuxSilentPeer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := protocoltest.Serve(t.Context(), newMux(t, nil, protocols()...), protocoltest.PipeOptions{Stream: true})
		if _, err, ok := peer.Closed(time.Minute); !ok || !errors.Is(err, core.ErrLoginTimeout) {
			t.Errorf("ended with %v (%v)", err, ok)
		}
	})
}

// DESIGN §5: the first in the client's order that a protocol claims; within one protocol its highest version.
func TestMuxSelect(t *testing.T) {
	m := newMux(t, nil, protocols()...)
	for _, c := range []struct {
		offered []string
		want    string
		ok      bool
	}{
		{[]string{"two", "v2.one"}, "two", true},
		{[]string{"v1.one", "two", "v2.one"}, "v2.one", true},
		{[]string{"nope", "V1.ONE"}, "V1.ONE", true},
		{[]string{"nope", ""}, "", false},
		{nil, "", false},
	} {
		if got, ok := m.Select(c.offered); got != c.want || ok != c.ok {
			t.Errorf("Select(%q) = %q %v, want %q %v", c.offered, got, ok, c.want, c.ok)
		}
	}
	if got := fmt.Sprint(m.Subprotocols()); got != "[v2.one v1.one two three]" {
		t.Errorf("Subprotocols: %s", got)
	}
}

// DESIGN §5: what is claimed twice fails the start.
func TestMuxClaims(t *testing.T) {
	one := &echo{name: "one", tokens: []string{"a"}, paths: []string{"/a"}}
	for name, other := range map[string]*echo{
		"name":                    {name: "one"},
		"subprotocol":             {name: "x", tokens: []string{"b", "a"}},
		"subprotocol, other case": {name: "x", tokens: []string{"A"}},
		"path":                    {name: "x", paths: []string{"/a"}},
	} {
		if _, err := core.NewMux(nil, one, other); err == nil {
			t.Errorf("%s claimed twice: no error", name)
		}
	}
}

func TestMuxOnly(t *testing.T) {
	m := newMux(t, nil, protocols()...)
	only, err := m.Only("three", "one")
	if err != nil || fmt.Sprint(only.Names()) != "[three one]" {
		t.Errorf("%v, %v", only.Names(), err)
	}
	if all, err := m.Only(); err != nil || len(all.Names()) != 3 {
		t.Errorf("%v, %v", all.Names(), err)
	}
	if _, err := m.Only("one", "four"); err == nil || !strings.Contains(err.Error(), "four") || !strings.Contains(err.Error(), "two") {
		t.Errorf("an unknown name: %v", err)
	}
}

// A panic costs its connection only, and the log shows the stack.
func TestMuxRecovers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		m := newMux(t, slog.New(slog.NewTextHandler(&log, nil)), protocols()...)
		bad := protocoltest.Serve(t.Context(), m, protocoltest.PipeOptions{Subprotocol: "v2.one", ID: "c17"})
		good := protocoltest.Serve(t.Context(), m, protocoltest.PipeOptions{Subprotocol: "v1.one"})
		if err := bad.Send(core.Text, []byte("panic")); err != nil {
			t.Fatal(err)
		}
		if code, err, ok := bad.Closed(time.Second); code != 1011 || !errors.Is(err, core.ErrInternal) || !ok {
			t.Errorf("closed with %d, %v", code, err)
		}
		for _, want := range []string{"c17", "oops", "mux_test.go"} {
			if !strings.Contains(log.String(), want) {
				t.Errorf("the log does not show %q: %s", want, log.String())
			}
		}
		if err := good.Send(core.Text, []byte("x")); err != nil {
			t.Error(err)
		}
		synctest.Wait()
		good.Close()
		<-good.Done()
	})
}

// Stream joins messages, makes each Write one message, and refuses text where binary is wanted.
func TestStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pipe, peer := protocoltest.NewPipe(t.Context(), protocoltest.PipeOptions{})
		defer pipe.Finish(nil)
		s := core.Stream(pipe, core.Binary)
		for _, part := range []string{"ab", "", "cde"} {
			if err := peer.Send(core.Binary, []byte(part)); err != nil {
				t.Fatal(err)
			}
		}
		buf := make([]byte, 5)
		if _, err := io.ReadFull(s, buf); err != nil || string(buf) != "abcde" {
			t.Errorf("read %q, %v", buf, err)
		}
		if n, err := s.Write([]byte("xyz")); n != 3 || err != nil {
			t.Errorf("write: %d, %v", n, err)
		}
		if k, b, err := peer.Receive(0); k != core.Binary || string(b) != "xyz" || err != nil {
			t.Errorf("received %v %q %v", k, b, err)
		}
		var timeout net.Error
		_ = s.SetDeadline(time.Now().Add(time.Second))
		if _, err := s.Read(buf); !errors.As(err, &timeout) || !timeout.Timeout() {
			t.Errorf("read past the deadline: %v", err)
		}
		_ = s.SetDeadline(time.Time{})
		if err := peer.Send(core.Text, []byte("text")); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Read(buf); !errors.Is(err, core.ErrUnsupported) {
			t.Errorf("read of text: %v", err)
		}
		_ = s.Close()
		if _, err := s.Read(buf); !errors.Is(err, io.EOF) {
			t.Errorf("read after Close: %v", err)
		}
	})
}

// Close codes and reason ids are what users see: they do not change.
func TestReasons(t *testing.T) {
	for _, c := range []struct {
		err  error
		id   string
		code int
	}{
		{nil, "closed", 1000},
		{io.ErrUnexpectedEOF, "connection_lost", 1011},
		{core.ErrInvalid, "protocol_error", 1002},
		{core.ErrUnsupported, "unsupported_data", 1003},
		{core.ErrNotUTF8, "invalid_utf8", 1007},
		{core.ErrLogin, "bad_credentials", 1008},
		{core.ErrLoginTimeout, "login_timeout", 1008},
		{core.ErrDenied, "not_authorized", 1008},
		{core.ErrTakenOver, "taken_over", 1008},
		{core.ErrHeartbeat, "heartbeat_timeout", 1008},
		{core.ErrTooBig, "frame_too_large", 1009},
		{core.ErrInternal, "internal_error", 1011},
		{core.ErrShutdown, "server_shutdown", 1012},
		{core.ErrSlowConsumer, "slow_consumer", 1013},
		{fmt.Errorf("doing this: %w", fmt.Errorf("that: %w", core.ErrDenied)), "not_authorized", 1008},
		{core.NewReason("quota", 4000, "no quota left"), "quota", 4000},
	} {
		if id, code := core.ReasonID(c.err), core.CloseCode(c.err); id != c.id || code != c.code {
			t.Errorf("%v is %s %d, want %s %d", c.err, id, code, c.id, c.code)
		}
	}
}

func TestPriorityLevels(t *testing.T) {
	for level, want := range map[int]core.Priority{-1: -4, 0: -4, 4: 0, 9: 5, 10: 5} {
		if got := core.PriorityOf(level); got != want || got.Level() != min(max(level, 0), 9) {
			t.Errorf("PriorityOf(%d) = %d, level %d", level, got, got.Level())
		}
	}
	var zero core.Message
	if zero.Priority.Level() != 4 {
		t.Error("the zero priority is not normal")
	}
}
