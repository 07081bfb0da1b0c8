package core_test

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/wyemq/wye/core"
	"github.com/wyemq/wye/core/coretest"
	"github.com/wyemq/wye/core/engine/memory"
)

// placedConn is a connection that came by a path and under names.
type placedConn struct {
	*coretest.Conn
	info core.ConnInfo
}

func (c *placedConn) Info() *core.ConnInfo { return &c.info }

// placed is what a client says and how it comes.
type placed struct {
	vhost, user, listener, path, host, sni, origin string
}

// tryPlaced logs in, and returns where that led to.
func tryPlaced(t *testing.T, b *core.Broker, in placed) (string, error) {
	t.Helper()
	local := &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1}
	c := &placedConn{coretest.NewConn(), core.ConnInfo{
		ID: "c", Listener: in.listener, Local: local, Remote: local, Path: in.path, Host: in.host, Header: http.Header{},
	}}
	if in.sni != "" {
		c.info.TLS = &tls.ConnectionState{ServerName: in.sni}
	}
	if in.origin != "" {
		c.info.Header.Set("Origin", in.origin)
	}
	password := ""
	if in.user != "" {
		password = "secret"
	}
	s, err := b.Connect(t.Context(), core.Login{Protocol: "x", VHost: in.vhost, User: in.user, Password: password, Conn: c}, nil)
	if err != nil {
		return "", err
	}
	defer s.Close()
	return s.Principal().VHost, nil
}

func vhosts() []core.VHost {
	return []core.VHost{
		{Name: "a", Hosts: []string{"a.example.com", "A2.example.com."}, AllowedOrigins: []string{"https://*.example.com"}},
		{Name: "b.eu", Hosts: []string{"b.example.com"}},
		{Name: "/", Hosts: []string{"www.example.com"}},
	}
}

// entrances are virtual hosts, and listeners that lead to them.
func entrances(o *core.Options) {
	o.VHosts = vhosts()
	o.Entrances = map[string]core.Entrance{
		"any": {AnyHost: true}, "a": {VHost: "a"}, "only": {VHost: "a", Served: []string{"a", "/"}},
	}
}

