package tcp_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/wyemq/wye/core"
	"github.com/wyemq/wye/core/transporttest"
	"github.com/wyemq/wye/transports/tcp"
)

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
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign, SubjectKeyId: []byte{1},
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

// issue writes a certificate for 127.0.0.1 and more names, and returns it.
func (a *authority) issue(t testing.TB, name, certFile, keyFile string, names ...string) *x509.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, DNSNames: names,
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
	cert, _ := x509.ParseCertificate(der)
	return cert
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
	old := tls.Client(dial(t, addr), &tls.Config{RootCAs: a.pool, ServerName: "127.0.0.1"})
	roundtrip(t, old, "hello")
	<-infos
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
	roundtrip(t, old, "still here")
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
	cfg.Limits.LoginTimeout = time.Second // the handshakes of the others are done by then
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

// TestServerNames: which certificate is shown depends on the name that the client asks for.
func TestServerNames(t *testing.T) {
	cfg, a := secure(t)
	dir := t.TempDir()
	for _, names := range [][]string{{"*.example.org"}, {"app.example.org", "other.example.net"}} {
		p := tcp.KeyPair{CertFile: filepath.Join(dir, names[0]+".crt"), KeyFile: filepath.Join(dir, names[0]+".key")}
		a.issue(t, names[0], p.CertFile, p.KeyFile, names...)
		cfg.TLS.Certificates = append(cfg.TLS.Certificates, p)
	}
	tr, addr := serve(t, cfg, echo{})
	for _, c := range []struct{ name, want string }{
		{"a.example.org", "*.example.org"},
		{"app.example.org", "app.example.org"}, // the very name, though the wildcard comes first
		{"APP.example.org", "app.example.org"},
		{"other.example.net", "app.example.org"},
		{"a.b.example.org", "first"}, // a wildcard is one label (RFC 6125, section 6.4.3)
		{"example.org", "first"},
		{"unknown.example.com", "first"},
		{"", "first"},
	} {
		nc := tls.Client(dial(t, addr), &tls.Config{ServerName: c.name, InsecureSkipVerify: true})
		roundtrip(t, nc, "hello")
		if got := nc.ConnectionState().PeerCertificates[0].Subject.CommonName; got != c.want {
			t.Errorf("for %q the certificate is %q, want %q", c.name, got, c.want)
		}
	}
	var files []string
	for _, c := range tr.Certificates() {
		files = append(files, filepath.Base(c.File)+" "+c.Subject)
		if left := time.Until(c.NotAfter); left <= 0 || left > time.Hour {
			t.Errorf("%s ends in %s, want one hour", c.File, left)
		}
	}
	if got := strings.Join(files, ", "); got != "cert.pem first, *.example.org.crt *.example.org, app.example.org.crt app.example.org" {
		t.Errorf("Certificates: %s", got)
	}
}

