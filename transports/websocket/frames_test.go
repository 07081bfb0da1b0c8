package websocket_test

import (
	"bytes"
	"compress/flate"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wyemq/wye/core"
	"github.com/wyemq/wye/core/transporttest"
	"github.com/wyemq/wye/transports/websocket"
)

// TestBadInput: each costs the connection it comes on, with the right code, and no other.
func TestBadInput(t *testing.T) {
	cfg := websocket.DefaultConfig()
	cfg.Limits.MaxMessageSize = 100_000
	s := serve(t, cfg, echo{})
	other := connect(t, s.addr)
	for _, c := range []struct {
		name   string
		bytes  []byte
		code   int
		reason string
	}{
		{"garbage", bytes.Repeat([]byte("garbage "), 100), 1002, "protocol_error"},
		{"zeros", make([]byte, 1000), 1002, "protocol_error"},
		{"no mask", []byte{0x81, 1, 'x'}, 1002, "protocol_error"},
		{"reserved bit", appendFrame(nil, 0xC1, []byte("x")), 1002, "protocol_error"},
		{"unknown opcode", appendFrame(nil, 0x83, []byte("x")), 1002, "protocol_error"},
		{"continuation of nothing", appendFrame(nil, 0x80, []byte("x")), 1002, "protocol_error"},
		{"message within a message", appendFrame(appendFrame(nil, 0x01, []byte("x")), 0x81, []byte("y")), 1002, "protocol_error"},
		{"long ping", appendFrame(nil, 0x89, make([]byte, 126)), 1002, "protocol_error"},
		{"ping in pieces", appendFrame(nil, 0x09, nil), 1002, "protocol_error"},
		{"close with a forbidden code", appendFrame(nil, 0x88, []byte{0x03, 0xED}), 1002, "protocol_error"},
		{"close that is not UTF-8", appendFrame(nil, 0x88, []byte{0x03, 0xE8, 0xFF}), 1002, "protocol_error"},
		{"huge length, never sent", appendHead(nil, 0x82, 1<<40), 1009, "frame_too_large"},
		{"negative length", appendHead(nil, 0x82, 1<<63), 1009, "frame_too_large"},
		{"a byte too many", appendFrame(nil, 0x82, make([]byte, 100_001)), 1009, "frame_too_large"},
		{"a fragment too many", appendFrame(appendFrame(nil, 0x02, make([]byte, 100_000)), 0x80, []byte("x")), 1009, "frame_too_large"},
		{"not UTF-8", appendFrame(nil, 0x81, []byte("ok \xff")), 1007, "invalid_utf8"},
		{"half a character", appendFrame(nil, 0x81, []byte("ok \xe2\x82")), 1007, "invalid_utf8"},
		{"a character cut wrongly", appendFrame(appendFrame(nil, 0x01, []byte("\xe2\x82")), 0x80, []byte("x")), 1007, "invalid_utf8"},
		{"surrogate", appendFrame(nil, 0x81, []byte("\xed\xa0\x80")), 1007, "invalid_utf8"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := connect(t, s.addr)
			if _, err := p.nc.Write(c.bytes); err != nil {
				t.Fatal(err)
			}
			p.t = t
			p.wantClose(c.code, c.reason+": ")
			other.roundtrip("undisturbed by " + c.name)
		})
	}
	_ = other.nc.Close() // nobody waits for its answer
	s.stop()
	if n := strings.Count(s.logs.String(), `msg="connection closed"`); n != 20 {
		t.Errorf("the ends of 20 connections were logged %d times:\n%s", n, s.logs)
	}
	if st := s.Stats(); st.Open != 0 || st.Accepted != 20 || st.Ended["protocol_error"] != 11 || st.Ended["frame_too_large"] != 4 || st.Ended["invalid_utf8"] != 4 || st.BytesIn < 150_000 || st.BytesOut == 0 {
		t.Errorf("Stats: %+v", st)
	}
}

// TestHalfFrame: a client that stops in the middle is dropped without effect on others, and so is one that leaves.
func TestHalfFrame(t *testing.T) {
	cfg := websocket.DefaultConfig()
	cfg.Limits.LoginTimeout = 50 * time.Millisecond
	s := serve(t, cfg, echo{noLogin: true})
	for _, half := range [][]byte{{0x82}, appendHead(nil, 0x82, 1000), appendFrame(nil, 0x02, []byte("first half"))} {
		p := connect(t, s.addr)
		if _, err := p.nc.Write(half); err != nil {
			t.Fatal(err)
		}
		p.wantClose(1008, "login_timeout")
		p = connect(t, s.addr)
		_, _ = p.nc.Write(half)
		_ = p.nc.Close()
	}
}