// TestPlacement finds the virtual host of a login.
func TestPlacement(t *testing.T) {
	b := coretest.Broker(t, entrances)
	for _, c := range []struct {
		name string
		in   placed
		want string // empty: refused
	}{
		{"nothing", placed{}, "/"},
		{"host", placed{vhost: "a"}, "a"},
		{"host, the default", placed{vhost: "/", listener: "a"}, "/"},
		{"host, a name with a dot", placed{vhost: "b.eu"}, "b.eu"},
		{"host, one of its names", placed{vhost: "a.example.com"}, "a"},
		{"host, one of its names, with a port and in capitals", placed{vhost: "A2.EXAMPLE.com.:61614"}, "a"},
		{"host, unknown", placed{vhost: "c"}, ""},
		{"host, another case", placed{vhost: "A"}, ""},
		{"host, encoded", placed{vhost: "%61"}, ""},
		{"host, a path", placed{vhost: "../a"}, ""},
		{"host, a space", placed{vhost: "a "}, ""},
		{"host, a wildcard", placed{vhost: "+"}, ""},
		{"host, unknown name of the server", placed{vhost: "mq.example.com"}, ""},
		{"host, unknown, where any is taken", placed{vhost: "mq.example.com", listener: "any"}, "/"},
		{"host is localhost", placed{vhost: "localhost"}, "/"},
		{"host is an address", placed{vhost: "127.0.0.1", listener: "a"}, "a"},
		{"host is an address with port", placed{vhost: "[::1]:61613"}, "/"},
		{"host is the Host", placed{vhost: "mq.example.com", host: "mq.example.com:61614"}, "/"},
		{"host is the name of TLS", placed{vhost: "MQ.example.com", sni: "mq.example.com"}, "/"},
		{"host is not the Host", placed{vhost: "c", host: "mq.example.com"}, ""},
		{"user", placed{user: "a:ali"}, "a"},
		{"user, the default", placed{user: "/:ali", listener: "a"}, "/"},
		{"user, a name with colons", placed{user: "urn:dev:1"}, "/"},
		{"user and host", placed{vhost: "a", user: "a:ali"}, "a"},
		{"user and another host", placed{vhost: "b.eu", user: "a:ali"}, ""},
		{"user behind an own name", placed{vhost: "localhost", user: "a:ali"}, "a"},
		{"path", placed{path: "/vhosts/a/ws"}, "a"},
		{"path, alone", placed{path: "/vhosts/b.eu"}, "b.eu"},
		{"path, with a slash", placed{path: "/vhosts/a/"}, "a"},
		{"path, unknown", placed{path: "/vhosts/c/ws"}, ""},
		{"path, none", placed{path: "/vhosts/"}, ""},
		{"path, none, without a slash", placed{path: "/vhosts"}, ""},
		{"path, back", placed{path: "/vhosts/b.eu/../a/ws"}, ""},
		{"path, in", placed{path: "/x/../vhosts/a/ws"}, ""},
		{"path, out", placed{path: "/vhosts/a/../../ws"}, ""},
		{"path, two slashes", placed{path: "//vhosts/a"}, ""},
		{"path, empty name", placed{path: "/vhosts//a"}, ""},
		{"path, dot", placed{path: "/vhosts/./a"}, ""},
		{"path and host", placed{path: "/vhosts/a/", vhost: "a"}, "a"},
		{"path and another host", placed{path: "/vhosts/a/", vhost: "b.eu"}, ""},
		{"path and the default", placed{path: "/vhosts/a/", vhost: "/"}, ""},
		{"path and another user", placed{path: "/vhosts/a/", user: "b.eu:ali"}, ""},
		{"path behind an own name", placed{path: "/vhosts/a/", vhost: "localhost"}, "a"},
		{"another path", placed{path: "/vhostsa/a", listener: "a"}, "a"},
		{"name of TLS", placed{sni: "b.example.com", host: "a.example.com"}, "b.eu"},
		{"Host", placed{host: "a.example.com:443", listener: "any"}, "a"},
		{"Host of the default", placed{host: "www.example.com", listener: "a"}, "/"},
		{"Host and user", placed{host: "a.example.com", user: "b.eu:ali"}, "b.eu"},
		{"Host that nobody knows", placed{host: "c.example.com"}, "/"},
		{"listener", placed{listener: "a"}, "a"},
		{"listener leads to it", placed{listener: "only", vhost: "/"}, "/"},
		{"listener does not lead there", placed{listener: "only", vhost: "b.eu"}, ""},
		{"listener does not lead to the name of TLS", placed{listener: "only", sni: "b.example.com"}, ""},
		{"listener does not lead to the user's", placed{listener: "only", user: "b.eu:ali"}, ""},
		{"origin", placed{vhost: "a", origin: "https://shop.example.com"}, "a"},
		{"foreign origin", placed{vhost: "a", origin: "https://evil.example"}, ""},
		{"origin elsewhere", placed{vhost: "b.eu", origin: "https://evil.example"}, "b.eu"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := tryPlaced(t, b, c.in)
			if got != c.want || (err == nil) != (c.want != "") {
				t.Errorf("%+v: is in %q, not %q: %v", c.in, got, c.want, err)
			}
			if err != nil && !errors.Is(err, core.ErrDenied) {
				t.Errorf("refused with %v", err)
			}
		})
	}
}

// TestOneVHost takes every host for a name of the server while there is one virtual host.
func TestOneVHost(t *testing.T) {
	b := coretest.Broker(t)
	for _, host := range []string{"", "/", "localhost", "mq.example.com", "default", "anything at all"} {
		if got, err := tryPlaced(t, b, placed{vhost: host}); got != "/" {
			t.Errorf("host %q: %q, %v", host, got, err)
		}
	}
	if got, err := tryPlaced(t, b, placed{path: "/vhosts/a"}); err == nil {
		t.Errorf("a path that names a virtual host which is not there leads to %q", got)
	}
}

