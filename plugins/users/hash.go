package users

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/crypto/argon2"
)

// What Hash costs: RFC 9106 leaves it to the application, OWASP asks for no less.
const (
	hashMemory = 19 << 10 // KiB
	hashTime   = 2
	hashLanes  = 1
	saltBytes  = 16
	hashBytes  = 32
)

// The most that a hash of a file may ask for: it is worked out for anybody who knows a name.
const (
	maxMemory     = 1 << 20 // KiB
	maxTime       = 64
	maxLanes      = 64
	maxIterations = 10_000_000
	maxHashBytes  = 256
)

// scheme is a hash that was read.
type scheme interface {
	// matches works the password out. It takes as long as the hash was made to take.
	matches(password string) bool
}

var errHash = errors.New("is no hash that is known here: argon2id, $6$, $7$, $rabbit-sha256$ or $rabbit-sha512$")

// parse reads a hash by its first field.
func parse(hash string) (scheme, error) {
	f := strings.Split(hash, "$")
	if len(f) < 3 || f[0] != "" {
		return nil, errHash
	}
	switch f[1] {
	case "argon2id":
		return parseArgon(f)
	case "6", "7":
		return parseMosquitto(f)
	case rabbit256, rabbit512:
		return parseRabbit(f)
	default:
		return nil, errHash
	}
}

// argon is argon2id.
type argon struct {
	salt, sum    []byte
	memory, time uint32
	lanes        uint8
}

// Hash makes what is kept of a password: argon2id with a salt of its own.
func Hash(password string) string { return newArgon(password).String() }

func newArgon(password string) *argon {
	a := &argon{salt: make([]byte, saltBytes), memory: hashMemory, time: hashTime, lanes: hashLanes}
	_, _ = rand.Read(a.salt) // never fails, says its documentation
	a.sum = a.work(password, hashBytes)
	return a
}

func (a *argon) work(password string, size int) []byte {
	return argon2.IDKey([]byte(password), a.salt, a.time, a.memory, a.lanes, uint32(size))
}

func (a *argon) matches(password string) bool {
	return subtle.ConstantTimeCompare(a.work(password, len(a.sum)), a.sum) == 1
}

// String returns the PHC string.
func (a *argon) String() string {
	e := base64.RawStdEncoding
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s",
		argon2.Version, a.memory, a.time, a.lanes, e.EncodeToString(a.salt), e.EncodeToString(a.sum))
}

// parseArgon reads "$argon2id$v=19$m=19456,t=2,p=1$salt$hash".
func parseArgon(f []string) (scheme, error) {
	if len(f) != 6 || f[2] != "v=19" {
		return nil, fmt.Errorf("argon2id: must be $argon2id$v=19$m=…,t=…,p=…$salt$hash")
	}
	a := &argon{}
	for part := range strings.SplitSeq(f[3], ",") {
		name, text, _ := strings.Cut(part, "=")
		n, err := strconv.ParseUint(text, 10, 32)
		switch {
		case err != nil || n == 0:
			return nil, fmt.Errorf("argon2id: parameter %q is no number", part)
		case name == "m" && n <= maxMemory:
			a.memory = uint32(n)
		case name == "t" && n <= maxTime:
			a.time = uint32(n)
		case name == "p" && n <= maxLanes:
			a.lanes = uint8(n)
		default:
			return nil, fmt.Errorf("argon2id: parameter %q is not known, or too large", part)
		}
	}
	if a.memory == 0 || a.time == 0 || a.lanes == 0 {
		return nil, errors.New("argon2id: m, t and p are needed")
	}
	var err error
	if a.salt, err = decode(f[4]); err != nil {
		return nil, fmt.Errorf("argon2id: salt: %w", err)
	}
	if a.sum, err = decode(f[5]); err != nil {
		return nil, fmt.Errorf("argon2id: hash: %w", err)
	}
	return a, nil
}

// decode reads base64 with or without padding.
func decode(s string) ([]byte, error) {
	b, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(s, "="))
	if err != nil {
		return nil, errors.New("is not base64")
	}
	if len(b) < 4 || len(b) > maxHashBytes {
		return nil, fmt.Errorf("has %d bytes", len(b))
	}
	return b, nil
}