// TestSlowLoris: a request that does not end is dropped, too.
func TestSlowLoris(t *testing.T) {
	cfg := websocket.DefaultConfig()
	cfg.Limits.LoginTimeout = 50 * time.Millisecond
	s := serve(t, cfg, echo{})
	other := connect(t, s.addr)
	nc := dialTCP(t, s.addr)
	if _, err := io.WriteString(nc, "GET / HTTP/1.1\r\nHost: h\r\nX"); err != nil {
		t.Fatal(err)
	}
	_ = nc.SetReadDeadline(time.Now().Add(patience))
	if _, err := io.Copy(io.Discard, nc); err != nil {
		t.Errorf("the connection was not closed: %v", err)
	}
	other.roundtrip("undisturbed")
}

// TestText: texts may be cut anywhere, and are texts for the handler.
func TestText(t *testing.T) {
	s := serve(t, websocket.DefaultConfig(), echo{})
	p := connect(t, s.addr)
	const text = "grüße, €, 𝄞"
	p.roundtrip(text)
	parts := make([][]byte, len(text))
	for i := range parts {
		parts[i] = []byte{text[i]}
	}
	if err := p.Send(core.Text, parts...); err != nil {
		t.Fatal(err)
	}
	if first, got, err := p.read(); err != nil || first != 0x81 || string(got) != text {
		t.Errorf("got 0x%02x %q, %v", first, got, err)
	}
	// Frames in one segment, and a ping between fragments (RFC 6455, section 5.4).
	b := appendFrame(nil, 0x02, []byte("a"))
	b = appendFrame(b, 0x89, []byte("ping"))
	b = appendFrame(b, 0x80, []byte("b"))
	b = appendFrame(b, 0x82, nil)
	b = appendFrame(b, 0x82, []byte("c"))
	if _, err := p.nc.Write(b); err != nil {
		t.Fatal(err)
	}
	var got []string
	for range 4 {
		first, payload, err := p.read()
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, string(first)+string(payload))
	}
	if want := "\u008aping,\u0082ab,\u0082,\u0082c"; strings.Join(got, ",") != want {
		t.Errorf("got %q, want %q", strings.Join(got, ","), want)
	}
}

// TestPeerCode: the code of the peer's close frame comes back, and other codes than an orderly end are errors.
func TestPeerCode(t *testing.T) {
	ends := make(chan error, 1)
	s := serve(t, websocket.DefaultConfig(), handlerFunc(func(_ context.Context, c core.Conn) error {
		_, _, err := c.NextReader()
		ends <- err
		if errors.Is(err, io.EOF) {
			return nil
		}
		return err
	}))
	for _, c := range []struct {
		name    string
		payload []byte
		code    int
		orderly bool
	}{
		{"normal", []byte{0x03, 0xE8}, 1000, true},
		{"going away", []byte{0x03, 0xE9}, 1001, true},
		{"none", nil, 1005, true},
		{"own", []byte{0x0F, 0xA0, 'x'}, 1011, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := connect(t, s.addr)
			_ = p.frame(0x88, c.payload)
			if err := <-ends; errors.Is(err, io.EOF) != c.orderly {
				t.Errorf("reads end with %v", err)
			}
			p.t = t
			p.wantClose(c.code, "")
		})
	}
}

// TestPing: a client that answers stays however long it says nothing; one that does not is dropped.
// pipes is a listener within a bubble.
type pipes struct {
	coming chan net.Conn
	closed chan struct{}
	close  func()
}

func newPipes() *pipes {
	l := &pipes{coming: make(chan net.Conn), closed: make(chan struct{})}
	l.close = sync.OnceFunc(func() { close(l.closed) })
	return l
}

func (l *pipes) Accept() (net.Conn, error) {
	select {
	case nc := <-l.coming:
		return nc, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *pipes) Close() error {
	l.close()
	return nil
}

func (*pipes) Addr() net.Addr { return nil }

// connect returns a peer that is upgraded and has all the time there is.
func (l *pipes) connect(t *testing.T) *peer {
	ours, theirs := net.Pipe()
	l.coming <- theirs
	p := request(t, ours, "/")
	_ = ours.SetReadDeadline(time.Time{})
	return p
}

// TestPing: whoever answers pings is not idle, whoever does not is.
func TestPing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := websocket.DefaultConfig()
		cfg.URI, cfg.PingInterval, cfg.Limits.IdleTimeout = "ws://127.0.0.1:0", 20*time.Second, 90*time.Second
		tr, err := websocket.New("test", cfg, discard)
		if err != nil {
			t.Fatal(err)
		}
		l := newPipes()
		ctx, stop := context.WithCancel(t.Context())
		var work sync.WaitGroup
		work.Go(func() {
			if err := tr.ServeListener(ctx, l, echo{}); err != nil {
				t.Errorf("Serve: %v", err)
			}
		})
		defer work.Wait()
		defer stop()
		alive, dead := l.connect(t), l.connect(t)
		defer alive.nc.Close()
		defer dead.nc.Close()
		begun := time.Now()
		work.Go(func() {
			for {
				first, payload, err := dead.read()
				if err != nil {
					t.Error(err)
					return
				}
				if first == 0x88 {
					if !bytes.HasPrefix(payload[2:], []byte("heartbeat_timeout")) {
						t.Errorf("closed with %q", payload)
					}
					if d := time.Since(begun); d < 90*time.Second || d > 95*time.Second {
						t.Errorf("closed after %s without an answer, want 90 s", d)
					}
					_ = dead.nc.Close()
					return
				}
			}
		})
		for i := range 20 {
			first, payload, err := alive.read()
			if err != nil || first != 0x89 {
				t.Fatalf("got 0x%02x %q, %v, want a ping", first, payload, err)
			}
			if d, want := time.Since(begun), time.Duration(i+1)*20*time.Second; d < want || d > want+time.Duration(i+1)*time.Second {
				t.Errorf("ping %d came after %s, want %s", i+1, d, want)
			}
			_ = alive.frame(0x8A, payload)
		}
		alive.roundtrip("still here")
	})
}

