package manage_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/wyemq/wye/core"
	"github.com/wyemq/wye/core/coretest"
	"github.com/wyemq/wye/core/engine/memory"
	"github.com/wyemq/wye/plugins/manage"
)

// people are the users: name@vhost, or of none; the password is "pw".
func people(_ context.Context, l *core.Login) (core.Principal, error) {
	switch {
	case l.User == "":
		return core.Principal{}, core.ErrSkip
	case l.Password != "pw":
		return core.Principal{}, core.ErrLogin
	}
	_, vhost, _ := strings.Cut(l.User, "@")
	return core.Principal{Name: l.User, VHost: vhost}, nil
}

// allowed lets admins do everything, others something, and nobody what is not said.
func allowed(p *core.Principal, op core.Op, dest string) error {
	name, _, _ := strings.Cut(p.Name, "@")
	ok := false
	switch {
	case name == "root":
		ok = p.Name != "root@b"
	case op == core.OpManage:
		ok = strings.HasPrefix(name, "purger") && (strings.HasPrefix(dest, "queue/jobs/") || dest == "client/c1")
	case op == core.OpConnect && strings.HasPrefix(dest, "vhost/"):
		ok = name == "purger-b" && dest == "vhost/b"
	default:
		ok = p.Name != ""
	}
	if !ok {
		return core.ErrDenied
	}
	return nil
}

// world is a broker with two virtual hosts, each with the same queues and the same client.
type world struct {
	*testing.T
	b       *core.Broker
	h       http.Handler
	clients map[string]*coretest.Client
}

func newWorld(t *testing.T, guarded bool) *world {
	t.Helper()
	options := []coretest.Option{func(o *core.Options) {
		o.VHosts = []core.VHost{{Name: "a"}, {Name: "b"}}
		o.Anonymous = core.AnonymousLoopback
	}}
	if guarded {
		options = append(options, coretest.Authenticate(people), coretest.Authorize(allowed))
	}
	w := &world{T: t, b: coretest.Broker(t, options...), clients: make(map[string]*coretest.Client)}
	w.h = manage.New(w.b, slog.New(slog.DiscardHandler))
	for _, vhost := range []string{"a", "b"} {
		l := core.Login{VHost: vhost, ClientID: "c1"}
		if guarded {
			l.User, l.Password = "c@"+vhost, "pw"
		}
		c := coretest.Connect(t, w.b, l)
		for _, queue := range []string{"queue/jobs/eu", "queue/other"} {
			done := make(chan error, 1)
			err := c.Publish(t.Context(), &core.Message{Destination: queue, Body: []byte(vhost)}, func(_ core.Published, err error) { done <- err })
			if err = errors.Join(err, <-done); err != nil {
				t.Fatal(err)
			}
		}
		w.clients[vhost] = c
	}
	return w
}

// do asks as a user; "" is nobody.
func (w *world) do(user, request string, change ...func(*http.Request)) (int, string) {
	w.Helper()
	method, path, _ := strings.Cut(request, " ")
	r := httptest.NewRequestWithContext(w.Context(), method, path, nil)
	r.RemoteAddr = "127.0.0.1:1"
	r = r.WithContext(context.WithValue(r.Context(), http.LocalAddrContextKey, coretest.NewConn().Info().Local))
	if user != "" {
		r.SetBasicAuth(user, "pw")
	}
	for _, fn := range change {
		fn(r)
	}
	rec := httptest.NewRecorder()
	w.h.ServeHTTP(rec, r)
	body, _ := io.ReadAll(rec.Body)
	return rec.Code, string(body)
}

