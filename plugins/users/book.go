package users

import (
	"fmt"
	"os"
	"slices"
	"strings"
)

// book is what a file holds. It does not change.
type book struct {
	cfg   Config
	users map[[2]string]*User // by virtual host and name
	named map[string][]*User  // by name
	stamp stamp
}

// open reads the file. When it is not there, there are no users.
func open(cfg Config) (*book, error) {
	b := &book{cfg: cfg, users: make(map[[2]string]*User), named: make(map[string][]*User)}
	if cfg.File == "" {
		return b, nil
	}
	b.stamp = stampOf(cfg.File)
	all, err := Load(cfg.File)
	if err != nil {
		return nil, fmt.Errorf("auth.users.file: %w", err)
	}
	for i := range all {
		u := &all[i]
		b.users[u.id()] = u
		b.named[u.Name] = append(b.named[u.Name], u)
	}
	return b, nil
}

func stampOf(path string) stamp {
	info, err := os.Stat(path)
	if err != nil {
		return stamp{}
	}
	return stamp{info.Size(), info.ModTime()}
}

// find returns who has this name: in the virtual host that the login leads to, else in none, else the only one that has it,
// whose virtual host then is where the login leads.
func (b *book) find(vhost, name string) *User {
	for _, v := range []string{vhost, ""} {
		if u := b.users[[2]string{v, name}]; u != nil {
			return u
		}
	}
	if all := b.named[name]; len(all) == 1 {
		return all[0]
	}
	return nil
}

// label is what the log calls a user.
func (u *User) label() string {
	if u.VHost == "" {
		return u.Name
	}
	return u.VHost + ":" + u.Name
}

// mostNamed is how many users are named in a line of the log.
const mostNamed = 20

// differences says in words who is new, gone or changed since old; empty: nobody.
func (b *book) differences(old *book) string {
	var added, removed, changed []string
	for id, u := range b.users {
		was := old.users[id]
		switch {
		case was == nil:
			added = append(added, u.label())
		case was.Hash != u.Hash || !slices.Equal(was.Groups, u.Groups):
			changed = append(changed, u.label())
		}
	}
	for id, u := range old.users {
		if b.users[id] == nil {
			removed = append(removed, u.label())
		}
	}
	var parts []string
	for _, p := range []struct {
		what  string
		names []string
	}{{"added", added}, {"changed", changed}, {"removed", removed}} {
		if n := len(p.names); n > 0 {
			slices.Sort(p.names)
			text := strings.Join(p.names[:min(n, mostNamed)], ", ")
			if n > mostNamed {
				text += fmt.Sprintf(" and %d more", n-mostNamed)
			}
			parts = append(parts, p.what+": "+text)
		}
	}
	return strings.Join(parts, "; ")
}
