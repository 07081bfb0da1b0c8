package users

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/wyemq/wye/core"
)

// User is a line of the file.
type User struct {
	Name string
	// Hash is what Hash has made of the password, or one that was imported.
	Hash string
	// Groups the user is in.
	Groups []string
	// VHost is the virtual host that the user is of; there may be others of that name elsewhere. Empty: none.
	VHost string

	scheme scheme
}

// maxName bounds names and groups.
const maxName = 256

// check says what is wrong with the user, and reads the hash.
func (u *User) check() (err error) {
	if err := checkName("user", u.Name); err != nil {
		return err
	}
	for _, g := range u.Groups {
		if err := checkName("group", g); err != nil {
			return err
		}
	}
	if u.VHost != "" {
		if err := core.CheckVHost(u.VHost); err != nil {
			return fmt.Errorf("user %q: the virtual host %w", u.Name, err)
		}
	}
	if u.scheme, err = parse(u.Hash); err != nil {
		return fmt.Errorf("user %q: the hash %w", u.Name, err)
	}
	return nil
}

func checkName(what, name string) error {
	switch {
	case name == "":
		return fmt.Errorf("the name of a %s is empty", what)
	case len(name) > maxName:
		return fmt.Errorf("the name of a %s has %d bytes, the most are %d", what, len(name), maxName)
	case !utf8.ValidString(name) || strings.ContainsFunc(name, unicode.IsControl):
		return fmt.Errorf("the name of %s %q holds what cannot be printed", what, name)
	}
	return nil
}

// Read reads a file of users. The error holds everything that is wrong, each with its line.
func Read(r io.Reader) ([]User, error) {
	var all []User
	var errs []error
	seen := make(map[[2]string]bool)
	s := bufio.NewScanner(r)
	for line := 1; s.Scan(); line++ {
		text := strings.TrimSpace(s.Text())
		if text == "" || strings.HasPrefix(text, "#") {
			continue
		}
		u, err := readLine(text)
		if err == nil && seen[u.id()] {
			err = fmt.Errorf("user %q is there twice", u.Name)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("line %d: %w", line, err))
			continue
		}
		seen[u.id()] = true
		all = append(all, u)
	}
	return all, errors.Join(append(errs, s.Err())...)
}

// id is what there may be one of.
func (u *User) id() [2]string { return [2]string{u.VHost, u.Name} }

func readLine(text string) (User, error) {
	f := strings.Split(text, ":")
	if len(f) < 2 || len(f) > 4 {
		return User{}, errors.New("must be name:hash, name:hash:group,group or name:hash:group,group:vhost")
	}
	u := User{Name: unescape(f[0]), Hash: f[1]}
	if len(f) == 4 {
		u.VHost = f[3]
	}
	if len(f) > 2 && f[2] != "" {
		for g := range strings.SplitSeq(f[2], ",") {
			u.Groups = append(u.Groups, unescape(g))
		}
	}
	return u, u.check()
}

// Load reads the file at path. That it is not there is the same as that it is empty.
func Load(path string) ([]User, error) {
	f, err := os.Open(path) //nolint:gosec // the operator names the file
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("users: %w", err)
	}
	defer f.Close()
	all, err := Read(f)
	if err != nil {
		return nil, fmt.Errorf("users file %s: %w", path, err)
	}
	return all, nil
}

// Edit lets change work on the users of the file at path and writes what it returns, sorted by name. The file is replaced
// whole, or not at all; a new one can be read by its owner only.
func Edit(path string, change func([]User) ([]User, error)) error {
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real
	}
	old, err := Load(path)
	if err != nil {
		return err
	}
	all, err := change(old)
	if err != nil {
		return err
	}
	text, err := format(all)
	if err != nil {
		return err
	}
	return replace(path, text)
}

// format sorts all and writes it out.
func format(all []User) (string, error) {
	slices.SortStableFunc(all, func(a, b User) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.VHost, b.VHost))
	})
	var b strings.Builder
	b.WriteString("# The users of wye: name:hash:group,group:vhost. Change it with: wye user add|passwd|rm|import\n")
	for i := range all {
		if err := all[i].check(); err != nil {
			return "", err
		}
		if i > 0 && all[i].id() == all[i-1].id() {
			return "", fmt.Errorf("user %q is there twice", all[i].Name)
		}
		groups := make([]string, len(all[i].Groups))
		for j, g := range all[i].Groups {
			groups[j] = escape(g)
		}
		fmt.Fprintf(&b, "%s:%s:%s", escape(all[i].Name), all[i].Hash, strings.Join(groups, ","))
		if all[i].VHost != "" {
			b.WriteString(":" + all[i].VHost)
		}
		b.WriteByte('\n')
	}
	return b.String(), nil
}

// replace writes text beside path and moves it there.
func replace(path, text string) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*") // mode 0600
	if err != nil {
		return fmt.Errorf("users: %w", err)
	}
	defer func() {
		if err != nil {
			_ = os.Remove(f.Name())
			err = fmt.Errorf("users: %w", err)
		}
	}()
	_, err = f.WriteString(text)
	if info, statErr := os.Stat(path); statErr == nil {
		err = errors.Join(err, f.Chmod(info.Mode().Perm()))
	}
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

// special are the characters that mean something in the file.
const special = ":,%#"

func escape(name string) string {
	if !strings.ContainsFunc(name, isSpecial) {
		return name
	}
	var b strings.Builder
	for _, r := range name {
		if isSpecial(r) {
			for _, c := range []byte(string(r)) {
				fmt.Fprintf(&b, "%%%02X", c)
			}
		} else {
			b.WriteRune(r)
		}
	}
	return b.String()
}

func isSpecial(r rune) bool { return strings.ContainsRune(special, r) || unicode.IsSpace(r) }

// unescape reads what escape writes. A "%" that begins nothing stands for itself.
func unescape(text string) string {
	if !strings.Contains(text, "%") {
		return text
	}
	var b []byte
	for i := 0; i < len(text); i++ {
		if text[i] == '%' && i+2 < len(text) {
			var c byte
			if _, err := fmt.Sscanf(text[i+1:i+3], "%02X", &c); err == nil {
				b = append(b, c)
				i += 2
				continue
			}
		}
		b = append(b, text[i])
	}
	return string(b)
}
