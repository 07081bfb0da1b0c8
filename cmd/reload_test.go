package wyecmd_test

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"go.uber.org/fx"

	"github.com/wyemq/wye/configs"
	"github.com/wyemq/wye/core/config"
	"github.com/wyemq/wye/core/corefx"
	"github.com/wyemq/wye/plugins/users"
)

// reloaded is what POST /reload answers.
type reloaded struct {
	status  int
	Changes []struct {
		Key, Old, New string
		Restart       bool
	}
	Files  map[string]string
	Errors []string
}

// change returns "old -> new" of a key, with "!" when it needs a restart.
func (r *reloaded) change(key string) string {
	for _, c := range r.Changes {
		if c.Key == key {
			text := c.Old + " -> " + c.New
			if c.Restart {
				text += " !"
			}
			return text
		}
	}
	return ""
}

// configured is a running program with a configuration file that can be changed.
type configured struct {
	*program
	t     *testing.T
	file  string
	admin string // who reloads; empty: nobody in particular
}

// startWith runs the program with a configuration file.
func startWith(t *testing.T, yaml string, args ...string) *configured {
	t.Helper()
	c := &configured{t: t, file: filepath.Join(t.TempDir(), "wye.yaml")}
	c.write(yaml)
	c.program = start(t, append([]string{"--config", c.file}, args...))
	return c
}

func (c *configured) write(yaml string) {
	c.t.Helper()
	if err := os.WriteFile(c.file, []byte(yaml), 0o600); err != nil {
		c.t.Fatal(err)
	}
}

// reload writes the file and asks for it to be read.
func (c *configured) reload(yaml string) *reloaded {
	c.t.Helper()
	c.write(yaml)
	req, err := http.NewRequestWithContext(c.t.Context(), http.MethodPost, "http://"+c.addrs["admin"]+"/reload", http.NoBody)
	if err != nil {
		c.t.Fatal(err)
	}
	if c.admin != "" {
		req.SetBasicAuth(c.admin, passwordOf(c.admin))
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		c.t.Fatal(err)
	}
	defer resp.Body.Close()
	r := &reloaded{status: resp.StatusCode}
	if err := json.NewDecoder(resp.Body).Decode(r); err != nil {
		c.t.Fatal(err)
	}
	return r
}

// must wants a reload that was applied.
func (c *configured) must(yaml string) *reloaded {
	c.t.Helper()
	r := c.reload(yaml)
	if r.status != http.StatusOK {
		c.t.Fatalf("status %d: %q", r.status, r.Errors)
	}
	return r
}

// TestReload changes what may be changed while a client is connected that loses nothing, and tells every difference.
func TestReload(t *testing.T) {
	p := startWith(t, "log: {level: info}\n", "--set", "protocols.stomp.close_on_error=false")
	c, _ := stompConnect(t, dial(t, p.addrs["stomp"]), "", "")
	c.ok("SUBSCRIBE", "", "id:1", "destination:/topic/a")
	r := p.must(`
log: {level: debug, format: json}
limits: {subscriptions: 1, credit: 7}
shutdown_timeout: 3s
metrics: {queues: 5}
auth: {cookie: session, http: {secret: not-to-be-seen-anywhere}}
queues: [{match: "jobs/#", max_length: 2}]
`)
	for key, want := range map[string]string{
		"log.level":            `"info" -> "debug"`,
		"log.format":           `"text" -> "json" !`,
		"limits.subscriptions": "10000 -> 1",
		"limits.credit":        "100 -> 7",
		"shutdown_timeout":     "15s -> 3s",
		"metrics.queues":       "200 -> 5 !",
		"auth.cookie":          `"" -> "session"`,
		"auth.http.secret":     `"" -> "[redacted]"`,
		"queues.0.max_length":  " -> 2",
		"engine.dir":           "",
	} {
		if got := r.change(key); got != want {
			t.Errorf("%s: %s, want %s", key, got, want)
		}
	}
	p.await(t, `msg="configuration changed" key=limits.credit old=100 new=7`)
	p.await(t, `msg="configuration changed, which needs a restart" key=metrics.queues old=200 new=5`)
	p.await(t, `msg="configuration reloaded" by="admin 127.0.0.1:`)
	if strings.Contains(p.all(), "not-to-be-seen") {
		t.Error("a secret is in the log")
	}
	if f := c.do("SUBSCRIBE", "", "id:2", "destination:/topic/b"); f.header("reason") != "limit_exceeded" {
		t.Errorf("more subscriptions than there may be now: %+v", f)
	}
	c.ok("SEND", "here", "destination:/topic/a")
	if got := c.next(); got != "here" {
		t.Errorf("heard %q", got)
	}
	if r := p.must("metrics: {queues: 5}\n"); r.change("metrics.queues") != "200 -> 5 !" || r.change("limits.subscriptions") != "1 -> 10000" {
		t.Errorf("told again: %+v", r)
	}
}

