package edge

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
)

// KeyPair is a certificate with its key.
type KeyPair struct {
	// CertFile and KeyFile are the certificate, followed by its chain, and the key, in PEM.
	CertFile string `koanf:"cert_file"`
	KeyFile  string `koanf:"key_file"`
}

// TLS is the configuration of a secure listener.
type TLS struct {
	// KeyPair is shown to clients that ask for no name, or for one that no other is for.
	KeyPair `koanf:",squash"`
	// Certificates are further ones; which is shown depends on the name that the client asks for (SNI).
	Certificates []KeyPair `koanf:"certificates"`
	// ClientCAFile holds the authorities whose client certificates are accepted.
	ClientCAFile string `koanf:"client_ca_file"`
	// ClientCRLFile holds what these authorities have revoked.
	ClientCRLFile string `koanf:"client_crl_file"`
	// ClientAuth is none, optional or required; empty: required if there is a ClientCAFile.
	ClientAuth string `koanf:"client_auth"`
	// MinVersion is 1.2 or 1.3; empty: 1.2.
	MinVersion string `koanf:"min_version"`
}

// Empty reports whether nothing is configured.
func (t TLS) Empty() bool {
	return t.KeyPair == KeyPair{} && len(t.Certificates) == 0 && t.ClientCAFile+t.ClientCRLFile+t.ClientAuth+t.MinVersion == ""
}

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
	pair := func(prefix string, p KeyPair) {
		if p.CertFile == "" {
			bad(prefix+"cert_file", "a file", p.CertFile)
		}
		if p.KeyFile == "" {
			bad(prefix+"key_file", "a file", p.KeyFile)
		}
	}
	pair("", t.KeyPair)
	for i, p := range t.Certificates {
		pair(fmt.Sprintf("certificates.%d.", i), p)
	}
	if _, ok := t.clientAuth(); !ok {
		bad("client_auth", "none, optional or required", t.ClientAuth)
	} else if t.ClientCAFile == "" && (t.ClientAuth == "optional" || t.ClientAuth == "required") {
		bad("client_ca_file", "a file if client_auth is "+t.ClientAuth, "")
	}
	if t.ClientCAFile == "" && t.ClientCRLFile != "" {
		bad("client_ca_file", "a file if there is a client_crl_file", "")
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

// pairs lists all certificates, the one for everybody first.
func (t TLS) pairs() []KeyPair { return append([]KeyPair{t.KeyPair}, t.Certificates...) }

// suites are those of TLS 1.2 with forward secrecy and authenticated encryption (RFC 9325, section 4.2). TLS 1.3 has no others.
func suites() []uint16 {
	return []uint16{
		tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
		tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
		tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
	}
}

// Load reads the files, for the application protocols given.
func (t TLS) Load(log *slog.Logger, protocols ...string) (*Certificates, error) {
	m, err := load(t, protocols)
	if err != nil {
		return nil, err
	}
	return &Certificates{log: log, protocols: protocols, used: m}, nil
}
