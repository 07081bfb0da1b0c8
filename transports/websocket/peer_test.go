package websocket_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/wyemq/wye/core"
	"github.com/wyemq/wye/core/transporttest"
	"github.com/wyemq/wye/transports/websocket"
)

// peer is a client that reads and writes frames by itself, also such as no library would write.
type peer struct {
	t    testing.TB
	nc   net.Conn
	br   *bufio.Reader
	resp *http.Response

	mu sync.Mutex // writes
}

// patience is how long a test waits for what must happen.
const patience = 20 * time.Second

// request is an upgrade with the headers given, in pairs.
func request(t testing.TB, nc net.Conn, path string, headers ...string) *peer {
	t.Helper()
	var b strings.Builder
	fmt.Fprintf(&b, "GET %s HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n", path, nc.RemoteAddr())
	for i := 0; i < len(headers); i += 2 {
		fmt.Fprintf(&b, "%s: %s\r\n", headers[i], headers[i+1])
	}
	b.WriteString("\r\n")
	return raw(t, nc, b.String())
}

// raw sends text and reads the answer.
func raw(t testing.TB, nc net.Conn, text string) *peer {
	t.Helper()
	_ = nc.SetReadDeadline(time.Now().Add(patience))
	if _, err := io.WriteString(nc, text); err != nil {
		t.Fatalf("request: %v", err)
	}
	p := &peer{t: t, nc: nc, br: bufio.NewReaderSize(nc, 64<<10)}
	var err error
	if p.resp, err = http.ReadResponse(p.br, nil); err != nil {
		t.Fatalf("response: %v", err)
	}
	return p
}

// body returns what an answer that is no upgrade says.
func (p *peer) body() string {
	b, _ := io.ReadAll(p.resp.Body)
	_ = p.resp.Body.Close()
	return string(b)
}

func dialTCP(t testing.TB, addr string) net.Conn {
	t.Helper()
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = nc.Close() })
	return nc
}

// connect returns a peer that is upgraded.
func connect(t testing.TB, addr string, headers ...string) *peer {
	t.Helper()
	p := request(t, dialTCP(t, addr), "/", headers...)
	if p.resp.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("upgrade: %s %s", p.resp.Status, p.body())
	}
	return p
}

// frame writes a masked frame with the first byte given.
func (p *peer) frame(first byte, payload []byte) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	_, err := p.nc.Write(appendFrame(nil, first, payload))
	return err
}

func appendFrame(b []byte, first byte, payload []byte) []byte {
	b = appendHead(b, first, uint64(len(payload)))
	for i, c := range payload {
		b = append(b, c^mask[i%4])
	}
	return b
}

var mask = [4]byte{1, 2, 3, 4}

func appendHead(b []byte, first byte, n uint64) []byte {
	b = append(b, first)
	switch {
	case n < 126:
		b = append(b, 0x80|byte(n))
	case n < 1<<16:
		b = binary.BigEndian.AppendUint16(append(b, 0x80|126), uint16(n))
	default:
		b = binary.BigEndian.AppendUint64(append(b, 0x80|127), n)
	}
	return append(b, mask[:]...)
}

// read returns the next frame.
func (p *peer) read() (first byte, payload []byte, err error) {
	var head [10]byte
	if _, err := io.ReadFull(p.br, head[:2]); err != nil {
		return 0, nil, err
	}
	n := uint64(head[1])
	switch n {
	case 126:
		_, err = io.ReadFull(p.br, head[2:4])
		n = uint64(binary.BigEndian.Uint16(head[2:]))
	case 127:
		_, err = io.ReadFull(p.br, head[2:10])
		n = binary.BigEndian.Uint64(head[2:])
	}
	if err != nil {
		return 0, nil, err
	}
	payload = make([]byte, n)
	_, err = io.ReadFull(p.br, payload)
	return head[0], payload, err
}

// Send implements transporttest.Client: each part is a fragment.
func (p *peer) Send(k core.Kind, parts ...[]byte) error {
	for i, part := range parts {
		first := byte(0)
		if i == 0 {
			first = byte(k)
		}
		if i == len(parts)-1 {
			first |= 0x80
		}
		if err := p.frame(first, part); err != nil {
			return err
		}
	}
	return nil
}

