package core

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"path"
	"slices"
	"strings"
)

// VHost configures a virtual host: a namespace of destinations, sessions and client ids of its own. "/" is always there.
type VHost struct {
	// Name has letters, digits, "-", "_" and "." only, and begins with a letter or digit; or it is "/", the default.
	Name string `koanf:"name"`
	// Hosts are names under which clients reach the server and mean this virtual host: in the host header of STOMP, in TLS
	// (SNI), in the Host of HTTP.
	Hosts []string `koanf:"hosts"`
	// AllowedOrigins are the origins of pages that may log in here, as those of a WebSocket listener, which must let them in
	// as well. Empty: whatever the listener lets in.
	AllowedOrigins []string `koanf:"allowed_origins"`
	// MaxSessions, MaxQueues and MaxRetained bound the clients that are logged in, in the place of Limits.VHostConnections, and
	// the queues of all kinds and the retained messages, beside the Limits of all together. 0: no limit of its own.
	MaxSessions int `koanf:"max_sessions"`
	MaxQueues   int `koanf:"max_queues"`
	MaxRetained int `koanf:"max_retained"`
}

// Entrance says which virtual hosts a listener leads to.
type Entrance struct {
	// VHost is that of clients that name none. Empty: "/".
	VHost string
	// Served are those that it leads to at all. Empty: all.
	Served []string
	// AnyHost takes a host header of STOMP that names no virtual host for a name of the server, whatever it is.
	AnyHost bool
}

const (
	// pathPrefix begins the path of a connection that names its virtual host: /vhosts/<name>, and what follows as without it.
	pathPrefix = "/vhosts/"

	mostVHostName = 64
)

// CheckVHost says what is wrong with the name of a virtual host.
func CheckVHost(name string) error {
	if name == defaultVHost {
		return nil
	}
	for i, r := range name {
		alnum := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9'
		if !alnum && (i == 0 || r != '-' && r != '_' && r != '.') {
			return fmt.Errorf("must have letters, digits, - _ and . only and begin with a letter or digit, or be /, is %q", name)
		}
	}
	if name == "" || len(name) > mostVHostName {
		return fmt.Errorf("must have between 1 and %d bytes, has %d", mostVHostName, len(name))
	}
	return nil
}

// CheckVHosts says what is wrong with a configuration; each error begins with the place of the virtual host in the list.
func CheckVHosts(list []VHost) error {
	var errs []error
	names, hosts := make(map[string]bool), make(map[string]bool)
	for i := range list {
		c := &list[i]
		if err := CheckVHost(c.Name); err != nil {
			errs = append(errs, fmt.Errorf("%d.name: %w", i, err))
		} else if names[c.Name] {
			errs = append(errs, fmt.Errorf("%d.name: %q is there twice", i, c.Name))
		}
		names[c.Name] = true
		for _, h := range c.Hosts {
			switch host := canonicalHost(h); {
			case host == "" || strings.ContainsAny(host, "/:* "):
				errs = append(errs, fmt.Errorf("%d.hosts: must be names without scheme, port or wildcard, has %q", i, h))
			case hosts[host]:
				errs = append(errs, fmt.Errorf("%d.hosts: %q is there twice", i, h))
			default:
				hosts[host] = true
			}
		}
		for _, o := range c.AllowedOrigins {
			if err := CheckOrigin(o); err != nil {
				errs = append(errs, fmt.Errorf("%d.allowed_origins: %w", i, err))
			}
		}
		for _, f := range []struct {
			key   string
			value int
		}{{"max_sessions", c.MaxSessions}, {"max_queues", c.MaxQueues}, {"max_retained", c.MaxRetained}} {
			if f.value < 0 {
				errs = append(errs, fmt.Errorf("%d.%s: must not be negative, is %d", i, f.key, f.value))
			}
		}
	}
	return errors.Join(errs...)
}

// canonicalHost is how a host name is compared.
func canonicalHost(h string) string { return strings.ToLower(strings.TrimSuffix(h, ".")) }

