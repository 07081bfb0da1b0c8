package jwt

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"slices"
)

// key checks signatures.
type key struct {
	id         string
	algorithm  string // empty: any that fits
	algorithms []string
	value      any    // []byte, *rsa.PublicKey, *ecdsa.PublicKey or ed25519.PublicKey
	proof      string // its fingerprint; empty if it is no matter of the operator's when it goes
}

// fingerprint tells the value of a key from all others.
func fingerprint(value any) string {
	data, isSecret := value.([]byte)
	if !isSecret {
		der, err := x509.MarshalPKIXPublicKey(value)
		if err != nil {
			return "" // newKey has seen that it is of a kind that can be written
		}
		data = der
	}
	sum := sha256.Sum256(data)
	return string(sum[:])
}

// fits reports whether k may check what was signed so.
func (k *key) fits(algorithm, id string) bool {
	return slices.Contains(k.algorithms, algorithm) && (k.algorithm == "" || k.algorithm == algorithm) &&
		(k.id == "" || id == "" || k.id == id)
}

// minRSA is what is not broken.
const minRSA = 2048

// newKey says what a public key can check.
func newKey(id, algorithm string, public crypto.PublicKey) (key, error) {
	k := key{id: id, algorithm: algorithm, value: public}
	switch public := public.(type) {
	case []byte:
		if len(public) < minSecret {
			return k, fmt.Errorf("a secret of %d bytes, %d are needed", len(public), minSecret)
		}
		k.algorithms = []string{"HS256", "HS384", "HS512"}
	case *rsa.PublicKey:
		if public.N.BitLen() < minRSA {
			return k, fmt.Errorf("an RSA key of %d bits, %d are needed", public.N.BitLen(), minRSA)
		}
		k.algorithms = []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"}
	case *ecdsa.PublicKey:
		name, ok := map[elliptic.Curve]string{elliptic.P256(): "ES256", elliptic.P384(): "ES384", elliptic.P521(): "ES512"}[public.Curve]
		if !ok {
			return k, fmt.Errorf("a curve %s, P-256, P-384 and P-521 are known", public.Curve.Params().Name)
		}
		k.algorithms = []string{name}
	case ed25519.PublicKey:
		k.algorithms = []string{"EdDSA"}
	default:
		return k, fmt.Errorf("a key of type %T", public)
	}
	return k, nil
}

// parseKeys reads PEM or a key set. secrets says whether secrets may be among them.
func parseKeys(data []byte, secrets bool) ([]key, error) {
	var keys []key
	var err error
	if bytes.HasPrefix(bytes.TrimSpace(data), []byte("{")) {
		keys, err = parseSet(data, secrets)
	} else {
		keys, err = parsePEM(data)
	}
	if err == nil && len(keys) == 0 {
		err = errors.New("there is no key that signatures are checked with")
	}
	return keys, err
}

func parsePEM(data []byte) ([]key, error) {
	var keys []key
	for {
		block, rest := pem.Decode(data)
		if block == nil {
			return keys, nil
		}
		data = rest
		var public crypto.PublicKey
		var err error
		switch block.Type {
		case "PUBLIC KEY":
			public, err = x509.ParsePKIXPublicKey(block.Bytes)
		case "RSA PUBLIC KEY":
			public, err = x509.ParsePKCS1PublicKey(block.Bytes)
		case "CERTIFICATE":
			var c *x509.Certificate
			if c, err = x509.ParseCertificate(block.Bytes); err == nil {
				public = c.PublicKey
			}
		default:
			return nil, fmt.Errorf("PEM: %s is no public key", block.Type)
		}
		if err != nil {
			return nil, fmt.Errorf("PEM: %w", err)
		}
		k, err := newKey("", "", public)
		if err != nil {
			return nil, fmt.Errorf("PEM: %w", err)
		}
		keys = append(keys, k)
	}
}

// jwk is a key of a set: RFC 7517, RFC 7518 section 6, RFC 8037 section 2.
type jwk struct {
	Type      string `json:"kty"`
	Use       string `json:"use"`
	ID        string `json:"kid"`
	Algorithm string `json:"alg"`
	Curve     string `json:"crv"`
	N         string `json:"n"`
	E         string `json:"e"`
	X         string `json:"x"`
	Y         string `json:"y"`
	K         string `json:"k"`
}

// parseSet reads a key set. What is of no use here is left out, as RFC 7517, section 5, asks for.
func parseSet(data []byte, secrets bool) ([]key, error) {
	var set struct {
		Keys []jwk `json:"keys"`
	}
	if err := json.Unmarshal(data, &set); err != nil {
		return nil, fmt.Errorf("key set: %w", err)
	}
	var keys []key
	for i := range set.Keys {
		in := &set.Keys[i]
		if in.Use != "" && in.Use != "sig" || in.Type == "oct" && !secrets {
			continue
		}
		public, err := in.public()
		if err != nil {
			return nil, fmt.Errorf("key set: key %d (%q): %w", i, in.ID, err)
		}
		if public == nil {
			continue
		}
		k, err := newKey(in.ID, in.Algorithm, public)
		if err != nil {
			return nil, fmt.Errorf("key set: key %d (%q): %w", i, in.ID, err)
		}
		keys = append(keys, k)
	}
	return keys, nil
}

// public returns the key; nil: of a kind that is not known.
func (in *jwk) public() (crypto.PublicKey, error) {
	field := func(s string) []byte {
		b, err := base64.RawURLEncoding.DecodeString(s)
		if err != nil {
			return nil
		}
		return b
	}
	switch in.Type {
	case "oct":
		return field(in.K), nil
	case "RSA":
		n, e := new(big.Int).SetBytes(field(in.N)), new(big.Int).SetBytes(field(in.E))
		if !e.IsInt64() || e.Int64() < 3 || e.Int64() > 1<<31-1 {
			return nil, errors.New("an RSA exponent that is none")
		}
		return &rsa.PublicKey{N: n, E: int(e.Int64())}, nil
	case "EC":
		curve, ok := map[string]elliptic.Curve{"P-256": elliptic.P256(), "P-384": elliptic.P384(), "P-521": elliptic.P521()}[in.Curve]
		if !ok {
			return nil, nil
		}
		size := (curve.Params().BitSize + 7) / 8
		x, y := field(in.X), field(in.Y)
		if len(x) != size || len(y) != size {
			return nil, errors.New("a point that is not on its curve")
		}
		public, err := ecdsa.ParseUncompressedPublicKey(curve, slices.Concat([]byte{4}, x, y))
		if err != nil {
			return nil, errors.New("a point that is not on its curve")
		}
		return public, nil
	case "OKP":
		if in.Curve != "Ed25519" {
			return nil, nil
		}
		x := field(in.X)
		if len(x) != ed25519.PublicKeySize {
			return nil, errors.New("an Ed25519 key of another size")
		}
		return ed25519.PublicKey(x), nil
	default:
		return nil, nil
	}
}
