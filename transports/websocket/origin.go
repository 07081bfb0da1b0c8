package websocket

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"

	"github.com/wyemq/wye/core"
)

// origins decides which pages may connect. A browser sends the origin of the page; nothing else can be
// believed to, so this protects users of browsers, not the broker.
type origins struct {
	allowed []string
	missing bool
}

func newOrigins(cfg Config) origins {
	o := origins{missing: cfg.AllowMissingOrigin}
	for _, a := range cfg.AllowedOrigins {
		o.allowed = append(o.allowed, strings.ToLower(strings.TrimRight(a, "/")))
	}
	return o
}

// check returns why the page that sends r may not connect, or nil. ours, which may be nil, knows more of them.
func (o origins) check(r *http.Request, ours func(origin string) bool) error {
	values := r.Header.Values("Origin")
	if len(values) == 0 {
		if o.missing {
			return nil
		}
		return errors.New("the request has no Origin, which this listener demands (allow_missing_origin)")
	}
	origin := strings.ToLower(values[0])
	if len(values) == 1 {
		same := sameOrigin(origin, r.Host)
		if same && !rebound(r) || ours != nil && ours(origin) || o.lists(origin) {
			return nil
		}
		if same {
			return fmt.Errorf("pages of origin %q may not connect: anybody can make the name %q stand for this machine; "+
				"ask for localhost or an IP address, or add the origin to allowed_origins", clip(values[0]), clip(r.Host))
		}
	}
	return fmt.Errorf("pages of origin %q may not connect to %q (allowed_origins)", clip(strings.Join(values, ", ")), clip(r.Host))
}

func (o origins) lists(origin string) bool {
	for _, a := range o.allowed {
		if core.MatchOrigin(a, origin) {
			return true
		}
	}
	return false
}

// sameOrigin reports whether a page of origin asks the host that it came from.
func sameOrigin(origin, host string) bool {
	u, err := url.Parse(origin)
	return err == nil && u.Host != "" && withoutPort(u.Host, u.Scheme) == withoutPort(strings.ToLower(host), u.Scheme)
}

// rebound reports whether the name in Host may be of an attacker's making (DNS rebinding): he lets the name of his
// own page stand for this machine, and then that page has the origin of whatever listens here. An address cannot
// stand for another, localhost is always this machine, and TLS has checked the name. Elsewhere than on loopback
// addresses nobody is let in without credentials, which such a page does not have.
func rebound(r *http.Request) bool {
	local, _ := r.Context().Value(http.LocalAddrContextKey).(*net.TCPAddr)
	if r.TLS != nil || local == nil || !local.IP.IsLoopback() {
		return false
	}
	host := r.Host
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	if _, err := netip.ParseAddr(strings.Trim(host, "[]")); err == nil {
		return false
	}
	// RFC 6761, section 6.3.
	name := strings.ToLower(strings.TrimSuffix(host, "."))
	return name != "localhost" && !strings.HasSuffix(name, ".localhost")
}

// withoutPort takes the port off that the scheme implies: browsers do not write it.
func withoutPort(host, scheme string) string {
	switch scheme {
	case "http":
		return strings.TrimSuffix(host, ":80")
	case "https":
		return strings.TrimSuffix(host, ":443")
	}
	return host
}
