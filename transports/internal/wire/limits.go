package wire

import (
	"errors"
	"fmt"
	"time"
)

// Limits bound what a connection and a listener may use.
type Limits struct {
	MaxMessageSize            int64         `koanf:"max_message_size"`              // bytes of one message after login
	MaxMessageSizeBeforeLogin int64         `koanf:"max_message_size_before_login"` // bytes in all before login
	LoginTimeout              time.Duration `koanf:"login_timeout"`
	WriteTimeout              time.Duration `koanf:"write_timeout"`               // a peer that reads nothing for so long is a slow consumer
	Linger                    time.Duration `koanf:"linger"`                      // how long the last words may take to arrive
	IdleTimeout               time.Duration `koanf:"idle_timeout"`                // silence after which a peer counts as gone, unless its protocol has its own rule; 0: never
	MaxConnections            int           `koanf:"max_connections"`             // 0: no limit
	MaxConnectionsPerAddress  int           `koanf:"max_connections_per_address"` // 0: no limit
	ShutdownTimeout           time.Duration `koanf:"shutdown_timeout"`
}

// DefaultLimits returns the defaults.
func DefaultLimits() Limits {
	return Limits{
		MaxMessageSize: 4 << 20, MaxMessageSizeBeforeLogin: 64 << 10,
		LoginTimeout: 10 * time.Second, WriteTimeout: 10 * time.Second, Linger: 2 * time.Second,
		MaxConnections: 100_000, ShutdownTimeout: 10 * time.Second,
	}
}

// Validate names every limit that makes no sense; prefix is the key of the listener.
func (l Limits) Validate(prefix string) error {
	var errs []error
	positive := func(key string, v int64) {
		if v <= 0 {
			errs = append(errs, fmt.Errorf("%s.%s: must be positive, is %d", prefix, key, v))
		}
	}
	positive("max_message_size", l.MaxMessageSize)
	positive("max_message_size_before_login", l.MaxMessageSizeBeforeLogin)
	positive("login_timeout", int64(l.LoginTimeout))
	positive("write_timeout", int64(l.WriteTimeout))
	positive("linger", int64(l.Linger))
	positive("shutdown_timeout", int64(l.ShutdownTimeout))
	for _, f := range []struct {
		key string
		v   int64
	}{
		{"idle_timeout", int64(l.IdleTimeout)}, {"max_connections", int64(l.MaxConnections)},
		{"max_connections_per_address", int64(l.MaxConnectionsPerAddress)},
	} {
		if f.v < 0 {
			errs = append(errs, fmt.Errorf("%s.%s: must not be negative, is %d", prefix, f.key, f.v))
		}
	}
	return errors.Join(errs...)
}
