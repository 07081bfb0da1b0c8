package disk

import (
	"errors"
	"fmt"
)

// Config is the section "engine" when its kind is disk.
type Config struct {
	// Dir is the directory of the store.
	Dir string `koanf:"dir"`
	// MinFree is how many bytes must be free on the disk; with less, messages that are to be stored are refused, while
	// what is stored can be consumed. 0: no limit.
	MinFree int64 `koanf:"min_free"`
}

// DefaultConfig returns what holds when nothing is configured.
func DefaultConfig() Config { return Config{Dir: "wye-data", MinFree: 512 << 20} }

// Validate names everything that makes no sense.
func (c Config) Validate() error {
	var errs []error
	if c.Dir == "" {
		errs = append(errs, errors.New("dir: must not be empty"))
	}
	if c.MinFree < 0 {
		errs = append(errs, fmt.Errorf("min_free: must not be negative, is %d", c.MinFree))
	}
	return errors.Join(errs...)
}