// TestWho asks for everything as everybody.
func TestWho(t *testing.T) {
	for _, c := range []struct {
		request string
		want    map[string]int
	}{
		{"GET /vhosts", map[string]int{"": 401, "root": 200, "root@a": 200, "purger": 403, "purger@a": 403, "c@a": 403}},
		{"GET /vhosts/a/queues", map[string]int{"": 401, "root": 200, "root@a": 200, "root@b": 403, "purger": 403, "purger@a": 200, "purger@b": 403, "purger-b": 403, "c@a": 403}},
		{"GET /vhosts/b/sessions", map[string]int{"": 401, "root": 200, "root@a": 403, "purger": 403, "purger@a": 403, "purger@b": 200, "purger-b": 200, "c@b": 403}},
		{"POST /vhosts/a/queues/jobs%2Feu/purge", map[string]int{"": 401, "root": 200, "root@a": 200, "root@b": 403, "purger@a": 200, "purger@b": 403, "purger-b": 403, "purger": 403, "c@a": 403}},
		{"POST /vhosts/b/queues/other/purge", map[string]int{"": 401, "root": 200, "root@a": 403, "purger@b": 403, "purger-b": 403}},
		{"POST /vhosts/b/queues/jobs%2Feu/purge", map[string]int{"purger-b": 200, "purger@b": 200, "purger": 403}},
		{"POST /vhosts/b/queues/jobs%2Fnone/purge", map[string]int{"": 401, "purger@b": 404, "purger@a": 403}},
		{"POST /vhosts/b/queues/jobs/eu/purge", map[string]int{"root": 404}},
		{"POST /vhosts/%2F/queues/jobs%2Feu/purge", map[string]int{"": 401, "root": 404, "purger": 404, "purger@a": 403, "purger-b": 404}},
		{"POST /vhosts/none/queues/jobs/purge", map[string]int{"": 401, "root": 404, "purger": 403}},
		{"DELETE /vhosts/b/queues/jobs%2Feu", map[string]int{"": 401, "root@a": 403, "purger@a": 403, "purger": 403}},
		{"DELETE /vhosts/a/queues/jobs%2Feu", map[string]int{"purger@a": 204}},
		{"DELETE /vhosts/a/queues/jobs%2Feu/", map[string]int{"root": 204}},
		{"DELETE /vhosts//queues/other", map[string]int{"root": 404}},
		{"DELETE /vhosts/a/../b/queues/other", map[string]int{"root@a": 404, "root": 404}},
		{"DELETE /vhosts/a%2f..%2fb/queues/other", map[string]int{"root@a": 403, "root": 404}},
		{"DELETE /vhosts/b/sessions/c1", map[string]int{"": 401, "root@a": 403, "purger@a": 403, "purger": 403, "c@b": 403}},
		{"DELETE /vhosts/b/sessions/none", map[string]int{"purger@b": 403, "root": 404}},
		{"DELETE /vhosts/a/sessions/c1", map[string]int{"purger@a": 204}},
		{"GET /vhosts/a", map[string]int{"root": 404}},
		{"PUT /vhosts/a/queues/x", map[string]int{"root": 405}},
	} {
		t.Run(strings.ReplaceAll(c.request, "/", "_"), func(t *testing.T) {
			for user, want := range c.want {
				w := newWorld(t, true)
				if code, body := w.do(user, c.request); code != want {
					t.Errorf("%q: %d, want %d: %s", user, code, want, body)
				}
				if user != "" && want == http.StatusOK {
					wrong := func(r *http.Request) { r.SetBasicAuth(user, "wrong") }
					if code, _ := w.do(user, c.request, wrong); code != http.StatusUnauthorized {
						t.Errorf("%q with a wrong password: %d", user, code)
					}
				}
			}
		})
	}
}

// TestDone wants what is done to be done, in one virtual host.
func TestDone(t *testing.T) {
	w := newWorld(t, true)
	for _, c := range []struct{ user, request, want string }{
		{"root", "GET /vhosts", `"name":"/"`},
		{"root", "GET /vhosts", `"name":"b","served":true,"sessions":1,"kept":0,"subscriptions":0,"queues":2,"ready":2,"unacked":0,"received":2,"delivered":0`},
		{"root@a", "GET /vhosts", `"name":"a"`},
		{"purger@a", "GET /vhosts/a/queues", `[{"name":"jobs/eu","kind":"queue","ready":1,"unacked":0,"consumers":0,"bytes":1}]`},
		{"purger@a", "GET /vhosts/a/sessions", `[{"client":"c1","user":"c@a","listener":"coretest","remote":"127.0.0.1:1","conn":"coretest"}]`},
		{"purger@a", "POST /vhosts/a/queues/jobs%2Feu/purge", `{"messages":1}`},
		{"root", "GET /vhosts/b/queues", `"ready":1`},
	} {
		if code, body := w.do(c.user, c.request); code != http.StatusOK || !strings.Contains(body, c.want) {
			t.Errorf("%s: %s: %d %s", c.user, c.request, code, body)
		}
	}
	if _, body := w.do("root@a", "GET /vhosts"); strings.Contains(body, `"b"`) || strings.Contains(body, `"/"`) {
		t.Errorf("sees others: %s", body)
	}
	if code, body := w.do("root", "DELETE /vhosts/a/queues/other"); code != http.StatusNoContent {
		t.Errorf("delete: %d %s", code, body)
	}
	if _, body := w.do("root", "GET /vhosts/a/queues"); strings.Contains(body, "other") {
		t.Errorf("a deleted queue is there: %s", body)
	}
	if err := w.clients["b"].Subscribe(t.Context(), &core.Subscription{ID: "1", Filter: "queue/other"}); err != nil {
		t.Fatal(err)
	}
	if code, body := w.do("root", "DELETE /vhosts/b/queues/other"); code != http.StatusConflict {
		t.Errorf("delete of a queue with a consumer: %d %s", code, body)
	}
	if code, body := w.do("root", "DELETE /vhosts/a/sessions/c1"); code != http.StatusNoContent {
		t.Errorf("disconnect: %d %s", code, body)
	}
	if err := w.clients["a"].Conn.Closed(t); !errors.Is(err, core.ErrAdmin) {
		t.Errorf("closed with %v", err)
	}
	if why := w.clients["b"].Conn.Why(); why != nil {
		t.Errorf("the client of that id elsewhere was closed with %v", why)
	}
}

