package tickets

import (
	"errors"
	"fmt"
	"time"

	"github.com/wyemq/wye/core"
)

// Config is the section "auth.tickets" of the configuration.
type Config struct {
	// Key is what applications show to be given tickets, as Authorization: Bearer. Empty: there are none.
	Key core.Secret `koanf:"key"`
	// TTL is how long a ticket is good for, unless the application says less.
	TTL time.Duration `koanf:"ttl"`
	// Max is how many there may be that nobody has used.
	Max int `koanf:"max"`
}

// DefaultConfig gives no tickets.
func DefaultConfig() Config { return Config{TTL: 30 * time.Second, Max: 100_000} }

const (
	minKey = 16
	maxTTL = time.Hour
)

// Validate names what makes no sense; key is that of the section.
func (c Config) Validate(key string) error {
	var errs []error
	if n := len(c.Key); n > 0 && n < minKey {
		errs = append(errs, fmt.Errorf("%s.key: must have %d bytes or more, has %d", key, minKey, n))
	}
	if c.TTL <= 0 || c.TTL > maxTTL {
		errs = append(errs, fmt.Errorf("%s.ttl: must be positive and %v at most, is %v", key, maxTTL, c.TTL))
	}
	if c.Max <= 0 {
		errs = append(errs, fmt.Errorf("%s.max: must be positive, is %d", key, c.Max))
	}
	return errors.Join(errs...)
}
