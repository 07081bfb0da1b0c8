package wyecmd_test

import (
	"context"
	"crypto/tls"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/wyemq/wye/core"
	"github.com/wyemq/wye/plugins/users"
)

// TestReloadUsers logs out who is in the file no more or has another password, by STOMP and MQTT alike; who is in other
// groups may do what they may, at once, and others notice nothing. It is the same when the file changes by itself.
func TestReloadUsers(t *testing.T) {
	for _, how := range []string{"reload", "file"} {
		t.Run(how, func(t *testing.T) {
			people := usersFile(t, users.User{Name: "ali"}, users.User{Name: "bea"}, users.User{Name: "eve", Groups: []string{"red"}}, users.User{Name: "root"})
			yaml := "auth: {users: {file: '" + people + "'}, acl: {rules: [{allow: [all], on: ['topic/{user}/#', 'topic/{group}/#', 'topic/all/#', 'topic/$auth/#']}, {allow: [manage], on: ['broker/reload'], users: [root]}]}}\n"
			p := startWith(t, yaml, "--set", "protocols.stomp.close_on_error=false")
			p.admin = "root"
			ali, _ := stompConnect(t, dial(t, p.addrs["stomp"]), "ali", passwordOf("ali"))
			bea, _ := stompConnect(t, dial(t, p.addrs["stomp"]), "bea", passwordOf("bea"))
			eve, _ := stompConnect(t, dial(t, p.addrs["stomp"]), "eve", passwordOf("eve"))
			m, code := mqtt5Connect(t, dial(t, p.addrs["mqtt"]), "ali", passwordOf("ali"))
			if code != 0 {
				t.Fatal(code)
			}
			eve.ok("SUBSCRIBE", "", "id:n", "destination:/$auth/revoked")
			eve.ok("SUBSCRIBE", "", "id:r", "destination:/topic/red/x")
			eve.ok("SUBSCRIBE", "", "id:a", "destination:/topic/all/x")
			eve.refused("SEND", "x", "destination:/topic/blue/x")
			err := users.Edit(people, func(all []users.User) ([]users.User, error) {
				all[1].Hash = sixOf("another one")
				all[2].Groups = []string{"blue"}
				return append(all[1:], users.User{Name: "new", Hash: sixOf(passwordOf("new"))}), nil
			})
			if err != nil {
				t.Fatal(err)
			}
			const change = "added: new; changed: bea, eve; removed: ali"
			if how == "reload" {
				if r := p.must(yaml); len(r.Changes) != 0 || r.Files["auth.users.file"] != change {
					t.Errorf("%+v", r)
				}
			}
			for who, c := range map[string]*stompClient{"ali": ali, "bea": bea} {
				if f := c.read(); f.command != "ERROR" || f.header("reason") != "credentials_revoked" || strings.Count(f.body, core.ErrRevoked.Error()) != 1 {
					t.Errorf("%s heard %+v", who, f)
				}
			}
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			select {
			case <-m.c.Done():
			case <-ctx.Done():
				t.Error("the MQTT client of a user that was removed is still there")
			}
			p.await(t, `change="`+change+`"`)
			if got := eve.next(); !strings.Contains(got, "topic/red/x") {
				t.Errorf("eve was told %q", got)
			}
			eve.ok("SEND", "x", "destination:/topic/blue/x")
			eve.refused("SEND", "x", "destination:/topic/red/x")
			eve.ok("SEND", "still here", "destination:/topic/all/x")
			if got := eve.next(); got != "still here" {
				t.Errorf("eve heard %q", got)
			}
			for who, password := range map[string]string{"bea": "another one", "new": passwordOf("new")} {
				if _, f := stompConnect(t, dial(t, p.addrs["stomp"]), who, password); f.command != "CONNECTED" {
					t.Errorf("%s: %+v", who, f)
				}
			}
			if _, f := stompConnect(t, dial(t, p.addrs["stomp"]), "ali", passwordOf("ali")); f.header("reason") != "bad_credentials" {
				t.Errorf("ali: %+v", f)
			}
		})
	}
}

