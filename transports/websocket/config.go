package websocket

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/wyemq/wye/transports/internal/wire"
)

// Config is a WebSocket listener.
type Config struct {
	// URI says scheme and address: ws://127.0.0.1:61614, wss://0.0.0.0:61615. Every path is served.
	URI string   `koanf:"uri"`
	TLS wire.TLS `koanf:"tls"`
	// AllowedOrigins lists the origins of pages that may connect, beside the listener's own:
	// "https://app.example.com", "https://*.example.com", "*".
	AllowedOrigins []string `koanf:"allowed_origins"`
	// AllowMissingOrigin admits clients that are no browsers and send none.
	AllowMissingOrigin bool `koanf:"allow_missing_origin"`
	// PingInterval is how often the server sends a PING: browsers answer it even in background tabs; 0: never.
	PingInterval time.Duration `koanf:"ping_interval"`
	// Compression offers permessage-deflate.
	Compression bool `koanf:"compression"`
	// TrustedProxies are the addresses whose X-Forwarded-For is believed, as CIDRs.
	TrustedProxies []string    `koanf:"trusted_proxies"`
	Limits         wire.Limits `koanf:",squash"`
}

// DefaultConfig returns the defaults; URI has none.
func DefaultConfig() Config {
	l := wire.DefaultLimits()
	l.IdleTimeout = 75 * time.Second
	return Config{AllowMissingOrigin: true, PingInterval: 25 * time.Second, Limits: l}
}

// Validate names everything that makes no sense; key is that of the listener in the configuration.
func (c Config) Validate(key string) error {
	errs := []error{c.Limits.Validate(key)}
	u, err := url.Parse(c.URI)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "ws" && u.Scheme != "wss":
		errs = append(errs, fmt.Errorf("%s.uri: must be ws://host:port or wss://host:port, is %q", key, c.URI))
	case u.Scheme == "wss" && c.TLS.Empty():
		errs = append(errs, fmt.Errorf("%s.tls: cert_file and key_file are needed for wss", key))
	}
	if c.PingInterval < 0 {
		errs = append(errs, fmt.Errorf("%s.ping_interval: must not be negative, is %s", key, c.PingInterval))
	}
	for _, o := range c.AllowedOrigins {
		if o != "*" && !strings.Contains(o, "://") {
			errs = append(errs, fmt.Errorf("%s.allowed_origins: must be scheme://host[:port] with * as wildcard, is %q", key, o))
		}
	}
	if _, err := c.proxies(); err != nil {
		errs = append(errs, fmt.Errorf("%s.%w", key, err))
	}
	return errors.Join(errs...)
}

func (c Config) proxies() ([]netip.Prefix, error) {
	list := make([]netip.Prefix, 0, len(c.TrustedProxies))
	for _, s := range c.TrustedProxies {
		p, err := netip.ParsePrefix(s)
		if err != nil {
			a, addrErr := netip.ParseAddr(s)
			if addrErr != nil {
				return nil, fmt.Errorf("trusted_proxies: must be addresses or CIDRs, is %q", s)
			}
			p = netip.PrefixFrom(a, a.BitLen())
		}
		list = append(list, p.Masked())
	}
	return list, nil
}

func hostPort(uri string) (scheme, addr string, err error) {
	u, err := url.Parse(uri)
	if err != nil {
		return "", "", err
	}
	if u.Port() == "" {
		return "", "", fmt.Errorf("%q has no port", uri)
	}
	return u.Scheme, net.JoinHostPort(u.Hostname(), u.Port()), nil
}
