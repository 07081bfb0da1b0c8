package jwt_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	jwtlib "github.com/golang-jwt/jwt/v5"

	"github.com/wyemq/wye/core"
	"github.com/wyemq/wye/plugins/jwt"
)

const secret = "0123456789abcdef0123456789abcdef"

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

// good is a token's claims that nothing is wrong with.
func good() jwtlib.MapClaims {
	return jwtlib.MapClaims{"sub": "ali", "exp": time.Now().Add(time.Hour).Unix(), "iss": "me", "aud": "wye"}
}

func with(change func(jwtlib.MapClaims)) jwtlib.MapClaims {
	c := good()
	change(c)
	return c
}

// sign makes a token.
func sign(t *testing.T, algorithm, id string, key any, claims jwtlib.MapClaims) string {
	t.Helper()
	tok := jwtlib.NewWithClaims(jwtlib.GetSigningMethod(algorithm), claims)
	if id != "" {
		tok.Header["kid"] = id
	}
	s, err := tok.SignedString(key)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func config(change func(*jwt.Config)) jwt.Config {
	c := jwt.DefaultConfig()
	c.Issuer, c.Audience = "me", []string{"wye", "other"}
	change(&c)
	return c
}

func newJWT(t *testing.T, cfg jwt.Config) *jwt.Authenticator {
	t.Helper()
	a, err := jwt.New(cfg, quiet())
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// outcome says what became of a login.
func outcome(p core.Principal, err error) string {
	switch {
	case errors.Is(err, core.ErrSkip):
		return "skipped"
	case errors.Is(err, core.ErrLogin):
		return core.ReasonID(err)
	case err != nil:
		return err.Error()
	default:
		return p.Name
	}
}

// keys are those of a test.
type keys struct {
	rsa *rsa.PrivateKey
	ec  map[string]*ecdsa.PrivateKey
	ed  ed25519.PrivateKey
}

func newKeys(t *testing.T) *keys {
	t.Helper()
	k := &keys{ec: make(map[string]*ecdsa.PrivateKey)}
	var err error
	if k.rsa, err = rsa.GenerateKey(rand.Reader, 2048); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]elliptic.Curve{"ES256": elliptic.P256(), "ES384": elliptic.P384(), "ES512": elliptic.P521()} {
		if k.ec[name], err = ecdsa.GenerateKey(c, rand.Reader); err != nil {
			t.Fatal(err)
		}
	}
	if _, k.ed, err = ed25519.GenerateKey(rand.Reader); err != nil {
		t.Fatal(err)
	}
	return k
}

// private returns what signs with an algorithm.
func (k *keys) private(algorithm string) any {
	switch algorithm[:2] {
	case "HS":
		return []byte(secret)
	case "RS", "PS":
		return k.rsa
	case "ES":
		return k.ec[algorithm]
	default:
		return k.ed
	}
}

func toPEM(t *testing.T, public crypto.PublicKey) []byte {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
}

func b64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// toJWK writes a public key as a member of a set.
func toJWK(t *testing.T, id string, public crypto.PublicKey) map[string]any {
	t.Helper()
	m := map[string]any{"kid": id, "use": "sig"}
	switch p := public.(type) {
	case *rsa.PublicKey:
		m["kty"], m["n"], m["e"] = "RSA", b64(p.N.Bytes()), b64(big.NewInt(int64(p.E)).Bytes())
	case *ecdsa.PublicKey:
		raw, err := p.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		half := (len(raw) - 1) / 2
		m["kty"], m["crv"], m["x"], m["y"] = "EC", p.Curve.Params().Name, b64(raw[1:1+half]), b64(raw[1+half:])
	case ed25519.PublicKey:
		m["kty"], m["crv"], m["x"] = "OKP", "Ed25519", b64(p)
	}
	return m
}

func toSet(t *testing.T, members ...map[string]any) []byte {
	t.Helper()
	data, err := json.Marshal(map[string]any{"keys": members})
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func write(t *testing.T, name string, data []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestAlgorithms believes each with its key, from PEM and from a set, and with no other key.
func TestAlgorithms(t *testing.T) {
	k := newKeys(t)
	publics := []crypto.PublicKey{&k.rsa.PublicKey, &k.ec["ES256"].PublicKey, &k.ec["ES384"].PublicKey, &k.ec["ES512"].PublicKey, k.ed.Public()}
	var text []byte
	var set []map[string]any
	for i, p := range publics {
		text = append(text, toPEM(t, p)...)
		set = append(set, toJWK(t, fmt.Sprint("k", i), p))
	}
	set = append(set, map[string]any{"kty": "future", "kid": "f"}, map[string]any{"kty": "oct", "kid": "s", "k": b64([]byte(secret))},
		map[string]any{"kty": "RSA", "use": "enc"}, map[string]any{"kty": "EC", "crv": "secp256k1"})
	other := newKeys(t)
	pemOnly := newJWT(t, config(func(c *jwt.Config) { c.KeyFile = write(t, "keys.pem", text); c.Secret = secret }))
	setOnly := newJWT(t, config(func(c *jwt.Config) { c.KeyFile = write(t, "keys.json", toSet(t, set...)) }))
	for _, alg := range jwt.DefaultConfig().Algorithms {
		for name, a := range map[string]*jwt.Authenticator{"PEM": pemOnly, "set": setOnly} {
			if got := outcome(a.Authenticate(t.Context(), &core.Login{Token: sign(t, alg, "", k.private(alg), good())})); got != "ali" {
				t.Errorf("%s by %s: %s", alg, name, got)
			}
			if alg[:2] == "HS" {
				continue
			}
			if got := outcome(a.Authenticate(t.Context(), &core.Login{Token: sign(t, alg, "", other.private(alg), good())})); got != "bad_credentials" {
				t.Errorf("%s by %s with another key: %s", alg, name, got)
			}
		}
	}
	// The oldest trick: a public key as the secret of HMAC.
	publicOnly := newJWT(t, config(func(c *jwt.Config) { c.KeyFile = write(t, "rsa.pem", toPEM(t, &k.rsa.PublicKey)) }))
	for _, word := range [][]byte{toPEM(t, &k.rsa.PublicKey), bytes.TrimSpace(toPEM(t, &k.rsa.PublicKey)), k.rsa.N.Bytes()} {
		if got := outcome(publicOnly.Authenticate(t.Context(), &core.Login{Token: sign(t, "HS256", "", word, good())})); got != "bad_credentials" {
			t.Errorf("a public key as secret: %s", got)
		}
	}
	none := jwtlib.NewWithClaims(jwtlib.SigningMethodNone, good())
	text2, err := none.SignedString(jwtlib.UnsafeAllowNoneSignatureType)
	if err != nil {
		t.Fatal(err)
	}
	for _, tok := range []string{text2, text2 + "AAAA", strings.Replace(text2, "bm9uZ", "Tm9uZ", 1)} {
		if got := outcome(publicOnly.Authenticate(t.Context(), &core.Login{Token: tok})); got != "bad_credentials" {
			t.Errorf("without a signature: %s", got)
		}
	}
	few := newJWT(t, config(func(c *jwt.Config) { c.Secret = secret; c.Algorithms = []string{"HS512"} }))
	if got := outcome(few.Authenticate(t.Context(), &core.Login{Token: sign(t, "HS256", "", []byte(secret), good())})); got != "bad_credentials" {
		t.Errorf("an algorithm that is not accepted: %s", got)
	}
}

// TestClaims holds tokens to their claims, to the second.
func TestClaims(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newJWT(t, config(func(c *jwt.Config) { c.Secret = secret; c.Leeway = 10 * time.Second }))
		now := time.Now()
		for _, c := range []struct {
			name   string
			change func(jwtlib.MapClaims)
			want   string
		}{
			{"good", func(jwtlib.MapClaims) {}, "ali"},
			{"expired", func(m jwtlib.MapClaims) { m["exp"] = now.Add(-10 * time.Second).Unix() }, "token_expired"},
			{"within leeway", func(m jwtlib.MapClaims) { m["exp"] = now.Add(-9 * time.Second).Unix() }, "ali"},
			{"never expires", func(m jwtlib.MapClaims) { delete(m, "exp") }, "bad_credentials"},
			{"not yet", func(m jwtlib.MapClaims) { m["nbf"] = now.Add(11 * time.Second).Unix() }, "bad_credentials"},
			{"nearly", func(m jwtlib.MapClaims) { m["nbf"] = now.Add(10 * time.Second).Unix() }, "ali"},
			{"from the future", func(m jwtlib.MapClaims) { m["iat"] = now.Add(11 * time.Second).Unix() }, "bad_credentials"},
			{"another issuer", func(m jwtlib.MapClaims) { m["iss"] = "you" }, "bad_credentials"},
			{"no issuer", func(m jwtlib.MapClaims) { delete(m, "iss") }, "bad_credentials"},
			{"another audience", func(m jwtlib.MapClaims) { m["aud"] = "someone" }, "bad_credentials"},
			{"no audience", func(m jwtlib.MapClaims) { delete(m, "aud") }, "bad_credentials"},
			{"one of several", func(m jwtlib.MapClaims) { m["aud"] = []string{"someone", "other"} }, "ali"},
			{"no user", func(m jwtlib.MapClaims) { delete(m, "sub") }, "bad_credentials"},
			{"empty user", func(m jwtlib.MapClaims) { m["sub"] = "" }, "bad_credentials"},
			{"user is no text", func(m jwtlib.MapClaims) { m["sub"] = 7 }, "bad_credentials"},
			{"vhost is no text", func(m jwtlib.MapClaims) { m["vhost"] = 7 }, "bad_credentials"},
		} {
			tok := sign(t, "HS256", "", []byte(secret), with(c.change))
			if got := outcome(a.Authenticate(t.Context(), &core.Login{Token: tok})); got != c.want {
				t.Errorf("%s: %s, want %s", c.name, got, c.want)
			}
		}
	})
}

// TestPrincipal maps claims.
func TestPrincipal(t *testing.T) {
	a := newJWT(t, config(func(c *jwt.Config) {
		c.Secret, c.UserClaim, c.GroupsClaim, c.ACLClaim = secret, "preferred_username", "realm_access.roles", "https://wye/acl"
	}))
	rules := []any{map[string]any{"allow": []any{"all"}, "on": []any{"#"}}}
	c := with(func(m jwtlib.MapClaims) {
		m["preferred_username"], m["vhost"], m["site"], m["acl"] = "bea", "/", "north", "not ours"
		m["realm_access"] = map[string]any{"roles": []any{"ops", "", 7, "dev"}}
		m["https://wye/acl"] = rules
	})
	p, err := a.Authenticate(t.Context(), &core.Login{User: "ignored", Password: sign(t, "HS384", "", []byte(secret), c)})
	if err != nil {
		t.Fatal(err)
	}
	acl, _ := p.Claims.Get("acl")
	site, _ := p.Claims.Get("site")
	if got := fmt.Sprint(p.Name, p.Groups, p.VHost, site, acl); got != "bea[ops dev]/north"+fmt.Sprint(rules) && got != "bea [ops dev] / north "+fmt.Sprint(rules) {
		t.Errorf("principal %s", got)
	}
	if exp := c["exp"].(int64) + 30; p.Expires.Unix() != exp {
		t.Errorf("expires at %d, want %d", p.Expires.Unix(), exp)
	}
	scope := newJWT(t, config(func(c *jwt.Config) { c.Secret, c.GroupsClaim, c.ACLClaim = secret, "scope", "" }))
	p, err = scope.Authenticate(t.Context(), &core.Login{Token: sign(t, "HS256", "", []byte(secret), with(func(m jwtlib.MapClaims) { m["scope"], m["acl"] = "a b", rules }))})
	if _, has := p.Claims.Get("acl"); err != nil || fmt.Sprint(p.Groups) != "[a b]" || has {
		t.Errorf("%v, groups %v, rules %t", err, p.Groups, has)
	}
}

// TestSkips leaves to others what is no signed token.
func TestSkips(t *testing.T) {
	a := newJWT(t, config(func(c *jwt.Config) { c.Secret = secret }))
	tok := sign(t, "HS256", "", []byte(secret), good())
	for name, c := range map[string]struct {
		login core.Login
		want  string
	}{
		"nothing":      {core.Login{}, "skipped"},
		"password":     {core.Login{User: "ali", Password: "secret"}, "skipped"},
		"opaque":       {core.Login{Token: "abc"}, "skipped"},
		"encrypted":    {core.Login{Token: "eyJ.a.b.c.d"}, "skipped"},
		"too long":     {core.Login{Token: "eyJ" + strings.Repeat("a", 20_000) + ".b.c"}, "skipped"},
		"broken":       {core.Login{Token: "eyJhbGciOiJIUzI1NiJ9.e30.x"}, "bad_credentials"},
		"no JSON":      {core.Login{Token: "eyJ.e30.x"}, "bad_credentials"},
		"cut":          {core.Login{Token: tok[:len(tok)-2]}, "bad_credentials"},
		"as password":  {core.Login{User: "x", Password: tok}, "ali"},
		"token counts": {core.Login{User: "x", Password: "y", Token: tok}, "ali"},
	} {
		if got := outcome(a.Authenticate(t.Context(), &c.login)); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
	crit := jwtlib.NewWithClaims(jwtlib.SigningMethodHS256, good())
	crit.Header["crit"] = []string{"x"}
	text, err := crit.SignedString([]byte(secret))
	if err != nil {
		t.Fatal(err)
	}
	if got := outcome(a.Authenticate(t.Context(), &core.Login{Token: text})); got != "bad_credentials" {
		t.Errorf("critical header: %s", got)
	}
	off := newJWT(t, jwt.DefaultConfig())
	if got := outcome(off.Authenticate(t.Context(), &core.Login{Token: tok})); got != "skipped" || off.Enabled() {
		t.Errorf("without keys: %s, enabled %t", got, off.Enabled())
	}
}

// issuer serves a key set that changes.
type issuer struct {
	*httptest.Server

	mu    sync.Mutex
	set   []byte
	fails bool
	asked int
}

func newIssuer(t *testing.T) *issuer {
	t.Helper()
	i := &issuer{}
	i.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		i.mu.Lock()
		defer i.mu.Unlock()
		i.asked++
		if i.fails {
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		_, _ = w.Write(i.set)
	}))
	t.Cleanup(i.Close)
	return i
}

