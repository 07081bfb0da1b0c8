package admin

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"

	"golang.org/x/net/netutil"

	"github.com/wyemq/wye/core"
	"github.com/wyemq/wye/core/edge"
)

// settings are what may change while the server runs.
type settings struct {
	cfg     Config
	trusted edge.Networks
}

// newSettings takes a Config that is valid.
func newSettings(cfg Config) *settings {
	trusted, _ := edge.ParseNetworks(cfg.TrustedProxies)
	return &settings{cfg, trusted}
}

// scheme is that of the server's URLs.
func (c Config) scheme() string {
	if c.plain() {
		return "http"
	}
	return "https"
}

// listen binds, and refuses an address that turns out to be reachable when that was not asked for:
// a name is what the resolver makes of it.
func (s *Server) listen(ctx context.Context, cfg Config) (net.Listener, *edge.Certificates, error) {
	var certs *edge.Certificates
	if !cfg.plain() {
		var err error
		if certs, err = cfg.TLS.Load(s.log, "http/1.1"); err != nil {
			return nil, nil, fmt.Errorf("%s.%w", section, err)
		}
	}
	ln, err := new(net.ListenConfig).Listen(ctx, "tcp", cfg.Listen)
	if err != nil {
		return nil, nil, fmt.Errorf("%s.listen: %w", section, err)
	}
	if a, ok := ln.Addr().(*net.TCPAddr); certs == nil && !cfg.AllowPlainText && (!ok || !a.IP.IsLoopback()) {
		return nil, nil, errors.Join(fmt.Errorf("%s.listen: %q is %s, which other machines can reach; "+
			"use 127.0.0.1, or set %s.tls, or %s.allow_plain_text to true", section, cfg.Listen, ln.Addr(), section, section), ln.Close())
	}
	if cfg.MaxConnections > 0 {
		ln = netutil.LimitListener(ln, cfg.MaxConnections)
	}
	if certs != nil {
		ln = tls.NewListener(ln, certs.Server())
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.addr, s.certs = ln.Addr(), certs
	return ln, certs, nil
}

// Prepare makes the Server reloadable: hosts, certificates and trusted proxies are others from the next request or handshake
// on; connections stay. To turn TLS on or off is refused.
func (s *Server) Prepare(next Config) (core.Change, error) {
	cfg := s.now.Load().cfg
	next.Listen, next.AllowPlainText, next.Pprof = cfg.Listen, cfg.AllowPlainText, cfg.Pprof // these need a restart
	next.MaxConnections = cfg.MaxConnections
	if cfg.Listen != "" && cfg.plain() != next.plain() {
		return core.Change{}, fmt.Errorf("%s.tls: turning TLS on or off needs a restart", section)
	}
	s.mu.Lock()
	certs := s.certs
	s.mu.Unlock()
	use := func() {}
	if certs != nil {
		var err error
		if use, err = certs.Prepare(next.TLS); err != nil {
			return core.Change{}, fmt.Errorf("%s.%w", section, err)
		}
	}
	return core.Change{Apply: func() {
		use()
		s.now.Store(newSettings(next))
	}}, nil
}

// Certificates tells of those in use; nil without TLS.
func (s *Server) Certificates() []edge.Certificate {
	s.mu.Lock()
	certs := s.certs
	s.mu.Unlock()
	if certs == nil {
		return nil
	}
	return certs.List()
}

// unproxy makes r come from the client that a trusted proxy names.
func (s *Server) unproxy(r *http.Request) {
	now := s.now.Load()
	if len(now.trusted) > 0 {
		r.RemoteAddr = now.trusted.Requester(r, now.cfg.ProxyHeader).String()
	}
}
