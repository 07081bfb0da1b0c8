package jwt

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	jwtlib "github.com/golang-jwt/jwt/v5"

	"github.com/wyemq/wye/core"
)

// maxToken bounds what is looked at.
const maxToken = 16 << 10

// Authenticator knows who bears a token.
type Authenticator struct {
	log    *slog.Logger
	now    atomic.Pointer[checker]
	change chan struct{} // something for Run to look at

	revoked atomic.Pointer[func(again func(core.Principal) (core.Principal, error))]

	reviewing sync.Mutex
	proofs    []string // that were there the last time; guarded by reviewing
}

// checker checks tokens by one configuration.
type checker struct {
	cfg     Config
	fixed   []key // the secret
	sources []*source
	parser  *jwtlib.Parser
}

var (
	_ core.Authenticator = (*Authenticator)(nil)
	_ core.Enabler       = (*Authenticator)(nil)
	_ core.Runner        = (*Authenticator)(nil)
	_ core.Revoker       = (*Authenticator)(nil)
)

// New reads the file of keys, which must be right if there is one. The URL is asked when Run begins.
func New(cfg Config, log *slog.Logger) (*Authenticator, error) {
	c, err := newChecker(cfg, log)
	if err != nil {
		return nil, err
	}
	a := &Authenticator{log: log, change: make(chan struct{}, 1)}
	a.now.Store(c)
	a.review()
	return a, nil
}

// OnRevoke implements core.Revoker: whose token was signed with a key that is not configured any more, or not in the file
// any more, is logged out; so is he when the file could not be read for a day. What a URL leaves out ends nobody: issuers drop
// keys that tokens are still good for. Other changes (the issuer, the audience) count from the next login on.
func (a *Authenticator) OnRevoke(fn func(again func(core.Principal) (core.Principal, error))) {
	a.revoked.Store(&fn)
}

// review ends those whose key is not there any more, if one that was there the last time is not.
func (a *Authenticator) review() {
	a.reviewing.Lock()
	defer a.reviewing.Unlock()
	now := a.now.Load()
	gone := slices.ContainsFunc(a.proofs, func(proof string) bool { return !now.knows(proof) })
	a.proofs = now.proofs()
	fn := a.revoked.Load()
	if !gone || fn == nil {
		return
	}
	(*fn)(func(p core.Principal) (core.Principal, error) {
		if p.Proof != "" && !a.now.Load().knows(p.Proof) {
			return p, errors.New("the key that the token was signed with was removed")
		}
		return p, nil
	})
}

// Prepare reads the file of keys, which must be right if there is one. It makes the Authenticator reloadable. Keys of a URL
// that is the same go on counting until it has been asked.
func (a *Authenticator) Prepare(next Config) (core.Change, error) {
	c, err := newChecker(next, a.log)
	if err != nil {
		return core.Change{}, err
	}
	old := a.now.Load()
	if s, was := c.source(next.JWKSURL), old.source(next.JWKSURL); s != nil && was != nil {
		s.take(was)
	}
	ch := core.Change{Apply: func() {
		a.now.Store(c)
		a.review()
		select {
		case a.change <- struct{}{}:
		default: // Run has not seen the one before yet
		}
	}}
	if s, was := c.source(next.KeyFile), old.source(next.KeyFile); s != nil && was != nil && !sameKeys(s.current(), was.current()) {
		ch.Files = map[string]string{"auth.jwt.key_file": fmt.Sprintf("%d keys, were %d", len(s.current()), len(was.current()))}
	}
	return ch, nil
}

func newChecker(cfg Config, log *slog.Logger) (*checker, error) {
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
	c := &checker{cfg: cfg, parser: jwtlib.NewParser(options...)}
	if cfg.Secret != "" {
		k, err := newKey("", "", []byte(cfg.Secret))
		if err != nil {
			return nil, fmt.Errorf("auth.jwt.secret: %w", err)
		}
		k.proof = fingerprint(k.value)
		c.fixed = append(c.fixed, k)
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
		c.sources = append(c.sources, s)
	}
	if cfg.JWKSURL != "" {
		client := &http.Client{CheckRedirect: func(req *http.Request, via []*http.Request) error {
			if len(via) > 3 {
				return errors.New("too many redirects")
			}
			return checkURL(req.URL.String())
		}}
		c.sources = append(c.sources, urlSource(cfg.JWKSURL, cfg.Timeout, client, log))
	}
	return c, nil
}

// Name returns "jwt".
func (*Authenticator) Name() string { return "jwt" }

// Enabled reports whether there are keys, or a place for them.
func (a *Authenticator) Enabled() bool { return a.now.Load().enabled() }

func (c *checker) enabled() bool { return len(c.fixed)+len(c.sources) > 0 }

// source returns the one with this name, or nil.
func (c *checker) source(name string) *source {
	for _, s := range c.sources {
		if s.name == name {
			return s
		}
	}
	return nil
}

// Run reads keys again.
func (a *Authenticator) Run(ctx context.Context, ready func()) error {
	c := a.now.Load()
	a.refresh(ctx, c)
	ready()
	t := time.NewTicker(c.cfg.Refresh)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-a.change:
			c = a.now.Load()
			t.Reset(c.cfg.Refresh)
		case <-t.C:
		}
		a.refresh(ctx, c)
	}
}