// TestReloadRefused changes nothing when anything is wrong, and says everything that is.
func TestReloadRefused(t *testing.T) {
	dir := t.TempDir()
	rules, people := filepath.Join(dir, "rules"), filepath.Join(dir, "people")
	write := func(path, text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(rules, "rules: []")
	good := "limits: {credit: 50}\nauth: {users: {file: " + people + "}, acl: {file: " + rules + "}}\n"
	p := startWith(t, good)
	for _, c := range []struct {
		name, yaml string
		want       []string
	}{
		{
			"keys", "limits: {credit: 0, subscriptions: 1}\nlistener: {}\nlog: {level: loud}\n",
			[]string{"limits.credit: must be positive, is 0 (wye.yaml:1)", "listener: unknown key, did you mean listeners?", "log.level: must be one of"},
		},
		{"no YAML", "limits: [", []string{"wye.yaml: "}},
		{
			"files", "limits: {subscriptions: 1}\nauth: {users: {file: " + people + "}, acl: {file: " + rules + "}, jwt: {key_file: " + dir + "/nokeys}}\n",
			[]string{"auth.users.file: ", "auth.acl.file: ", "auth.jwt.key_file: "},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.name == "files" {
				write(people, "broken")
				write(rules, "{broken")
			}
			r := p.reload(c.yaml)
			text := strings.Join(r.Errors, "\n")
			if r.status != http.StatusUnprocessableEntity || len(r.Errors) < len(c.want) || r.Changes != nil {
				t.Errorf("%+v", r)
			}
			for _, want := range c.want {
				if !strings.Contains(text, want) {
					t.Errorf("%q is not in\n%s", want, text)
				}
			}
			p.await(t, "configuration not reloaded, nothing has changed")
			write(people, "")
			write(rules, "rules: []")
			if r := p.must(good); len(r.Changes) != 0 {
				t.Errorf("something was applied: %+v", r.Changes)
			}
		})
	}
}

// TestRestartKeys holds configs/wye.yaml to what the program takes while it runs: whatever needs a restart says so, the key
// or one above it, and nothing else does.
func TestRestartKeys(t *testing.T) {
	var reloader *corefx.Reloader
	start(t, inMemory, fx.Populate(&reloader))
	describe, err := config.Describe(configs.Reference())
	if err != nil {
		t.Fatal(err)
	}
	keys, _ := settings(t, "")
	n := 0
	for _, key := range keys {
		says := false
		for k := key; k != ""; k = k[:max(strings.LastIndexByte(k, '.'), 0)] {
			name := k
			if parts := strings.SplitN(k, ".", 3); parts[0] == "listeners" && len(parts) == 3 {
				name = "listeners.*." + parts[2] // documented once
			}
			says = says || strings.Contains(describe(name), "Needs a restart.")
		}
		needs := reloader.NeedsRestart(key)
		if needs != says {
			t.Errorf("%s: needs a restart: %v; says so: %v", key, needs, says)
		}
		if needs {
			n++
		}
	}
	if n < 20 || n > len(keys)-50 {
		t.Errorf("%d of %d keys need a restart", n, len(keys))
	}
}

// TestReloadForeign wants no page of another origin to reload, nor anything but POST.
func TestReloadForeign(t *testing.T) {
	p := startWith(t, "")
	for _, c := range []struct {
		method, header, value string
		status                int
	}{
		{"POST", "Origin", "https://evil.example", 403},
		{"POST", "Sec-Fetch-Site", "cross-site", 403},
		{"POST", "Sec-Fetch-Site", "same-site", 403},
		{"POST", "Origin", "null", 403},
		{"GET", "", "", 405},
		{"POST", "Origin", "http://" + p.addrs["admin"], 200},
		{"POST", "Sec-Fetch-Site", "same-origin", 200},
		{"POST", "", "", 200},
	} {
		req, err := http.NewRequestWithContext(t.Context(), c.method, "http://"+p.addrs["admin"]+"/reload", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		if c.header != "" {
			req.Header.Set(c.header, c.value)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != c.status {
			t.Errorf("%s with %s: %s: %d, want %d", c.method, c.header, c.value, resp.StatusCode, c.status)
		}
	}
}

// TestHangup reloads a process by a signal.
func TestHangup(t *testing.T) {
	file := filepath.Join(t.TempDir(), "wye.yaml")
	write := func(yaml string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(yaml), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	people := usersFile(t, users.User{Name: "ali"})
	write("")
	p := spawn(t, build(t, "./wye"), "--config", file, "--set", "auth.users.file="+people, "--set", "protocols.stomp.close_on_error=false")
	c, f := stompConnect(t, dial(t, p.addrs["stomp"]), "ali", passwordOf("ali"))
	if f.command != "CONNECTED" {
		t.Fatalf("%+v", f)
	}
	c.refused("SUBSCRIBE", "", "id:1", "destination:/topic/a")
	write("auth: {acl: {rules: [{allow: [all], on: ['#']}]}}\n")
	p.stop(syscall.SIGHUP)
	p.await(t, `msg="configuration reloaded" by=SIGHUP`)
	c.ok("SUBSCRIBE", "", "id:1", "destination:/topic/a")
	write("auth: {acl: {rulez: []}}\n")
	p.stop(syscall.SIGHUP)
	p.await(t, `nothing has changed" by=SIGHUP`)
	c.ok("SEND", "still here", "destination:/topic/a")
	if got := c.next(); got != "still here" {
		t.Errorf("heard %q", got)
	}
	p.stop(syscall.SIGTERM)
	if code := p.exit(); code != 0 {
		t.Errorf("exit code %d\n%s", code, p.all())
	}
}