func TestCompression(t *testing.T) {
	cfg := websocket.DefaultConfig()
	cfg.Compression = true
	cfg.Limits.MaxMessageSize = 100_000
	s := serve(t, cfg, echo{})
	deflated := func(n int) []byte {
		var b bytes.Buffer
		w, _ := flate.NewWriter(&b, flate.BestCompression)
		_, _ = w.Write(bytes.Repeat([]byte("x"), n))
		_ = w.Flush()
		return bytes.TrimSuffix(b.Bytes(), []byte{0, 0, 0xff, 0xff})
	}
	dial := func() *peer {
		p := connect(t, s.addr, "Sec-WebSocket-Extensions", "permessage-deflate; client_max_window_bits")
		if !strings.Contains(p.resp.Header.Get("Sec-WebSocket-Extensions"), "permessage-deflate") {
			t.Fatalf("not agreed on: %v", p.resp.Header)
		}
		return p
	}
	p := dial()
	if err := p.frame(0xC1, deflated(100_000)); err != nil {
		t.Fatal(err)
	}
	first, payload, err := p.read()
	if err != nil || first != 0xC1 || len(payload) > 1000 {
		t.Fatalf("got 0x%02x with %d bytes, %v", first, len(payload), err)
	}
	got, err := io.ReadAll(flate.NewReader(io.MultiReader(bytes.NewReader(payload), strings.NewReader("\x00\x00\xff\xff\x01\x00\x00\xff\xff"))))
	if err != nil || string(got) != strings.Repeat("x", 100_000) {
		t.Errorf("inflated to %d bytes, %v", len(got), err)
	}
	_ = p.frame(0x81, []byte("small"))
	if first, payload, _ := p.read(); first != 0x81 || string(payload) != "small" {
		t.Errorf("got 0x%02x %q", first, payload)
	}
	bomb := dial()
	_ = bomb.frame(0xC2, deflated(100_001)) // some hundred bytes
	bomb.wantClose(1009, "frame_too_large: ")
	corrupt := dial()
	_ = corrupt.frame(0xC2, bytes.Repeat([]byte{0xff}, 100))
	corrupt.wantClose(1002, "protocol_error: ")
	plain := connect(t, s.addr)
	plain.roundtrip(strings.Repeat("y", 10_000))
}

func TestConformanceCompressed(t *testing.T) {
	s := suite(func(c *websocket.Config) { c.Compression = true })
	s.Dial = func(t testing.TB, addr net.Addr) transporttest.Client {
		return &inflating{connect(t, addr.String(), "Sec-WebSocket-Extensions", "permessage-deflate")}
	}
	for _, c := range transporttest.Checks() {
		switch c.Name {
		case "Order", "Sizes", "Writers", "LastWordsAreRead":
			t.Run(c.Name, func(t *testing.T) { c.Run(t, s) })
		}
	}
}

// inflating is a peer that understands compressed messages.
type inflating struct{ *peer }

func (p *inflating) Receive() ([]byte, error) {
	if head, err := p.br.Peek(1); err != nil || head[0]&0x40 == 0 {
		return p.peer.Receive()
	}
	_, payload, err := p.read()
	if err != nil {
		return nil, err
	}
	return io.ReadAll(flate.NewReader(io.MultiReader(bytes.NewReader(payload), strings.NewReader("\x00\x00\xff\xff\x01\x00\x00\xff\xff"))))
}

// TestManyHandshakes: connections that never ask for anything do not use up all there is.
func TestManyHandshakes(t *testing.T) {
	cfg := websocket.DefaultConfig()
	cfg.Limits.MaxConnections = 4
	s := serve(t, cfg, echo{})
	other := connect(t, s.addr)
	dropped := 0
	conns := make([]net.Conn, 300)
	for i := range conns {
		conns[i] = dialTCP(t, s.addr)
	}
	for _, nc := range conns[256:] {
		_ = nc.SetReadDeadline(time.Now().Add(patience))
		if _, err := nc.Read(make([]byte, 1)); err != nil && !errors.Is(err, http.ErrAbortHandler) {
			dropped++
		}
		if dropped == 1 {
			break
		}
	}
	if dropped == 0 {
		t.Error("no connection was dropped")
	}
	other.roundtrip("undisturbed")
}
