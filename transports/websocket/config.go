package websocket

import (
	"errors"
	"fmt"
	"time"

	"github.com/wyemq/wye/core"
	"github.com/wyemq/wye/core/edge"
	"github.com/wyemq/wye/transports/internal/wire"
)

// Config is a WebSocket listener: ws://127.0.0.1:61614, wss://0.0.0.0:61615. Every path is served.
type Config struct {
	wire.Listen `koanf:",squash"`

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
	// ProxyHeader is the one in which trusted proxies name their clients: x-forwarded-for, or forwarded (RFC 7239). The other
	// is not looked at, because a proxy that does not know it passes on what a client has written there.
	ProxyHeader edge.ProxyHeader `koanf:"proxy_header" enum:"x-forwarded-for,forwarded"`
	// HSTS is for how long browsers are told to use nothing but TLS for the host, on all its ports (RFC 6797), by a
	// listener with TLS; 0: they are not told.
	HSTS time.Duration `koanf:"hsts"`
}

// Limits are what a listener's connections may use.
type Limits = wire.Limits

// TLS is the configuration of a secure listener.
type TLS = edge.TLS

// KeyPair is a certificate with its key.
type KeyPair = edge.KeyPair

// Certificate tells of one that a listener has in use.
type Certificate = edge.Certificate

// Stats is what a listener has counted.
type Stats = wire.Stats

// DefaultConfig returns the defaults; URI has none.
func DefaultConfig() Config {
	l := wire.DefaultLimits()
	l.IdleTimeout = 75 * time.Second // three PINGs that nobody answered
	return Config{
		Listen: wire.Listen{Limits: l}, AllowMissingOrigin: true, PingInterval: 25 * time.Second,
		ProxyHeader: edge.XForwardedFor, HSTS: 365 * 24 * time.Hour,
	}
}

// Validate names everything that makes no sense; key is that of the listener in the configuration.
func (c Config) Validate(key string) error {
	return errors.Join(c.Listen.Validate(key, schemes()), c.validate(key))
}

// schemes are those of the URI.
func schemes() wire.Schemes { return wire.Schemes{Plain: "ws", Secure: "wss"} }

// validate checks what is of this transport.
func (c Config) validate(key string) error {
	var errs []error
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
	if err := c.ProxyHeader.Validate(key + ".proxy_header"); err != nil {
		errs = append(errs, err)
	}
	if c.HSTS < 0 {
		errs = append(errs, fmt.Errorf("%s.hsts: must be 0 (not sent) or more, is %s", key, c.HSTS))
	}
	return errors.Join(errs...)
}