func (i *issuer) serve(fails bool, set []byte) (asked int) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.fails, i.set = fails, set
	return i.asked
}

// TestRotation fetches a set when a key id is new, not more often than a client may cause, and goes on with the old
// keys while there are no new ones.
func TestRotation(t *testing.T) {
	defer http.DefaultTransport.(*http.Transport).CloseIdleConnections()
	i := newIssuer(t)
	first, second := newKeys(t), newKeys(t)
	a := newJWT(t, config(func(c *jwt.Config) { c.JWKSURL = i.URL }))
	login := func(k *keys, id string) string {
		return outcome(a.Authenticate(t.Context(), &core.Login{Token: sign(t, "EdDSA", id, k.ed, good())}))
	}
	i.serve(false, toSet(t, toJWK(t, "1", first.ed.Public())))
	if got := login(first, "1"); got != "ali" {
		t.Errorf("the first key: %s", got)
	}
	i.serve(false, toSet(t, toJWK(t, "1", first.ed.Public()), toJWK(t, "2", second.ed.Public())))
	for range 3 {
		if got := login(second, "2"); got != "bad_credentials" {
			t.Errorf("a request for each unknown key: %s", got)
		}
	}
	if asked := i.serve(true, nil); asked != 1 {
		t.Errorf("%d requests", asked)
	}
	if got := login(first, "1"); got != "ali" {
		t.Errorf("while the issuer is away: %s", got)
	}
	if got := login(second, "1"); got != "bad_credentials" {
		t.Errorf("another key under the same id: %s", got)
	}
}

