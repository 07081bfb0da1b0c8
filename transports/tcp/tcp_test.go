package tcp_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/binary"
	"encoding/pem"
	"errors"
	"io"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/wyemq/wye/core"
	"github.com/wyemq/wye/core/transporttest"
	"github.com/wyemq/wye/transports/tcp"
)

const patience = 20 * time.Second

// echo sends everything back.
type echo struct {
	infos chan *core.ConnInfo
}

func (echo) Subprotocols() []string         { return nil }
func (echo) Select([]string) (string, bool) { return "", false }

func (e echo) ServeConn(_ context.Context, c core.Conn) error {
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
				if b, err := io.ReadAll(nc); len(b) > 0 {
					t.Errorf("got %q, %v", b, err)
				}
				return
			}
			if i := <-infos; !strings.HasPrefix(i.Remote.String(), c.remote) {
				t.Errorf("Remote is %s, want %s", i.Remote, c.remote)
			}
			roundtrip(t, nc, "hello")
			second := dial(t, addr)
			_, _ = io.WriteString(second, c.header)
			if b, _ := io.ReadAll(second); len(b) > 0 {
				t.Errorf("got %q", b)
			}
		})
	}
	t.Run("not trusted", func(t *testing.T) {
		cfg := base()
		cfg.ProxyProtocol, cfg.TrustedProxies = true, []string{"192.0.2.0/24"}
		_, addr := serve(t, cfg, echo{})
		roundtrip(t, dial(t, addr), "PROXY TCP4 192.0.2.1 198.51.100.1 4711 80\r\n")
	})
}

func TestLimits(t *testing.T) {
	cfg := base()
	cfg.Limits.MaxConnections = 1
	tr, addr := serve(t, cfg, echo{})
	first := dial(t, addr)
	roundtrip(t, first, "hello")
	if b, _ := io.ReadAll(dial(t, addr)); len(b) > 0 {
		t.Errorf("got %q", b)
	}
	roundtrip(t, first, "undisturbed")
	if st := tr.Stats(); st.Open != 1 || st.Accepted != 1 || st.Ended["limit_exceeded"] != 1 || st.BytesIn != 16 {
		t.Errorf("Stats: %+v", st)
	}
}

// authority signs certificates.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pool *x509.CertPool
}

func newAuthority(t testing.TB) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "authority"}, NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert, _ := x509.ParseCertificate(der)
	pool := x509.NewCertPool()
	pool.AddCert(cert)
	return &authority{cert, key, pool}
}

func (a *authority) issue(t testing.TB, name, certFile, keyFile string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, a.cert, key.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	writePEM(t, certFile, "CERTIFICATE", der)
	writePEM(t, keyFile, "EC PRIVATE KEY", keyDER)
}

func writePEM(t testing.TB, file, kind string, der []byte) {
	t.Helper()
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
}

// secure returns the configuration of a tls listener, and its authority.
func secure(t testing.TB) (tcp.Config, *authority) {
	t.Helper()
	dir, a := t.TempDir(), newAuthority(t)
	cfg := base()
	cfg.URI = "tls://127.0.0.1:0"
	cfg.TLS.CertFile, cfg.TLS.KeyFile = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	a.issue(t, "first", cfg.TLS.CertFile, cfg.TLS.KeyFile)
	return cfg, a
}

