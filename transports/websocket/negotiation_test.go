package websocket_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/wyemq/wye/core"
	"github.com/wyemq/wye/transports/websocket"
)

func TestNegotiation(t *testing.T) {
	infos := make(chan *core.ConnInfo, 1)
	s := serve(t, websocket.DefaultConfig(), spy{infos})
	for _, c := range []struct {
		name    string
		path    string
		headers []string
		want    string
	}{
		{"one", "/", []string{"Sec-WebSocket-Protocol", "echo"}, "echo"},
		{"after an unknown one", "/", []string{"Sec-WebSocket-Protocol", "wamp, echo2"}, "echo2"},
		{"as the client spells it", "/", []string{"Sec-WebSocket-Protocol", "ECHO"}, "ECHO"},
		{"several headers", "/", []string{"Sec-WebSocket-Protocol", "wamp", "Sec-WebSocket-Protocol", "echo"}, "echo"},
		{"none", "/", nil, ""},
		{"empty", "/", []string{"Sec-WebSocket-Protocol", " , "}, ""},
		{"any path", "/some/path/", []string{"Sec-WebSocket-Protocol", "echo"}, "echo"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := request(t, dialTCP(t, s.addr), c.path, c.headers...)
			if p.resp.StatusCode != http.StatusSwitchingProtocols {
				t.Fatalf("%s %s", p.resp.Status, p.body())
			}
			i := <-infos
			if got := p.resp.Header.Get("Sec-WebSocket-Protocol"); got != c.want || i.Subprotocol != c.want || i.Path != c.path {
				t.Errorf("answered %q, Info has %q on %q, want %q on %q", got, i.Subprotocol, i.Path, c.want, c.path)
			}
			p.roundtrip("hello")
		})
	}
}

// TestForwarded does not take the clients of a proxy on this machine for clients on this machine.
func TestForwarded(t *testing.T) {
	for _, trusted := range [][]string{nil, {"127.0.0.1"}} {
		cfg := websocket.DefaultConfig()
		cfg.TrustedProxies = trusted
		infos := make(chan *core.ConnInfo, 1)
		s := serve(t, cfg, spy{infos})
		for _, headers := range [][]string{
			nil, {"X-Forwarded-For", "192.0.2.1"}, {"X-Forwarded-For", "127.0.0.1"}, {"X-Forwarded-For", ""}, {"Forwarded", "for=192.0.2.1"}, {"Via", "1.1 proxy"}, {"X-Real-IP", "192.0.2.1"},
		} {
			connect(t, s.addr, headers...)
			if i := <-infos; i.Loopback() != (headers == nil) {
				t.Errorf("%v, trusted %v: loopback %t", headers, trusted, i.Loopback())
			}
		}
	}
}

// TestBearer takes a token out of the subprotocols, and a ticket out of the URL: neither is chosen, answered or told of.
func TestBearer(t *testing.T) {
	infos := make(chan *core.ConnInfo, 1)
	s := serve(t, websocket.DefaultConfig(), spy{infos})
	for _, c := range []struct{ path, offered, bearer, ticket, chosen string }{
		{"/", "echo, bearer.a.b-c_d", "a.b-c_d", "", "echo"},
		{"/", "bearer.x, echo2", "x", "", "echo2"},
		{"/ws?ticket=T%2B1&x=y", "echo", "", "T+1", "echo"},
		{"/", "echo", "", "", "echo"},
	} {
		p := request(t, dialTCP(t, s.addr), c.path, "Sec-WebSocket-Protocol", c.offered)
		if p.resp.StatusCode != http.StatusSwitchingProtocols {
			t.Fatalf("%s: %s %s", c.offered, p.resp.Status, p.body())
		}
		i := <-infos
		if got := p.resp.Header.Get("Sec-WebSocket-Protocol"); got != c.chosen || i.Bearer != c.bearer || i.Ticket != c.ticket || strings.Contains(i.Path, "?") {
			t.Errorf("%s %s: answered %q, %+v", c.path, c.offered, got, i)
		}
	}
	p := request(t, dialTCP(t, s.addr), "/?ticket=secret1", "Sec-WebSocket-Protocol", "wamp, bearer.secret2")
	if body := p.body(); p.resp.StatusCode != http.StatusBadRequest || strings.Contains(body, "secret") {
		t.Errorf("%s %s", p.resp.Status, body)
	}
}

// spy is echo that passes on the Info of each connection.
type spy struct{ infos chan *core.ConnInfo }

