package jwt

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"os"
	"strings"
	"time"

	jwtlib "github.com/golang-jwt/jwt/v5"

	"github.com/wyemq/wye/core"
)

// maxToken bounds what is looked at.
const maxToken = 16 << 10

// Authenticator knows who bears a token.
type Authenticator struct {
	cfg     Config
	fixed   []key // the secret
	sources []*source
	parser  *jwtlib.Parser
}

var (
	_ core.Authenticator = (*Authenticator)(nil)
	_ core.Enabler       = (*Authenticator)(nil)
	_ core.Runner        = (*Authenticator)(nil)
)

// New reads the file of keys, which must be right if there is one. The URL is asked when Run begins.
func New(cfg Config, log *slog.Logger) (*Authenticator, error) {
	if err := cfg.Validate("auth.jwt"); err != nil {
		return nil, err
	}
	options := []jwtlib.ParserOption{
		jwtlib.WithValidMethods(cfg.Algorithms), jwtlib.WithLeeway(cfg.Leeway), jwtlib.WithIssuedAt(),
	}
	if cfg.Issuer != "" {
		options = append(options, jwtlib.WithIssuer(cfg.Issuer))
	}
	if len(cfg.Audience) > 0 {
		options = append(options, jwtlib.WithAudience(cfg.Audience...))
	}
	if cfg.RequireExpiry {
		options = append(options, jwtlib.WithExpirationRequired())
	}
	a := &Authenticator{cfg: cfg, parser: jwtlib.NewParser(options...)}
	if cfg.Secret != "" {
		k, err := newKey("", "", []byte(cfg.Secret))
		if err != nil {
			return nil, fmt.Errorf("auth.jwt.secret: %w", err)
		}
		a.fixed = append(a.fixed, k)
	}
	if cfg.KeyFile != "" {
		s := fileSource(cfg.KeyFile, log)
		keys, err := s.read(context.Background())
		if err != nil {
			if errors.Is(err, os.ErrNotExist) {
				return nil, fmt.Errorf("auth.jwt.key_file: %w", err)
			}
			return nil, fmt.Errorf("auth.jwt.key_file: %s: %w", cfg.KeyFile, err)
		}
		s.keys, s.at, s.tried = keys, time.Now(), time.Now()
		a.sources = append(a.sources, s)
	}
	if cfg.JWKSURL != "" {
		client := &http.Client{CheckRedirect: func(req *http.Request, via []*http.Request) error {
			if len(via) > 3 {
				return errors.New("too many redirects")
			}
			return checkURL(req.URL.String())
		}}
		a.sources = append(a.sources, urlSource(cfg.JWKSURL, cfg.Timeout, client, log))
	}
	return a, nil
}

// Name returns "jwt".
func (*Authenticator) Name() string { return "jwt" }

// Enabled reports whether there are keys, or a place for them.
func (a *Authenticator) Enabled() bool { return len(a.fixed)+len(a.sources) > 0 }

// Run reads keys again.
func (a *Authenticator) Run(ctx context.Context, ready func()) error {
	for _, s := range a.sources {
		s.refresh(ctx, time.Second)
	}
	ready()
	if len(a.sources) == 0 {
		<-ctx.Done()
		return nil
	}
	t := time.NewTicker(a.cfg.Refresh)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-t.C:
		}
		for _, s := range a.sources {
			s.refresh(ctx, time.Second)
		}
	}
}

// Authenticate implements core.Authenticator. Clients that have a user name and a password only may give a token as
// password; the name then says nothing. What is no signed token is skipped.
func (a *Authenticator) Authenticate(ctx context.Context, l *core.Login) (core.Principal, error) {
	text := l.Token
	if text == "" {
		text = l.Password
	}
	if !a.Enabled() || !signed(text) {
		return core.Principal{}, core.ErrSkip
	}
	claims := jwtlib.MapClaims{}
	_, err := a.parser.ParseWithClaims(text, claims, func(t *jwtlib.Token) (any, error) { return a.keysFor(ctx, t) })
	switch {
	case errors.Is(err, jwtlib.ErrTokenExpired):
		return core.Principal{}, fmt.Errorf("token: %w: %w", core.ErrTokenExpired, core.ErrLogin)
	case err != nil:
		return core.Principal{}, fmt.Errorf("%w: %w", err, core.ErrLogin)
	}
	return a.principal(claims)
}

