package jwt

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/wyemq/wye/core"
)

// Config is the section "auth.jwt" of the configuration.
type Config struct {
	// Secret checks tokens that were signed with it (HS256, HS384, HS512). Empty: there is none.
	Secret core.Secret `koanf:"secret"`
	// KeyFile holds public keys or certificates, PEM, or a key set (RFC 7517), JSON. Empty: none.
	KeyFile string `koanf:"key_file"`
	// JWKSURL is where a key set is fetched, over https. Empty: nowhere.
	JWKSURL string `koanf:"jwks_url"`
	// Refresh is how often file and URL are read again. A key id that is not known makes it sooner.
	Refresh time.Duration `koanf:"refresh"`
	// Timeout bounds one request to the URL.
	Timeout time.Duration `koanf:"timeout"`
	// Algorithms are those accepted, among those that fit the keys.
	Algorithms []string `koanf:"algorithms" enum:"HS256,HS384,HS512,RS256,RS384,RS512,PS256,PS384,PS512,ES256,ES384,ES512,EdDSA"`
	// Issuer must be the claim "iss". Empty: any.
	Issuer string `koanf:"issuer"`
	// Audience must have one of the claim "aud". Empty: any, which is not permitted with a JWKSURL.
	Audience []string `koanf:"audience"`
	// Leeway is how far the clocks of issuer and broker may be apart.
	Leeway time.Duration `koanf:"leeway"`
	// RequireExpiry refuses tokens that never end.
	RequireExpiry bool `koanf:"require_expiry"`
	// UserClaim, GroupsClaim, VHostClaim and ACLClaim say where these are; dots go down a level, as in realm_access.roles.
	// Only the first must be there. Empty: not looked at.
	UserClaim   string `koanf:"user_claim"`
	GroupsClaim string `koanf:"groups_claim"`
	VHostClaim  string `koanf:"vhost_claim"`
	ACLClaim    string `koanf:"acl_claim"`
	// VHost is the virtual host that every token is of, whatever else it says; one that names another is refused. Empty: that
	// of the claim, if it is there.
	VHost string `koanf:"vhost"`
}

// DefaultConfig has no key, so nobody is known.
func DefaultConfig() Config {
	return Config{
		Refresh: 5 * time.Minute, Timeout: 5 * time.Second, Algorithms: algorithms(), Leeway: 30 * time.Second, RequireExpiry: true,
		UserClaim: "sub", GroupsClaim: "groups", VHostClaim: "vhost", ACLClaim: "acl",
	}
}

// algorithms lists all that are known.
func algorithms() []string {
	return []string{
		"HS256", "HS384", "HS512", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA",
	}
}

// minSecret is what RFC 7518, section 3.2, asks of a key of HS256.
const minSecret = 32

// maxLeeway is more than clocks are apart.
const maxLeeway = 10 * time.Minute

// Validate names what makes no sense; key is that of the section.
func (c Config) Validate(key string) error {
	var errs []error
	fail := func(field, format string, args ...any) {
		errs = append(errs, fmt.Errorf("%s.%s: %s", key, field, fmt.Sprintf(format, args...)))
	}
	if n := len(c.Secret); n > 0 && n < minSecret {
		fail("secret", "must have %d bytes or more, has %d", minSecret, n)
	}
	if c.JWKSURL != "" {
		if err := checkURL(c.JWKSURL); err != nil {
			fail("jwks_url", "%v", err)
		}
		if len(c.Audience) == 0 {
			fail("audience", "is needed with jwks_url: else a token that was made for any other service would do")
		}
	}
	if c.Refresh < time.Second {
		fail("refresh", "must be 1s or more, is %v", c.Refresh)
	}
	if c.Timeout <= 0 {
		fail("timeout", "must be positive, is %v", c.Timeout)
	}
	if c.Leeway < 0 || c.Leeway > maxLeeway {
		fail("leeway", "must be between 0s and %v, is %v", maxLeeway, c.Leeway)
	}
	if c.UserClaim == "" {
		fail("user_claim", "must not be empty")
	}
	for _, a := range c.Algorithms {
		if !slices.Contains(algorithms(), a) {
			fail("algorithms", "must be of %s, has %q", strings.Join(algorithms(), ", "), a)
		}
	}
	if len(c.Algorithms) == 0 {
		fail("algorithms", "must not be empty")
	}
	return errors.Join(errs...)
}

// checkURL wants https, or this machine.
func checkURL(text string) error {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.User != nil {
		return fmt.Errorf("must be a URL such as https://idp.example.com/keys, is %q", text)
	}
	if u.Scheme == "https" || u.Scheme == "http" && isLocal(u.Hostname()) {
		return nil
	}
	return fmt.Errorf("must begin with https://, or http:// on this machine: keys that anybody can change on their way are none; is %q", text)
}

func isLocal(host string) bool {
	a, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && a.IsLoopback()
}
