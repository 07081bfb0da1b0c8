package admin

import (
	"cmp"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// Serves reports whether pages of this origin, as browsers send it, come from this server: what
// listens beside it may let them connect. It is false before Run has called ready. An origin is the
// server's when it has its port and is localhost, an address of this machine, or one of Config.Hosts;
// those are also known with https on its usual port, behind a proxy or with a port that is mapped.
func (s *Server) Serves(origin string) bool {
	bound, ok := s.Addr().(*net.TCPAddr)
	cfg := s.now.Load().cfg
	u, err := url.Parse(origin)
	if !ok || err != nil || u.Host == "" || u.Path != "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return false
	}
	host := strings.ToLower(u.Hostname())
	named := slices.ContainsFunc(cfg.Hosts, func(name string) bool { return strings.EqualFold(name, host) })
	if u.Scheme == "https" && u.Port() == "" && named {
		return true
	}
	scheme, port := "http", cmp.Or(u.Port(), "80")
	if !cfg.plain() {
		scheme, port = "https", cmp.Or(u.Port(), "443")
	}
	if u.Scheme != scheme || port != strconv.Itoa(bound.Port) {
		return false
	}
	if named || localName(host) {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && here(addr.Unmap(), bound.AddrPort().Addr().Unmap())
}

// here reports whether a server that is bound to bound is reached at addr.
func here(addr, bound netip.Addr) bool {
	if !bound.IsUnspecified() {
		return addr == bound
	}
	own, err := net.InterfaceAddrs()
	if err != nil {
		return addr.IsLoopback()
	}
	return slices.ContainsFunc(own, func(a net.Addr) bool {
		n, ok := a.(*net.IPNet)
		return ok && n.IP.Equal(addr.AsSlice())
	})
}
