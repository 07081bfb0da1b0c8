package wyecmd_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/wyemq/wye/plugins/audit"
	"github.com/wyemq/wye/plugins/users"
)

// auditLines reads an audit log: each line as "event user reason …" of the fields named.
func auditLines(t *testing.T, file string) []audit.Record {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var all []audit.Record
	for line := range strings.Lines(string(text)) {
		var r audit.Record
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		if r.Time.IsZero() || r.Event == "" {
			t.Errorf("%q has no time or event", line)
		}
		all = append(all, r)
	}
	return all
}

// TestAudit looks up in the log what clients of both protocols, an administrator and the command line have done.
func TestAudit(t *testing.T) {
	people := usersFile(t, users.User{Name: "ali"}, users.User{Name: "root"})
	file := filepath.Join(t.TempDir(), "audit.log")
	yaml := "audit: {file: '" + file + "'}\nauth: {users: {file: '" + people + "'}, acl: {rules: [{id: no-secrets, deny: [all], on: ['topic/secret/#']}," +
		"{allow: [read, write], on: ['#']}, {id: admins, allow: [manage], on: ['broker/reload'], users: [root]}]}}\n"
	p := startWith(t, yaml, "--set", "protocols.stomp.close_on_error=false")
	p.admin = "root"
	c, _ := stompConnect(t, dial(t, p.addrs["stomp"]), "ali", passwordOf("ali"), "client-id:laptop")
	stompConnect(t, dial(t, p.addrs["stomp"]), "ali", "wrong")
	c.refused("SEND", "x", "destination:/topic/secret.a")
	c.ok("DISCONNECT", "")
	m, _ := mqtt5Connect(t, dial(t, p.addrs["mqtt"]), "ali", passwordOf("ali"))
	if code := m.subscribe("secret/b"); code != 0x87 {
		t.Errorf("code 0x%02x", code)
	}
	p.must(strings.ReplaceAll(yaml, "write], on: ['#']", "write], on: ['topic/#']") + "limits: {credit: 7}\n")
	p.reload("limits: {credit: 0}\n")
	resp, err := http.Post("http://"+p.addrs["admin"]+"/reload", "", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp, err = http.Get("http://" + p.addrs["admin"] + "/metrics"); err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	p.write(yaml)
	if out, code := wye(t, build(t, "./wye"), "long enough\n", "--config", p.file, "user", "add", "bea"); code != 0 {
		t.Fatal(out)
	}
	p.stop(syscall.SIGTERM)
	if code := p.exit(); code != 0 {
		t.Errorf("exit code %d\n%s", code, p.all())
	}
	var got []string
	for _, r := range auditLines(t, file) {
		text := fmt.Sprint(r.Event, " user=", r.User, " by=", strings.Split(r.By, " 127")[0], " ", r.Protocol, " ", r.Listener, " ", r.Operation, " ", r.Destination,
			" rule=", r.Rule, " ", r.Reason, " ", r.Action, " ", r.Status)
		got = append(got, strings.Join(strings.Fields(text), " "))
		switch {
		case r.Conn != "" && (r.Remote != "127.0.0.1" || r.VHost != "/"):
			t.Errorf("%+v", r)
		case r.Event == "login" && r.Protocol == "stomp" && (r.Client != "laptop" || r.Authenticator != "users" || r.Credentials != "connect"):
			t.Errorf("%+v", r)
		case r.Event == "reload" && r.By != "file" && !strings.Contains(fmt.Sprint(r.Changes), "limits.credit new:7 old:100"):
			t.Errorf("%+v", r)
		case r.Event == "reload_refused" && (len(r.Errors) != 1 || !strings.HasPrefix(r.Errors[0], "limits.credit: ")):
			t.Errorf("%+v", r)
		}
	}
	for _, want := range []string{
		"login user=ali by= stomp stomp rule= 0",
		"login_refused user=ali by= stomp stomp rule= bad_credentials 0",
		"refused user=ali by= stomp stomp publish topic/secret/a rule=no-secrets not_authorized 0",
		"logout user=ali by= stomp stomp rule= closed 0",
		"login user=ali by= mqtt mqtt rule= 0",
		"refused user=ali by= mqtt mqtt subscribe topic/secret/b rule=no-secrets not_authorized 0",
		"reload user= by=admin root rule= 0",
		"admin user=root by=root admin rule= POST /reload 200",
		"reload_refused user= by=admin root rule= 0",
		"admin user=root by=root admin rule= POST /reload 422",
		"admin user= by= admin rule= POST /reload 401",
		"logout user=ali by= mqtt mqtt rule= server_shutdown 0",
	} {
		if !slices.Contains(got, want) {
			t.Errorf("%q is not in\n%s", want, strings.Join(got, "\n"))
		}
	}
	if i := slices.IndexFunc(got, func(line string) bool { return strings.HasPrefix(line, "user_added user=bea by=") }); i < 0 {
		t.Errorf("no user was added in\n%s", strings.Join(got, "\n"))
	}
	if strings.Contains(strings.Join(got, "\n"), "/metrics") {
		t.Error("who only looks is told of")
	}
}

// TestAuditRotation moves the file of a process away, as logrotate does, and says so by SIGHUP, with a configuration that is
// wrong meanwhile.
func TestAuditRotation(t *testing.T) {
	dir := t.TempDir()
	file, conf := filepath.Join(dir, "audit.log"), filepath.Join(dir, "wye.yaml")
	write := func(yaml string) {
		t.Helper()
		if err := os.WriteFile(conf, []byte(yaml), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("audit: {file: '" + file + "'}\n")
	p := spawn(t, build(t, "./wye"), "--config", conf)
	stompConnect(t, dial(t, p.addrs["stomp"]), "", "", "client-id:before")
	if err := os.Rename(file, file+".1"); err != nil {
		t.Fatal(err)
	}
	stompConnect(t, dial(t, p.addrs["stomp"]), "", "", "client-id:between")
	write("nonsense: 1\n")
	p.stop(syscall.SIGHUP)
	p.await(t, "configuration not reloaded")
	stompConnect(t, dial(t, p.addrs["stomp"]), "", "", "client-id:after")
	p.stop(syscall.SIGTERM)
	if code := p.exit(); code != 0 {
		t.Errorf("exit code %d\n%s", code, p.all())
	}
	where := make(map[string]string)
	for _, name := range []string{file + ".1", file} {
		for _, r := range auditLines(t, name) {
			if r.Event == "login" {
				where[r.Client] = filepath.Base(name)
			}
		}
	}
	// What happens between the two may be written to either: the line may not have left memory when SIGHUP comes.
	if where["before"] != "audit.log.1" || where["between"] == "" || where["after"] != "audit.log" {
		t.Errorf("%v", where)
	}
}
