package wyecmd_test

import (
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"net"
	"net/http"
	"strings"
	"testing"

	jwtlib "github.com/golang-jwt/jwt/v5"
	"github.com/gorilla/websocket"

	"github.com/wyemq/wye/plugins/users"
)

// hall is a broker with the virtual hosts a and b, and witnesses who tell what arrives in each.
type hall struct {
	*testing.T
	p         *program
	witnesses map[string]*stompClient
}

// where returns the virtual host that a client is in: it sends, and everybody says what he has heard.
func (h *hall) where(send func(topic, body string)) string {
	h.Helper()
	send("in", "x")
	for vhost, w := range h.witnesses {
		w.ok("SEND", "mark", "destination:/topic/in")
		if w.next() == "x" {
			w.next()
			return vhost
		}
	}
	return ""
}

// TestTenantCredentials is led to a virtual host by what credentials say, and kept out of others.
func TestTenantCredentials(t *testing.T) {
	ca := newAuthority(t)
	ca.make(&x509.Certificate{Subject: pkix.Name{CommonName: "server"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, DNSNames: []string{"b.example.com"}}, "server")
	ca.make(&x509.Certificate{
		Subject: pkix.Name{CommonName: "dev", Organization: []string{"a"}}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}, "dev")
	const secure = "listeners.secure."
	h := &hall{T: t, witnesses: make(map[string]*stompClient), p: start(t, []string{
		"--set", "vhosts=[{name: a, allowed_origins: [\"https://a.example\"]}, {name: b, hosts: [b.example.com]}]",
		"--set", "auth.users.file=" + usersFile(t, users.User{Name: "free"}, users.User{Name: "staff", Groups: []string{"staff"}}, users.User{Name: "w"}),
		"--set", "auth.jwt.secret=" + jwtSecret, "--set", "auth.tickets.key=a key for applications",
		"--set", "auth.clientcert.enabled=true", "--set", "auth.clientcert.vhost=o",
		"--set", secure + "uri=tls://127.0.0.1:0", "--set", secure + "tls.cert_file=" + ca.file("server.crt"), "--set", secure + "tls.key_file=" + ca.file("server.key"),
		"--set", secure + "tls.client_ca_file=" + ca.file("ca.crt"), "--set", secure + "tls.client_auth=optional",
		"--set", "listeners.websocket.allowed_origins=[\"*\"]", "--set", "protocols.stomp.close_on_error=false",
		"--set", `auth.acl.rules=[{allow: [connect], on: ["vhost/#"], groups: [staff]}, {allow: [connect], on: ["vhost/#"], users: [w]}, {allow: [read, write], on: ["#"]}]`,
	})}
	for _, vhost := range []string{"/", "a", "b"} {
		c, f := stompConnect(t, dial(t, h.p.addrs["stomp"]), "w", passwordOf("w"), "host:"+vhost)
		if f.command != "CONNECTED" {
			t.Fatalf("%+v", f)
		}
		c.ok("SUBSCRIBE", "", "id:1", "destination:/topic/in")
		h.witnesses[vhost] = c
	}
	of := func(vhost string) string { return signToken(t, "ann", jwtlib.MapClaims{"vhost": vhost}) }
	ticket := func() string { return h.ticket(`{"user": "tim", "vhost": "b"}`) }
	plain := func() net.Conn { return dial(t, h.p.addrs["stomp"]) }
	over := func(name, cert string) func() net.Conn {
		return func() net.Conn {
			cfg := ca.client(cert)
			cfg.ServerName = name
			return tls.Client(dial(t, h.p.addrs["secure"]), cfg)
		}
	}
	page := func(origin string) func() net.Conn {
		return func() net.Conn {
			ws, _, err := websocket.DefaultDialer.DialContext(t.Context(), "ws://"+h.p.addrs["websocket"]+"/vhosts/a/", http.Header{"Origin": {origin}, "Sec-Websocket-Protocol": {"v12.stomp"}})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = ws.Close() })
			return &wsConn{Conn: ws, kind: websocket.TextMessage}
		}
	}
	for _, c := range []struct {
		name           string
		open           func() net.Conn
		user, password string
		host           string
		want           string // empty: refused
	}{
		{"a claim", plain, "x", of("a"), "localhost", "a"},
		{"a claim, asked for", plain, "x", of("a"), "a", "a"},
		{"a claim, asked for another", plain, "x", of("a"), "b", ""},
		{"a claim, asked for the default", plain, "x", of("a"), "/", ""},
		{"a claim of nothing there", plain, "x", of("c"), "localhost", ""},
		{"a claim of something odd", plain, "x", of("../a"), "localhost", ""},
		{"a claim, by the user", plain, "a:x", of("a"), "localhost", "a"},
		{"a claim, by another user", plain, "b:x", of("a"), "localhost", ""},
		{"no claim", plain, "x", signToken(t, "ann", nil), "localhost", "/"},
		{"no claim, asked for one", plain, "x", signToken(t, "ann", nil), "a", ""},
		{"a ticket", plain, "x", "ticket." + ticket(), "localhost", "b"},
		{"a ticket, asked for another", plain, "x", "ticket." + ticket(), "a", ""},
		{"a user of none", plain, "free", passwordOf("free"), "localhost", "/"},
		{"a user of none, asked for one", plain, "free", passwordOf("free"), "a", ""},
		{"a user with a rule", plain, "staff", passwordOf("staff"), "a", "a"},
		{"the name of TLS", over("b.example.com", ""), "staff", passwordOf("staff"), "localhost", "b"},
		{"the name of TLS, without a rule", over("b.example.com", ""), "free", passwordOf("free"), "localhost", ""},
		{"another name of TLS", over("127.0.0.1", ""), "free", passwordOf("free"), "127.0.0.1", "/"},
		{"a certificate", over("127.0.0.1", "dev"), "", "", "localhost", "a"},
		{"a certificate, by the name of another", over("b.example.com", "dev"), "", "", "localhost", ""},
		{"a page", page("https://a.example"), "x", of("a"), "localhost", "a"},
		{"a page of others", page("https://evil.example"), "x", of("a"), "localhost", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			headers := []string{"host:" + c.host}
			s, f := stompConnect(t, c.open(), c.user, c.password, headers...)
			if (f.command == "CONNECTED") != (c.want != "") {
				t.Fatalf("%+v", f)
			}
			if c.want == "" {
				if f.header("reason") == "" || strings.Contains(f.body, "panic") {
					t.Errorf("%+v", f)
				}
				return
			}
			if got := h.where(func(topic, body string) { s.ok("SEND", body, "destination:/topic/"+topic) }); got != c.want {
				t.Errorf("is in %q, not in %q", got, c.want)
			}
		})
	}
	m, code := mqtt5Connect(t, dial(t, h.p.addrs["mqtt"]), "x", of("b"))
	if code != 0 {
		t.Fatalf("code 0x%02x", code)
	}
	if got := h.where(func(topic, body string) { m.publish(topic, body) }); got != "b" {
		t.Errorf("MQTT: is in %q", got)
	}
	// A new token does not lead elsewhere, nor does one that would not have led here.
	for claim, want := range map[string]byte{of("a"): 0x87, signToken(t, "ann", nil): 0x87, of("b"): 0} {
		if got := m.publish("$auth/refresh", claim); got != want && !(want == 0 && got == 0x10) {
			t.Errorf("refresh: code 0x%02x, want 0x%02x", got, want)
		}
	}
	if _, code := mqtt5Connect(t, dial(t, h.p.addrs["mqtt"]), "a:x", of("b")); code != 0x87 {
		t.Errorf("MQTT, asked for another: code 0x%02x", code)
	}
}

// ticket buys one.
func (h *hall) ticket(order string) string {
	h.Helper()
	req, err := http.NewRequestWithContext(h.Context(), http.MethodPost, "http://"+h.p.addrs["admin"]+"/tickets", strings.NewReader(order))
	if err != nil {
		h.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer a key for applications")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		h.Fatal(err)
	}
	defer res.Body.Close()
	var got struct{ Ticket string }
	if err := json.NewDecoder(res.Body).Decode(&got); err != nil || got.Ticket == "" {
		h.Fatalf("%s: %v", res.Status, err)
	}
	return got.Ticket
}
