package wyecmd_test

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/wyemq/wye/plugins/users"
)

// TestAdminTLS asks the admin server of a process, as a proxy does: over TLS, with the certificate changed under a connection,
// and with the address of the client in rules, in the audit log and in what wrong passwords are counted by.
func TestAdminTLS(t *testing.T) {
	cert, key := selfSigned(t)
	otherCert, otherKey := selfSigned(t)
	people := usersFile(t, users.User{Name: "root"})
	file := filepath.Join(t.TempDir(), "audit.log")
	yaml := func(cert, key, more string) string {
		return "audit: {file: '" + file + "'}\nadmin: {trusted_proxies: [127.0.0.1], tls: {cert_file: '" + cert + "', key_file: '" + key + "'" + more + "}}\n" +
			"auth: {users: {file: '" + people + "'}, acl: {rules: [{allow: [manage], on: ['broker/#'], addresses: [192.0.2.0/24]}]}}\n"
	}
	p := startWith(t, yaml(cert, key, ""), "--set", "limits.login_tries=1", "--set", "limits.login_delay=1m", "--set", "limits.login_delay_most=1m")
	client := trusting(t, cert)
	ask := func(c *http.Client, method, path, from, password string) (status int, body string) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), method, "https://"+p.addrs["admin"]+path, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("X-Forwarded-For", from)
		if password != "" {
			req.SetBasicAuth("root", password)
		}
		resp, err := c.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		text, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, string(text)
	}
	reload := func(want int, from string) {
		t.Helper()
		if status, body := ask(client, http.MethodPost, "/reload", from, passwordOf("root")); status != want {
			t.Errorf("reload from %s: %d %s", from, status, body)
		}
	}
	reload(http.StatusOK, "192.0.2.7")
	reload(http.StatusForbidden, "198.51.100.7")
	if _, body := ask(client, http.MethodGet, "/metrics", "192.0.2.7", ""); !strings.Contains(body, `wye_certificate_expiry_seconds{file="`+cert+`",listener="admin",subject="localhost"}`) {
		t.Error("no metric of the certificate")
	}

	p.write(yaml(otherCert, otherKey, ""))
	reload(http.StatusOK, "192.0.2.7")
	reload(http.StatusOK, "192.0.2.7") // by the connection that there is, with the certificate of before
	if status, _ := ask(trusting(t, otherCert), http.MethodGet, "/readyz", "192.0.2.7", ""); status != http.StatusOK {
		t.Errorf("with the other certificate: %d", status)
	}
	for _, wrong := range []string{yaml(otherCert, key, ""), yaml(otherCert, otherKey, ", min_version: '1.0'"), yaml("", "", "")} {
		p.write(wrong)
		reload(http.StatusUnprocessableEntity, "192.0.2.7")
	}

	// Who guesses keeps out himself, not whoever comes by the same proxy.
	for range 5 {
		ask(client, http.MethodPost, "/reload", "192.0.2.66", "wrong")
	}
	if status, body := ask(client, http.MethodPost, "/reload", "192.0.2.66", "wrong"); status != http.StatusTooManyRequests {
		t.Errorf("who guesses: %d %s", status, body)
	}
	p.write(yaml(otherCert, otherKey, ""))
	reload(http.StatusOK, "192.0.2.7")
	p.stop(syscall.SIGTERM)
	if code := p.exit(); code != 0 {
		t.Errorf("exit code %d\n%s", code, p.all())
	}
	var from []string
	for _, r := range auditLines(t, file) {
		if r.Event == "admin" && !slices.Contains(from, r.Remote) {
			from = append(from, r.Remote)
		}
	}
	if got, want := strings.Join(from, " "), "192.0.2.7 198.51.100.7 192.0.2.66"; got != want {
		t.Errorf("the audit log has requests from %s, want %s", got, want)
	}
}

// trusting returns a client that trusts one certificate.
func trusting(t *testing.T, cert string) *http.Client {
	t.Helper()
	text, err := os.ReadFile(cert)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(text)
	tr := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, ServerName: "localhost"}}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr}
}
