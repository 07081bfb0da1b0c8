package users_test

import (
	"context"
	"crypto/pbkdf2"
	"crypto/sha512"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/wyemq/wye/core"
	"github.com/wyemq/wye/plugins/users"
)

// write makes a users file and its authenticator.
func write(t *testing.T, text string) (*users.Authenticator, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "users")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	a, err := users.New(users.Config{File: path, Remember: time.Minute}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return a, path
}

// try logs in, and says what came of it.
func try(a *users.Authenticator, user, password string) string {
	p, err := a.Authenticate(context.Background(), &core.Login{User: user, Password: password})
	switch {
	case errors.Is(err, core.ErrSkip):
		return "skipped"
	case errors.Is(err, core.ErrLogin):
		return "refused"
	case err != nil:
		return err.Error()
	default:
		return fmt.Sprint(p.Name, " ", p.Groups)
	}
}

// seven makes a hash as mosquitto_passwd does.
func seven(t *testing.T, password string) string {
	t.Helper()
	salt := []byte("twelve bytes")
	sum, err := pbkdf2.Key(sha512.New, password, salt, 101, sha512.Size)
	if err != nil {
		t.Fatal(err)
	}
	e := base64.StdEncoding
	return "$7$101$" + e.EncodeToString(salt) + "$" + e.EncodeToString(sum)
}

func six(password string) string {
	salt := []byte("twelve bytes")
	sum := sha512.Sum512(append([]byte(password), salt...))
	e := base64.StdEncoding
	return "$6$" + e.EncodeToString(salt) + "$" + e.EncodeToString(sum[:])
}

// TestHashes logs in with every kind of hash, and not with anything else than the password.
func TestHashes(t *testing.T) {
	hashes := map[string]string{
		"argon": users.Hash("pass word"),
		// RabbitMQ: the value of its own documentation, "test12", with the salt 908DC60A.
		"rabbit": "$rabbit-sha256$kI3GCqW5JLMJa4iX1lo7X4D6XbYqlLgxIs30+P6tENUV2POR",
		"six":    six("pass word"),
		"seven":  seven(t, "pass word"),
	}
	text := "# comment\n\n"
	for name, hash := range hashes {
		text += name + ":" + hash + ":g1,g%2C2\n"
	}
	a, _ := write(t, text)
	for name := range hashes {
		password := "pass word"
		if name == "rabbit" {
			password = "test12"
		}
		for range 2 { // worked out, and remembered
			if got := try(a, name, password); got != name+" [g1 g,2]" {
				t.Errorf("%s: %s", name, got)
			}
		}
		for _, wrong := range []string{"", password + " ", strings.ToUpper(password), password[1:], "\x00" + password} {
			if got := try(a, name, wrong); got != "refused" {
				t.Errorf("%s with %q: %s", name, wrong, got)
			}
		}
	}
	for _, unknown := range []string{"", "nobody", "ARGON", "argon\x00"} {
		if got := try(a, unknown, "pass word"); got != "skipped" {
			t.Errorf("%q: %s", unknown, got)
		}
	}
	if _, err := a.Authenticate(t.Context(), &core.Login{User: "argon", Token: "t"}); !errors.Is(err, core.ErrSkip) {
		t.Errorf("a token: %v", err)
	}
}

