package admin

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
)

// section is where the configuration has it, for messages.
const section = "admin"

// Config is the section "admin" of the configuration.
type Config struct {
	// Listen is the address, as host:port; port 0 takes a free one. Empty: there is no admin server.
	Listen string `koanf:"listen"`
	// AllowPlainText permits an address that other machines can reach. What passes there is not
	// encrypted and nobody is asked for a password, so it has to be said.
	AllowPlainText bool `koanf:"allow_plain_text"`
	// Hosts are the names under which browsers may ask, beside localhost and IP addresses: that of a
	// reverse proxy, for example. Empty on an address that other machines can reach: every name.
	Hosts []string `koanf:"hosts"`
	// Pprof serves profiles of the running process under /debug/pprof/.
	Pprof bool `koanf:"pprof"`
}

// DefaultConfig serves this machine only.
func DefaultConfig() Config { return Config{Listen: "127.0.0.1:8161"} }

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
	} else if !c.AllowPlainText && !local(host) {
		errs = append(errs, fmt.Errorf("%s.listen: %q can be reached from other machines without encryption or password; "+
			"use 127.0.0.1:%d, or set %s.allow_plain_text to true", key, c.Listen, n, key))
	}
	for _, h := range c.Hosts {
		if h == "" || strings.ContainsAny(h, ":/ *") {
			errs = append(errs, fmt.Errorf("%s.hosts: must be names without scheme, port or wildcard, has %q", key, h))
		}
	}
	return errors.Join(errs...)
}

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
