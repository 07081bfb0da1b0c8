package websocket_test

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/wyemq/wye/core"
	"github.com/wyemq/wye/core/edge"
	"github.com/wyemq/wye/core/transporttest"
	"github.com/wyemq/wye/transports/websocket"
)

// certificate writes that of package httptest, which is for 127.0.0.1, to files, and returns who trusts it.
func certificate(t testing.TB) (websocket.TLS, *tls.Config) {
	t.Helper()
	srv := httptest.NewTLSServer(http.NotFoundHandler())
	defer srv.Close()
	cert := srv.TLS.Certificates[0]
	key, err := x509.MarshalPKCS8PrivateKey(cert.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	files := websocket.TLS{KeyPair: websocket.KeyPair{CertFile: filepath.Join(dir, "cert.pem"), KeyFile: filepath.Join(dir, "key.pem")}}
	for file, block := range map[string]*pem.Block{
		files.CertFile: {Type: "CERTIFICATE", Bytes: cert.Certificate[0]},
		files.KeyFile:  {Type: "PRIVATE KEY", Bytes: key},
	} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	pool := x509.NewCertPool()
	pool.AddCert(srv.Certificate())
	return files, &tls.Config{RootCAs: pool, ServerName: "127.0.0.1", MinVersion: tls.VersionTLS12}
}

// over returns a peer that is upgraded over TLS.
func over(t testing.TB, nc net.Conn, cfg *tls.Config, headers ...string) *peer {
	t.Helper()
	p := request(t, tls.Client(nc, cfg), "/", headers...)
	if p.resp.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("upgrade: %s", p.resp.Status)
	}
	return p
}

func TestTLSConformance(t *testing.T) {
	files, trust := certificate(t)
	s := suite(func(c *websocket.Config) { c.URI, c.TLS = "wss://127.0.0.1:0", files })
	s.Dial = func(t testing.TB, addr net.Addr) transporttest.Client {
		return over(t, dialTCP(t, addr.String()), trust)
	}
	for _, c := range transporttest.Checks() {
		if c.Name != "Batching" { // which is given a listener without TLS
			t.Run(c.Name, func(t *testing.T) { c.Run(t, s) })
		}
	}
}

// TestProxyProtocol: the header comes before TLS and HTTP, and X-Forwarded-For counts from the address in it.
func TestProxyProtocol(t *testing.T) {
	files, trust := certificate(t)
	cfg := websocket.DefaultConfig()
	cfg.URI, cfg.TLS = "wss://127.0.0.1:0", files
	cfg.ProxyProtocol, cfg.TrustedProxies = true, []string{"127.0.0.1", "10.0.0.0/8"}
	infos := make(chan *core.ConnInfo, 1)
	s := serve(t, cfg, spy{infos})
	for _, c := range []struct{ name, header, forwarded, want string }{
		{"client", "PROXY TCP4 192.0.2.1 198.51.100.1 4711 443\r\n", "6.6.6.6", "192.0.2.1"},
		{"proxy behind a proxy", "PROXY TCP4 10.0.0.1 198.51.100.1 4711 443\r\n", "6.6.6.6, 192.0.2.7", "192.0.2.7"},
	} {
		t.Run(c.name, func(t *testing.T) {
			nc := dialTCP(t, s.addr)
			if _, err := io.WriteString(nc, c.header); err != nil {
				t.Fatal(err)
			}
			p := over(t, nc, trust, "X-Forwarded-For", c.forwarded)
			i := <-infos
			if got := host(i.Remote.String()); got != c.want || i.TLS == nil {
				t.Errorf("Remote is %s, want %s; TLS %v", got, c.want, i.TLS != nil)
			}
			p.roundtrip("hello")
		})
	}
	nc := dialTCP(t, s.addr)
	_, _ = io.WriteString(nc, "no header at all, but some bytes\r\n")
	if b, _ := io.ReadAll(nc); len(b) > 0 {
		t.Errorf("got %q without a header", b)
	}
}

// TestProxyHeader: the header that the proxy is said to write is believed, the other is not.
func TestProxyHeader(t *testing.T) {
	for name, want := range map[string]string{"x-forwarded-for": "192.0.2.1", "forwarded": "192.0.2.2"} {
		cfg := websocket.DefaultConfig()
		cfg.TrustedProxies, cfg.ProxyHeader = []string{"127.0.0.1"}, edge.ProxyHeader(name)
		infos := make(chan *core.ConnInfo, 1)
		s := serve(t, cfg, spy{infos})
		connect(t, s.addr, "X-Forwarded-For", "6.6.6.6, 192.0.2.1", "Forwarded", `for=6.6.6.6, for="192.0.2.2"`)
		if got := host((<-infos).Remote.String()); got != want {
			t.Errorf("%s: Remote is %s, want %s", name, got, want)
		}
	}
}

// TestHeaders: whatever a browser is answered, it is kept from making anything of it.
func TestHeaders(t *testing.T) {
	files, trust := certificate(t)
	for _, secure := range []bool{false, true} {
		cfg := websocket.DefaultConfig()
		if secure {
			cfg.URI, cfg.TLS = "wss://127.0.0.1:0", files
		}
		cfg.Limits.MaxConnections = 1
		s := serve(t, cfg, echo{})
		dial := func() net.Conn {
			nc := dialTCP(t, s.addr)
			if secure {
				nc = tls.Client(nc, trust)
			}
			return nc
		}
		const up = "GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
		const key = "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
		open := request(t, dial(), "/")
		for text, status := range map[string]int{
			"GET /?ticket=secret HTTP/1.1\r\nHost: h\r\n\r\n":         426,
			"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n": 405,
			up + "Content-Length: 1\r\n\r\nx":                         400,
			up + key + "Sec-WebSocket-Protocol: wamp\r\n\r\n":         400,
			up + key + "Origin: https://evil.example\r\n\r\n":         403,
			up + key + "\r\n": 503,
		} {
			p := raw(t, dial(), text)
			if p.resp.StatusCode != status {
				t.Errorf("%q: %s, want %d", text, p.resp.Status, status)
			}
			want := map[string]string{
				"Content-Security-Policy": "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
				"X-Content-Type-Options":  "nosniff", "X-Frame-Options": "DENY", "Referrer-Policy": "no-referrer",
				"Cross-Origin-Resource-Policy": "same-origin", "Cache-Control": "no-store", "Content-Type": "text/plain; charset=utf-8",
				"Strict-Transport-Security": "",
			}
			if secure {
				want["Strict-Transport-Security"] = "max-age=31536000"
			}
			for name, value := range want {
				if got := p.resp.Header.Get(name); got != value {
					t.Errorf("%q (TLS: %t): %s is %q, want %q", text, secure, name, got, value)
				}
			}
			if body := p.body(); strings.Contains(body, "secret") {
				t.Errorf("%q: the answer is %q", text, body)
			}
		}
		open.roundtrip("undisturbed")
	}
}
