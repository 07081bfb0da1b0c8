package admin_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/wyemq/wye/core/edge"
	"github.com/wyemq/wye/plugins/admin"
)

// certificate writes one of its own authority, and returns it for clients to trust and to show.
func certificate(t *testing.T, name string, files edge.KeyPair) (*x509.Certificate, tls.Certificate) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for file, block := range map[string]*pem.Block{files.CertFile: {Type: "CERTIFICATE", Bytes: der}, files.KeyFile: {Type: "PRIVATE KEY", Bytes: secret}} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert, tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: cert}
}

// pair names files.
func pair(t *testing.T) edge.KeyPair {
	t.Helper()
	dir := t.TempDir()
	return edge.KeyPair{CertFile: filepath.Join(dir, "cert.pem"), KeyFile: filepath.Join(dir, "key.pem")}
}

// browser is a client with connections of its own.
func browser(t *testing.T, shows []tls.Certificate, version uint16, trusts ...*x509.Certificate) *http.Client {
	t.Helper()
	pool := x509.NewCertPool()
	for _, c := range trusts {
		pool.AddCert(c)
	}
	tr := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, Certificates: shows, MaxVersion: version}}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr}
}

// subject asks who the server is.
func subject(c *http.Client, s *admin.Server) (string, error) {
	res, err := c.Get("https://127.0.0.1:" + fmt.Sprint(s.Addr().(*net.TCPAddr).Port) + "/healthz")
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	return string(body) + res.TLS.PeerCertificates[0].Subject.CommonName, err
}

// TestTLS serves an address that others can reach, with certificates that change under the connections that there are.
func TestTLS(t *testing.T) {
	files := pair(t)
	first, _ := certificate(t, "first", files)
	cfg := admin.Config{Listen: "0.0.0.0:0", TLS: edge.TLS{KeyPair: files, MinVersion: "1.3"}}
	var said strings.Builder
	s, err := admin.New(cfg, fine, nil, slog.New(slog.NewTextHandler(&said, nil)))
	if err != nil {
		t.Fatal(err)
	}
	stop := run(t, s)
	stays := browser(t, nil, 0, first)
	ask := func(c *http.Client, want string) {
		t.Helper()
		if got, err := subject(c, s); got != want {
			t.Errorf("got %q, %v, want %q", got, err, want)
		}
	}
	ask(stays, "ok\nfirst")
	if got, err := subject(browser(t, nil, tls.VersionTLS12, first), s); err == nil {
		t.Errorf("TLS 1.2: got %q", got)
	}
	if res, err := http.Get("http://127.0.0.1:" + fmt.Sprint(s.Addr().(*net.TCPAddr).Port)); err == nil {
		if res.Body.Close(); res.StatusCode != http.StatusBadRequest {
			t.Errorf("plain text: %s", res.Status)
		}
	}
	http.DefaultClient.CloseIdleConnections()
	second, client := certificate(t, "the second", files) // which is seen at the next handshake
	ask(stays, "ok\nfirst")
	ask(browser(t, nil, 0, second), "ok\nthe second")
	if c := s.Certificates(); len(c) != 1 || c[0].Subject != "the second" || c[0].File != files.CertFile {
		t.Errorf("%+v", c)
	}

	next := cfg
	next.TLS.KeyPair, next.TLS.ClientCAFile = pair(t), files.CertFile
	if _, err := s.Prepare(next); err == nil || !strings.HasPrefix(err.Error(), "admin.tls: open ") {
		t.Errorf("files that are not there: %v", err)
	}
	third, _ := certificate(t, "third", next.TLS.KeyPair)
	change, err := s.Prepare(next)
	if err != nil {
		t.Fatal(err)
	}
	ask(browser(t, nil, 0, second), "ok\nthe second") // not yet
	change.Apply()
	ask(stays, "ok\nfirst")
	ask(browser(t, []tls.Certificate{client}, 0, third), "ok\nthird")
	if got, err := subject(browser(t, nil, 0, third), s); err == nil {
		t.Errorf("without a certificate: got %q", got)
	}
	next.TLS = edge.TLS{}
	if _, err := s.Prepare(next); err == nil || !strings.HasPrefix(err.Error(), "admin.tls: ") {
		t.Errorf("without TLS: %v", err)
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
	if !strings.Contains(said.String(), "msg=listening listener=admin address=https://") || !strings.Contains(said.String(), "certificate ends soon") {
		t.Errorf("the log has\n%s", said.String())
	}
}

// TestTLSFails does not start with half of a configuration.
func TestTLSFails(t *testing.T) {
	for want, c := range map[string]edge.TLS{
		"admin.tls.key_file: must be a file": {KeyPair: edge.KeyPair{CertFile: "c"}},
		"admin.tls.min_version: ":            {KeyPair: edge.KeyPair{CertFile: "c", KeyFile: "k"}, MinVersion: "1.1"},
		"admin.tls.cert_file: ":              {MinVersion: "1.3"},
	} {
		if err := (admin.Config{Listen: "127.0.0.1:0", TLS: c}).Validate("admin"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q in it", err, want)
		}
	}
	s := newServer(t, admin.Config{Listen: "127.0.0.1:0", TLS: edge.TLS{KeyPair: pair(t)}}, fine)
	if err := s.Run(t.Context(), func() { t.Error("ready") }); err == nil || !strings.HasPrefix(err.Error(), "admin.tls: open ") {
		t.Errorf("Run: %v", err)
	}
	off := newServer(t, admin.Config{}, fine)
	if _, err := off.Prepare(admin.Config{TLS: edge.TLS{KeyPair: pair(t)}}); err != nil {
		t.Errorf("TLS of a server that is switched off: %v", err)
	}
}

// TestTrustedProxies: a client has the address that a trusted proxy gives it, in the header that it is said to write.
func TestTrustedProxies(t *testing.T) {
	from := ""
	s := newServer(t, admin.Config{TrustedProxies: []string{"10.0.0.0/8"}, ProxyHeader: edge.XForwardedFor}, fine,
		admin.Route{Path: "/from", Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { from = r.RemoteAddr })})
	told := ""
	s.Tell(nil, func(r *http.Request, _ int) { told = r.RemoteAddr })
	ask := func(peer, want string) {
		t.Helper()
		r := httptest.NewRequest(http.MethodGet, "http://localhost/from", nil)
		r.RemoteAddr = peer
		r.Header.Set("X-Forwarded-For", "6.6.6.6, 198.51.100.7")
		r.Header.Set("Forwarded", "for=198.51.100.8")
		s.Handler().ServeHTTP(httptest.NewRecorder(), r)
		if from != want || told != want {
			t.Errorf("%s: the handler has %s, who is told has %s; want %s", peer, from, told, want)
		}
	}
	ask("10.0.0.1:9", "198.51.100.7:0")
	ask("192.0.2.1:9", "192.0.2.1:9")
	change, err := s.Prepare(admin.Config{TrustedProxies: []string{"192.0.2.1"}, ProxyHeader: edge.ForwardedField})
	if err != nil {
		t.Fatal(err)
	}
	change.Apply()
	ask("10.0.0.1:9", "10.0.0.1:9")
	ask("192.0.2.1:9", "198.51.100.8:0")
	err = admin.Config{Listen: "127.0.0.1:0", TrustedProxies: []string{"proxy"}, ProxyHeader: "via"}.Validate("admin")
	if err == nil || !strings.Contains(err.Error(), "admin.trusted_proxies: ") || !strings.Contains(err.Error(), "admin.proxy_header: ") {
		t.Errorf("got %v", err)
	}
}
