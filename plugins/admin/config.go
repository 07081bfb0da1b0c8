package admin

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"

	"github.com/wyemq/wye/core/edge"
)

// section is where the configuration has it, for messages.
const section = "admin"

// Config is the section "admin" of the configuration.
type Config struct {
	// Listen is the address, as host:port; port 0 takes a free one. Empty: there is no admin server.
	Listen string `koanf:"listen" restart:"true"`
	// TLS is that of the listeners, and turned on by a certificate. To turn it on or off takes a restart.
	TLS edge.TLS `koanf:"tls"`
	// AllowPlainText permits an address that other machines can reach without TLS. What passes there is not
	// encrypted, passwords included, so it has to be said.
	AllowPlainText bool `koanf:"allow_plain_text" restart:"true"`
	// TrustedProxies are addresses or CIDRs that are believed who their clients are, in ProxyHeader.
	TrustedProxies []string         `koanf:"trusted_proxies"`
	ProxyHeader    edge.ProxyHeader `koanf:"proxy_header" enum:"x-forwarded-for,forwarded"`
	// Hosts are the names under which browsers may ask, beside localhost and IP addresses: that of a
	// reverse proxy, for example. Empty on an address that other machines can reach: every name.
	Hosts []string `koanf:"hosts"`
	// MaxConnections is how many may be open; more wait until one of them ends. 0: no limit.
	MaxConnections int `koanf:"max_connections" restart:"true"`
	// Pprof serves profiles of the running process under /debug/pprof/.
	Pprof bool `koanf:"pprof" restart:"true"`
}

// DefaultConfig serves this machine only.
func DefaultConfig() Config {
	return Config{Listen: "127.0.0.1:8161", ProxyHeader: edge.XForwardedFor, MaxConnections: 1000}
}

// Validate names everything in c that cannot work or is not safe without having been asked for; key is
// that of the section.
func (c Config) Validate(key string) error {
	if c.Listen == "" {
		return nil
	}
	var errs []error
	host, port, err := net.SplitHostPort(c.Listen)
	if err != nil {
		return fmt.Errorf("%s.listen: must be host:port or empty, is %q", key, c.Listen)
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil {
		errs = append(errs, fmt.Errorf("%s.listen: port must be between 0 and 65535, is %q", key, port))
	} else if c.plain() && !c.AllowPlainText && !local(host) {
		errs = append(errs, fmt.Errorf("%s.listen: %q can be reached from other machines without encryption; "+
			"use 127.0.0.1:%d, or set %s.tls.cert_file and %s.tls.key_file, or %s.allow_plain_text to true", key, c.Listen, n, key, key, key))
	}
	errs = append(errs, c.TLS.Validate(key, !c.plain()))
	if _, err := edge.ParseNetworks(c.TrustedProxies); err != nil {
		errs = append(errs, fmt.Errorf("%s.trusted_proxies: %w", key, err))
	}
	if len(c.TrustedProxies) > 0 {
		errs = append(errs, c.ProxyHeader.Validate(key+".proxy_header"))
	}
	if c.MaxConnections < 0 {
		errs = append(errs, fmt.Errorf("%s.max_connections: must not be negative, is %d", key, c.MaxConnections))
	}
	for _, h := range c.Hosts {
		if h == "" || strings.ContainsAny(h, ":/ *") {
			errs = append(errs, fmt.Errorf("%s.hosts: must be names without scheme, port or wildcard, has %q", key, h))
		}
	}
	return errors.Join(errs...)
}

// plain reports whether there is no TLS.
func (c Config) plain() bool { return c.TLS.Empty() }

// local reports whether host can only be this machine.
func local(host string) bool {
	if localName(host) {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.Unmap().IsLoopback()
}

// localName reports whether name is one of those that always mean this machine: RFC 6761, section 6.3.
func localName(name string) bool {
	name = strings.ToLower(strings.TrimSuffix(name, "."))
	return name == "localhost" || strings.HasSuffix(name, ".localhost")
}
