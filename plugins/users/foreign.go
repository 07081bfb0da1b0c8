package users

import (
	"crypto/pbkdf2"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/subtle"
	"errors"
	"fmt"
	"strconv"
)

// The names under which RabbitMQ's hashes are kept: it has no prefix of its own.
const (
	rabbit256 = "rabbit-sha256"
	rabbit512 = "rabbit-sha512"
)

// rabbitSalt is how many bytes of RabbitMQ's hash are its salt; they come first.
const rabbitSalt = 4

// rabbit is SHA-256 or SHA-512 of salt and password.
type rabbit struct {
	salt, sum []byte
}

func parseRabbit(f []string) (scheme, error) {
	size := sha256.Size
	if f[1] == rabbit512 {
		size = sha512.Size
	}
	if len(f) != 3 {
		return nil, fmt.Errorf("%s: must be $%s$hash", f[1], f[1])
	}
	b, err := decode(f[2])
	if err != nil {
		return nil, fmt.Errorf("%s: %w", f[1], err)
	}
	if len(b) != rabbitSalt+size {
		return nil, fmt.Errorf("%s: has %d bytes, not %d", f[1], len(b), rabbitSalt+size)
	}
	return &rabbit{b[:rabbitSalt], b[rabbitSalt:]}, nil
}

func (r *rabbit) matches(password string) bool {
	text := append(append([]byte(nil), r.salt...), password...)
	var sum []byte
	if len(r.sum) == sha256.Size {
		s := sha256.Sum256(text)
		sum = s[:]
	} else {
		s := sha512.Sum512(text)
		sum = s[:]
	}
	return subtle.ConstantTimeCompare(sum, r.sum) == 1
}

// mosquitto is SHA-512 of password and salt, or PBKDF2 with it.
type mosquitto struct {
	salt, sum  []byte
	iterations int // 0: SHA-512, once
}

// parseMosquitto reads "$6$salt$hash" and "$7$iterations$salt$hash".
func parseMosquitto(f []string) (scheme, error) {
	m := &mosquitto{}
	if f[1] == "7" {
		if len(f) != 5 {
			return nil, errors.New("$7$: must be $7$iterations$salt$hash")
		}
		n, err := strconv.Atoi(f[2])
		if err != nil || n < 1 || n > maxIterations {
			return nil, fmt.Errorf("$7$: iterations must be between 1 and %d, are %q", maxIterations, f[2])
		}
		m.iterations = n
	} else if len(f) != 4 {
		return nil, errors.New("$6$: must be $6$salt$hash")
	}
	var err error
	if m.salt, err = decode(f[len(f)-2]); err != nil {
		return nil, fmt.Errorf("$%s$: salt: %w", f[1], err)
	}
	if m.sum, err = decode(f[len(f)-1]); err != nil || len(m.sum) != sha512.Size {
		return nil, fmt.Errorf("$%s$: the hash must be %d bytes of base64", f[1], sha512.Size)
	}
	return m, nil
}

func (m *mosquitto) matches(password string) bool {
	var sum []byte
	if m.iterations > 0 {
		var err error
		if sum, err = pbkdf2.Key(sha512.New, password, m.salt, m.iterations, sha512.Size); err != nil {
			return false
		}
	} else {
		s := sha512.Sum512(append([]byte(password), m.salt...))
		sum = s[:]
	}
	return subtle.ConstantTimeCompare(sum, m.sum) == 1
}