// TestRabbit512 is the other algorithm of RabbitMQ.
func TestRabbit512(t *testing.T) {
	salt := []byte{1, 2, 3, 4}
	sum := sha512.Sum512(append(append([]byte(nil), salt...), "pass word"...))
	hash := base64.StdEncoding.EncodeToString(append(salt, sum[:]...))
	all, notes, err := users.Import([]byte(`{"users":[{"name":"r","password_hash":"` + hash +
		`","hashing_algorithm":"rabbit_password_hashing_sha512","tags":"a, b"}]}`))
	if err != nil || len(notes) > 0 {
		t.Fatal(notes, err)
	}
	path := filepath.Join(t.TempDir(), "users")
	if err := users.Edit(path, func([]users.User) ([]users.User, error) { return all, nil }); err != nil {
		t.Fatal(err)
	}
	a, err := users.New(users.Config{File: path}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if got := try(a, "r", "pass word"); got != "r [a b]" {
		t.Error(got)
	}
}

// TestBadFiles are refused, with every line that is wrong.
func TestBadFiles(t *testing.T) {
	for text, want := range map[string]string{
		"ali":                               "line 1: must be name:hash",
		"ali:secret":                        "is no hash that is known here",
		":" + six("x"):                      "is empty",
		"a:" + six("x") + "\na:$1$x$y":      "line 2: ",
		"a:" + six("x") + "\na:" + six("y"): `line 2: user "a" is there twice`,
		"a:$argon2id$v=19$m=4294967295,t=1,p=1$c2FsdHNhbHQ$c2FsdHNhbHQ": "too large",
		"a:$argon2id$v=16$m=8,t=1,p=1$c2FsdHNhbHQ$c2FsdHNhbHQ":          "v=19",
		"a:$7$999999999$c2FsdHNhbHQ=$c2FsdHNhbHQ=":                      "iterations",
		"a:$6$c2FsdHNhbHQ=$c2FsdHNhbHQ=":                                "64 bytes",
		"a:$rabbit-sha256$c2FsdHNhbHQ=":                                 "36",
		"a:" + six("x") + ":g,":                                         "group is empty",
		"a%00b:" + six("x"):                                             "cannot be printed",
	} {
		_, err := users.Read(strings.NewReader(text))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
	path := filepath.Join(t.TempDir(), "users")
	if err := os.WriteFile(path, []byte("ali:secret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := users.New(users.Config{File: path}, slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("New: %v", err)
	}
}

// TestEdit writes what it reads, whatever the names hold, and nothing when it is refused.
func TestEdit(t *testing.T) {
	path := filepath.Join(t.TempDir(), "users")
	want := []users.User{
		{Name: "#b:c,d%41 e", Hash: six("x"), Groups: []string{"g:1", "ü,ö"}},
		{Name: "ali", Hash: six("y")},
		{Name: "Åke Ö", Hash: six("z")},
	}
	edit := func(fn func([]users.User) ([]users.User, error)) error { return users.Edit(path, fn) }
	if err := edit(func(all []users.User) ([]users.User, error) { return append(all, want...), nil }); err != nil {
		t.Fatal(err)
	}
	same := func() {
		t.Helper()
		got, err := users.Load(path)
		if d := cmp.Diff(want, got, cmpopts.IgnoreUnexported(users.User{})); d != "" || err != nil {
			t.Errorf("%v: %s", err, d)
		}
	}
	same()
	if err := edit(func([]users.User) ([]users.User, error) { return nil, errors.New("no") }); err == nil {
		t.Error("no error")
	}
	if err := edit(func(all []users.User) ([]users.User, error) {
		return append(all, users.User{Name: "x", Hash: "plain"}), nil
	}); err == nil {
		t.Error("a password in plain text was written")
	}
	same()
	if left, _ := filepath.Glob(path + ".*"); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// TestReload sees changes, and stays as it was when they are wrong.
func TestReload(t *testing.T) {
	a, path := write(t, "ali:"+six("old")+"\n")
	replace := func(text string) error {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		c, err := a.Prepare(users.Config{File: path, Remember: time.Minute})
		if err == nil {
			c.Apply()
		}
		return err
	}
	if got := try(a, "ali", "old"); got != "ali []" {
		t.Error(got)
	}
	if err := replace("ali:" + six("new") + "\n"); err != nil {
		t.Fatal(err)
	}
	if old, now := try(a, "ali", "old"), try(a, "ali", "new"); old != "refused" || now != "ali []" {
		t.Errorf("old %s, new %s: what is remembered must not outlive the hash", old, now)
	}
	if err := replace("broken\n"); err == nil {
		t.Error("no error")
	}
	if got := try(a, "ali", "new"); got != "ali []" {
		t.Error(got)
	}
	if err := replace(""); err != nil || a.Enabled() {
		t.Errorf("%v, enabled %t without users", err, a.Enabled())
	}
	if got := try(a, "ali", "new"); got != "skipped" {
		t.Error(got)
	}
}

// TestImport takes over what can be, and says what cannot.
func TestImport(t *testing.T) {
	mosquitto := "# mosquitto\nsub:" + seven(t, "x") + "\nold:" + six("y") + "\nplain:secret\nnew:" + users.Hash("z") + "\n"
	for _, c := range []struct {
		name, data string
		names      string
		notes      int
		err        string
	}{
		{"mosquitto", mosquitto, "sub old new", 1, ""},
		{"no separator", "just text\n", "", 0, "line 1"},
		{"rabbit", `{"users":[{"name":"a","password_hash":"kI3GCqW5JLMJa4iX1lo7X4D6XbYqlLgxIs30+P6tENUV2POR","hashing_algorithm":"rabbit_password_hashing_sha256","tags":""},` +
			`{"name":"md5","password_hash":"x","hashing_algorithm":"rabbit_password_hashing_md5"},{"name":"cert","password_hash":"","hashing_algorithm":"rabbit_password_hashing_sha256"},` +
			`{"name":"bad","password_hash":"%%","hashing_algorithm":"rabbit_password_hashing_sha256"}],"permissions":[{},{}]}`, "a", 4, ""},
		{"no users", `{"queues":[]}`, "", 0, "no list of users"},
		{"no JSON", `{`, "", 0, "definitions"},
	} {
		t.Run(c.name, func(t *testing.T) {
			all, notes, err := users.Import([]byte(c.data))
			var names []string
			for _, u := range all {
				names = append(names, u.Name)
			}
			if got := strings.Join(names, " "); got != c.names || len(notes) != c.notes {
				t.Errorf("took over %q, notes %q", got, notes)
			}
			if (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
				t.Errorf("error %v", err)
			}
		})
	}
}

// TestConfig refuses what makes no sense.
func TestConfig(t *testing.T) {
	if err := users.DefaultConfig().Validate("k"); err != nil {
		t.Error(err)
	}
	if err := (users.Config{Remember: -1}).Validate("k"); err == nil || !strings.HasPrefix(err.Error(), "k.remember: ") {
		t.Error(err)
	}
	a, err := users.New(users.Config{}, slog.New(slog.DiscardHandler))
	if err != nil || a.Enabled() {
		t.Errorf("without a file: %v, enabled %t", err, a.Enabled())
	}
}

// tryIn logs in to a virtual host, and says in which one the user is.
func tryIn(a *users.Authenticator, vhost, user, password string) string {
	p, err := a.Authenticate(context.Background(), &core.Login{VHost: vhost, User: user, Password: password})
	switch {
	case errors.Is(err, core.ErrSkip):
		return "skipped"
	case err != nil:
		return "refused"
	default:
		return p.Name + "@" + p.VHost
	}
}

// TestVHosts keeps users of the same name apart.
func TestVHosts(t *testing.T) {
	a, path := write(t, "ali:"+six("in a")+"::a\nali:"+six("in b")+":ops:b\nbea:"+six("bea")+"::a\ncem:"+six("cem")+"\ncem:"+six("cem a")+"::a\n")
	for _, c := range []struct{ vhost, user, password, want string }{
		{"a", "ali", "in a", "ali@a"},
		{"b", "ali", "in b", "ali@b"},
		{"a", "ali", "in b", "refused"},
		{"/", "ali", "in a", "skipped"}, // which of them?
		{"/", "bea", "bea", "bea@a"},    // the only one
		{"b", "bea", "bea", "bea@a"},    // and the broker refuses
		{"/", "cem", "cem", "cem@"},
		{"b", "cem", "cem", "cem@"},
		{"a", "cem", "cem", "refused"},
		{"a", "cem", "cem a", "cem@a"},
	} {
		if got := tryIn(a, c.vhost, c.user, c.password); got != c.want {
			t.Errorf("%+v: %s", c, got)
		}
	}
	all, err := users.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := users.Edit(path, func([]users.User) ([]users.User, error) { return all, nil }); err != nil {
		t.Fatal(err)
	}
	again, err := users.Load(path)
	if d := cmp.Diff(all, again, cmpopts.IgnoreUnexported(users.User{})); d != "" || err != nil {
		t.Errorf("%v: %s", err, d)
	}
	twice := func(all []users.User) ([]users.User, error) { return append(all, all[0]), nil }
	if err := users.Edit(path, twice); err == nil {
		t.Error("a user is there twice")
	}
	if _, err := users.Read(strings.NewReader("ali:" + six("x") + "::a/b\n")); err == nil || !strings.Contains(err.Error(), "virtual host") {
		t.Errorf("a virtual host that cannot be: %v", err)
	}
}

// TestImportVHosts takes over where the users of RabbitMQ are at home.
func TestImportVHosts(t *testing.T) {
	const hash = `"password_hash":"kI3GCqW5JLMJa4iX1lo7X4D6XbYqlLgxIs30+P6tENUV2POR","hashing_algorithm":"rabbit_password_hashing_sha256"`
	all, notes, err := users.Import([]byte(`{"users":[{"name":"one",` + hash + `},{"name":"root",` + hash + `},{"name":"two",` + hash + `},{"name":"odd",` + hash + `}],
		"permissions":[{"user":"one","vhost":"shop"},{"user":"root","vhost":"/"},{"user":"two","vhost":"a"},{"user":"two","vhost":"b"},{"user":"odd","vhost":"/x"}]}`))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, u := range all {
		got = append(got, u.Name+"@"+u.VHost)
	}
	if want := []string{"one@shop", "root@", "two@", "odd@"}; cmp.Diff(got, want) != "" {
		t.Errorf("got %v, want %v", got, want)
	}
	text := strings.Join(notes, "\n")
	for _, want := range []string{`"two": permissions in the virtual hosts ["a" "b"]`, `"odd": permissions in the virtual hosts ["/x"]`} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in: %s", want, text)
		}
	}
}

// TestRevoke asks again for those who were let in when the file is another one.
func TestRevoke(t *testing.T) {
	hash := six("x")
	for _, c := range []struct {
		name, before, after, vhost string
		want                       bool
	}{
		{"another user", "ali:" + hash, "ali:" + hash + "\nbea:" + hash, "/", true},
		{"other groups", "ali:" + hash, "ali:" + hash + ":ops", "/", true},
		{"another password", "ali:" + hash, "ali:" + six("y"), "/", false},
		{"gone", "ali:" + hash + "\nbea:" + hash, "bea:" + hash, "/", false},
		{"to a virtual host", "ali:" + hash, "ali:" + hash + "::a", "/", false},
		{"out of a virtual host", "ali:" + hash + "::a", "ali:" + hash, "a", false},
		{"to another virtual host", "ali:" + hash + "::a", "ali:" + hash + "::b", "a", false},
		{"gone from one of two", "ali:" + hash + "::a\nali:" + hash + "::b", "ali:" + hash + "::b", "a", false},
		{"gone from the other of two", "ali:" + hash + "::a\nali:" + hash + "::b", "ali:" + hash + "::b", "b", true},
	} {
		a, path := write(t, c.before+"\n")
		kept := true
		a.OnRevoke(func(again func(core.Principal) (core.Principal, error)) {
			_, err := again(core.Principal{Name: "ali", VHost: c.vhost})
			kept = err == nil
		})
		if err := os.WriteFile(path, []byte(c.after+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		change, err := a.Prepare(users.Config{File: path})
		if err != nil {
			t.Fatal(err)
		}
		change.Apply()
		if kept != c.want {
			t.Errorf("%s: kept %t", c.name, kept)
		}
	}
}
