package admin

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// Route is a place in the server that somebody else serves.
type Route struct {
	// Path begins with a slash and does not end with one: "/metrics". It is served with and without
	// a trailing slash.
	Path string
	// Subtree says that everything below Path belongs to it too.
	Subtree bool
	// Methods are those that are let through; empty: GET and HEAD.
	Methods []string
	// Manage is what one must be allowed to manage, as in "broker/reload": see Server.Ask. Empty: everybody is let through.
	Manage string
	// Title and About are its line on the index page. Without a Title it has none.
	Title, About string
	// Handler answers; it sees the path as the client sent it. The headers of the server are set
	// already, and it may set its own Content-Security-Policy.
	Handler http.Handler
}

// methods returns those that are let through.
func (r *Route) methods() []string {
	if len(r.Methods) == 0 {
		return []string{http.MethodGet, http.MethodHead}
	}
	return r.Methods
}

// table finds routes by path. It does not change after it was made.
type table struct {
	exact map[string]*Route
	list  []*Route // in the order given
}

// newTable refuses routes that are no routes, or there twice.
func newTable(routes []Route) (*table, error) {
	t := &table{exact: make(map[string]*Route)}
	var errs []error
	for i := range routes {
		r := &routes[i]
		switch {
		case r.Handler == nil:
			errs = append(errs, fmt.Errorf("admin: route %q has no handler", r.Path))
		case !strings.HasPrefix(r.Path, "/") || r.Path != "/" && strings.HasSuffix(r.Path, "/"):
			errs = append(errs, fmt.Errorf("admin: route %q must begin and not end with a slash", r.Path))
		case t.exact[r.Path] != nil:
			errs = append(errs, fmt.Errorf("admin: route %q is there twice", r.Path))
		default:
			t.exact[r.Path] = r
			t.list = append(t.list, r)
		}
	}
	return t, errors.Join(errs...)
}

// find returns the route of a path: the one at it, else the nearest above that has a subtree.
func (t *table) find(path string) *Route {
	path = strings.TrimRight(path, "/")
	if path == "" {
		return t.exact["/"]
	}
	if r := t.exact[path]; r != nil {
		return r
	}
	for {
		i := strings.LastIndexByte(path, '/')
		if i <= 0 {
			return nil
		}
		path = path[:i]
		if r := t.exact[path]; r != nil && r.Subtree {
			return r
		}
	}
}

// paths lists where there is something, for who asked elsewhere.
func (t *table) paths() []string {
	var ps []string
	for _, r := range t.list {
		ps = append(ps, r.Path)
	}
	slices.Sort(ps)
	return ps
}
