package users

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
)

// book is what a file holds. It does not change.
type book struct {
	cfg   Config
	users map[string]*User
	stamp stamp
}

// open reads the file. When it is not there, there are no users.
func open(cfg Config) (*book, error) {
	b := &book{cfg: cfg, users: make(map[string]*User)}
	if cfg.File == "" {
		return b, nil
	}
	b.stamp = stampOf(cfg.File)
	all, err := Load(cfg.File)
	if err != nil {
		return nil, fmt.Errorf("auth.users.file: %w", err)
	}
	for i := range all {
		b.users[all[i].Name] = &all[i]
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

// mostNamed is how many users are named in a line of the log.
const mostNamed = 20

// differences says in words who is new, gone or changed since old; empty: nobody.
func (b *book) differences(old *book) string {
	var added, removed, changed []string
	for name, u := range b.users {
		was := old.users[name]
		switch {
		case was == nil:
			added = append(added, name)
		case was.Hash != u.Hash || !slices.Equal(was.Groups, u.Groups):
			changed = append(changed, name)
		}
	}
	for name := range maps.Keys(old.users) {
		if b.users[name] == nil {
			removed = append(removed, name)
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
