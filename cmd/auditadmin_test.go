package wyecmd_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/wyemq/wye/plugins/users"
)

// TestAuditAdmin asks the admin server, and has nobody asked for credentials because of the audit log: a service that knows
// users sees no more than the routes want to know.
func TestAuditAdmin(t *testing.T) {
	const key = "the application's key"
	var asked atomic.Int32
	service := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var q map[string]string
		if err := json.NewDecoder(r.Body).Decode(&q); err != nil || q["token"] == key {
			t.Errorf("the service was asked for %v, %v", q, err)
		}
		asked.Add(1)
		w.WriteHeader(http.StatusForbidden)
	}))
	defer service.Close()
	file := filepath.Join(t.TempDir(), "audit.log")
	p := startWith(t, "audit: {file: '"+file+"'}\nauth: {http: {url: '"+service.URL+"', cache_refused: 0s}, tickets: {key: \""+key+"\"}, "+
		"users: {file: '"+usersFile(t, users.User{Name: "root"}, users.User{Name: "tom"})+"'}, "+
		"acl: {rules: [{allow: [manage], on: ['#'], users: [root]}]}}\n", "--set", "limits.login_delay=0s")
	for _, c := range []struct {
		request, body, bearer, user string
		code, visits                int
	}{
		{"POST /tickets", `{"user":"ali"}`, key, "", 200, 0},
		{"POST /tickets", "no JSON", key, "", 400, 0},
		{"POST /nothing", "", key, "", 404, 0},
		{"DELETE /tickets", "", key, "", 405, 0},
		{"POST /tickets", `{"user":"ali"}`, "", "root", 200, 0},
		{"POST /tickets", `{"user":"ali"}`, "wrong", "", 401, 1},
		{"POST /reload", "", "", "root", 200, 0},
		{"POST /reload", "", "", "tom", 403, 0},
		{"DELETE /vhosts/%2F/sessions/x", "", "", "root", 404, 0},
		{"DELETE /vhosts/%2F/sessions/x", "", "wrong", "", 401, 1},
	} {
		method, path, _ := strings.Cut(c.request, " ")
		req, err := http.NewRequestWithContext(t.Context(), method, "http://"+p.addrs["admin"]+path, strings.NewReader(c.body))
		if err != nil {
			t.Fatal(err)
		}
		if c.bearer != "" {
			req.Header.Set("Authorization", "Bearer "+c.bearer)
		}
		if c.user != "" {
			req.SetBasicAuth(c.user, passwordOf(c.user))
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if n := int(asked.Swap(0)); resp.StatusCode != c.code || n != c.visits {
			t.Errorf("%s of %s%s: status %d and %d questions, want %d and %d", c.request, c.bearer, c.user, resp.StatusCode, n, c.code, c.visits)
		}
	}
	p.stop(syscall.SIGTERM)
	p.exit()
	var got []string
	for _, r := range auditLines(t, file) {
		if r.Event == "admin" {
			got = append(got, fmt.Sprint(r.Action, " user=", r.User, " by=", r.By, " ", r.Status))
		}
	}
	want := []string{
		"POST /tickets user= by= 200", "POST /tickets user= by= 400", "POST /nothing user= by= 404", "DELETE /tickets user= by= 405",
		"POST /tickets user=root by=root 200", "POST /tickets user= by= 401", "POST /reload user=root by=root 200",
		"POST /reload user=tom by=tom 403", "DELETE /vhosts/%2F/sessions/x user=root by=root 404", "DELETE /vhosts/%2F/sessions/x user= by= 401",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if n := strings.Count(p.all(), `msg="login refused"`); n != 2 {
		t.Errorf("%d logins were refused, want 2\n%s", n, p.all())
	}
}

// TestAuditAdminFlood has many requests refused of nobody known, and of a page elsewhere in a browser: a few lines say so.
func TestAuditAdminFlood(t *testing.T) {
	file := filepath.Join(t.TempDir(), "audit.log")
	p := startWith(t, "audit: {file: '"+file+"'}\nauth: {users: {file: '"+usersFile(t, users.User{Name: "root"})+"'}}\n")
	const each = 100
	long := strings.Repeat("x", 13_000)
	for i := range each {
		for _, c := range []struct {
			path, origin string
			code         int
		}{
			{"/reload", "", 401},
			{fmt.Sprint("/", i, long), "", 404},
			{fmt.Sprint("/nothing", i), "https://evil.example", 403},
		} {
			req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+p.addrs["admin"]+c.path, http.NoBody)
			if err != nil {
				t.Fatal(err)
			}
			if c.origin != "" {
				req.Header.Set("Origin", c.origin)
			}
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			if resp.StatusCode != c.code {
				t.Errorf("POST %.20s of %q: status %d, want %d", c.path, c.origin, resp.StatusCode, c.code)
			}
		}
	}
	p.stop(syscall.SIGTERM)
	p.exit()
	lines, count := 0, 0
	for _, r := range auditLines(t, file) {
		if r.Event == "admin" {
			lines++
			count += max(r.Count, 1)
		}
	}
	info, err := os.Stat(file)
	if err != nil {
		t.Fatal(err)
	}
	if count != 3*each || lines > 30 || info.Size() > 16<<10 {
		t.Errorf("%d requests in %d lines, %d bytes", count, lines, info.Size())
	}
}