// refresh reads keys again.
func (a *Authenticator) refresh(ctx context.Context, c *checker) {
	for _, s := range c.sources {
		s.refresh(ctx, time.Second)
	}
	a.review()
}

// proofs are the fingerprints of the keys that an operator answers for: those of the configuration, and of the file.
func (c *checker) proofs() []string {
	var all []string
	for _, keys := range c.keys() {
		for i := range keys {
			if keys[i].proof != "" {
				all = append(all, keys[i].proof)
			}
		}
	}
	return all
}

// knows reports whether there is a key with this fingerprint.
func (c *checker) knows(proof string) bool {
	return slices.ContainsFunc(c.keys(), func(keys []key) bool {
		return slices.ContainsFunc(keys, func(k key) bool { return k.proof == proof })
	})
}

// keys are those that count, by where they are from.
func (c *checker) keys() [][]key {
	all := [][]key{c.fixed}
	for _, s := range c.sources {
		all = append(all, s.current())
	}
	return all
}

// Authenticate implements core.Authenticator. Clients that have a user name and a password only may give a token as
// password; the name then says nothing. What is no signed token is skipped.
func (a *Authenticator) Authenticate(ctx context.Context, l *core.Login) (core.Principal, error) {
	text := l.Token
	if text == "" {
		text = l.Password
	}
	c := a.now.Load()
	if !c.enabled() || !signed(text) {
		return core.Principal{}, core.ErrSkip
	}
	claims, used := jwtlib.MapClaims{}, key{}
	_, err := c.parser.ParseWithClaims(text, claims, func(t *jwtlib.Token) (any, error) {
		var err error
		used, err = c.keyFor(ctx, t)
		return used.value, err
	})
	switch {
	case errors.Is(err, jwtlib.ErrTokenExpired):
		return core.Principal{}, fmt.Errorf("token: %w: %w", core.ErrTokenExpired, core.ErrLogin)
	case err != nil:
		return core.Principal{}, fmt.Errorf("%w: %w", err, core.ErrLogin)
	}
	p, err := c.principal(claims)
	p.Proof = used.proof
	return p, err
}

// signed reports whether text has the form of a JWS, RFC 7515 section 7.1. Every header begins with `{"`.
func signed(text string) bool {
	return len(text) <= maxToken && strings.HasPrefix(text, "eyJ") && strings.Count(text, ".") == 2
}

var errNoKey = errors.New("no key that is known here fits")

// keyFor returns the key that has signed t, or else one that might have; sources are asked again when there is none.
func (c *checker) keyFor(ctx context.Context, t *jwtlib.Token) (key, error) {
	if t.Header["crit"] != nil { // RFC 7515, section 4.1.11: nothing that is critical is understood here
		return key{}, errors.New("the header has critical parameters that are not known here")
	}
	id, _ := t.Header["kid"].(string)
	fitting := c.fitting(t.Method.Alg(), id)
	if len(fitting) == 0 || id != "" && !slices.ContainsFunc(fitting, func(k key) bool { return k.id == id }) {
		for _, s := range c.sources {
			s.refresh(context.WithoutCancel(ctx), soonest) // else who comes and goes could have it asked again and again
		}
		if fitting = c.fitting(t.Method.Alg(), id); len(fitting) == 0 {
			return key{}, errNoKey
		}
	}
	if len(fitting) > 1 {
		signed := t.Raw[:strings.LastIndexByte(t.Raw, '.')]
		for _, k := range fitting {
			if t.Method.Verify(signed, t.Signature, k.value) == nil {
				return k, nil
			}
		}
	}
	return fitting[0], nil
}

// fitting returns the keys that may check what was signed so; those without an id fit any.
func (c *checker) fitting(algorithm, id string) (all []key) {
	for _, keys := range c.keys() {
		for i := range keys {
			if keys[i].fits(algorithm, id) {
				all = append(all, keys[i])
			}
		}
	}
	return all
}

// principal is who the claims say.
func (c *checker) principal(claims jwtlib.MapClaims) (core.Principal, error) {
	values := map[string]any(claims)
	user, _ := claim(values, c.cfg.UserClaim).(string)
	if user == "" {
		return core.Principal{}, fmt.Errorf("token: the claim %s is no name: %w", c.cfg.UserClaim, core.ErrLogin)
	}
	p := core.Principal{Name: user, Groups: texts(claim(values, c.cfg.GroupsClaim))}
	switch v := claim(values, c.cfg.VHostClaim).(type) {
	case nil:
	case string:
		p.VHost = v
	default:
		return core.Principal{}, fmt.Errorf("token: the claim %s is no text: %w", c.cfg.VHostClaim, core.ErrLogin)
	}
	if own := c.cfg.VHost; own != "" {
		if p.VHost != "" && p.VHost != own {
			return core.Principal{}, fmt.Errorf("token: of virtual host %q, those of this issuer are of %q: %w", p.VHost, own, core.ErrLogin)
		}
		p.VHost = own
	}
	if exp, err := claims.GetExpirationTime(); err == nil && exp != nil {
		p.Expires = exp.Add(c.cfg.Leeway)
	}
	if c.cfg.ACLClaim != aclClaim {
		rules := claim(values, c.cfg.ACLClaim)
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
