package edge

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
)

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
