package edge

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"time"
)

// clients decides which client certificates are good.
type clients struct {
	roots *x509.CertPool
	lists revoked
}

// revoked is what revocation lists say (RFC 5280, section 5).
type revoked struct {
	certs map[string]bool      // by issuer and serial number
	until map[string]time.Time // when the list of an issuer has to be replaced
	ends  time.Time            // the first of these; zero: there are no lists
}

var errRevoked = errors.New("the certificate was revoked")

// loadClients reads the authorities and what they have revoked.
func loadClients(t TLS) (*clients, error) {
	c := &clients{roots: x509.NewCertPool()}
	text, err := os.ReadFile(t.ClientCAFile)
	if err != nil {
		return nil, fmt.Errorf("client_ca_file: %w", err)
	}
	var authorities []*x509.Certificate
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "CERTIFICATE" {
			continue
		}
		a, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("client_ca_file %s: %w", t.ClientCAFile, err)
		}
		c.roots.AddCert(a)
		authorities = append(authorities, a)
	}
	if len(authorities) == 0 {
		return nil, fmt.Errorf("client_ca_file %s: holds no certificate", t.ClientCAFile)
	}
	if t.ClientCRLFile == "" {
		return c, nil
	}
	if text, err = os.ReadFile(t.ClientCRLFile); err != nil {
		return nil, fmt.Errorf("client_crl_file: %w", err)
	}
	if err := c.lists.read(text, authorities); err != nil {
		return nil, fmt.Errorf("client_crl_file %s: %w", t.ClientCRLFile, err)
	}
	return c, nil
}

// read reads lists, PEM or one in DER, each of which one of the authorities has signed.
func (r *revoked) read(text []byte, authorities []*x509.Certificate) error {
	r.certs, r.until = make(map[string]bool), make(map[string]time.Time)
	block, rest := pem.Decode(text)
	if block == nil {
		block, rest = &pem.Block{Type: crlType, Bytes: text}, nil
	}
	for ; block != nil; block, rest = pem.Decode(rest) {
		if block.Type != crlType {
			continue
		}
		list, err := x509.ParseRevocationList(block.Bytes)
		if err != nil {
			return err
		}
		if err := signed(list, authorities); err != nil {
			return err
		}
		issuer := string(list.RawIssuer)
		for _, e := range list.RevokedCertificateEntries {
			r.certs[issuer+e.SerialNumber.String()] = true
		}
		r.until[issuer] = list.NextUpdate
		if r.ends.IsZero() || list.NextUpdate.Before(r.ends) {
			r.ends = list.NextUpdate
		}
	}
	if r.ends.IsZero() {
		return errors.New("holds no revocation list")
	}
	return nil
}

const crlType = "X509 CRL"

func signed(list *x509.RevocationList, authorities []*x509.Certificate) error {
	for _, a := range authorities {
		if bytes.Equal(a.RawSubject, list.RawIssuer) && list.CheckSignatureFrom(a) == nil {
			return nil
		}
	}
	return fmt.Errorf("the list of %s is signed by none in client_ca_file", list.Issuer)
}

// verify is tls.Config.VerifyConnection: crypto/tls has verified the chains, also those of a session that is resumed.
func (c *clients) verify(s tls.ConnectionState) error {
	var err error
	for _, chain := range s.VerifiedChains {
		if err = c.lists.check(chain); err == nil {
			return nil
		}
	}
	return err // nil without a certificate: ClientAuth has decided
}

// check refuses a chain in which a certificate is revoked, or one whose issuer's list is out of date: then nobody knows. The
// certificates of issuers without a list are good.
func (r *revoked) check(chain []*x509.Certificate) error {
	for _, cert := range chain {
		issuer := string(cert.RawIssuer)
		until, listed := r.until[issuer]
		switch {
		case !listed:
		case r.certs[issuer+cert.SerialNumber.String()]:
			return fmt.Errorf("%s: %w", cert.Subject, errRevoked)
		case time.Now().After(until):
			return fmt.Errorf("the revocation list of %s is out of date since %s", cert.Issuer, until)
		}
	}
	return nil
}
