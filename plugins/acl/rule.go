package acl

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/wyemq/wye/core"
)

// ops is a set of operations.
type ops uint16

func setOf(list ...core.Op) ops {
	var s ops
	for _, o := range list {
		s |= 1 << o
	}
	return s
}

// operations lists the words for operations, in the order in which messages name them.
func operations() ([]string, map[string]ops) {
	m := map[string]ops{
		"read":  setOf(core.OpSubscribe, core.OpConsume, core.OpBrowse, core.OpCreate),
		"write": setOf(core.OpPublish, core.OpRetain, core.OpCreate),
		"all":   ^ops(0),
	}
	var names []string
	for _, o := range []core.Op{
		core.OpPublish, core.OpSubscribe, core.OpConsume, core.OpBrowse, core.OpCreate, core.OpDelete, core.OpRetain, core.OpConnect, core.OpManage,
	} {
		m[o.String()] = setOf(o)
		names = append(names, o.String())
	}
	return append(names, "read", "write", "all"), m
}

// ParseOp returns the operation with this name.
func ParseOp(name string) (core.Op, error) {
	for o := core.OpConnect; o <= core.OpManage; o++ {
		if o.String() == name && o != core.OpDeliver && o != core.OpDisconnect {
			return o, nil
		}
	}
	names, _ := operations()
	return 0, fmt.Errorf("operation %q is not one of %s", name, strings.Join(names[:len(names)-3], ", "))
}

// rule is a Rule that was read.
type rule struct {
	id        string
	allow     bool
	ops       ops
	on        []pattern
	vhosts    []string
	users     []string
	groups    []string
	clients   []string
	networks  []netip.Prefix
	anonymous bool
}

// compile reads rules; key is where they are. The error holds everything that is wrong.
func compile(list []Rule, key string) ([]rule, error) {
	var errs []error
	all := make([]rule, 0, len(list))
	ids := make(map[string]bool)
	for i := range list {
		r, err := list[i].compile(named(key, i))
		errs = append(errs, err)
		if err == nil && ids[r.id] {
			errs = append(errs, fmt.Errorf("%s.id: %q is there twice", named(key, i), r.id))
		}
		ids[r.id] = true
		all = append(all, r)
	}
	return all, errors.Join(errs...)
}

func (in *Rule) compile(key string) (rule, error) {
	r := rule{
		id: in.ID, allow: len(in.Allow) > 0, vhosts: in.VHosts, users: in.Users, groups: in.Groups, clients: in.Clients, anonymous: in.Anonymous,
	}
	if r.id == "" {
		r.id = key
	}
	var errs []error
	fail := func(field, format string, args ...any) {
		errs = append(errs, fmt.Errorf("%s.%s: %s", key, field, fmt.Sprintf(format, args...)))
	}
	if (len(in.Allow) > 0) == (len(in.Deny) > 0) {
		errs = append(errs, fmt.Errorf("%s: must have operations under one of allow and deny", key))
	}
	names, known := operations()
	for field, list := range map[string][]string{"allow": in.Allow, "deny": in.Deny} {
		for _, word := range list {
			if known[word] == 0 {
				fail(field, "must be of %s, has %q", strings.Join(names, ", "), word)
			}
			r.ops |= known[word]
		}
	}
	if len(in.On) == 0 {
		fail("on", "must name destinations; \"#\" is everything")
	}
	for _, text := range in.On {
		p, err := parsePattern(text)
		if err != nil {
			fail("on", "%v", err)
		}
		r.on = append(r.on, p)
	}
	for _, text := range in.Addresses {
		n, err := parseNetwork(text)
		if err != nil {
			fail("addresses", "must be IP addresses or networks such as 10.0.0.0/8, has %q", text)
		}
		r.networks = append(r.networks, n)
	}
	if in.Anonymous && (len(in.Users) > 0 || len(in.Groups) > 0) {
		fail("anonymous", "nobody without a name has a user or group")
	}
	return r, errors.Join(errs...)
}

func parseNetwork(text string) (netip.Prefix, error) {
	if strings.Contains(text, "/") {
		p, err := netip.ParsePrefix(text)
		return p.Masked(), err
	}
	a, err := netip.ParseAddr(text)
	if err != nil {
		return netip.Prefix{}, err
	}
	return a.Unmap().Prefix(a.Unmap().BitLen())
}

// about reports whether the conditions of r hold for p.
func (r *rule) about(p *core.Principal) bool {
	switch {
	case r.anonymous && p.Name != "":
		return false
	case len(r.vhosts) > 0 && !anyGlob(r.vhosts, p.VHost):
		return false
	case len(r.users) > 0 && (p.Name == "" || !anyGlob(r.users, p.Name)):
		return false
	case len(r.clients) > 0 && !anyGlob(r.clients, p.ClientID):
		return false
	case len(r.groups) > 0 && !slices.ContainsFunc(p.Groups, func(g string) bool { return anyGlob(r.groups, g) }):
		return false
	case len(r.networks) > 0 && !slices.ContainsFunc(r.networks, func(n netip.Prefix) bool { return n.Contains(p.Remote.WithZone("")) }):
		return false
	}
	return true
}

func anyGlob(globs []string, text string) bool {
	for _, g := range globs {
		if glob(g, text) {
			return true
		}
	}
	return false
}

// glob reports whether text is as g says, in which "*" stands for anything.
func glob(g, text string) bool {
	head, rest, star := strings.Cut(g, "*")
	if !star {
		return g == text
	}
	if !strings.HasPrefix(text, head) {
		return false
	}
	text = text[len(head):]
	for {
		part, more, star := strings.Cut(rest, "*")
		if !star {
			return strings.HasSuffix(text, part)
		}
		i := strings.Index(text, part)
		if i < 0 {
			return false
		}
		text, rest = text[i+len(part):], more
	}
}

// matches reports whether r decides about op on dest: one that allows, if it covers dest; one that denies, if it matches
// some of it.
func (r *rule) matches(p *core.Principal, op core.Op, dest string) bool {
	if r.ops&(1<<op) == 0 || !r.about(p) {
		return false
	}
	for i := range r.on {
		if r.on[i].matches(p, dest, r.allow) {
			return true
		}
	}
	return false
}