// signed reports whether text has the form of a JWS, RFC 7515 section 7.1. Every header begins with `{"`.
func signed(text string) bool {
	return len(text) <= maxToken && strings.HasPrefix(text, "eyJ") && strings.Count(text, ".") == 2
}

var errNoKey = errors.New("no key that is known here fits")

// keysFor returns the keys that may check t; sources are asked again when there is none.
func (a *Authenticator) keysFor(ctx context.Context, t *jwtlib.Token) (any, error) {
	if t.Header["crit"] != nil { // RFC 7515, section 4.1.11: nothing that is critical is understood here
		return nil, errors.New("the header has critical parameters that are not known here")
	}
	id, _ := t.Header["kid"].(string)
	if set := a.fitting(t.Method.Alg(), id); len(set.Keys) > 0 {
		return set, nil
	}
	for _, s := range a.sources {
		s.refresh(context.WithoutCancel(ctx), soonest) // else who comes and goes could have it asked again and again
	}
	if set := a.fitting(t.Method.Alg(), id); len(set.Keys) > 0 {
		return set, nil
	}
	return nil, errNoKey
}

func (a *Authenticator) fitting(algorithm, id string) jwtlib.VerificationKeySet {
	var set jwtlib.VerificationKeySet
	add := func(keys []key) {
		for i := range keys {
			if keys[i].fits(algorithm, id) {
				set.Keys = append(set.Keys, keys[i].value)
			}
		}
	}
	add(a.fixed)
	for _, s := range a.sources {
		add(s.current())
	}
	return set
}

// principal is who the claims say.
func (a *Authenticator) principal(claims jwtlib.MapClaims) (core.Principal, error) {
	values := map[string]any(claims)
	user, _ := claim(values, a.cfg.UserClaim).(string)
	if user == "" {
		return core.Principal{}, fmt.Errorf("token: the claim %s is no name: %w", a.cfg.UserClaim, core.ErrLogin)
	}
	p := core.Principal{Name: user, Groups: texts(claim(values, a.cfg.GroupsClaim))}
	switch v := claim(values, a.cfg.VHostClaim).(type) {
	case nil:
	case string:
		p.VHost = v
	default:
		return core.Principal{}, fmt.Errorf("token: the claim %s is no text: %w", a.cfg.VHostClaim, core.ErrLogin)
	}
	if exp, err := claims.GetExpirationTime(); err == nil && exp != nil {
		p.Expires = exp.Add(a.cfg.Leeway)
	}
	if a.cfg.ACLClaim != aclClaim {
		rules := claim(values, a.cfg.ACLClaim)
		values = maps.Clone(values)
		delete(values, aclClaim)
		if rules != nil {
			values[aclClaim] = rules
		}
	}
	p.Claims = core.NewClaims(values)
	return p, nil
}

// aclClaim is where authorizers look for rules.
const aclClaim = "acl"

// claim finds a claim by its name or, with dots, by its path; nil: there is none.
func claim(values map[string]any, name string) any {
	if name == "" {
		return nil
	}
	if v, ok := values[name]; ok {
		return v
	}
	head, rest, more := strings.Cut(name, ".")
	below, ok := values[head].(map[string]any)
	if !more || !ok {
		return nil
	}
	return claim(below, rest)
}

// texts reads a list, or a text with spaces as in the claim "scope" of RFC 8693.
func texts(v any) []string {
	switch v := v.(type) {
	case string:
		return strings.Fields(v)
	case []any:
		var list []string
		for _, one := range v {
			if s, ok := one.(string); ok && s != "" {
				list = append(list, s)
			}
		}
		return list
	default:
		return nil
	}
}