// configureVHosts makes the virtual hosts that are served, and finds out what leads to them.
func (b *Broker) configureVHosts() error {
	if err := CheckVHosts(b.o.VHosts); err != nil {
		return fmt.Errorf("virtual hosts: %w", err)
	}
	b.served = map[string]*vhost{defaultVHost: b.vhost(defaultVHost)}
	b.hosts = make(map[string]*vhost)
	for _, c := range b.o.VHosts {
		v := b.vhost(c.Name)
		v.settings = c
		b.served[c.Name] = v
		for _, h := range c.Hosts {
			b.hosts[canonicalHost(h)] = v
		}
	}
	return b.checkEntrances(b.o.Entrances)
}

// checkEntrances wants listeners to lead to virtual hosts that are there.
func (b *Broker) checkEntrances(entrances map[string]Entrance) error {
	for listener, e := range entrances {
		for _, name := range append(slices.Clone(e.Served), e.vhost()) {
			if b.served[name] == nil {
				return fmt.Errorf("listener %s: virtual host %q is not configured", listener, name)
			}
		}
		if !e.serves(e.vhost()) {
			return fmt.Errorf("listener %s: does not lead to %q, which clients get that name no virtual host", listener, e.vhost())
		}
	}
	return nil
}

func (e *Entrance) vhost() string {
	if e.VHost == "" {
		return defaultVHost
	}
	return e.VHost
}

func (e *Entrance) serves(name string) bool {
	return len(e.Served) == 0 || slices.Contains(e.Served, name)
}

// place is the virtual host that a login leads to.
type place struct {
	v      *vhost // nil: it is not served
	asked  string // the name that was given; empty: none was
	source string // what has named it
}

// find finds the virtual host of a login before anybody knows whose it is, and takes its name off that of the user. A client
// names one by any of these, and is refused when they are not the same:
//
//   - the protocol: host in CONNECT of STOMP, which may be the name of a virtual host or one of its Hosts;
//   - the user, as in "name:user", when there is a virtual host of that name;
//   - the path of the connection, /vhosts/<name>.
//
// If it names none, the first of these decides that does:
//
//   - the server name of TLS, then the Host of HTTP, when it is one of the Hosts of a virtual host;
//   - the listener.
//
// A host of STOMP that is none of these is mostly the name under which the client knows the server: localhost, an address,
// the Host of HTTP or the server name of TLS stand for nothing, and so does anything while there is but one virtual host, or
// when the listener says so; but not the name of a virtual host that the engine knows and that is not served. Credentials that are of a virtual host come before all that: see enter.
func (b *Broker) find(l *Login) place {
	info := infoOf(l.Conn)
	if info == nil {
		info = &ConnInfo{}
	}
	e := b.options().Entrances[info.Listener]
	p := b.named(l, info, &e)
	if p.v != nil && !e.serves(p.v.name) {
		p.v = nil
	}
	return p
}

func (b *Broker) named(l *Login, info *ConnInfo, e *Entrance) place {
	var named []place
	if asked := l.VHost; asked != "" {
		v := b.lookupVHost(asked)
		strange := v == nil && (b.known(asked) != nil || !e.AnyHost && len(b.served) > 1 && !ownName(asked, info))
		if v != nil || strange {
			named = append(named, place{v, asked, "host"})
		}
	}
	if name, user, ok := cutUser(l.User); ok && b.served[name] != nil {
		l.User = user
		named = append(named, place{b.served[name], name, "user"})
	}
	if name, _, ok := cutPath(info.Path); ok {
		named = append(named, place{b.served[name], name, "path"})
	}
	for i, p := range named {
		if p.v != named[0].v {
			return place{nil, named[0].asked + " and " + p.asked, named[i].source}
		}
	}
	if len(named) > 0 {
		return named[0]
	}
	names := [2]string{1: info.Host}
	if info.TLS != nil {
		names[0] = info.TLS.ServerName
	}
	for i, source := range [...]string{"tls", "http"} {
		if v := b.hosts[canonicalHost(withoutPort(names[i]))]; v != nil {
			return place{v, names[i], source}
		}
	}
	return place{v: b.served[e.vhost()], source: "listener"}
}

// lookupVHost returns the virtual host with this name or host.
func (b *Broker) lookupVHost(name string) *vhost {
	if v := b.served[name]; v != nil {
		return v
	}
	return b.hosts[canonicalHost(withoutPort(name))]
}