func (spy) Subprotocols() []string           { return echo{}.Subprotocols() }
func (spy) Select(o []string) (string, bool) { return echo{}.Select(o) }
func (s spy) ServeConn(ctx context.Context, c core.Conn) error {
	s.infos <- c.Info()
	return echo{}.ServeConn(ctx, c)
}

func TestInfoHeader(t *testing.T) {
	infos := make(chan *core.ConnInfo, 1)
	s := serve(t, websocket.DefaultConfig(), spy{infos})
	connect(t, s.addr, "Cookie", "a=1", "Cookie", "b=2", "Authorization", "Bearer x", "User-Agent", "test", "Accept-Language", "de")
	h := (<-infos).Header
	if got := fmt.Sprint(h["Cookie"], h["Authorization"], h["User-Agent"], len(h)); got != "[a=1 b=2] [Bearer x] [test] 3" {
		t.Errorf("Info has %v", h)
	}
}

func TestRefused(t *testing.T) {
	cfg := websocket.DefaultConfig()
	cfg.AllowedOrigins = []string{"https://*.example.com", "https://exact.example.org:8443"}
	s := serve(t, cfg, echo{})
	other := connect(t, s.addr)
	up := "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
	for _, c := range []struct {
		name, text string
		status     int
		body       []string
		header     [2]string
		logged     string
	}{
		{"plain GET", "GET /x HTTP/1.1\r\nHost: h\r\n\r\n", 426, []string{"ws://h/x", "echo, echo2"}, [2]string{"Upgrade", "websocket"}, ""},
		{"POST", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n", 405, []string{"GET"}, [2]string{"Allow", "GET, HEAD"}, ""},
		{"unknown subprotocols", "GET / HTTP/1.1\r\nHost: h\r\n" + up + "Sec-WebSocket-Protocol: wamp, soap\r\n\r\n", 400, []string{"wamp, soap", "echo, echo2"}, [2]string{"Content-Type", "text/plain; charset=utf-8"}, "unknown_subprotocol"},
		{"foreign origin", "GET / HTTP/1.1\r\nHost: h\r\n" + up + "Origin: https://evil.example\r\n\r\n", 403, []string{"https://evil.example", "allowed_origins"}, [2]string{}, "foreign_origin"},
		{"origin with a port", "GET / HTTP/1.1\r\nHost: h\r\n" + up + "Origin: http://h:81\r\n\r\n", 403, []string{"http://h:81"}, [2]string{}, "foreign_origin"},
		{"origin that ends alike", "GET / HTTP/1.1\r\nHost: h\r\n" + up + "Origin: https://evilexample.com\r\n\r\n", 403, nil, [2]string{}, "foreign_origin"},
		{"origin null", "GET / HTTP/1.1\r\nHost: h\r\n" + up + "Origin: null\r\n\r\n", 403, nil, [2]string{}, "foreign_origin"},
		{"two origins", "GET / HTTP/1.1\r\nHost: h\r\n" + up + "Origin: http://h\r\nOrigin: http://h\r\n\r\n", 403, nil, [2]string{}, "foreign_origin"},
		{"no version", "GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n", 400, []string{"13"}, [2]string{}, ""},
		{"no key", "GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\r\n", 400, []string{"Key"}, [2]string{}, ""},
		{"two origins of ours", "GET / HTTP/1.1\r\nHost: localhost\r\n" + up + "Origin: http://localhost\r\nOrigin: http://localhost\r\n\r\n", 403, nil, [2]string{}, "foreign_origin"},
		{"same origin", "GET / HTTP/1.1\r\nHost: localhost:80\r\n" + up + "Origin: http://localhost\r\n\r\n", 101, nil, [2]string{}, ""},
		{"wildcard", "GET / HTTP/1.1\r\nHost: h\r\n" + up + "Origin: https://a.b.example.com\r\n\r\n", 101, nil, [2]string{}, ""},
		{"exact", "GET / HTTP/1.1\r\nHost: h\r\n" + up + "Origin: https://EXACT.example.org:8443\r\n\r\n", 101, nil, [2]string{}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			before := len(s.logs.String())
			p := raw(t, dialTCP(t, s.addr), c.text)
			if p.resp.StatusCode != c.status {
				t.Fatalf("got %s, want %d", p.resp.Status, c.status)
			}
			if c.status == 101 {
				return
			}
			body := p.body()
			for _, part := range c.body {
				if !strings.Contains(body, part) {
					t.Errorf("the body %q does not have %q", body, part)
				}
			}
			if k := c.header[0]; k != "" && p.resp.Header.Get(k) != c.header[1] {
				t.Errorf("%s is %q, want %q", k, p.resp.Header.Get(k), c.header[1])
			}
			if c.logged != "" && strings.Count(s.logs.String()[before:], "reason="+c.logged) != 1 {
				t.Errorf("the log does not have reason %s once: %s", c.logged, s.logs.String()[before:])
			}
			if c.logged != "" && s.Stats().Ended[c.logged] == 0 {
				t.Errorf("Stats has no %s", c.logged)
			}
		})
	}
	other.roundtrip("undisturbed")
}