// TestOpen lets this machine manage while there are neither users nor rules, but not what comes from elsewhere.
func TestOpen(t *testing.T) {
	w := newWorld(t, false)
	if code, body := w.do("", "POST /vhosts/a/queues/other/purge"); code != http.StatusOK {
		t.Errorf("from this machine: %d %s", code, body)
	}
	for name, change := range map[string]func(*http.Request){
		"address":       func(r *http.Request) { r.RemoteAddr = "192.0.2.1:1" },
		"proxy":         func(r *http.Request) { r.Header.Set("X-Forwarded-For", "192.0.2.1") },
		"page":          func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site") },
		"origin":        func(r *http.Request) { r.Header.Set("Origin", "https://evil.example") },
		"odd address":   func(r *http.Request) { r.RemoteAddr = "@" },
		"bad authority": func(r *http.Request) { r.Header.Set("Authorization", "Basic !") },
	} {
		if code, _ := w.do("", "POST /vhosts/a/queues/other/purge", change); code != http.StatusUnauthorized && code != http.StatusForbidden {
			t.Errorf("%s: %d", name, code)
		}
	}
}

// TestGate keeps who is of a virtual host from what concerns all of them.
func TestGate(t *testing.T) {
	w := newWorld(t, true)
	g := manage.NewGate(w.b)
	for user, want := range map[string]error{"": core.ErrLogin, "root": nil, "root@a": core.ErrDenied, "purger": core.ErrDenied} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/reload", nil)
		r.RemoteAddr = "127.0.0.1:1"
		if user != "" {
			r.SetBasicAuth(user, "pw")
		}
		name, err := g.Ask(r, "broker/reload")
		if !errors.Is(err, want) || err == nil && name != user {
			t.Errorf("%q: is %q, %v", user, name, err)
		}
	}
}

func ExampleHandler() {
	b, err := core.NewBroker(core.Options{Engine: memory.New(), Anonymous: core.AnonymousAlways})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = b.Close(context.Background()) }()
	srv := httptest.NewServer(manage.New(b, slog.New(slog.DiscardHandler)))
	defer srv.Close()
	res, err := http.Get(srv.URL + "/vhosts/%2F/queues")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer res.Body.Close()
	_, _ = io.Copy(printer{}, res.Body)
	// Output: []
}

type printer struct{}

func (printer) Write(p []byte) (int, error) { return fmt.Print(string(p)) }

// TestPages shows tables to browsers, in which nothing of clients is more than text.
func TestPages(t *testing.T) {
	w := newWorld(t, true)
	const evil = "<script>alert(1)</script>"
	coretest.Connect(t, w.b, core.Login{VHost: "a", User: "c@a", Password: "pw", ClientID: evil})
	browser := func(r *http.Request) { r.Header.Set("Accept", "text/html,application/xhtml+xml") }
	for path, want := range map[string]string{
		"/vhosts":              `<a href="/vhosts/a/queues">a</a>`,
		"/vhosts/a/queues":     `<td>jobs/eu</td>`,
		"/vhosts/a/sessions":   `<td>&lt;script&gt;alert(1)&lt;/script&gt;</td>`,
		"/vhosts/%2F/sessions": `There is nothing.`,
	} {
		code, body := w.do("root", "GET "+path, browser)
		if code != http.StatusOK || !strings.Contains(body, want) || strings.Contains(body, evil) {
			t.Errorf("%s: %d %s", path, code, body)
		}
	}
	if code, _ := w.do("", "GET /vhosts", browser); code != http.StatusUnauthorized {
		t.Errorf("nobody: %d", code)
	}
}
