package users

import (
	"fmt"
	"time"
)

// Config is the section "auth.users" of the configuration.
type Config struct {
	// File is where the users are; when it is not there, there are none. Empty: no users either.
	File string `koanf:"file"`
	// Remember is how long a password that was right is not worked out again, so that a thousand clients which come
	// back at once are let in at once. What is kept is no hash that anybody could use elsewhere. 0: not at all.
	Remember time.Duration `koanf:"remember"`
}

// DefaultConfig looks for the file wye-users in the working directory.
func DefaultConfig() Config { return Config{File: "wye-users", Remember: 5 * time.Minute} }

// Validate names what makes no sense; key is that of the section.
func (c Config) Validate(key string) error {
	if c.Remember < 0 {
		return fmt.Errorf("%s.remember: must not be negative, is %v", key, c.Remember)
	}
	return nil
}
