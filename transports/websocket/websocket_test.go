package websocket_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	gorilla "github.com/gorilla/websocket"

	"github.com/wyemq/wye/core"
	"github.com/wyemq/wye/transports/websocket"
)

// echo sends every message back; "bye" makes it end with an error.
type echo struct{}

func (echo) Subprotocols() []string { return []string{"echo", "echo2"} }

func (echo) Select(offered []string) (string, bool) {
	for _, o := range offered {
		if strings.HasPrefix(o, "echo") {
			return o, true
		}
	}
	return "", false
}

func (echo) ServeConn(_ context.Context, c core.Conn) error {
	c.LoggedIn()
	for {
		k, r, err := c.NextReader()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			_ = c.WriteMessage(core.Text, []byte("last words"))
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

func start(t testing.TB, cfg websocket.Config) (url string, stop func()) {
	t.Helper()
	cfg.URI = "ws://127.0.0.1:0"
	tr, err := websocket.New("test", cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	addr, err := tr.Listen(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- tr.Serve(ctx, echo{}) }()
	stop = func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Serve: %v", err)
		}
		done <- nil
	}
	t.Cleanup(stop)
	return "ws://" + addr.String(), stop
}

func dial(t testing.TB, url string, protocols ...string) *gorilla.Conn {
	t.Helper()
	d := gorilla.Dialer{Subprotocols: protocols}
	c, resp, err := d.Dial(url, nil)
	if err != nil {
		t.Fatalf("dial: %v (%v)", err, resp)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func TestEcho(t *testing.T) {
	url, _ := start(t, websocket.DefaultConfig())
	c := dial(t, url+"/any/path/", "nope", "echo2")
	if c.Subprotocol() != "echo2" {
		t.Errorf("subprotocol %q", c.Subprotocol())
	}
	for _, n := range []int{0, 1, 125, 126, 65535, 65536, 300_000} {
		want := strings.Repeat("x", n)
		if err := c.WriteMessage(gorilla.BinaryMessage, []byte(want)); err != nil {
			t.Fatal(err)
		}
		k, got, err := c.ReadMessage()
		if err != nil || k != gorilla.BinaryMessage || string(got) != want {
			t.Fatalf("%d bytes: got %d, kind %d, %v", n, len(got), k, err)
		}
	}
}

func TestCloseReason(t *testing.T) {
	url, _ := start(t, websocket.DefaultConfig())
	c := dial(t, url, "echo")
	_ = c.WriteMessage(gorilla.TextMessage, []byte("bye"))
	_, _, err := c.ReadMessage()
	var ce *gorilla.CloseError
	if !errors.As(err, &ce) || ce.Code != 1008 || !strings.HasPrefix(ce.Text, "not_authorized") {
		t.Errorf("got %v", err)
	}
}

func TestShutdown(t *testing.T) {
	url, stop := start(t, websocket.DefaultConfig())
	c := dial(t, url, "echo")
	_ = c.WriteMessage(gorilla.TextMessage, []byte("x"))
	_, _, _ = c.ReadMessage()
	begun := time.Now()
	go stop()
	if _, b, err := c.ReadMessage(); err != nil || string(b) != "last words" {
		t.Errorf("got %q, %v", b, err)
	}
	_, _, err := c.ReadMessage()
	if !gorilla.IsCloseError(err, 1012) {
		t.Errorf("got %v", err)
	}
	if d := time.Since(begun); d > time.Second {
		t.Errorf("took %s", d)
	}
}

func TestRefusals(t *testing.T) {
	url, _ := start(t, websocket.DefaultConfig())
	for _, c := range []struct {
		name   string
		head   http.Header
		tokens []string
		status int
		body   string
	}{
		{"unknown subprotocol", nil, []string{"wamp"}, 400, "wamp"},
		{"foreign origin", http.Header{"Origin": {"http://evil.example"}}, []string{"echo"}, 403, "evil.example"},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := gorilla.Dialer{Subprotocols: c.tokens}
			_, resp, err := d.Dial(url, c.head)
			if err == nil {
				t.Fatal("was served")
			}
			body, _ := io.ReadAll(resp.Body)
			resp.Body.Close()
			if resp.StatusCode != c.status || !strings.Contains(string(body), c.body) {
				t.Errorf("got %d %q", resp.StatusCode, body)
			}
		})
	}
	resp, err := http.Get("http" + strings.TrimPrefix(url, "ws") + "/x")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if body, _ := io.ReadAll(resp.Body); resp.StatusCode != 426 || !strings.Contains(string(body), "echo2") {
		t.Errorf("plain GET: %d %q", resp.StatusCode, body)
	}
}

// Pages that the program itself serves on another port may connect; what else listens there may not.
func TestAllowOrigins(t *testing.T) {
	cfg := websocket.DefaultConfig()
	cfg.URI = "ws://127.0.0.1:0"
	tr, err := websocket.New("test", cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if tr.Addr() != nil {
		t.Errorf("an address before Listen: %v", tr.Addr())
	}
	tr.AllowOrigins(func(origin string) bool { return origin == "http://127.0.0.1:8161" })
	addr, err := tr.Listen(t.Context())
	if err != nil || tr.Addr() != addr {
		t.Fatalf("bound to %v, Addr says %v: %v", addr, tr.Addr(), err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- tr.Serve(ctx, echo{}) }()
	for _, c := range []struct {
		origins []string
		ok      bool
	}{
		{[]string{"http://127.0.0.1:8161"}, true},
		{[]string{"http://127.0.0.1:8162"}, false},
		{[]string{"http://127.0.0.1:8161", "http://evil.example"}, false},
	} {
		d := gorilla.Dialer{Subprotocols: []string{"echo"}}
		nc, _, err := d.Dial("ws://"+addr.String(), http.Header{"Origin": c.origins})
		if (err == nil) != c.ok {
			t.Errorf("origin %q: %v, want served: %v", c.origins, err, c.ok)
		}
		if err == nil {
			_ = nc.Close()
		}
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestInvalidUTF8(t *testing.T) {
	url, _ := start(t, websocket.DefaultConfig())
	c := dial(t, url, "echo")
	_ = c.WriteMessage(gorilla.TextMessage, []byte("ok \xff"))
	if _, _, err := c.ReadMessage(); !gorilla.IsCloseError(err, 1007) {
		t.Errorf("got %v", err)
	}
	c = dial(t, url, "echo")
	_ = c.WriteMessage(gorilla.TextMessage, []byte("grüße €"))
	if _, b, err := c.ReadMessage(); err != nil || string(b) != "grüße €" {
		t.Errorf("got %q, %v", b, err)
	}
}

func TestTooBig(t *testing.T) {
	cfg := websocket.DefaultConfig()
	cfg.Limits.MaxMessageSize = 1000
	url, _ := start(t, cfg)
	c := dial(t, url, "echo")
	_ = c.WriteMessage(gorilla.BinaryMessage, make([]byte, 1001))
	if _, b, err := c.ReadMessage(); err != nil || string(b) != "last words" {
		t.Errorf("got %q, %v", b, err)
	}
	if _, _, err := c.ReadMessage(); !gorilla.IsCloseError(err, 1009) {
		t.Errorf("got %v", err)
	}
}