// TestBound keeps credentials that are of a virtual host to it, and others out of it unless an authorizer says otherwise.
func TestBound(t *testing.T) {
	seen := ""
	b := coretest.Broker(t, entrances, coretest.Authenticate(func(_ context.Context, l *core.Login) (core.Principal, error) {
		seen = l.VHost + " " + l.User
		vhost, _, _ := strings.Cut(l.User, "@")
		if vhost == l.User {
			vhost = ""
		}
		return core.Principal{Name: l.User, VHost: vhost}, nil
	}), coretest.Authorize(func(p *core.Principal, op core.Op, dest string) error {
		if op == core.OpConnect && strings.HasPrefix(dest, "vhost/") && (p.Name != "guest" || p.VHost != strings.TrimPrefix(dest, "vhost/")) {
			return core.ErrDenied
		}
		return nil
	}))
	for _, c := range []struct {
		name       string
		in         placed
		want, seen string
	}{
		{"leads there", placed{user: "a@ali"}, "a", "/ a@ali"},
		{"from another listener", placed{user: "b.eu@ali", listener: "a"}, "b.eu", "a b.eu@ali"},
		{"asked for", placed{user: "a@ali", vhost: "a"}, "a", "a a@ali"},
		{"asked for by the user", placed{user: "a:a@ali"}, "a", "a a@ali"},
		{"asked for by the path", placed{user: "a@ali", path: "/vhosts/a"}, "a", "a a@ali"},
		{"another host", placed{user: "a@ali", vhost: "b.eu"}, "", "b.eu a@ali"},
		{"the default", placed{user: "a@ali", vhost: "/"}, "", "/ a@ali"},
		{"another user", placed{user: "b.eu:a@ali"}, "", "b.eu a@ali"},
		{"another path", placed{user: "a@ali", path: "/vhosts/b.eu"}, "", "b.eu a@ali"},
		{"another name of TLS", placed{user: "a@ali", sni: "b.example.com"}, "", "b.eu a@ali"},
		{"another Host", placed{user: "a@ali", host: "b.example.com"}, "", "b.eu a@ali"},
		{"a host that is not there", placed{user: "a@ali", vhost: "c"}, "", "c a@ali"},
		{"the listener does not lead there", placed{user: "b.eu@ali", listener: "only"}, "", "a b.eu@ali"},
		{"not there", placed{user: "c@ali"}, "", "/ c@ali"},
		{"of none", placed{user: "ali"}, "/", "/ ali"},
		{"of none, asks for another", placed{user: "ali", vhost: "a"}, "", "a ali"},
		{"of none, by the user", placed{user: "a:ali"}, "", "a ali"},
		{"of none, by the listener", placed{user: "ali", listener: "a"}, "", "a ali"},
		{"of none, by TLS", placed{user: "ali", sni: "a.example.com"}, "", "a ali"},
		{"of none, with a rule", placed{user: "guest", vhost: "a"}, "a", "a guest"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := tryPlaced(t, b, c.in)
			if got != c.want || (err == nil) != (c.want != "") || seen != c.seen {
				t.Errorf("%+v: is in %q, not %q; authenticated as %q, not %q: %v", c.in, got, c.want, seen, c.seen, err)
			}
		})
	}
}

// TestSameRefusal tells nobody which virtual hosts there are.
func TestSameRefusal(t *testing.T) {
	b := coretest.Broker(t, entrances, coretest.Users(map[string]string{"ali": "secret"}), coretest.Authorize(coretest.DenyOn(core.OpConnect, "vhost/a")))
	texts := make(map[string]bool)
	for _, host := range []string{"a", "x"} {
		_, err := tryPlaced(t, b, placed{vhost: host, user: "ali"})
		if err == nil {
			t.Fatalf("host %q: let in", host)
		}
		texts[strings.ReplaceAll(err.Error(), `"`+host+`"`, "?")] = true
		_, err = tryPlaced(t, b, placed{vhost: host, user: "bob"})
		if !errors.Is(err, core.ErrLogin) || strings.Contains(err.Error(), "virtual host") {
			t.Errorf("host %q: who is nobody is told %v", host, err)
		}
	}
	if len(texts) != 1 {
		t.Errorf("refusals are different: %v", texts)
	}
}

// TestMostSessions bounds the clients of one virtual host, and not those of others.
func TestMostSessions(t *testing.T) {
	b := coretest.Broker(t, func(o *core.Options) { o.VHosts = []core.VHost{{Name: "a", MaxSessions: 2}} })
	coretest.Connect(t, b, core.Login{VHost: "a", ClientID: "1"})
	second := coretest.Connect(t, b, core.Login{VHost: "a", ClientID: "2"})
	if _, err := coretest.TryConnect(t, b, core.Login{VHost: "a", ClientID: "3"}); !errors.Is(err, core.ErrLimit) {
		t.Errorf("the third: %v", err)
	}
	coretest.Connect(t, b, core.Login{VHost: "a", ClientID: "1"}) // takes over
	coretest.Connect(t, b, core.Login{ClientID: "3"})
	second.Gone()
	coretest.Connect(t, b, core.Login{VHost: "a", ClientID: "3"})
}

