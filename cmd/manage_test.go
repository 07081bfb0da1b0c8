package wyecmd_test

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/wyemq/wye/plugins/users"
)

// TestManage administers a broker with users by HTTP: what is of a virtual host, and what is of the broker.
func TestManage(t *testing.T) {
	file := usersFile(t, users.User{Name: "root"}, users.User{Name: "ali", VHost: "a"}, users.User{Name: "ali", VHost: "b"}, users.User{Name: "tom"})
	p := start(t, []string{
		"--set", "vhosts=[{name: a}, {name: b}]", "--set", "auth.users.file=" + file, "--set", "admin.pprof=true", "--set", "metrics.restricted=true",
		"--set", "auth.tickets.key=a key for applications",
		"--set", `auth.acl.rules=[{id: all, allow: [all], on: ["#"], users: [root, ali]}, {id: tom, allow: [read, write], on: ["#"]}]`,
	})
	clients := make(map[string]*stompClient)
	for _, vhost := range []string{"a", "b"} {
		c, f := stompConnect(t, dial(t, p.addrs["stomp"]), "ali", passwordOf("ali"), "host:"+vhost, "client-id:c")
		if f.command != "CONNECTED" {
			t.Fatalf("%+v", f)
		}
		c.ok("SEND", vhost, "destination:/queue/jobs/eu")
		clients[vhost] = c
	}
	const ticket = `{"user": "eve"}`
	for _, c := range []struct {
		user, request, body string
		code                int
		want                string
	}{
		{"", "GET /vhosts", "", 401, ""},
		{"", "GET /debug/pprof/", "", 401, ""},
		{"", "GET /debug/pprof/cmdline", "", 401, ""},
		{"", "POST /tickets", ticket, 401, ""},
		{"", "GET /metrics", "", 401, ""},
		{"tom", "GET /metrics", "", 403, ""},
		{"root", "GET /metrics", "", 200, "wye_sessions"},
		{"tom", "GET /vhosts", "", 403, ""},
		{"tom", "GET /debug/pprof/", "", 403, ""},
		{"tom", "POST /tickets", ticket, 401, ""},
		{"tom", "DELETE /vhosts/a/sessions/c", "", 403, ""},
		{"root", "GET /vhosts", "", 200, `"name":"b"`},
		{"root", "GET /debug/pprof/cmdline", "", 200, ""},
		{"root", "POST /tickets", ticket, 200, `"ticket":`},
		{"ali", "GET /vhosts", "", 401, ""}, // which of them?
		{"ali", "GET /vhosts/a/queues", "", 200, `"ready":1`},
		{"root", "POST /vhosts/a/queues/jobs%2Feu/purge", "", 200, `{"messages":1}`},
		{"root", "GET /vhosts/b/queues", "", 200, `"ready":1`},
		{"root", "DELETE /vhosts/a/sessions/c", "", 204, ""},
		{"root", "GET /vhosts/b/sessions", "", 200, `"client":"c"`},
	} {
		method, path, _ := strings.Cut(c.request, " ")
		req, err := http.NewRequestWithContext(t.Context(), method, "http://"+p.addrs["admin"]+path, strings.NewReader(c.body))
		if err != nil {
			t.Fatal(err)
		}
		if c.user != "" {
			req.SetBasicAuth(c.user, passwordOf(c.user))
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(res.Body)
		_ = res.Body.Close()
		if err != nil || res.StatusCode != c.code || !strings.Contains(string(body), c.want) {
			t.Errorf("%q: %s: %d %s (%v), want %d %s", c.user, c.request, res.StatusCode, body, err, c.code, c.want)
		}
	}
	if f := clients["a"].read(); f.header("reason") != "closed_by_administrator" {
		t.Errorf("the client in a: %+v", f)
	}
	clients["b"].ok("SEND", "", "destination:/queue/jobs/eu")
}
