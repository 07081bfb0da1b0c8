package tcp

import (
	"errors"
	"fmt"

	"github.com/wyemq/wye/transports/internal/wire"
)

// Config is a TCP listener.
type Config struct {
	// URI says scheme and address: tcp://127.0.0.1:61613, tls://0.0.0.0:8883.
	URI string `koanf:"uri"`
	// Protocols names the protocols served, in the order in which they are asked about first bytes;
	// none: all. It is for whoever makes the core.Handler: the transport serves what it is given.
	Protocols []string `koanf:"protocols"`
	// TLS is for tls.
	TLS wire.TLS `koanf:"tls"`
	// TrustedProxies are addresses or CIDRs whose PROXY header is believed.
	TrustedProxies []string `koanf:"trusted_proxies"`
	// ProxyProtocol says that the trusted proxies begin each connection with a PROXY header, version
	// 1 or 2.
	ProxyProtocol bool `koanf:"proxy_protocol"`
	// Limits bound connections. MaxMessageSize has no meaning here: the protocol bounds its frames.
	Limits Limits `koanf:",squash"`
}

// Limits are what a listener's connections may use.
type Limits = wire.Limits

// TLS is the configuration of a secure listener.
type TLS = wire.TLS

// Stats is what a listener has counted.
type Stats = wire.Stats

// DefaultConfig returns the defaults; URI has none. There is no idle timeout: on plain TCP only the
// protocols have heart-beats, and a client may have agreed on none.
func DefaultConfig() Config { return Config{Limits: wire.DefaultLimits()} }

// Validate names everything that makes no sense; key is that of the listener in the configuration.
func (c Config) Validate(key string) error {
	a, err := wire.ParseURI(c.URI, "tcp", "tls")
	if err != nil {
		err = fmt.Errorf("%s.uri: %w", key, err)
	}
	errs := []error{err, c.TLS.Validate(key, a.Scheme == "tls"), c.Limits.Validate(key)}
	if _, err := wire.ParseNetworks(c.TrustedProxies); err != nil {
		errs = append(errs, fmt.Errorf("%s.trusted_proxies: %w", key, err))
	}
	if c.ProxyProtocol && len(c.TrustedProxies) == 0 {
		errs = append(errs, fmt.Errorf("%s.proxy_protocol: needs trusted_proxies, which is empty", key))
	}
	return errors.Join(errs...)
}
