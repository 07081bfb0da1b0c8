package clientcert

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/wyemq/wye/core"
)

// Config is the section "auth.clientcert" of the configuration.
type Config struct {
	// Enabled lets certificates say who a client is.
	Enabled bool `koanf:"enabled"`
	// User lists where the name is looked for, in order: cn (common name of the subject), email, dns, uri (the first such
	// subject alternative name), subject (the whole, as RFC 2253 writes it).
	User []string `koanf:"user" enum:"cn,email,dns,uri,subject"`
	// Groups says what the groups are: ou (the organizational units), o (the organizations). Empty: there are none.
	Groups string `koanf:"groups" enum:",ou,o"`
	// VHost says what the virtual host is: ou or o, the first of them. Empty: none.
	VHost string `koanf:"vhost" enum:",ou,o"`
}

// DefaultConfig is switched off.
func DefaultConfig() Config { return Config{User: []string{"cn"}, Groups: "ou"} }

// places are where names are.
func places() []string { return []string{"cn", "email", "dns", "uri", "subject"} }

// Validate names what makes no sense; key is that of the section.
func (c Config) Validate(key string) error {
	var errs []error
	if len(c.User) == 0 {
		errs = append(errs, fmt.Errorf("%s.user: must not be empty", key))
	}
	for _, p := range c.User {
		if !slices.Contains(places(), p) {
			errs = append(errs, fmt.Errorf("%s.user: must be of %s, has %q", key, strings.Join(places(), ", "), p))
		}
	}
	return errors.Join(errs...)
}

// Authenticator knows who has shown a certificate.
type Authenticator struct{ cfg atomic.Pointer[Config] }

var (
	_ core.Authenticator = (*Authenticator)(nil)
	_ core.Enabler       = (*Authenticator)(nil)
)

// New returns an authenticator.
func New(cfg Config) (*Authenticator, error) {
	if err := cfg.Validate("auth.clientcert"); err != nil {
		return nil, err
	}
	a := &Authenticator{}
	a.cfg.Store(&cfg)
	return a, nil
}

// Prepare makes the Authenticator reloadable.
func (a *Authenticator) Prepare(next Config) (core.Change, error) {
	return core.Change{Apply: func() { a.cfg.Store(&next) }}, nil
}

// Name returns "clientcert".
func (*Authenticator) Name() string { return "clientcert" }

// Enabled reports whether certificates say who a client is.
func (a *Authenticator) Enabled() bool { return a.cfg.Load().Enabled }

// Authenticate implements core.Authenticator.
func (a *Authenticator) Authenticate(_ context.Context, l *core.Login) (core.Principal, error) {
	cfg := a.cfg.Load()
	if !cfg.Enabled || l.Password != "" || l.Token != "" || l.Ticket != "" || l.Conn == nil || l.Conn.Info() == nil {
		return core.Principal{}, core.ErrSkip
	}
	state := l.Conn.Info().TLS
	if state == nil || len(state.VerifiedChains) == 0 || len(state.VerifiedChains[0]) == 0 {
		return core.Principal{}, core.ErrSkip
	}
	cert := state.VerifiedChains[0][0]
	name := cfg.name(cert)
	switch {
	case name == "":
		return core.Principal{}, fmt.Errorf("the certificate has no %s: %w", strings.Join(cfg.User, " or "), core.ErrLogin)
	case l.User != "" && l.User != name:
		return core.Principal{}, fmt.Errorf("the certificate is not that of user %q: %w", l.User, core.ErrLogin)
	}
	p := core.Principal{Name: name, Expires: cert.NotAfter}
	p.Groups = slices.Clone(units(cert, cfg.Groups))
	if cfg.VHost != "" {
		if p.VHost = first(units(cert, cfg.VHost)); p.VHost == "" {
			return core.Principal{}, fmt.Errorf("the certificate has no %s, which is to be the virtual host: %w", cfg.VHost, core.ErrLogin)
		}
	}
	return p, nil
}

// units are those of the subject that what says.
func units(c *x509.Certificate, what string) []string {
	switch what {
	case "ou":
		return c.Subject.OrganizationalUnit
	case "o":
		return c.Subject.Organization
	default:
		return nil
	}
}

func (c *Config) name(cert *x509.Certificate) string {
	for _, place := range c.User {
		name := ""
		switch place {
		case "cn":
			name = cert.Subject.CommonName
		case "email":
			name = first(cert.EmailAddresses)
		case "dns":
			name = first(cert.DNSNames)
		case "uri":
			if len(cert.URIs) > 0 {
				name = cert.URIs[0].String()
			}
		case "subject":
			name = cert.Subject.String()
		}
		if name != "" {
			return name
		}
	}
	return ""
}

func first(list []string) string {
	if len(list) == 0 {
		return ""
	}
	return list[0]
}
