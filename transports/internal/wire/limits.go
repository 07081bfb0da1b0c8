package wire

import (
	"errors"
	"fmt"
	"time"
)

// Limits bound what a connection and a listener may use.
type Limits struct {
	// MaxMessageSize is how many bytes one message may have after login. On stream transports
	// there are no messages; there the protocol bounds its frames.
	MaxMessageSize int64 `koanf:"max_message_size"`
	// MaxMessageSizeBeforeLogin is how many bytes may come in, all told, before login.
	MaxMessageSizeBeforeLogin int64 `koanf:"max_message_size_before_login"`
	// LoginTimeout is how long a handshake (TLS, HTTP) and then a login may take.
	LoginTimeout time.Duration `koanf:"login_timeout"`
	// WriteTimeout is how long a peer may read nothing while something waits for it.
	WriteTimeout time.Duration `koanf:"write_timeout"`
	// Linger is how long the last words may take to arrive.
	Linger time.Duration `koanf:"linger"`
	// IdleTimeout is after how much silence a peer counts as gone, unless its protocol has a
	// rule of its own; 0: never.
	IdleTimeout time.Duration `koanf:"idle_timeout"`
	// MaxConnections is how many connections may be open; 0: no limit.
	MaxConnections int `koanf:"max_connections"`
	// MaxConnectionsPerAddress is the same for each client address; 0: no limit.
	MaxConnectionsPerAddress int `koanf:"max_connections_per_address"`
	// MaxConnectionRate is how many connections may come in a second, and MaxConnectionRatePerAddress the same for each client
	// address; 0: no limit.
	MaxConnectionRate           int `koanf:"max_connection_rate"`
	MaxConnectionRatePerAddress int `koanf:"max_connection_rate_per_address"`
	// ShutdownTimeout is how long connections may take to end at shutdown.
	ShutdownTimeout time.Duration `koanf:"shutdown_timeout"`
}

// DefaultLimits returns the defaults.
func DefaultLimits() Limits {
	return Limits{
		MaxMessageSize: 4 << 20, MaxMessageSizeBeforeLogin: 64 << 10,
		LoginTimeout: 10 * time.Second, WriteTimeout: 10 * time.Second, Linger: 2 * time.Second,
		MaxConnections: 100_000, ShutdownTimeout: 10 * time.Second,
	}
}

const (
	maxSize    = 256 << 20
	maxTimeout = 24 * time.Hour
)

// Validate names every limit that makes no sense; key is that of the listener.
func (l Limits) Validate(key string) error {
	var errs []error
	size := func(name string, v int64) {
		if v < 1 || v > maxSize {
			errs = append(errs, fmt.Errorf("%s.%s: must be between 1 and %d, is %d", key, name, int64(maxSize), v))
		}
	}
	duration := func(name string, v, low time.Duration) {
		if v < low || v > maxTimeout {
			errs = append(errs, fmt.Errorf("%s.%s: must be between %s and %s, is %s", key, name, low, maxTimeout, v))
		}
	}
	count := func(name string, v int) {
		if v < 0 {
			errs = append(errs, fmt.Errorf("%s.%s: must be 0 (no limit) or more, is %d", key, name, v))
		}
	}
	size("max_message_size", l.MaxMessageSize)
	size("max_message_size_before_login", l.MaxMessageSizeBeforeLogin)
	duration("login_timeout", l.LoginTimeout, time.Millisecond)
	duration("write_timeout", l.WriteTimeout, time.Millisecond)
	duration("linger", l.Linger, time.Millisecond)
	duration("shutdown_timeout", l.ShutdownTimeout, time.Millisecond)
	duration("idle_timeout", l.IdleTimeout, 0)
	count("max_connections", l.MaxConnections)
	count("max_connections_per_address", l.MaxConnectionsPerAddress)
	count("max_connection_rate", l.MaxConnectionRate)
	count("max_connection_rate_per_address", l.MaxConnectionRatePerAddress)
	return errors.Join(errs...)
}
