package wire

import (
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strings"
)

// Address is where a listener listens.
type Address struct {
	// Scheme is in lower case, HostPort as net.Listen wants it.
	Scheme, HostPort string
}

// ParseURI takes apart a uri that has a port and one of the schemes.
func ParseURI(uri string, schemes ...string) (Address, error) {
	must := make([]string, len(schemes))
	for i, s := range schemes {
		must[i] = s + "://host:port"
	}
	u, err := url.Parse(uri)
	if err != nil || u.Port() == "" || u.User != nil || !slices.Contains(schemes, u.Scheme) {
		return Address{}, fmt.Errorf("must be %s, is %q", strings.Join(must, " or "), uri)
	}
	return Address{Scheme: u.Scheme, HostPort: net.JoinHostPort(u.Hostname(), u.Port())}, nil
}

// Networks are addresses that are trusted to say who their clients are.
type Networks []netip.Prefix

// ParseNetworks reads addresses and CIDRs.
func ParseNetworks(list []string) (Networks, error) {
	var nets Networks
	for _, s := range list {
		p, err := netip.ParsePrefix(s)
		if err != nil {
			a, addrErr := netip.ParseAddr(s)
			if addrErr != nil {
				return nil, fmt.Errorf("must be addresses or CIDRs, is %q", s)
			}
			p = netip.PrefixFrom(a.Unmap(), a.Unmap().BitLen())
		}
		nets = append(nets, p.Masked())
	}
	return nets, nil
}

// Has reports whether a is one of them.
func (n Networks) Has(a netip.Addr) bool {
	a = a.Unmap().WithZone("")
	return slices.ContainsFunc(n, func(p netip.Prefix) bool { return p.Contains(a) })
}

// HasNet is Has for a net.Addr; one that is no IP address is never trusted.
func (n Networks) HasNet(a net.Addr) bool {
	t, ok := a.(*net.TCPAddr)
	return ok && n.Has(t.AddrPort().Addr())
}