// TestClosed lets nobody in when there are no keys, and does not hang.
func TestClosed(t *testing.T) {
	defer http.DefaultTransport.(*http.Transport).CloseIdleConnections()
	i := newIssuer(t)
	k := newKeys(t)
	for name, set := range map[string][]byte{
		"fails": nil, "no JSON": []byte("<html>"), "no keys": toSet(t),
		"secrets do not come from a URL": toSet(t, map[string]any{"kty": "oct", "k": b64([]byte(secret))}),
		"too large":                      bytes.Repeat([]byte(" "), 2<<20),
	} {
		i.serve(name == "fails", set)
		a := newJWT(t, config(func(c *jwt.Config) { c.JWKSURL = i.URL }))
		for _, alg := range []string{"EdDSA", "HS256"} {
			if got := outcome(a.Authenticate(t.Context(), &core.Login{Token: sign(t, alg, "", k.private(alg), good())})); got != "bad_credentials" {
				t.Errorf("%s, %s: %s", name, alg, got)
			}
		}
		if !a.Enabled() {
			t.Errorf("%s: not enabled", name)
		}
	}
}

// TestQuery keeps the query of the URL, which may hold a key, out of the log.
func TestQuery(t *testing.T) {
	defer http.DefaultTransport.(*http.Transport).CloseIdleConnections()
	i := newIssuer(t)
	i.serve(true, nil)
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	for _, url := range []string{i.URL, gone.URL} {
		var said bytes.Buffer
		a, err := jwt.New(config(func(c *jwt.Config) { c.JWKSURL = url + "/keys?key=hunter2" }), slog.New(slog.NewTextHandler(&said, nil)))
		if err != nil {
			t.Fatal(err)
		}
		k := newKeys(t)
		if got := outcome(a.Authenticate(t.Context(), &core.Login{Token: sign(t, "EdDSA", "", k.private("EdDSA"), good())})); got != "bad_credentials" {
			t.Errorf("%s: %s", url, got)
		}
		if text := said.String(); !strings.Contains(text, "source="+url+"/keys ") || strings.Contains(text, "hunter2") {
			t.Errorf("%s: the log has %s", url, text)
		}
	}
}

