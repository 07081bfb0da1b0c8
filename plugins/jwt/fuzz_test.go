package jwt_test

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	jwtlib "github.com/golang-jwt/jwt/v5"

	"github.com/wyemq/wye/core"
	"github.com/wyemq/wye/plugins/jwt"
)

// FuzzKeys reads sets and PEM of whoever answers at the URL: it never panics, never takes a secret from there, and takes no
// key that could check what it is not for.
func FuzzKeys(f *testing.F) {
	f.Add([]byte(`{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"1","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}`))
	f.Add([]byte(`{"keys":[{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0","use":"sig"}]}`))
	f.Add([]byte(`{"keys":[{"kty":"RSA","n":"` + strings.Repeat("u", 342) + `","e":"AQAB","alg":"RS256"}]}`))
	f.Add([]byte(`{"keys":[{"kty":"oct","k":"` + strings.Repeat("A", 64) + `"}]}`))
	f.Add([]byte("-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n-----END PUBLIC KEY-----\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		public, err := jwt.ParseKeys(data, false)
		if err == nil && len(public) == 0 {
			t.Error("no keys, and no error")
		}
		for _, algorithms := range public {
			if len(algorithms) == 0 || slices.ContainsFunc(algorithms, func(a string) bool { return strings.HasPrefix(a, "HS") || a == "none" }) {
				t.Errorf("a public key checks %v", algorithms)
			}
		}
		all, err := jwt.ParseKeys(data, true)
		if err == nil && len(all) < len(public) {
			t.Errorf("%d keys with secrets, %d without", len(all), len(public))
		}
		if !bytes.HasPrefix(bytes.TrimSpace(data), []byte("{")) {
			return
		}
		var set struct {
			Keys []json.RawMessage `json:"keys"`
		}
		if err == nil && (json.Unmarshal(data, &set) != nil || len(all) > len(set.Keys)) {
			t.Errorf("%d keys of %d members", len(all), len(set.Keys))
		}
	})
}

// FuzzToken lets nobody in by a token that nobody has signed.
func FuzzToken(f *testing.F) {
	a, err := jwt.New(config(func(c *jwt.Config) { c.Secret = secret }), quiet())
	if err != nil {
		f.Fatal(err)
	}
	text, err := jwtlib.NewWithClaims(jwtlib.SigningMethodHS256, good()).SignedString([]byte(secret))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Add("eyJhbGciOiJub25lIn0.eyJzdWIiOiJhbGkifQ.")
	f.Add("eyJhbGciOiJIUzI1NiJ9..")
	f.Fuzz(func(t *testing.T, token string) {
		p, err := a.Authenticate(t.Context(), &core.Login{Token: token})
		if err != nil {
			return
		}
		// The same text, but for what base64 leaves open at the end of the signature.
		if i := strings.LastIndexByte(text, '.'); !strings.HasPrefix(token, text[:i+1]) || p.Name != "ali" {
			t.Errorf("%q lets in %q", token, p.Name)
		}
	})
}
