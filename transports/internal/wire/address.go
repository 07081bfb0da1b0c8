package wire

import (
	"fmt"
	"net"
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
