package tcp

import (
	"github.com/wyemq/wye/core/edge"
	"github.com/wyemq/wye/transports/internal/wire"
)

// Config is a TCP listener: tcp://127.0.0.1:61613, tls://0.0.0.0:8883. MaxMessageSize has no meaning here: the protocol bounds
// its frames.
type Config struct {
	wire.Listen `koanf:",squash"`
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

// DefaultConfig returns the defaults; URI has none. There is no idle timeout: on plain TCP only the
// protocols have heart-beats, and a client may have agreed on none.
func DefaultConfig() Config { return Config{wire.Listen{Limits: wire.DefaultLimits()}} }

// schemes are those of the URI.
func schemes() wire.Schemes { return wire.Schemes{Plain: "tcp", Secure: "tls"} }

// Validate names everything that makes no sense; key is that of the listener in the configuration.
func (c Config) Validate(key string) error { return c.Listen.Validate(key, schemes()) }
