package wire

import (
	"net"
	"net/netip"
	"slices"
	"strings"
)

// Client returns the client's address: of the hops that proxies named, the nearest last, the rightmost that is not trusted
// itself; peer if that is not a trusted proxy.
func (n Networks) Client(peer net.Addr, hops []string) net.Addr {
	if !n.HasNet(peer) {
		return peer
	}
	client := peer
	for _, hop := range slices.Backward(hops) {
		a, ok := parseHop(hop)
		if !ok {
			break // from here to the left anybody may have written anything
		}
		client = net.TCPAddrFromAddrPort(a)
		if !n.Has(a.Addr()) {
			break
		}
	}
	return client
}

// parseHop reads an address, which some proxies write with a port.
func parseHop(s string) (netip.AddrPort, bool) {
	if a, err := netip.ParseAddr(strings.Trim(s, "[]")); err == nil {
		return netip.AddrPortFrom(a.Unmap(), 0), true
	}
	ap, err := netip.ParseAddrPort(s)
	return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port()), err == nil
}

// ForwardedFor returns the hops of the header X-Forwarded-For, which may be there several times.
func ForwardedFor(values []string) []string {
	var hops []string
	for _, v := range values {
		for hop := range strings.SplitSeq(v, ",") {
			hops = append(hops, strings.TrimSpace(hop))
		}
	}
	return hops
}

// Forwarded returns the hops of the header Forwarded (RFC 7239, section 4). One that is hidden or not understood is there,
// but no address. Separators count within quotes, too: no address has one, and a client that opens a quote must not hide
// what a proxy writes after it.
func Forwarded(values []string) []string {
	var hops []string
	for _, v := range values {
		for element := range strings.SplitSeq(v, ",") {
			hop := ""
			for pair := range strings.SplitSeq(element, ";") {
				if name, value, _ := strings.Cut(strings.TrimSpace(pair), "="); strings.EqualFold(name, "for") {
					hop = strings.Trim(value, `"`)
				}
			}
			hops = append(hops, hop)
		}
	}
	return hops
}