func TestTLSReload(t *testing.T) {
	cfg, a := secure(t)
	infos := make(chan *core.ConnInfo, 1)
	_, addr := serve(t, cfg, echo{infos})
	name := func() string {
		c := tls.Client(dial(t, addr), &tls.Config{RootCAs: a.pool, ServerName: "127.0.0.1"})
		roundtrip(t, c, "hello")
		if i := <-infos; i.TLS == nil || !i.TLS.HandshakeComplete {
			t.Errorf("Info has TLS %v", i.TLS)
		}
		return c.ConnectionState().PeerCertificates[0].Subject.CommonName
	}
	if got := name(); got != "first" {
		t.Fatalf("the certificate is %q", got)
	}
	if err := os.WriteFile(cfg.TLS.CertFile, []byte("broken"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := name(); got != "first" {
		t.Errorf("with a broken file the certificate is %q", got)
	}
	a.issue(t, "the second", cfg.TLS.CertFile, cfg.TLS.KeyFile)
	if got := name(); got != "the second" {
		t.Errorf("after a change the certificate is %q", got)
	}
}

func TestClientCertificate(t *testing.T) {
	cfg, a := secure(t)
	dir := t.TempDir()
	cfg.TLS.ClientCAFile = filepath.Join(dir, "ca.pem")
	writePEM(t, cfg.TLS.ClientCAFile, "CERTIFICATE", a.cert.Raw)
	a.issue(t, "device", filepath.Join(dir, "c.pem"), filepath.Join(dir, "k.pem"))
	cert, err := tls.LoadX509KeyPair(filepath.Join(dir, "c.pem"), filepath.Join(dir, "k.pem"))
	if err != nil {
		t.Fatal(err)
	}
	for _, auth := range []string{"", "optional", "none"} {
		t.Run("client_auth="+auth, func(t *testing.T) {
			cfg := cfg
			cfg.TLS.ClientAuth = auth
			infos := make(chan *core.ConnInfo, 1)
			_, addr := serve(t, cfg, echo{infos})
			with := tls.Client(dial(t, addr), &tls.Config{RootCAs: a.pool, ServerName: "127.0.0.1", Certificates: []tls.Certificate{cert}})
			roundtrip(t, with, "hello")
			if i := <-infos; (len(i.TLS.VerifiedChains) == 1) != (auth != "none") {
				t.Errorf("%d chains", len(i.TLS.VerifiedChains))
			}
			without := tls.Client(dial(t, addr), &tls.Config{RootCAs: a.pool, ServerName: "127.0.0.1"})
			_, _ = io.WriteString(without, "hello")
			_, err := io.ReadFull(without, make([]byte, 5))
			if (err == nil) != (auth != "") {
				t.Errorf("without a certificate: %v", err)
			}
		})
	}
}

// TestTLSConformance: what TLS could change.
func TestTLSConformance(t *testing.T) {
	base, a := secure(t)
	s := suite()
	s.New = func(t testing.TB, l transporttest.Limits) core.Transport {
		cfg := config(l)
		cfg.URI, cfg.TLS = base.URI, base.TLS
		tr, err := tcp.New("kit", cfg, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		return tr
	}
	plain := s.Dial
	s.Dial = func(t testing.TB, addr net.Addr) transporttest.Client {
		c, _ := plain(t, addr).(*client)
		over := tls.Client(c.Conn, &tls.Config{RootCAs: a.pool, ServerName: "127.0.0.1"})
		_ = over.Handshake() // a failure comes again
		c.Conn = over
		return c
	}
	s.Listen = nil
	for _, c := range transporttest.Checks() {
		if c.Name != "Batching" {
			t.Run(c.Name, func(t *testing.T) { c.Run(t, s) })
		}
	}
}

// TestGarbageToTLS: what is no handshake ends, and disturbs nobody.
func TestGarbageToTLS(t *testing.T) {
	cfg, a := secure(t)
	cfg.Limits.LoginTimeout = 100 * time.Millisecond
	_, addr := serve(t, cfg, echo{})
	other := tls.Client(dial(t, addr), &tls.Config{RootCAs: a.pool, ServerName: "127.0.0.1"})
	roundtrip(t, other, "hello")
	garbage, silent := dial(t, addr), dial(t, addr)
	_, _ = garbage.Write(bytes.Repeat([]byte("garbage"), 100))
	for _, nc := range []net.Conn{garbage, silent} {
		if _, err := io.Copy(io.Discard, nc); errors.Is(err, os.ErrDeadlineExceeded) {
			t.Error("the connection was not closed")
		}
	}
	roundtrip(t, other, "undisturbed")
}
