package websocket

import (
	"errors"
	"fmt"
	"time"

	"github.com/wyemq/wye/core"
	"github.com/wyemq/wye/transports/internal/wire"
)

// Config is a WebSocket listener.
type Config struct {
	// URI says scheme and address: ws://127.0.0.1:61614, wss://0.0.0.0:61615. Every path is served.
	URI string `koanf:"uri"`
	// Protocols names the protocols served, in the order in which they are asked about first bytes;
	// none: all. It is for whoever makes the core.Handler: the transport serves what it is given.
	Protocols []string `koanf:"protocols"`
	// TLS is for wss.
	TLS wire.TLS `koanf:"tls"`
	// AllowedOrigins lists the origins of pages that may connect, beside the listener's own:
	// "https://app.example.com", "https://*.example.com", "*". On loopback addresses without TLS, behind a
	// proxy as well, the listener's own are those of localhost and of addresses; names are to be listed.
	AllowedOrigins []string `koanf:"allowed_origins"`
	// AllowMissingOrigin admits clients that are no browsers and send none.
	AllowMissingOrigin bool `koanf:"allow_missing_origin"`
	// PingInterval is how often the server sends a PING: browsers answer it even for tabs in the
	// background, whose own timers they slow down; 0: never.
	PingInterval time.Duration `koanf:"ping_interval"`
	// Compression offers permessage-deflate (RFC 7692), without context takeover.
	Compression bool `koanf:"compression"`
	// TrustedProxies are addresses or CIDRs whose X-Forwarded-For is believed.
	TrustedProxies []string `koanf:"trusted_proxies"`
	// ProxyProtocol says that the trusted proxies begin each connection with a PROXY header, version
	// 1 or 2.
	ProxyProtocol bool `koanf:"proxy_protocol"`
	// Limits bound connections and messages.
	Limits Limits `koanf:",squash"`
}

// Limits are what a listener's connections may use.
type Limits = wire.Limits

// TLS is the configuration of a secure listener.
type TLS = wire.TLS

// Stats is what a listener has counted.
type Stats = wire.Stats

// DefaultConfig returns the defaults; URI has none.
func DefaultConfig() Config {
	l := wire.DefaultLimits()
	l.IdleTimeout = 75 * time.Second // three PINGs that nobody answered
	return Config{AllowMissingOrigin: true, PingInterval: 25 * time.Second, Limits: l}
}

// Validate names everything that makes no sense; key is that of the listener in the configuration.
func (c Config) Validate(key string) error {
	a, err := wire.ParseURI(c.URI, "ws", "wss")
	if err != nil {
		err = fmt.Errorf("%s.uri: %w", key, err)
	}
	return errors.Join(err, c.TLS.Validate(key, a.Scheme == "wss"), c.validate(key))
}

// validate checks what concerns every use, that in an application's own server included.
func (c Config) validate(key string) error {
	errs := []error{c.Limits.Validate(key)}
	if c.PingInterval < 0 {
		errs = append(errs, fmt.Errorf("%s.ping_interval: must be 0 (never) or more, is %s", key, c.PingInterval))
	}
	if i := c.Limits.IdleTimeout; i > 0 && c.PingInterval >= i {
		errs = append(errs, fmt.Errorf("%s.ping_interval: must be shorter than idle_timeout (%s), is %s", key, i, c.PingInterval))
	}
	for _, o := range c.AllowedOrigins {
		if err := core.CheckOrigin(o); err != nil {
			errs = append(errs, fmt.Errorf("%s.allowed_origins: %w", key, err))
		}
	}
	if _, err := wire.ParseNetworks(c.TrustedProxies); err != nil {
		errs = append(errs, fmt.Errorf("%s.trusted_proxies: %w", key, err))
	}
	if c.ProxyProtocol && len(c.TrustedProxies) == 0 {
		errs = append(errs, fmt.Errorf("%s.proxy_protocol: needs trusted_proxies, which is empty", key))
	}
	return errors.Join(errs...)
}
