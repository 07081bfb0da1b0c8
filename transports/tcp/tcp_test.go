package tcp_test

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/wyemq/wye/core"
	"github.com/wyemq/wye/transports/tcp"
)

const patience = 20 * time.Second

// echo sends everything back, except to who is refused.
type echo struct {
	infos chan *core.ConnInfo
}

func (echo) Subprotocols() []string         { return nil }
func (echo) Select([]string) (string, bool) { return "", false }

func (e echo) ServeConn(_ context.Context, c core.Conn) error {
	if err := c.Info().Refused; err != nil {
		return err
	}
	c.LoggedIn()
	if e.infos != nil {
		e.infos <- c.Info()
	}
	_, r, err := c.NextReader()
	buf := make([]byte, 1000)
	for err == nil {
		var n int
		n, err = r.Read(buf)
		_ = c.WriteMessage(core.Binary, buf[:n])
		_ = c.Flush()
	}
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

func serve(t testing.TB, cfg tcp.Config, h core.Handler) (*tcp.Transport, string) {
	t.Helper()
	tr, err := tcp.New("test", cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	addr, err := tr.Listen(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- tr.Serve(ctx, h) }() // the cleanup waits for it
	t.Cleanup(sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Serve: %v", err)
		}
	}))
	return tr, addr.String()
}

func dial(t testing.TB, addr string) net.Conn {
	t.Helper()
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	_ = nc.SetReadDeadline(time.Now().Add(patience))
	t.Cleanup(func() { _ = nc.Close() })
	return nc
}

func roundtrip(t testing.TB, nc net.Conn, text string) {
	t.Helper()
	if _, err := io.WriteString(nc, text); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, len(text))
	if _, err := io.ReadFull(nc, got); err != nil || string(got) != text {
		t.Fatalf("echo: %q, %v", got, err)
	}
}

// wantNothing wants nc to be closed without a word.
func wantNothing(t testing.TB, nc net.Conn) {
	t.Helper()
	if b, err := io.ReadAll(nc); len(b) > 0 || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("got %q, %v, want the end", b, err)
	}
}

func base() tcp.Config {
	cfg := tcp.DefaultConfig()
	cfg.URI = "tcp://127.0.0.1:0"
	return cfg
}

func TestProxyProtocol(t *testing.T) {
	v2 := func(family byte, addrs ...byte) string {
		b := []byte("\r\n\r\n\x00\r\nQUIT\n")
		b = append(b, 0x21, family)
		b = binary.BigEndian.AppendUint16(b, uint16(len(addrs)))
		return string(append(b, addrs...))
	}
	for _, c := range []struct {
		name, header, remote string
	}{
		{"version 1", "PROXY TCP4 192.0.2.1 198.51.100.1 4711 80\r\n", "192.0.2.1:4711"},
		{"version 1, IPv6", "PROXY TCP6 2001:db8::1 2001:db8::2 4711 80\r\n", "[2001:db8::1]:4711"},
		{"version 1, unknown", "PROXY UNKNOWN\r\n", "127.0.0.1"},
		{"version 2", v2(0x11, 192, 0, 2, 1, 198, 51, 100, 1, 0x12, 0x67, 0, 80), "192.0.2.1:4711"},
		{"version 2 with extensions", v2(0x11, 192, 0, 2, 1, 198, 51, 100, 1, 0x12, 0x67, 0, 80, 1, 0, 1, 'x'), "192.0.2.1:4711"},
		{"version 2, local", strings.Replace(v2(0), "\x21", "\x20", 1), "127.0.0.1"},
		{"none", "hello, server, this is no header\r\n", ""},
		{"version 1, nonsense", "PROXY TCP4 here there 1 2\r\n", ""},
		{"version 1 without end", "PROXY TCP4 " + strings.Repeat("1", 200), ""},
		{"version 2, too short", v2(0x11, 1, 2, 3), ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg := base()
			cfg.ProxyProtocol, cfg.TrustedProxies = true, []string{"127.0.0.0/8"}
			cfg.Limits.MaxConnectionsPerAddress = 1
			infos := make(chan *core.ConnInfo, 1)
			_, addr := serve(t, cfg, echo{infos})
			silent := dial(t, addr) // one that says nothing holds nobody up
			defer silent.Close()
			nc := dial(t, addr)
			if _, err := io.WriteString(nc, c.header); err != nil {
				t.Fatal(err)
			}
			if c.remote == "" {
				wantNothing(t, nc)
				return
			}
			if i := <-infos; !strings.HasPrefix(i.Remote.String(), c.remote) {
				t.Errorf("Remote is %s, want %s", i.Remote, c.remote)
			}
			roundtrip(t, nc, "hello")
			second := dial(t, addr)
			_, _ = io.WriteString(second, c.header)
			wantNothing(t, second)
		})
	}
	t.Run("not trusted", func(t *testing.T) {
		cfg := base()
		cfg.ProxyProtocol, cfg.TrustedProxies = true, []string{"192.0.2.0/24"}
		_, addr := serve(t, cfg, echo{})
		roundtrip(t, dial(t, addr), "PROXY TCP4 192.0.2.1 198.51.100.1 4711 80\r\n")
	})
}