// TestBadConfig names everything.
func TestBadConfig(t *testing.T) {
	c := jwt.Config{Secret: "short", JWKSURL: "http://idp.example.com/keys", Leeway: -1, Algorithms: []string{"none"}}
	err := c.Validate("k")
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{"k.secret: ", "k.jwks_url: ", "k.audience: ", "k.refresh: ", "k.timeout: ", "k.leeway: ", "k.user_claim: ", `k.algorithms: must be of HS256`} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in\n%v", want, err)
		}
	}
	if strings.Contains(err.Error(), "short") {
		t.Error("the secret is told")
	}
	if err := jwt.DefaultConfig().Validate("k"); err != nil {
		t.Error(err)
	}
	small, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		small = nil // forbidden altogether in newer toolchains
	}
	files := map[string][]byte{
		"empty": nil, "no key": toSet(t), "private": pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: []byte{1}}),
		"point":  toSet(t, map[string]any{"kty": "EC", "crv": "P-256", "x": b64(make([]byte, 32)), "y": b64(bytes.Repeat([]byte{1}, 32))}),
		"secret": toSet(t, map[string]any{"kty": "oct", "k": b64([]byte("short"))}),
		"size":   toSet(t, map[string]any{"kty": "OKP", "crv": "Ed25519", "x": b64([]byte("short"))}),
		"even":   toSet(t, map[string]any{"kty": "RSA", "n": b64(bytes.Repeat([]byte{255}, 256)), "e": b64([]byte{1})}),
	}
	if small != nil {
		files["small"] = toPEM(t, &small.PublicKey)
	}
	for name, data := range files {
		cfg := config(func(c *jwt.Config) { c.KeyFile = write(t, "keys", data) })
		if _, err := jwt.New(cfg, quiet()); err == nil || !strings.HasPrefix(err.Error(), "auth.jwt.key_file: ") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := jwt.New(config(func(c *jwt.Config) { c.KeyFile = "/nowhere" }), quiet()); err == nil {
		t.Error("no error without the file")
	}
}