// TestRebinding has pages whose own name was made to stand for this machine: their origin is that of the request.
func TestRebinding(t *testing.T) {
	cfg := websocket.DefaultConfig()
	cfg.AllowedOrigins = []string{"http://known.example:61614"}
	s := serve(t, cfg, echo{})
	for host, status := range map[string]int{
		"evil.example:61614":       403,
		"evil.example":             403,
		"localhost.evil.example":   403,
		"127.0.0.1.evil.example":   403,
		"evillocalhost:61614":      403,
		"known.example:61614":      101,
		"known.example:61615":      403,
		"localhost:61614":          101,
		"LOCALHOST:61614":          101,
		"localhost.:61614":         101,
		"app.localhost:61614":      101,
		"127.0.0.1:61614":          101,
		"[::1]:61614":              101,
		"[::1]":                    101,
		"192.0.2.1:61614":          101,
		"0x7f000001:61614":         403,
		"[::ffff:127.0.0.1]:61614": 101,
	} {
		p := raw(t, dialTCP(t, s.addr), "GET / HTTP/1.1\r\nHost: "+host+"\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
			"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nOrigin: http://"+host+"\r\n\r\n")
		if p.resp.StatusCode != status {
			t.Errorf("host %q: %s, want %d", host, p.resp.Status, status)
		}
		if body := p.body(); status == 403 && (!strings.Contains(body, "localhost or an IP address") || !strings.Contains(body, "allowed_origins")) {
			t.Errorf("host %q: the body is %q", host, body)
		}
	}
}

func TestMissingOrigin(t *testing.T) {
	cfg := websocket.DefaultConfig()
	cfg.AllowMissingOrigin = false
	s := serve(t, cfg, echo{})
	if p := request(t, dialTCP(t, s.addr), "/"); p.resp.StatusCode != http.StatusForbidden {
		t.Errorf("got %s", p.resp.Status)
	}
	if p := request(t, dialTCP(t, s.addr), "/", "Origin", "http://"+s.addr); p.resp.StatusCode != http.StatusSwitchingProtocols {
		t.Errorf("got %s", p.resp.Status)
	}
}

func TestLimits(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*websocket.Config)
		status int
		text   string
	}{
		{"all", func(c *websocket.Config) { c.Limits.MaxConnections = 2 }, 503, "max_connections"},
		{"address", func(c *websocket.Config) { c.Limits.MaxConnectionsPerAddress = 2 }, 429, "max_connections_per_address"},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg := websocket.DefaultConfig()
			c.change(&cfg)
			s := serve(t, cfg, echo{})
			first, second := connect(t, s.addr), connect(t, s.addr)
			p := request(t, dialTCP(t, s.addr), "/")
			if body := p.body(); p.resp.StatusCode != c.status || !strings.Contains(body, c.text) || p.resp.Header.Get("Retry-After") == "" {
				t.Errorf("got %s %q, want %d and %q", p.resp.Status, body, c.status, c.text)
			}
			first.roundtrip("undisturbed")
			_ = second.Close()
			second.wantClose(1000, "")
			for range 1000 { // the place is free when the server has noticed that the client has
				if p := request(t, dialTCP(t, s.addr), "/"); p.resp.StatusCode == http.StatusSwitchingProtocols {
					return
				}
			}
			t.Errorf("the place of a connection that has ended stays taken")
		})
	}
}

func TestTrustedProxies(t *testing.T) {
	for _, c := range []struct {
		name    string
		trusted []string
		header  string
		want    string
	}{
		{"not trusted", nil, "192.0.2.1", "127.0.0.1"},
		{"one hop", []string{"127.0.0.0/8"}, "192.0.2.1", "192.0.2.1"},
		{"forged on the left", []string{"127.0.0.1"}, "10.0.0.1, 192.0.2.1", "192.0.2.1"},
		{"two trusted", []string{"127.0.0.1", "10.0.0.0/8"}, "6.6.6.6, 192.0.2.1, 10.0.0.9", "192.0.2.1"},
		{"IPv6 with a port", []string{"127.0.0.1"}, "[2001:db8::1]:4711", "2001:db8::1"},
		{"rubbish", []string{"127.0.0.1"}, "unknown", "127.0.0.1"},
		{"none", []string{"127.0.0.1"}, "", "127.0.0.1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			infos := make(chan *core.ConnInfo, 1)
			cfg := websocket.DefaultConfig()
			cfg.TrustedProxies = c.trusted
			s := serve(t, cfg, spy{infos})
			connect(t, s.addr, "X-Forwarded-For", c.header)
			if got := host((<-infos).Remote.String()); got != c.want {
				t.Errorf("Remote is %s, want %s", got, c.want)
			}
		})
	}
}

