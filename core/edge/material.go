package edge

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"
)

// material is what the files of one configuration hold. It does not change.
type material struct {
	from    TLS
	stamps  []stamp
	cfg     *tls.Config
	certs   []Certificate
	clients *clients // nil: nobody is asked for a certificate
}

// stamp tells whether a file has changed.
type stamp struct {
	size int64
	at   time.Time
}

// look stamps the files of t.
func look(t TLS) []stamp {
	files := []string{t.ClientCAFile, t.ClientCRLFile}
	for _, p := range t.pairs() {
		files = append(files, p.CertFile, p.KeyFile)
	}
	stamps := make([]stamp, len(files))
	for i, f := range files {
		if f == "" {
			continue
		}
		if info, err := os.Stat(f); err == nil {
			stamps[i] = stamp{info.Size(), info.ModTime()}
		}
	}
	return stamps
}

// load reads the files of t, which is valid. Errors begin with "tls".
func load(t TLS, protocols []string) (*material, error) {
	m := &material{from: t, stamps: look(t)}
	auth, _ := t.clientAuth() // validated
	low, _ := t.minVersion()  // validated
	m.cfg = &tls.Config{MinVersion: low, CipherSuites: suites(), ClientAuth: auth, NextProtos: protocols, GetCertificate: m.choose}
	for i, p := range t.pairs() {
		cert, err := tls.LoadX509KeyPair(p.CertFile, p.KeyFile)
		if err != nil {
			key := "tls"
			if i > 0 {
				key = fmt.Sprintf("tls.certificates.%d", i-1)
			}
			if !errors.As(err, new(*fs.PathError)) { // which names its file
				err = fmt.Errorf("%s with %s: %w", p.CertFile, p.KeyFile, err)
			}
			return nil, fmt.Errorf("%s: %w", key, err)
		}
		m.cfg.Certificates = append(m.cfg.Certificates, cert)
		m.certs = append(m.certs, describe(p.CertFile, &cert))
	}
	if auth == tls.NoClientCert {
		return m, nil
	}
	var err error
	if m.clients, err = loadClients(t); err != nil {
		return nil, fmt.Errorf("tls.%w", err)
	}
	m.cfg.ClientCAs, m.cfg.VerifyConnection = m.clients.roots, m.clients.verify
	if !m.clients.lists.ends.IsZero() {
		m.certs = append(m.certs, Certificate{File: t.ClientCRLFile, Subject: "revocation list", NotAfter: m.clients.lists.ends})
	}
	return m, nil
}

// choose picks a certificate that the client can use: one for the very name that it asks for, else one with a wildcard that
// covers it, else the first.
func (m *material) choose(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	name := strings.ToLower(strings.TrimSuffix(hello.ServerName, "."))
	var covering *tls.Certificate
	for i := range m.cfg.Certificates {
		c := &m.cfg.Certificates[i]
		if hello.SupportsCertificate(c) != nil {
			continue
		}
		if slices.ContainsFunc(c.Leaf.DNSNames, func(n string) bool { return strings.EqualFold(n, name) }) {
			return c, nil
		}
		if covering == nil {
			covering = c
		}
	}
	if covering != nil {
		return covering, nil
	}
	return &m.cfg.Certificates[0], nil
}
