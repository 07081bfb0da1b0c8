package wyecmd_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/eclipse/paho.golang/paho"
	jwtlib "github.com/golang-jwt/jwt/v5"

	"github.com/wyemq/wye/plugins/users"
)

// TestInBandRefresh hands a new token over each way there is, outlives the first, and may then what the second says.
func TestInBandRefresh(t *testing.T) {
	p := start(t, []string{
		"--set", "auth.jwt.secret=" + jwtSecret, "--set", "auth.jwt.leeway=0s", "--set", "protocols.stomp.close_on_error=false",
		"--set", `auth.acl.rules=[{allow: [read, write], on: ["topic/{claim.room}/#"]}]`,
	})
	const lifetime = 5 * time.Second
	begin := time.Now()
	first := func(user string) string {
		return signToken(t, user, jwtlib.MapClaims{"room": "r1", "exp": begin.Add(lifetime).Unix()})
	}
	second := func(user string) string { return signToken(t, user, jwtlib.MapClaims{"room": "r2"}) }

	c, f := stompConnect(t, dial(t, p.addrs["stomp"]), "", "", "token:"+first("ann"))
	if f.command != "CONNECTED" {
		t.Fatalf("%+v", f)
	}
	c.ok("SUBSCRIBE", "", "id:n", "destination:/$auth/revoked")
	c.ok("SUBSCRIBE", "", "id:1", "destination:/topic/r1.x")
	c.refused("SEND", second("bob"), "destination:/$auth/refresh")
	c.refused("SEND", "rubbish", "destination:/$auth/refresh")
	c.refused("SEND", "x", "destination:/$auth/revoked")
	c.ok("SEND", "1", "destination:/topic/r1.x")
	c.refused("SEND", "2", "destination:/topic/r2.x")
	c.ok("SEND", second("ann"), "destination:/$auth/refresh")
	c.refused("SEND", "3", "destination:/topic/r1.x")
	c.ok("SEND", "4", "destination:/topic/r2.x")
	if got := c.next() + c.next(); got != `1{"subscription":"topic/r1/x"}` {
		t.Errorf("heard %q", got)
	}

	m, code := mqtt5Connect(t, dial(t, p.addrs["mqtt"]), "x", first("cas"))
	if code != 0 {
		t.Fatalf("code 0x%02x", code)
	}
	for i, try := range []struct {
		topic, body string
		want        byte
	}{
		{"$auth/refresh", second("bob"), 0x87},
		{"$auth/expiring", "x", 0x87},
		{"r2/x", "x", 0x87},
		{"$auth/refresh", second("cas"), 0},
		{"r2/x", "x", 0x10},
		{"r1/x", "x", 0x87},
	} {
		if code := m.publish(try.topic, try.body); code != try.want {
			t.Errorf("step %d: code 0x%02x, want 0x%02x", i, code, try.want)
		}
	}

	bearer := func(text string) *paho.AuthProperties {
		return &paho.AuthProperties{AuthMethod: "bearer", AuthData: []byte(text)}
	}
	a, code := mqtt5Connect(t, dial(t, p.addrs["mqtt"]), "", "", func(cp *paho.Connect) {
		cp.Properties = &paho.ConnectProperties{AuthMethod: "bearer", AuthData: []byte(first("dan"))}
	})
	if code != 0 {
		t.Fatalf("code 0x%02x", code)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if _, err := a.c.Authenticate(ctx, &paho.Auth{ReasonCode: 0x19, Properties: bearer(second("dan"))}); err != nil {
		t.Fatal(err)
	}
	if code := a.publish("r2/x", "x"); code != 0x10 {
		t.Errorf("code 0x%02x", code)
	}

	gone, f := stompConnect(t, dial(t, p.addrs["stomp"]), "", "", "token:"+first("eve"))
	if f.command != "CONNECTED" {
		t.Fatalf("%+v", f)
	}
	if f := gone.read(); f.header("reason") != "token_expired" { // those who have refreshed are still there
		t.Errorf("%+v", f)
	}
	c.ok("SEND", "5", "destination:/topic/r2.x")
	for _, m := range []*mqtt5{m, a} {
		if code := m.publish("r2/x", "x"); code != 0x10 {
			t.Errorf("code 0x%02x", code)
		}
	}
}

// TestRulesReload ends a subscription when a new rule says so, and changes users without a restart.
func TestRulesReload(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "acl.yaml")
	write := func(rules string) {
		t.Helper()
		if err := os.WriteFile(file, []byte("rules: ["+rules+"]"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(`{allow: [all], on: ["#"]}`)
	p := start(t, []string{"--set", "auth.users.file=" + usersFile(t, users.User{Name: "ali"}), "--set", "auth.acl.file=" + file, "--set", "protocols.stomp.close_on_error=false"})
	c, f := stompConnect(t, dial(t, p.addrs["stomp"]), "ali", passwordOf("ali"))
	if f.command != "CONNECTED" {
		t.Fatalf("%+v", f)
	}
	c.ok("SUBSCRIBE", "", "id:n", "destination:/$auth/revoked")
	c.ok("SUBSCRIBE", "", "id:1", "destination:/topic/a")
	c.ok("SUBSCRIBE", "", "id:2", "destination:/topic/b")
	write(`{id: closed, deny: [all], on: ["topic/a"]}, {allow: [all], on: ["#"]}`)
	if got := c.next(); !strings.Contains(got, `"topic/a"`) {
		t.Errorf("heard %q", got)
	}
	p.await(t, "msg=\"subscription ended\"")
	c.refused("SEND", "x", "destination:/topic/a")
	c.ok("SEND", "y", "destination:/topic/b")
	if got := c.next(); got != "y" {
		t.Errorf("heard %q", got)
	}
	write(`{broken`)
	p.await(t, "rules not read again")
	c.refused("SEND", "x", "destination:/topic/a")
	c.ok("SEND", "y", "destination:/topic/b")
}

// TestOnDenied closes the connection of whoever is refused, if it is to.
func TestOnDenied(t *testing.T) {
	p := start(t, []string{
		"--set", "auth.users.file=" + usersFile(t, users.User{Name: "ali"}), "--set", "auth.on_denied=disconnect", "--set", "protocols.stomp.close_on_error=false",
	})
	c, f := stompConnect(t, dial(t, p.addrs["stomp"]), "ali", passwordOf("ali"))
	if f.command != "CONNECTED" {
		t.Fatalf("%+v", f)
	}
	if f := c.do("SEND", "x", "destination:/topic/a"); f.header("reason") != "not_authorized" {
		t.Errorf("%+v", f)
	}
	for f := c.read(); f.command != ""; f = c.read() {
		if f.command != "ERROR" {
			t.Errorf("%+v", f)
		}
	}
	m, _ := mqtt5Connect(t, dial(t, p.addrs["mqtt"]), "ali", passwordOf("ali"))
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	_, _ = m.c.Publish(ctx, &paho.Publish{Topic: "a", QoS: 1})
	select {
	case <-m.c.Done():
	case <-ctx.Done():
		t.Error("the connection is still there")
	}
}
