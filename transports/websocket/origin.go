package websocket

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// origins decides which pages may connect. A browser sends the origin of the page; nothing else can be
// believed to, so this protects users of browsers, not the broker.
type origins struct {
	allowed []string
	missing bool
	ours    func(origin string) bool // may be nil
}

func newOrigins(cfg Config) origins {
	o := origins{missing: cfg.AllowMissingOrigin}
	for _, a := range cfg.AllowedOrigins {
		o.allowed = append(o.allowed, strings.ToLower(strings.TrimRight(a, "/")))
	}
	return o
}

func (o origins) check(r *http.Request) error {
	values := r.Header.Values("Origin")
	if len(values) == 0 {
		if o.missing {
			return nil
		}
		return errors.New("the request has no Origin, which this listener demands (allow_missing_origin)")
	}
	origin := strings.ToLower(values[0])
	u, err := url.Parse(origin)
	if len(values) == 1 && err == nil && u.Host != "" && withoutPort(u.Host, u.Scheme) == withoutPort(strings.ToLower(r.Host), u.Scheme) {
		return nil
	}
	if len(values) == 1 && o.ours != nil && o.ours(origin) {
		return nil
	}
	for _, a := range o.allowed {
		if len(values) == 1 && matchOrigin(a, origin) {
			return nil
		}
	}
	return fmt.Errorf("pages of origin %q may not connect to %q (allowed_origins)", strings.Join(values, ", "), r.Host)
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

// matchOrigin compares with one '*', which stands for one or more characters other than '/'.
func matchOrigin(pattern, origin string) bool {
	if pattern == "*" {
		return true
	}
	before, after, wild := strings.Cut(pattern, "*")
	if !wild {
		return pattern == origin
	}
	if !strings.HasPrefix(origin, before) || !strings.HasSuffix(origin, after) || len(origin) <= len(before)+len(after) {
		return false
	}
	return !strings.Contains(origin[len(before):len(origin)-len(after)], "/")
}