// TestReloadSecret logs out whose token was signed with a secret that is not the one any more.
func TestReloadSecret(t *testing.T) {
	people := usersFile(t, users.User{Name: "root"})
	yaml := func(secret string) string {
		return "auth: {jwt: {secret: '" + secret + "'}, users: {file: '" + people + "'}, acl: {rules: [{allow: [all], on: ['#']}]}}\n"
	}
	p := startWith(t, yaml(jwtSecret))
	p.admin = "root"
	eve, _ := stompConnect(t, dial(t, p.addrs["stomp"]), "eve", signToken(t, "eve", nil))
	root, _ := stompConnect(t, dial(t, p.addrs["stomp"]), "root", passwordOf("root"))
	p.must(yaml(strings.ToUpper(jwtSecret)))
	if f := eve.read(); f.command != "ERROR" || f.header("reason") != "credentials_revoked" {
		t.Errorf("eve heard %+v", f)
	}
	root.ok("SEND", "x", "destination:/topic/a")
	if _, f := stompConnect(t, dial(t, p.addrs["stomp"]), "eve", signToken(t, "eve", nil)); f.header("reason") != "bad_credentials" {
		t.Errorf("again: %+v", f)
	}
}

// TestReloadQueues makes a queue that is there obey another policy, and keeps what is in it.
func TestReloadQueues(t *testing.T) {
	p := startWith(t, "", "--set", "protocols.stomp.close_on_error=false")
	c, _ := stompConnect(t, dial(t, p.addrs["stomp"]), "", "")
	for range 3 {
		c.ok("SEND", "x", "destination:/queue/jobs")
	}
	full := func(want bool) {
		t.Helper()
		if f := c.do("SEND", "x", "destination:/queue/jobs"); (f.header("reason") == "queue_full") != want {
			t.Errorf("got %+v, want it full: %v", f, want)
		}
	}
	p.must("queues: [{match: jobs, max_length: 3}]\n")
	full(true)
	p.must("queues: [{match: jobs, max_length: 4}]\n")
	full(false)
	full(true)
	p.must("queues: [{match: jobs, ttl: 1ms, expired_to_dlq: true, dead_letter: queue/late}]\n")
	c.ok("SUBSCRIBE", "", "id:1", "destination:/queue/late")
	for range 4 {
		if got := c.next(); got != "x" {
			t.Errorf("got %q", got)
		}
	}
}

// TestReloadTLS exchanges the certificate under a client, and refuses one that cannot be read.
func TestReloadTLS(t *testing.T) {
	cert1, key1 := selfSigned(t)
	cert2, key2 := selfSigned(t)
	yaml := func(cert, key string) string {
		return "listeners: {safe: {uri: 'tls://127.0.0.1:0', tls: {cert_file: '" + cert + "', key_file: '" + key + "'}}}\n"
	}
	p := startWith(t, yaml(cert1, key1))
	open := func() *tls.Conn {
		t.Helper()
		nc := tls.Client(dial(t, p.addrs["safe"]), &tls.Config{InsecureSkipVerify: true})
		if err := nc.HandshakeContext(t.Context()); err != nil {
			t.Fatal(err)
		}
		return nc
	}
	first := open()
	c, _ := stompConnect(t, first, "", "")
	c.ok("SUBSCRIBE", "", "id:1", "destination:/topic/a")
	if r := p.must(yaml(cert2, key2)); len(r.Changes) != 2 {
		t.Errorf("%+v", r.Changes)
	}
	second := open()
	if first.ConnectionState().PeerCertificates[0].Equal(second.ConnectionState().PeerCertificates[0]) {
		t.Error("still the old certificate")
	}
	broken := filepath.Join(t.TempDir(), "broken.pem")
	if err := os.WriteFile(broken, []byte("no certificate"), 0o600); err != nil {
		t.Fatal(err)
	}
	if r := p.reload(yaml(broken, key2) + "limits: {credit: 5}\n"); r.status != http.StatusUnprocessableEntity || !strings.Contains(strings.Join(r.Errors, ""), "listeners.safe.tls") {
		t.Errorf("%+v", r)
	}
	if third := open(); !second.ConnectionState().PeerCertificates[0].Equal(third.ConnectionState().PeerCertificates[0]) {
		t.Error("another certificate after a reload that was refused")
	}
	d, _ := stompConnect(t, second, "", "")
	d.ok("SEND", "across", "destination:/topic/a")
	if got := c.next(); got != "across" {
		t.Errorf("heard %q", got)
	}
}
