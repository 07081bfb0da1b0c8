package wyecmd_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// selfSigned writes a certificate and its key.
func selfSigned(t *testing.T) (cert, key string) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"localhost"}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, &template, &template, &k.PublicKey, k)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for path, block := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: der}, key: {Type: "PRIVATE KEY", Bytes: raw}} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return cert, key
}

// TestBadTLS sends to secure listeners what is no TLS handshake, begins handshakes that do not end, and breaks off.
func TestBadTLS(t *testing.T) {
	cert, key := selfSigned(t)
	var args []string
	for name, uri := range map[string]string{"wss": "wss://127.0.0.1:0", "tls": "tls://127.0.0.1:0"} {
		args = append(args, "--set", "listeners."+name+".uri="+uri, "--set", "listeners."+name+".login_timeout=1500ms",
			"--set", "listeners."+name+".tls.cert_file="+cert, "--set", "listeners."+name+".tls.key_file="+key)
	}
	h := openBadHouse(t, args)
	hello := "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + strings.Repeat("r", 32) // a ClientHello of 512 bytes that is cut short
	early := make(map[string]*foe)                                                    // these take time
	for _, listener := range []string{"tls", "wss"} {
		early[listener+"/no handshake"], early[listener+"/half a handshake"] = h.foe(t, "", listener), h.foe(t, "", listener)
		early[listener+"/half a handshake"].say(hello)
	}
	for _, listener := range []string{"tls", "wss"} {
		for _, c := range []struct {
			name, say, reason string
		}{
			{"garbage", "\xde\xad\xbe\xef" + strings.Repeat("\x01", 100), "protocol_error"},
			{"HTTP", "GET / HTTP/1.1\r\nHost: localhost\r\n" + badUpgrade + "\r\n", "protocol_error"},
			{"STOMP", stompFrame("CONNECT", "accept-version:1.2"), "protocol_error"},
			{"an old version", "\x16\x03\x00\x00\x05\x01\x00\x00\x01\x03", "protocol_error"},
			{"half a handshake", "", "login_timeout"},
			{"no handshake", "", "login_timeout"},
		} {
			t.Run(listener+"/"+c.name, func(t *testing.T) {
				h.undisturbed(t, badPeak)
				f := early[listener+"/"+c.name]
				if f == nil {
					f = h.foe(t, "", listener)
					f.say(c.say)
				}
				f.t = t
				_, _ = io.Copy(io.Discard, f.in) // an alert, perhaps
				f.close()
				if lines := h.of(f, 1); len(lines) != 1 || !strings.Contains(lines[0], " reason="+c.reason+" ") || !strings.Contains(lines[0], "level=INFO") {
					t.Errorf("want one line with reason %s, the log has\n%s", c.reason, strings.Join(lines, "\n"))
				}
			})
		}
		t.Run(listener+"/unknown authority", func(t *testing.T) {
			h.undisturbed(t, badPeak)
			f := h.foe(t, "", listener)
			if err := tls.Client(f.nc, &tls.Config{ServerName: "localhost", MinVersion: tls.VersionTLS12}).HandshakeContext(t.Context()); err == nil {
				t.Error("the client trusts everybody")
			}
			f.close()
			h.of(f, 1)
		})
	}
}
