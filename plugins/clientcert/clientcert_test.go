package clientcert_test

import (
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/wyemq/wye/core"
	"github.com/wyemq/wye/core/coretest"
	"github.com/wyemq/wye/plugins/clientcert"
)

// conn has shown a certificate, or not.
type conn struct {
	core.Conn
	info core.ConnInfo
}

func (c *conn) Info() *core.ConnInfo { return &c.info }

func verified(c *x509.Certificate) *conn {
	return &conn{coretest.NewConn(), core.ConnInfo{TLS: &tls.ConnectionState{
		PeerCertificates: []*x509.Certificate{c}, VerifiedChains: [][]*x509.Certificate{{c, {}}},
	}}}
}

var until = time.Now().Add(time.Hour)

func cert() *x509.Certificate {
	return &x509.Certificate{
		Subject:        pkix.Name{CommonName: "ali", OrganizationalUnit: []string{"ops", "dev"}, Organization: []string{"acme"}},
		EmailAddresses: []string{"ali@example.com"}, DNSNames: []string{"ali.example.com", "x"},
		URIs: []*url.URL{{Scheme: "spiffe", Host: "example.com", Path: "/ali"}}, NotAfter: until,
	}
}

// TestNames takes name and groups from where it is told.
func TestNames(t *testing.T) {
	for _, c := range []struct {
		user   []string
		groups string
		want   string
	}{
		{[]string{"cn"}, "ou", "ali [ops dev]"},
		{[]string{"email"}, "o", "ali@example.com [acme]"},
		{[]string{"dns"}, "", "ali.example.com []"},
		{[]string{"uri", "cn"}, "", "spiffe://example.com/ali []"},
		{[]string{"subject"}, "", "CN=ali,OU=ops+OU=dev,O=acme []"},
	} {
		a, err := clientcert.New(clientcert.Config{Enabled: true, User: c.user, Groups: c.groups})
		if err != nil {
			t.Fatal(err)
		}
		p, err := a.Authenticate(t.Context(), &core.Login{Conn: verified(cert())})
		if got := fmt.Sprint(p.Name, " ", p.Groups); err != nil || got != c.want || !p.Expires.Equal(until) {
			t.Errorf("%v: %s until %v, %v", c.user, got, p.Expires, err)
		}
	}
}

// TestDecides knows verified certificates only, and leaves other credentials to others.
func TestDecides(t *testing.T) {
	unverified := verified(cert())
	unverified.info.TLS.VerifiedChains = nil
	nameless := verified(&x509.Certificate{})
	for name, c := range map[string]struct {
		login core.Login
		off   bool
		want  string
	}{
		"certificate":   {core.Login{Conn: verified(cert())}, false, "ali"},
		"same name":     {core.Login{User: "ali", Conn: verified(cert())}, false, "ali"},
		"another name":  {core.Login{User: "bea", Conn: verified(cert())}, false, "refused"},
		"password":      {core.Login{User: "bea", Password: "x", Conn: verified(cert())}, false, "skipped"},
		"token":         {core.Login{Token: "x", Conn: verified(cert())}, false, "skipped"},
		"ticket":        {core.Login{Ticket: "x", Conn: verified(cert())}, false, "skipped"},
		"not verified":  {core.Login{Conn: unverified}, false, "skipped"},
		"no TLS":        {core.Login{Conn: coretest.NewConn()}, false, "skipped"},
		"no connection": {core.Login{}, false, "skipped"},
		"no name in it": {core.Login{Conn: nameless}, false, "refused"},
		"switched off":  {core.Login{Conn: verified(cert())}, true, "skipped"},
	} {
		cfg := clientcert.DefaultConfig()
		cfg.Enabled = !c.off
		a, err := clientcert.New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		p, err := a.Authenticate(t.Context(), &c.login)
		got := p.Name
		switch {
		case errors.Is(err, core.ErrSkip):
			got = "skipped"
		case errors.Is(err, core.ErrLogin):
			got = "refused"
		}
		if got != c.want || a.Enabled() == c.off {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

// TestConfig refuses what makes no sense.
func TestConfig(t *testing.T) {
	if err := clientcert.DefaultConfig().Validate("k"); err != nil {
		t.Error(err)
	}
	for _, cfg := range []clientcert.Config{{}, {User: []string{"name"}}} {
		if _, err := clientcert.New(cfg); err == nil || !strings.Contains(err.Error(), "auth.clientcert.user: ") {
			t.Errorf("%+v: %v", cfg, err)
		}
	}
}

// TestVHost leads a client to the virtual host that its certificate names.
func TestVHost(t *testing.T) {
	cfg := clientcert.DefaultConfig()
	cfg.Enabled = true
	for what, want := range map[string]string{"": "", "ou": "ops", "o": "Example"} {
		cfg.VHost = what
		a, err := clientcert.New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		c := cert()
		c.Subject.OrganizationalUnit, c.Subject.Organization = []string{"ops", "dev"}, []string{"Example"}
		if p, err := a.Authenticate(t.Context(), &core.Login{Conn: verified(c)}); err != nil || p.VHost != want {
			t.Errorf("%q: in %q, %v", what, p.VHost, err)
		}
		c.Subject.OrganizationalUnit, c.Subject.Organization = nil, nil
		if _, err := a.Authenticate(t.Context(), &core.Login{Conn: verified(c)}); (err != nil) != (what != "") {
			t.Errorf("%q, which is not there: %v", what, err)
		}
	}
}
