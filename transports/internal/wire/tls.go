package wire

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"
)

// TLS is the configuration of a secure listener.
type TLS struct {
	// CertFile and KeyFile are the certificate, followed by its chain, and the key, in PEM.
	CertFile string `koanf:"cert_file"`
	KeyFile  string `koanf:"key_file"`
	// ClientCAFile holds the authorities whose client certificates are accepted.
	ClientCAFile string `koanf:"client_ca_file"`
	// ClientAuth is none, optional or required; empty: required if there is a ClientCAFile.
	ClientAuth string `koanf:"client_auth"`
	// MinVersion is 1.2 or 1.3; empty: 1.2.
	MinVersion string `koanf:"min_version"`
}

// Empty reports whether nothing is configured.
func (t TLS) Empty() bool { return t == TLS{} }

// Validate names everything that makes no sense; key is that of the listener. needed says that its
// scheme asks for TLS. Files are not looked at.
func (t TLS) Validate(key string, needed bool) error {
	if !needed && t.Empty() {
		return nil
	}
	var errs []error
	bad := func(name, must, is string) {
		errs = append(errs, fmt.Errorf("%s.tls.%s: must be %s, is %q", key, name, must, is))
	}
	if !needed {
		errs = append(errs, fmt.Errorf("%s.tls: is set, but the scheme of %s.uri is not encrypted", key, key))
	}
	if t.CertFile == "" {
		bad("cert_file", "a file", t.CertFile)
	}
	if t.KeyFile == "" {
		bad("key_file", "a file", t.KeyFile)
	}
	if _, ok := t.clientAuth(); !ok {
		bad("client_auth", "none, optional or required", t.ClientAuth)
	} else if t.ClientCAFile == "" && (t.ClientAuth == "optional" || t.ClientAuth == "required") {
		bad("client_ca_file", "a file if client_auth is "+t.ClientAuth, "")
	}
	if _, ok := t.minVersion(); !ok {
		bad("min_version", "1.2 or 1.3", t.MinVersion)
	}
	return errors.Join(errs...)
}

func (t TLS) clientAuth() (tls.ClientAuthType, bool) {
	switch t.ClientAuth {
	case "":
		if t.ClientCAFile == "" {
			return tls.NoClientCert, true
		}
		return tls.RequireAndVerifyClientCert, true
	case "none":
		return tls.NoClientCert, true
	case "optional":
		return tls.VerifyClientCertIfGiven, true
	case "required":
		return tls.RequireAndVerifyClientCert, true
	}
	return 0, false
}

func (t TLS) minVersion() (uint16, bool) {
	switch t.MinVersion {
	case "", "1.2":
		return tls.VersionTLS12, true
	case "1.3":
		return tls.VersionTLS13, true
	}
	return 0, false
}

// Config returns the configuration for crypto/tls, for the application protocols given. At each handshake
// it is looked whether a file has changed, and all are read again if so; while they make no sense the
// old ones stay, which is logged once for each change.
func (t TLS) Config(log *slog.Logger, protocols ...string) (*tls.Config, error) {
	k := &keeper{t: t, log: log, protocols: protocols}
	k.stamp = k.look()
	var err error
	if k.cfg, err = k.load(); err != nil {
		return nil, fmt.Errorf("tls: %w", err)
	}
	cfg := k.cfg.Clone()
	cfg.GetConfigForClient = k.current
	return cfg, nil
}

// stamp tells whether files have changed.
type stamp [3]struct {
	size int64
	at   time.Time
}

// keeper holds what is in use.
type keeper struct {
	t         TLS
	log       *slog.Logger
	protocols []string

	mu    sync.Mutex
	cfg   *tls.Config
	stamp stamp
}

func (k *keeper) look() (s stamp) {
	for i, f := range []string{k.t.CertFile, k.t.KeyFile, k.t.ClientCAFile} {
		if f == "" {
			continue
		}
		if info, err := os.Stat(f); err == nil {
			s[i].size, s[i].at = info.Size(), info.ModTime()
		}
	}
	return s
}

// current is called for each handshake. Its result is the same as long as nothing changes, so that
// sessions can be resumed.
func (k *keeper) current(*tls.ClientHelloInfo) (*tls.Config, error) {
	now := k.look()
	k.mu.Lock()
	defer k.mu.Unlock()
	if now == k.stamp {
		return k.cfg, nil
	}
	k.stamp = now
	cfg, err := k.load()
	if err != nil {
		k.log.Warn("changed TLS files are not usable, the old ones stay", "error", err)
		return k.cfg, nil
	}
	k.log.Info("TLS files read again", "cert_file", k.t.CertFile)
	k.cfg = cfg
	return cfg, nil
}

func (k *keeper) load() (*tls.Config, error) {
	cert, err := tls.LoadX509KeyPair(k.t.CertFile, k.t.KeyFile)
	if err != nil {
		return nil, err
	}
	auth, _ := k.t.clientAuth() // validated
	low, _ := k.t.minVersion()  // validated
	cfg := &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: low, ClientAuth: auth, NextProtos: k.protocols}
	if k.t.ClientCAFile == "" {
		return cfg, nil
	}
	pem, err := os.ReadFile(k.t.ClientCAFile)
	if err != nil {
		return nil, fmt.Errorf("client_ca_file: %w", err)
	}
	cfg.ClientCAs = x509.NewCertPool()
	if !cfg.ClientCAs.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("client_ca_file %s: holds no certificate", k.t.ClientCAFile)
	}
	return cfg, nil
}