// Receive implements transporttest.Client.
func (p *peer) Receive() ([]byte, error) {
	for {
		first, payload, err := p.read()
		if err != nil {
			return nil, err
		}
		switch first {
		case 0x81, 0x82:
			return payload, nil
		case 0x88:
			_ = p.frame(0x88, payload)
			end := &transporttest.EndError{Code: 1005}
			if len(payload) >= 2 {
				end.Code, end.Reason = int(binary.BigEndian.Uint16(payload)), string(payload[2:])
			}
			if _, err := p.br.ReadByte(); !errors.Is(err, io.EOF) {
				return nil, fmt.Errorf("after the close frame: %w", err)
			}
			_ = p.nc.Close()
			return nil, end
		case 0x89:
			_ = p.frame(0x8A, payload)
		case 0x8A:
		default:
			return nil, fmt.Errorf("frame 0x%02x", first)
		}
	}
}

// Close implements transporttest.Client.
func (p *peer) Close() error { return p.frame(0x88, []byte{0x03, 0xE8}) }

// NetConn implements transporttest.Client.
func (p *peer) NetConn() net.Conn { return p.nc }

// wantClose reads to the close frame.
func (p *peer) wantClose(code int, reason string) {
	p.t.Helper()
	for {
		_, err := p.Receive()
		if err == nil {
			continue
		}
		var end *transporttest.EndError
		if !errors.As(err, &end) || end.Code != code || !strings.HasPrefix(end.Reason, reason) {
			p.t.Errorf("the connection ended with %#v, want %d %s", err, code, reason)
		}
		return
	}
}

// roundtrip shows that the connection works.
func (p *peer) roundtrip(text string) {
	p.t.Helper()
	if err := p.Send(core.Text, []byte(text)); err != nil {
		p.t.Fatalf("send: %v", err)
	}
	if b, err := p.Receive(); err != nil || string(b) != text {
		p.t.Fatalf("echo: %.100q, %v", b, err)
	}
}

// server is a listener that serves h.
type server struct {
	*websocket.Transport
	addr string
	stop func()
	logs *syncBuffer
}

// syncBuffer collects the log.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

func serve(t testing.TB, cfg websocket.Config, h core.Handler) *server {
	t.Helper()
	if cfg.URI == "" {
		cfg.URI = "ws://127.0.0.1:0"
	}
	logs := new(syncBuffer)
	tr, err := websocket.New("test", cfg, slog.New(slog.NewTextHandler(logs, &slog.HandlerOptions{Level: slog.LevelDebug})))
	if err != nil {
		t.Fatal(err)
	}
	addr, err := tr.Listen(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- tr.Serve(ctx, h) }() // stop waits for it
	stop := sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	t.Cleanup(stop)
	return &server{tr, addr.String(), stop, logs}
}

// echo sends every message back. It is logged in from the start, unless the first message is "login".
type echo struct{ noLogin bool }

func (echo) Subprotocols() []string { return []string{"echo", "echo2"} }

func (echo) Select(offered []string) (string, bool) {
	for _, o := range offered {
		if strings.EqualFold(o, "echo") || strings.EqualFold(o, "echo2") {
			return o, true
		}
	}
	return "", false
}

func (e echo) ServeConn(_ context.Context, c core.Conn) error {
	if !e.noLogin {
		c.LoggedIn()
	}
	for {
		k, r, err := c.NextReader()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		b, err := io.ReadAll(r)
		if err != nil {
			return err
		}
		if string(b) == "bye" {
			return core.ErrDenied
		}
		if err := c.WriteMessage(k, b); err != nil {
			return err
		}
		if err := c.Flush(); err != nil {
			return err
		}
	}
}

var discard = slog.New(slog.DiscardHandler)

// handlerFunc is a handler made of a function.
type handlerFunc func(ctx context.Context, c core.Conn) error

func (handlerFunc) Subprotocols() []string           { return []string{"test"} }
func (handlerFunc) Select(o []string) (string, bool) { return o[0], true }
func (h handlerFunc) ServeConn(ctx context.Context, c core.Conn) error {
	return h(ctx, c)
}