// TestCheckVHosts names what is wrong with a configuration.
func TestCheckVHosts(t *testing.T) {
	for _, name := range []string{"", ".", "..", "a/b", "a:b", "a+", "#", "%2F", "-a", "ä", "a b", strings.Repeat("a", 65), "/a"} {
		if core.CheckVHost(name) == nil {
			t.Errorf("%q is a name", name)
		}
	}
	err := core.CheckVHosts([]core.VHost{
		{Name: "a", Hosts: []string{"x.example"}},
		{Name: "a"},
		{Name: "b", Hosts: []string{"X.example."}},
		{Name: "c", Hosts: []string{"*.example"}},
		{Name: "d", AllowedOrigins: []string{"example.com"}},
		{Name: "e", MaxSessions: -1},
	})
	for _, want := range []string{"1.name: ", "2.hosts: ", "3.hosts: ", "4.allowed_origins: ", "5.max_sessions: "} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in: %v", want, err)
		}
	}
	for _, e := range []core.Entrance{{VHost: "x"}, {Served: []string{"x"}}, {Served: []string{"a"}}} {
		o := core.Options{Engine: memory.New(), VHosts: []core.VHost{{Name: "a"}}, Entrances: map[string]core.Entrance{"l": e}}
		if _, err := core.NewBroker(o); err == nil || !strings.Contains(err.Error(), "listener l: ") {
			t.Errorf("%+v: %v", e, err)
		}
	}
}

// FuzzPlacement leads nobody to a virtual host that was not named plainly.
func FuzzPlacement(f *testing.F) {
	for _, seed := range [][4]string{
		{"a", "a:ali", "/vhosts/a/ws", "a.example.com"},
		{"localhost", "ali", "/vhosts/b.eu/../a/", "[::1]:1"},
		{"A2.EXAMPLE.com.:61614", "/:", "//vhosts//a", "b.example.com:443"},
		{"", "a:b.eu:", "/vhosts/", ""},
		{"b.eu", "", "/vhosts/%2e/a", "a"},
	} {
		f.Add(seed[0], seed[1], seed[2], seed[3])
	}
	b, err := core.NewBroker(core.Options{Engine: memory.New(), Anonymous: core.AnonymousAlways, VHosts: vhosts(), Entrances: map[string]core.Entrance{"any": {AnyHost: true}}})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { _ = b.Close(context.Background()) })
	hosts := map[string]string{"a.example.com": "a", "a2.example.com": "a", "b.example.com": "b.eu", "www.example.com": "/"}
	// of is the virtual host of a name of the server.
	of := func(text string) string {
		if h, _, err := net.SplitHostPort(text); err == nil {
			text = h
		}
		return hosts[strings.ToLower(strings.TrimSuffix(text, "."))]
	}
	is := func(name string) bool { return name == "/" || name == "a" || name == "b.eu" }
	f.Fuzz(func(t *testing.T, vhost, user, path, host string) {
		got, err := tryPlaced(t, b, placed{vhost: vhost, user: user, path: path, host: host, listener: "any"})
		says := make(map[string]bool) // what the client names
		if is(vhost) {
			says[vhost] = true
		} else if v := of(vhost); v != "" {
			says[v] = true
		}
		if i := strings.LastIndexByte(user, ':'); i > 0 && is(user[:i]) {
			says[user[:i]] = true
		}
		if rest, ok := strings.CutPrefix(path, "/vhosts/"); ok {
			name, _, _ := strings.Cut(rest, "/")
			says[name] = true
		}
		switch {
		case err != nil:
			if len(says) == 0 && errors.Is(err, core.ErrDenied) && !strings.Contains(path, "vhosts") {
				t.Errorf("refused, though nothing was named: %v", err)
			}
		case len(says) > 1, len(says) == 1 && !says[got]:
			t.Errorf("named %v, is in %q", says, got)
		case len(says) == 0 && got != cmp.Or(of(host), "/"):
			t.Errorf("by the host %q in %q", host, got)
		}
	})
}