// cutUser takes the virtual host off the name of a user, at the last colon.
func cutUser(text string) (vhost, user string, ok bool) {
	i := strings.LastIndexByte(text, ':')
	if i <= 0 {
		return "", text, false
	}
	return text[:i], text[i+1:], true
}

// ownName reports whether a client that asks for host means the server: it can have no other name on a connection that is
// known to have been made to this one.
func ownName(host string, info *ConnInfo) bool {
	host = canonicalHost(withoutPort(host))
	if _, err := netip.ParseAddr(strings.Trim(host, "[]")); err == nil || host == "localhost" {
		return true
	}
	if info.TLS != nil && info.TLS.ServerName != "" && host == canonicalHost(info.TLS.ServerName) {
		return true
	}
	return info.Host != "" && host == canonicalHost(withoutPort(info.Host))
}

func withoutPort(host string) string {
	if h, _, err := net.SplitHostPort(host); err == nil {
		return h
	}
	return host
}

// cutPath takes the virtual host off a path. A path that is not written as it is meant, with "..", say, may have come past
// the rules of a proxy: it names a virtual host that cannot be there.
func cutPath(p string) (name, rest string, ok bool) {
	clean := path.Clean("/" + p)
	if clean+"/" != pathPrefix && !strings.HasPrefix(clean, pathPrefix) && !strings.HasPrefix(p, pathPrefix) {
		return "", p, false
	}
	if p != clean && p != clean+"/" {
		return p, "", true // no name has a slash
	}
	name, rest, _ = strings.Cut(strings.TrimPrefix(clean+"/", pathPrefix), "/")
	return name, "/" + strings.TrimSuffix(rest, "/"), true
}

// enter decides whether p, who has logged in, may be where l leads to, and returns where that is. Credentials that are of a
// virtual host lead there; they are refused when the client asks for another one. Those that are of none are good for
// "/", and for others if an Authorizer says so: OpConnect on "vhost/<name>". What is refused is not told from what is not there.
func (b *Broker) enter(ctx context.Context, l *Login, at place, p *Principal) (*vhost, error) {
	v, why := at.v, ErrDenied
	switch {
	case p.VHost != "" && (at.v == nil || at.v.name != p.VHost):
		v = nil
		if e := b.entrance(l); at.asked == "" && e.serves(p.VHost) {
			v, why = b.served[p.VHost], ErrLogin
		}
		at.asked = p.VHost
	case v != nil && p.VHost == "" && v.name != defaultVHost:
		who := *p
		who.VHost, who.ClientID, who.Remote = v.name, l.ClientID, remoteOf(l.Conn)
		if b.authorize(ctx, &who, OpConnect, VHostName(v.name)) != nil {
			v = nil
		}
	}
	if v == nil {
		err := fmt.Errorf("virtual host %q: access denied: %w", clipped(at.asked), why)
		b.log.Info("login refused", "user", p.Name, "client", l.ClientID, "remote", remoteOf(l.Conn),
			"vhost", clipped(at.asked), "source", at.source, "known", b.lookupVHost(at.asked) != nil, "error", err)
		return nil, err
	}
	return v, v.admits(l)
}

func (b *Broker) entrance(l *Login) Entrance {
	info := infoOf(l.Conn)
	if info == nil {
		return Entrance{}
	}
	return b.options().Entrances[info.Listener]
}

// admits reports whether pages of the origin that l comes from may log in.
func (v *vhost) admits(l *Login) error {
	info := infoOf(l.Conn)
	if len(v.settings.AllowedOrigins) == 0 || info == nil {
		return nil
	}
	for _, origin := range info.Header.Values("Origin") {
		if !slices.ContainsFunc(v.settings.AllowedOrigins, func(a string) bool { return MatchOrigin(a, origin) }) {
			return fmt.Errorf("pages of origin %q may not log in to virtual host %q: %w", clipped(origin), v.name, ErrDenied)
		}
	}
	return nil
}

// clipped is as much of what a client says as comes back to it.
func clipped(s string) string {
	const most = 100
	if len(s) > most {
		s = s[:most] + "…"
	}
	return strings.ToValidUTF8(s, "\uFFFD")
}