// keeper notes who is refused.
type keeper struct {
	echo
	told chan string
}

func (keeper) Admit() error { return nil }

func (k keeper) Refused(info *core.ConnInfo, err error) {
	k.told <- info.Remote.(*net.TCPAddr).IP.String() + " " + core.ReasonID(err)
}

// TestProxyProtocolRefused: the Doorkeeper is told once of who never gets past the header, and first of all that there was
// no place for him.
func TestProxyProtocolRefused(t *testing.T) {
	const header = "PROXY TCP4 192.0.2.1 198.51.100.1 4711 80\r\n"
	for _, c := range []struct {
		name, say  string
		full, goes bool
		want       string
	}{
		{"silence", "", false, false, "127.0.0.1 login_timeout"},
		{"half a header", "PROXY TCP4 192.0.2", false, false, "127.0.0.1 login_timeout"},
		{"no header", "hello, server", false, false, "127.0.0.1 protocol_error"},
		{"full, silence", "", true, false, "127.0.0.1 limit_exceeded"},
		{"full, no header", "hello, server", true, false, "127.0.0.1 limit_exceeded"},
		{"full, goes", "", true, true, "127.0.0.1 limit_exceeded"},
		{"full, header", header, true, false, "192.0.2.1 limit_exceeded"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			cfg := base()
			cfg.ProxyProtocol, cfg.TrustedProxies = true, []string{"127.0.0.1"}
			cfg.Limits.MaxConnections, cfg.Limits.LoginTimeout = 1, 500*time.Millisecond
			told := make(chan string, 10)
			t.Cleanup(func() { // when it has ended
				if len(told) > 0 {
					t.Errorf("told again: %s", <-told)
				}
			})
			_, addr := serve(t, cfg, keeper{told: told})
			if c.full {
				first := dial(t, addr)
				_, _ = io.WriteString(first, header)
				roundtrip(t, first, "hello")
			}
			nc := dial(t, addr)
			_, _ = io.WriteString(nc, c.say)
			if c.goes {
				_ = nc.Close()
			}
			select {
			case got := <-told:
				if got != c.want {
					t.Errorf("told %q, want %q", got, c.want)
				}
			case <-time.After(patience):
				t.Error("not told")
			}
		})
	}
}

func TestLimits(t *testing.T) {
	cfg := base()
	cfg.Limits.MaxConnections = 1
	tr, addr := serve(t, cfg, echo{})
	first := dial(t, addr)
	roundtrip(t, first, "hello")
	wantNothing(t, dial(t, addr))
	roundtrip(t, first, "undisturbed")
	if st := tr.Stats(); st.Open != 1 || st.Accepted != 1 || st.Ended["limit_exceeded"] != 1 || st.BytesIn != 16 {
		t.Errorf("Stats: %+v", st)
	}
}
