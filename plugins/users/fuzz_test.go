package users_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/wyemq/wye/plugins/users"
)

// FuzzRead wants whatever can be read to be written and read again as it was.
func FuzzRead(f *testing.F) {
	f.Add("ali:" + six("x") + ":ops,dev\n# comment\n\nbea:" + six("y"))
	f.Add("ali:" + six("x") + "::shop\nali:" + six("y") + "::/")
	f.Add("a%3Ab:$argon2id$v=19$m=8,t=1,p=1$c2FsdHNhbHQ$c2FsdHNhbHQ:%2C")
	f.Add("r:$rabbit-sha256$kI3GCqW5JLMJa4iX1lo7X4D6XbYqlLgxIs30+P6tENUV2POR:")
	f.Add("%%:$7$1$c2FsdA==$" + strings.Repeat("A", 86))
	f.Fuzz(func(t *testing.T, text string) {
		all, err := users.Read(strings.NewReader(text))
		if err != nil {
			return
		}
		again, err := written(all)
		if d := cmp.Diff(all, again, cmpopts.IgnoreUnexported(users.User{}), cmpopts.EquateEmpty()); d != "" || err != nil {
			t.Errorf("%v: %s", err, d)
		}
	})
}

// written returns what is read of all when they were written. It does not touch the disk, and sorts all.
func written(all []users.User) ([]users.User, error) {
	text, err := users.Format(all)
	if err != nil {
		return nil, err
	}
	return users.Read(strings.NewReader(text))
}

// FuzzImport never panics, and takes over only what is right.
func FuzzImport(f *testing.F) {
	f.Add([]byte(`{"users":[{"name":"a","password_hash":"kI3GCqW5JLMJa4iX1lo7X4D6XbYqlLgxIs30+P6tENUV2POR","hashing_algorithm":"rabbit_password_hashing_sha256","tags":["x"]}]}`))
	f.Add([]byte("sub:" + six("x") + "\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		all, _, err := users.Import(data)
		if err != nil {
			return
		}
		seen := make(map[string]bool)
		for _, u := range all {
			if seen[u.Name] {
				return // Edit refuses it
			}
			seen[u.Name] = true
		}
		if _, err := written(all); err != nil {
			t.Error(err)
		}
	})
}
