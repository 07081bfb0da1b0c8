package edge

import (
	"fmt"
	"net"
	"net/http"
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

// ProxyHeader is the header in which trusted proxies name their clients. No other is looked at, because a proxy that does not
// know it passes on what a client has written there.
type ProxyHeader string

// The headers there are.
const (
	XForwardedFor  ProxyHeader = "x-forwarded-for"
	ForwardedField ProxyHeader = "forwarded" // RFC 7239
)

// Validate names what makes no sense; key is that of the header in the configuration.
func (h ProxyHeader) Validate(key string) error {
	if h != XForwardedFor && h != ForwardedField {
		return fmt.Errorf("%s: must be %s or %s, is %q", key, XForwardedFor, ForwardedField, string(h))
	}
	return nil
}

// Requester returns the address of whoever sends r, as the proxies tell it in h that are trusted. It shares no memory with r.
func (n Networks) Requester(r *http.Request, h ProxyHeader) net.Addr {
	hops := ForwardedFor(r.Header.Values("X-Forwarded-For"))
	if h == ForwardedField {
		hops = Forwarded(r.Header.Values("Forwarded"))
	}
	return n.Client(peer(r.RemoteAddr), hops)
}

// peer reads the address that the HTTP server gives.
func peer(s string) net.Addr {
	ap, err := netip.ParseAddrPort(s)
	if err != nil {
		return textAddr(strings.Clone(s))
	}
	return net.TCPAddrFromAddrPort(netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port()))
}

// textAddr is an address that is no IP address, as of a unix socket.
type textAddr string

func (textAddr) Network() string  { return "unix" }
func (a textAddr) String() string { return string(a) }

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
