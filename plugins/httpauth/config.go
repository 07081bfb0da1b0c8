package httpauth

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"time"

	"github.com/wyemq/wye/core"
)

// Config is the section "auth.http" of the configuration.
type Config struct {
	// URL is asked, over https, or http on this machine. Empty: nobody is.
	URL string `koanf:"url"`
	// Secret is sent with each request, as Authorization: Bearer. Empty: none is.
	Secret core.Secret `koanf:"secret"`
	// Timeout bounds a request.
	Timeout time.Duration `koanf:"timeout"`
	// MaxRequests is how many are under way at once; more logins wait, as long as they may.
	MaxRequests int `koanf:"max_requests"`
	// Cache is how long an answer that lets a client in counts, CacheRefused one that does not. 0: for this login only.
	Cache        time.Duration `koanf:"cache"`
	CacheRefused time.Duration `koanf:"cache_refused"`
}

// DefaultConfig asks nobody.
func DefaultConfig() Config {
	return Config{Timeout: 3 * time.Second, MaxRequests: 64, Cache: time.Minute, CacheRefused: 5 * time.Second}
}

// Validate names what makes no sense; key is that of the section.
func (c Config) Validate(key string) error {
	var errs []error
	if c.URL != "" {
		if err := checkURL(c.URL); err != nil {
			errs = append(errs, fmt.Errorf("%s.url: %w", key, err))
		}
	}
	if c.Timeout <= 0 {
		errs = append(errs, fmt.Errorf("%s.timeout: must be positive, is %v", key, c.Timeout))
	}
	if c.MaxRequests <= 0 {
		errs = append(errs, fmt.Errorf("%s.max_requests: must be positive, is %d", key, c.MaxRequests))
	}
	if c.Cache < 0 {
		errs = append(errs, fmt.Errorf("%s.cache: must not be negative, is %v", key, c.Cache))
	}
	if c.CacheRefused < 0 {
		errs = append(errs, fmt.Errorf("%s.cache_refused: must not be negative, is %v", key, c.CacheRefused))
	}
	return errors.Join(errs...)
}

// checkURL wants https, or this machine: the request holds passwords.
func checkURL(text string) error {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.User != nil {
		return fmt.Errorf("must be a URL such as https://app.example.com/broker/login, is %q", text)
	}
	a, err := netip.ParseAddr(u.Hostname())
	if u.Scheme == "https" || u.Scheme == "http" && (u.Hostname() == "localhost" || err == nil && a.IsLoopback()) {
		return nil
	}
	return fmt.Errorf("must begin with https://, or http:// on this machine, because passwords are sent there; is %q", text)
}
