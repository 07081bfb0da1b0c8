package edge_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"log/slog"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wyemq/wye/core/edge"
)

// write writes a certificate of its own authority that ends after the time given.
func write(t *testing.T, p edge.KeyPair, name string, lasts time.Duration) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotAfter: time.Now().Add(lasts)}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for file, block := range map[string]*pem.Block{p.CertFile: {Type: "CERTIFICATE", Bytes: der}, p.KeyFile: {Type: "PRIVATE KEY", Bytes: secret}} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// journal keeps what is logged until it is taken.
type journal struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.b.Write(p)
}

func (j *journal) take() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	defer j.b.Reset()
	return j.b.String()
}

// TestWatch: who runs the broker is told in time, and not every hour.
func TestWatch(t *testing.T) {
	dir := t.TempDir()
	files := edge.KeyPair{CertFile: filepath.Join(dir, "c.pem"), KeyFile: filepath.Join(dir, "k.pem")}
	synctest.Test(t, func(t *testing.T) {
		const day = 24 * time.Hour
		write(t, files, "broker", 40*day)
		var out journal
		certs, err := edge.TLS{KeyPair: files}.Load(slog.New(slog.NewTextHandler(&out, nil)))
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		var work sync.WaitGroup
		work.Go(func() { certs.Watch(ctx) })
		after := func(d time.Duration, want string) {
			t.Helper()
			time.Sleep(d)
			synctest.Wait()
			got := out.take()
			if n := strings.Count(got, "\n"); want == "" && n != 0 || want != "" && (n != 1 || !strings.Contains(got, want)) {
				t.Errorf("the log has %q, want one line with %q", got, want)
			}
		}
		after(9*day, "")
		after(day+time.Minute, "days=30")
		after(22*day, "")
		after(day, "days=7")
		after(5*day, "")
		after(day, "days=1")
		after(12*time.Hour, "")
		after(day, `level=ERROR msg="certificate has ended"`)
		after(2*day, "")
		write(t, files, "broker", 20*day) // too short a time again
		time.Sleep(2 * time.Hour)
		synctest.Wait()
		if got := out.take(); !strings.Contains(got, "TLS files read again") || !strings.Contains(got, "certificate ends soon") {
			t.Errorf("after a change the log has %q", got)
		}
		if list := certs.List(); len(list) != 1 || list[0].Subject != "broker" || time.Until(list[0].NotAfter) < 19*day {
			t.Errorf("List: %+v", list)
		}
		cancel()
		work.Wait()
	})
}

// TestLoadMismatch names both files of a pair that is none.
func TestLoadMismatch(t *testing.T) {
	dir := t.TempDir()
	pair := func(name string) edge.KeyPair {
		p := edge.KeyPair{CertFile: filepath.Join(dir, name+".pem"), KeyFile: filepath.Join(dir, name+".key")}
		write(t, p, name, time.Hour)
		return p
	}
	a, b := pair("a"), pair("b")
	mixed := edge.KeyPair{CertFile: a.CertFile, KeyFile: b.KeyFile}
	_, err := edge.TLS{KeyPair: a, Certificates: []edge.KeyPair{mixed}}.Load(slog.New(slog.DiscardHandler))
	if want := "tls.certificates.0: " + a.CertFile + " with " + b.KeyFile + ": "; err == nil || !strings.HasPrefix(err.Error(), want) {
		t.Errorf("got %v, want %s...", err, want)
	}
}