// TestCiphers: what is not safe is not negotiated.
func TestCiphers(t *testing.T) {
	cfg, a := secure(t)
	_, addr := serve(t, cfg, echo{})
	for _, c := range []struct {
		name   string
		change func(*tls.Config)
		ok     bool
	}{
		{"TLS 1.3", func(c *tls.Config) { c.MinVersion = tls.VersionTLS13 }, true},
		{"TLS 1.2", func(c *tls.Config) { c.MaxVersion = tls.VersionTLS12 }, true},
		{"TLS 1.1", func(c *tls.Config) { c.MinVersion, c.MaxVersion = tls.VersionTLS10, tls.VersionTLS11 }, false},
		{"CBC", func(c *tls.Config) {
			c.MaxVersion, c.CipherSuites = tls.VersionTLS12, []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA}
		}, false},
		{"GCM", func(c *tls.Config) {
			c.MaxVersion, c.CipherSuites = tls.VersionTLS12, []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256}
		}, true},
	} {
		client := &tls.Config{RootCAs: a.pool, ServerName: "127.0.0.1"}
		c.change(client)
		if err := tls.Client(dial(t, addr), client).HandshakeContext(t.Context()); (err == nil) != c.ok {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

// revoke writes a list of what a has revoked, in force until end.
func (a *authority) revoke(t testing.TB, file string, end time.Time, certs ...*x509.Certificate) {
	t.Helper()
	list := &x509.RevocationList{Number: big.NewInt(1), ThisUpdate: time.Now().Add(-time.Hour), NextUpdate: end}
	for _, c := range certs {
		list.RevokedCertificateEntries = append(list.RevokedCertificateEntries,
			x509.RevocationListEntry{SerialNumber: c.SerialNumber, RevocationTime: time.Now()})
	}
	der, err := x509.CreateRevocationList(rand.Reader, list, a.cert, a.key)
	if err != nil {
		t.Fatal(err)
	}
	writePEM(t, file, "X509 CRL", der)
}

// TestRevocation: a client that was good is so no longer, neither with a new session nor with a resumed one.
func TestRevocation(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(t *testing.T, a *authority, cfg tcp.TLS, device *x509.Certificate)
	}{
		{"revoked", func(t *testing.T, a *authority, cfg tcp.TLS, device *x509.Certificate) {
			a.revoke(t, cfg.ClientCRLFile, time.Now().Add(time.Hour), device)
		}},
		{"the list is out of date", func(t *testing.T, a *authority, cfg tcp.TLS, _ *x509.Certificate) {
			a.revoke(t, cfg.ClientCRLFile, time.Now().Add(-time.Minute))
		}},
		{"another authority", func(t *testing.T, _ *authority, cfg tcp.TLS, _ *x509.Certificate) {
			other := newAuthority(t)
			writePEM(t, cfg.ClientCAFile, "CERTIFICATE", other.cert.Raw)
			other.revoke(t, cfg.ClientCRLFile, time.Now().Add(time.Hour))
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg, a := secure(t)
			dir := t.TempDir()
			cfg.TLS.ClientCAFile, cfg.TLS.ClientCRLFile = filepath.Join(dir, "ca.pem"), filepath.Join(dir, "crl.pem")
			writePEM(t, cfg.TLS.ClientCAFile, "CERTIFICATE", a.cert.Raw)
			device := a.issue(t, "device", filepath.Join(dir, "c.pem"), filepath.Join(dir, "k.pem"))
			a.revoke(t, cfg.TLS.ClientCRLFile, time.Now().Add(time.Hour), a.issue(t, "other", filepath.Join(dir, "o.pem"), filepath.Join(dir, "ok.pem")))
			cert, err := tls.LoadX509KeyPair(filepath.Join(dir, "c.pem"), filepath.Join(dir, "k.pem"))
			if err != nil {
				t.Fatal(err)
			}
			_, addr := serve(t, cfg, echo{})
			resuming := &tls.Config{
				RootCAs: a.pool, ServerName: "127.0.0.1", Certificates: []tls.Certificate{cert}, ClientSessionCache: tls.NewLRUClientSessionCache(1),
			}
			fresh := resuming.Clone()
			fresh.ClientSessionCache = nil
			talk := func(cfg *tls.Config) (resumed bool, err error) {
				nc := tls.Client(dial(t, addr), cfg)
				_, _ = io.WriteString(nc, "hello")
				_, err = io.ReadFull(nc, make([]byte, 5))
				return nc.ConnectionState().DidResume, err
			}
			if _, err := talk(resuming); err != nil {
				t.Fatal(err)
			}
			if resumed, err := talk(resuming); err != nil || !resumed {
				t.Fatalf("resumed: %t, %v", resumed, err)
			}
			c.change(t, a, cfg.TLS, device)
			if resumed, err := talk(resuming); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("with the old session (resumed: %t): %v", resumed, err)
			}
			if _, err := talk(fresh); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("with a new session: %v", err)
			}
		})
	}
}

// TestPrepareTLS: what is prepared is in use only when that is said.
func TestPrepareTLS(t *testing.T) {
	cfg, a := secure(t)
	other, b := secure(t)
	tr, addr := serve(t, cfg, echo{})
	trusts := func(a *authority) bool {
		return tls.Client(dial(t, addr), &tls.Config{RootCAs: a.pool, ServerName: "127.0.0.1"}).HandshakeContext(t.Context()) == nil
	}
	bad := other.TLS
	bad.KeyFile = cfg.TLS.KeyFile
	if _, err := tr.PrepareTLS(bad); err == nil || !strings.HasPrefix(err.Error(), "listeners.test.tls: ") {
		t.Errorf("a key of another certificate: %v", err)
	}
	use, err := tr.PrepareTLS(other.TLS)
	if err != nil {
		t.Fatal(err)
	}
	if !trusts(a) || trusts(b) {
		t.Error("what was only prepared is in use")
	}
	use()
	if trusts(a) || !trusts(b) {
		t.Error("what was prepared is not in use")
	}
	plain, _ := serve(t, base(), echo{})
	if _, err := plain.PrepareTLS(other.TLS); err == nil {
		t.Error("a listener without TLS takes certificates")
	}
}