func host(addr string) string {
	return strings.Trim(addr[:strings.LastIndexByte(addr, ':')], "[]")
}

// TestHandler mounts the transport in an application's own server.
func TestHandler(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	h, wait, err := websocket.Handler(ctx, websocket.DefaultConfig(), echo{}, discard)
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle("/broker", h)
	srv := httptest.NewServer(mux)
	defer srv.Close()
	addr := strings.TrimPrefix(srv.URL, "http://")
	p := request(t, dialTCP(t, addr), "/broker", "Sec-WebSocket-Protocol", "echo")
	if p.resp.StatusCode != http.StatusSwitchingProtocols {
		t.Fatal(p.resp.Status)
	}
	p.roundtrip("hello")
	cancel()
	p.wantClose(1012, "server_shutdown")
	wait()
	if p := request(t, dialTCP(t, addr), "/broker"); p.resp.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("after the end: %s", p.resp.Status)
	}
}

func TestValidate(t *testing.T) {
	cfg := websocket.DefaultConfig()
	cfg.URI = "http://x"
	cfg.Limits.MaxMessageSize = -1
	cfg.Limits.Linger = 0
	cfg.PingInterval = cfg.Limits.IdleTimeout
	cfg.AllowedOrigins = []string{"example.com"}
	cfg.TrustedProxies = []string{"nobody"}
	err := cfg.Validate("listeners.web")
	if err == nil {
		t.Fatal("was accepted")
	}
	for _, key := range []string{"uri", "max_message_size", "linger", "ping_interval", "allowed_origins", "trusted_proxies"} {
		if !strings.Contains(err.Error(), "listeners.web."+key+": must be ") {
			t.Errorf("%s is not named in:\n%v", key, err)
		}
	}
	cfg = websocket.DefaultConfig()
	cfg.URI = "ws://127.0.0.1:0/path"
	if err := cfg.Validate("listeners.web"); err != nil {
		t.Errorf("the defaults: %v", err)
	}
	cfg.URI, cfg.TLS.ClientAuth, cfg.TLS.MinVersion = "wss://h:1", "maybe", "1.1"
	err = cfg.Validate("l")
	for _, key := range []string{"cert_file", "key_file", "client_auth", "min_version"} {
		if err == nil || !strings.Contains(err.Error(), "l.tls."+key+": must be ") {
			t.Errorf("%s is not named in:\n%v", key, err)
		}
	}
}

// Pages that the program itself serves on another port may connect; what else listens there may not.
func TestAllowOrigins(t *testing.T) {
	cfg := websocket.DefaultConfig()
	cfg.URI = "ws://127.0.0.1:0"
	tr, err := websocket.New("test", cfg, discard)
	if err != nil {
		t.Fatal(err)
	}
	if tr.Addr() != nil {
		t.Errorf("an address before Listen: %v", tr.Addr())
	}
	tr.AllowOrigins(func(origin string) bool { return origin == "http://127.0.0.1:8161" })
	addr, err := tr.Listen(t.Context())
	if err != nil || tr.Addr() != addr {
		t.Fatalf("bound to %v, Addr says %v: %v", addr, tr.Addr(), err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- tr.Serve(ctx, echo{}) }()
	for _, c := range []struct {
		headers []string
		status  int
	}{
		{[]string{"Origin", "http://127.0.0.1:8161"}, http.StatusSwitchingProtocols},
		{[]string{"Origin", "http://127.0.0.1:8162"}, http.StatusForbidden},
		{[]string{"Origin", "http://127.0.0.1:8161", "Origin", "http://evil.example"}, http.StatusForbidden},
	} {
		p := request(t, dialTCP(t, addr.String()), "/", c.headers...)
		if p.resp.StatusCode != c.status {
			t.Errorf("%v: %s, want %d", c.headers, p.resp.Status, c.status)
		}
		_ = p.nc.Close()
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}