// TestRun reads keys at intervals, and again after a day counts on none that are old.
func TestRun(t *testing.T) {
	path := write(t, "keys.json", nil)
	first, second := newKeys(t), newKeys(t)
	put := func(data []byte) {
		t.Helper()
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	put(toSet(t, toJWK(t, "1", first.ed.Public())))
	synctest.Test(t, func(t *testing.T) {
		a := newJWT(t, config(func(c *jwt.Config) { c.KeyFile = path; c.Refresh = time.Minute }))
		ctx := t.Context()
		done := make(chan error, 1)
		go func() { done <- a.Run(ctx, func() {}) }()
		login := func(k *keys) string {
			return outcome(a.Authenticate(t.Context(), &core.Login{Token: sign(t, "EdDSA", "", k.ed, good())}))
		}
		if got := login(first); got != "ali" {
			t.Error(got)
		}
		put(toSet(t, toJWK(t, "2", second.ed.Public())))
		time.Sleep(time.Minute + time.Second)
		synctest.Wait()
		if old, now := login(first), login(second); old != "bad_credentials" || now != "ali" {
			t.Errorf("old %s, new %s", old, now)
		}
		put([]byte("{"))
		time.Sleep(23 * time.Hour)
		synctest.Wait()
		if got := login(second); got != "ali" {
			t.Errorf("after 23 hours: %s", got)
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		if got := login(second); got != "bad_credentials" {
			t.Errorf("after a day: %s", got)
		}
	})
}

// TestRevoked ends who has come with a key that was taken out of the configuration or its file, and nobody else.
func TestRevoked(t *testing.T) {
	defer http.DefaultTransport.(*http.Transport).CloseIdleConnections()
	one, two, far := newKeys(t), newKeys(t), newKeys(t)
	i := newIssuer(t)
	i.serve(false, toSet(t, toJWK(t, "3", far.ed.Public())))
	path := write(t, "keys.pem", append(toPEM(t, one.ed.Public()), toPEM(t, two.ed.Public())...))
	cfg := config(func(c *jwt.Config) { c.Secret, c.KeyFile, c.JWKSURL = secret, path, i.URL })
	a := newJWT(t, cfg)
	tokens := map[string]string{
		"secret": sign(t, "HS256", "", []byte(secret), good()), "one": sign(t, "EdDSA", "", one.ed, good()),
		"two": sign(t, "EdDSA", "", two.ed, good()), "far": sign(t, "EdDSA", "3", far.ed, good()),
	}
	in := make(map[string]core.Principal)
	asked := 0
	a.OnRevoke(func(again func(core.Principal) (core.Principal, error)) {
		asked++
		for name, p := range in {
			if _, err := again(p); err != nil {
				delete(in, name)
			}
		}
	})
	for name, token := range tokens {
		p, err := a.Authenticate(t.Context(), &core.Login{Token: token})
		if err != nil {
			t.Fatal(name, err)
		}
		if strings.Contains(p.Proof, secret) {
			t.Error("the secret is its own proof")
		}
		in[name] = p
	}
	reload := func(cfg jwt.Config, want ...string) {
		t.Helper()
		c, err := a.Prepare(cfg)
		if err != nil {
			t.Fatal(err)
		}
		c.Apply()
		if got := slices.Sorted(maps.Keys(in)); !slices.Equal(got, want) {
			t.Errorf("%q are still there, want %q", got, want)
		}
	}
	reload(cfg, "far", "one", "secret", "two")
	if asked != 0 {
		t.Error("clients were looked through, and nothing has changed")
	}
	if err := os.WriteFile(path, toPEM(t, two.ed.Public()), 0o600); err != nil {
		t.Fatal(err)
	}
	reload(cfg, "far", "secret", "two")
	cfg.Secret = core.Secret(strings.Repeat("another ", 5))
	reload(cfg, "far", "two")
	i.serve(true, nil)
	cfg.KeyFile, cfg.JWKSURL = "", i.URL+"/elsewhere"
	reload(cfg, "far")
}

// TestGone has clients that come with an unknown key and go again: they cause no more requests than others.
func TestGone(t *testing.T) {
	defer http.DefaultTransport.(*http.Transport).CloseIdleConnections()
	i := newIssuer(t)
	k := newKeys(t)
	i.serve(false, toSet(t, toJWK(t, "1", newKeys(t).ed.Public())))
	a := newJWT(t, config(func(c *jwt.Config) { c.JWKSURL = i.URL }))
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	for range 5 {
		if got := outcome(a.Authenticate(gone, &core.Login{Token: sign(t, "EdDSA", "2", k.ed, good())})); got != "bad_credentials" {
			t.Errorf("let in: %s", got)
		}
	}
	if asked := i.serve(false, nil); asked != 1 {
		t.Errorf("%d requests", asked)
	}
}

// TestOwnVHost keeps the tokens of an issuer to one virtual host, whatever they say.
func TestOwnVHost(t *testing.T) {
	a := newJWT(t, config(func(c *jwt.Config) { c.Secret, c.VHost = secret, "shop" }))
	for name, c := range map[string]struct {
		vhost any
		want  string
	}{
		"no claim": {nil, "shop"}, "empty": {"", "shop"}, "the same": {"shop", "shop"}, "another": {"bank", "bad_credentials"},
		"the default": {"/", "bad_credentials"}, "no text": {[]any{"shop"}, "bad_credentials"},
	} {
		claims := with(func(m jwtlib.MapClaims) {
			if c.vhost != nil {
				m["vhost"] = c.vhost
			}
		})
		p, err := a.Authenticate(t.Context(), &core.Login{Token: sign(t, "HS256", "", []byte(secret), claims)})
		got := outcome(p, err)
		if err == nil {
			got = p.VHost
		}
		if got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}
