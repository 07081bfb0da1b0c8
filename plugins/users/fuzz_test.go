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
	f.Add("a%3Ab:$argon2id$v=19$m=8,t=1,p=1$c2FsdHNhbHQ$c2FsdHNhbHQ:%2C")
	f.Add("r:$rabbit-sha256$kI3GCqW5JLMJa4iX1lo7X4D6XbYqlLgxIs30+P6tENUV2POR:")
	f.Add("%%:$7$1$c2FsdA==$" + strings.Repeat("A", 86))
	f.Fuzz(func(t *testing.T, text string) {
		all, err := users.Read(strings.NewReader(text))
		if err != nil {
			return
		}
		written, err := users.Format(all)
		if err != nil {
			t.Fatal(err)
		}
		again, err := users.Read(strings.NewReader(written))
		sorted := cmpopts.SortSlices(func(a, b users.User) bool { return a.Name < b.Name })
		if d := cmp.Diff(all, again, cmpopts.IgnoreUnexported(users.User{}), cmpopts.EquateEmpty(), sorted); d != "" || err != nil {
			t.Errorf("%v: %s", err, d)
		}
	})
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
				return // Read refuses it
			}
			seen[u.Name] = true
		}
		text, err := users.Format(all)
		if err != nil {
			t.Fatal(err)
		}
		if again, err := users.Read(strings.NewReader(text)); err != nil || len(again) != len(all) {
			t.Errorf("%d users were imported, %d can be read: %v", len(all), len(again), err)
		}
	})
}
