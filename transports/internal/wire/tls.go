package wire

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"
)

// TLS is the configuration of a secure listener.
type TLS struct {
	CertFile     string `koanf:"cert_file"`
	KeyFile      string `koanf:"key_file"`
	ClientCAFile string `koanf:"client_ca_file"` // clients must show a certificate signed by one of these
}

// Empty reports whether nothing is configured.
func (t TLS) Empty() bool { return t == TLS{} }

// reloadAfter is how long a certificate is used before its files are looked at again.
const reloadAfter = 5 * time.Second

// Config returns the configuration for crypto/tls. The certificate is read again when its files have
// changed; while the new one is broken the old one stays.
func (t TLS) Config() (*tls.Config, error) {
	if t.CertFile == "" || t.KeyFile == "" {
		return nil, errors.New("tls: cert_file and key_file are needed")
	}
	k := &keeper{t: t}
	if _, err := k.get(nil); err != nil {
		return nil, err
	}
	cfg := &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: k.get, NextProtos: []string{"http/1.1"}}
	if t.ClientCAFile != "" {
		pem, err := os.ReadFile(t.ClientCAFile)
		if err != nil {
			return nil, fmt.Errorf("tls: client_ca_file: %w", err)
		}
		cfg.ClientCAs = x509.NewCertPool()
		if !cfg.ClientCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("tls: client_ca_file %s: holds no certificate", t.ClientCAFile)
		}
		cfg.ClientAuth = tls.RequireAndVerifyClientCert
	}
	return cfg, nil
}

// keeper holds the certificate in use.
type keeper struct {
	t TLS

	mu      sync.Mutex
	cert    *tls.Certificate
	stamp   time.Time
	checked time.Time
}

func (k *keeper) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.cert != nil && time.Since(k.checked) < reloadAfter {
		return k.cert, nil
	}
	k.checked = time.Now()
	stamp := newest(k.t.CertFile, k.t.KeyFile)
	if k.cert != nil && stamp.Equal(k.stamp) {
		return k.cert, nil
	}
	cert, err := tls.LoadX509KeyPair(k.t.CertFile, k.t.KeyFile)
	if err != nil {
		if k.cert != nil {
			return k.cert, nil
		}
		return nil, fmt.Errorf("tls: %w", err)
	}
	k.cert, k.stamp = &cert, stamp
	return k.cert, nil
}

func newest(files ...string) (t time.Time) {
	for _, f := range files {
		if info, err := os.Stat(f); err == nil && info.ModTime().After(t) {
			t = info.ModTime()
		}
	}
	return t
}
