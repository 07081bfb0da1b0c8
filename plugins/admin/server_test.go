package admin_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/wyemq/wye/plugins/admin"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func fine() error { return nil }

func newServer(t testing.TB, cfg admin.Config, ready func() error, routes ...admin.Route) *admin.Server {
	t.Helper()
	s, err := admin.New(cfg, ready, routes, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// ask sends a request to the handler, without a socket.
func ask(s *admin.Server, method, url string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	s.Handler().ServeHTTP(w, httptest.NewRequest(method, url, nil))
	return w
}

const home = "http://127.0.0.1:8161"

func TestAnswers(t *testing.T) {
	echo := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "echo "+r.URL.Path) })
	loose := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Security-Policy", "default-src 'self'; frame-ancestors 'none'")
	})
	s := newServer(t, admin.DefaultConfig(), fine,
		admin.Route{Path: "/one", Handler: echo},
		admin.Route{Path: "/tree", Subtree: true, Handler: echo, Methods: []string{"GET", "POST"}},
		admin.Route{Path: "/tree/leaf", Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "leaf") })},
		admin.Route{Path: "/loose", Handler: loose},
		admin.Route{Path: "/broken", Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic([]int{1}) })},
	)
	for _, tc := range []struct {
		method, path string
		code         int
		body         string
		header       string // "Name: value"
	}{
		{"GET", "/healthz", 200, "ok\n", "Content-Type: text/plain; charset=utf-8"},
		{"HEAD", "/healthz", 200, "", "Cache-Control: no-store"},
		{"GET", "/healthz/", 200, "ok\n", ""},
		{"POST", "/healthz", 405, "/healthz takes GET, HEAD, not POST\n", "Allow: GET, HEAD"},
		{"GET", "/readyz", 200, "ready\n", ""},
		{"GET", "/one", 200, "echo /one", ""},
		{"GET", "/one/", 200, "echo /one/", ""},
		{"GET", "/one/more", 404, "there is nothing at /one/more", ""},
		{"GET", "/tree", 200, "echo /tree", ""},
		{"POST", "/tree/a/b", 200, "echo /tree/a/b", ""},
		{"DELETE", "/tree/a", 405, "/tree takes GET, POST, not DELETE", "Allow: GET, POST"},
		{"GET", "/tree/leaf", 200, "leaf", ""},
		{"GET", "/trees", 404, "there is: /broken /healthz /loose /one /readyz /tree /tree/leaf\n", ""},
		{"GET", "//", 200, "<h1>wye</h1>", "Content-Type: text/html; charset=utf-8"},
		{"GET", "/index.css", 200, "body", "Content-Type: text/css; charset=utf-8"},
		{"GET", "/loose", 200, "", "Content-Security-Policy: default-src 'self'; frame-ancestors 'none'"},
		{"GET", "/broken", 500, "internal error, see the log\n", ""},
		{"GET", "/debug/pprof/", 404, "there is nothing at /debug/pprof/", ""},
	} {
		t.Run(tc.method+" "+tc.path, func(t *testing.T) {
			w := ask(s, tc.method, home+tc.path)
			if body := w.Body.String(); w.Code != tc.code || !strings.Contains(body, tc.body) {
				t.Errorf("got %d %q, want %d %q", w.Code, body, tc.code, tc.body)
			}
			name, value, _ := strings.Cut(tc.header, ": ")
			if got := w.Header().Get(name); got != value {
				t.Errorf("%s is %q, want %q", name, got, value)
			}
			for name, want := range map[string]string{
				"X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY", "Referrer-Policy": "no-referrer",
				"Content-Security-Policy": "frame-ancestors 'none'",
			} {
				if got := w.Header().Get(name); !strings.Contains(got, want) {
					t.Errorf("%s is %q, want %q in it", name, got, want)
				}
			}
		})
	}
}

// A page elsewhere can have a browser ask with the credentials of its user, and from his address.
func TestForeignPages(t *testing.T) {
	done := 0
	s := newServer(t, admin.DefaultConfig(), fine, admin.Route{
		Path: "/change", Methods: []string{"GET", "POST", "DELETE"},
		Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			if r.Method != http.MethodGet {
				done++
			}
		}),
	})
	for _, c := range []struct {
		method, header, value string
		code                  int
	}{
		{"POST", "", "", 200}, // no browser
		{"POST", "Sec-Fetch-Site", "same-origin", 200},
		{"POST", "Origin", "http://127.0.0.1:8161", 200},
		{"POST", "Sec-Fetch-Site", "cross-site", 403},
		{"POST", "Sec-Fetch-Site", "same-site", 403},
		{"POST", "Origin", "https://evil.example", 403},
		{"POST", "Origin", "null", 403},
		{"DELETE", "Origin", "https://evil.example", 403},
		{"GET", "Sec-Fetch-Site", "cross-site", 200},
		{"PUT", "Origin", "https://evil.example", 403}, // not even which methods there are
	} {
		r := httptest.NewRequest(c.method, "http://127.0.0.1:8161/change", nil)
		if c.header != "" {
			r.Header.Set(c.header, c.value)
		}
		w := httptest.NewRecorder()
		s.Handler().ServeHTTP(w, r)
		if w.Code != c.code {
			t.Errorf("%s with %s %s: %d, want %d", c.method, c.header, c.value, w.Code, c.code)
		}
	}
	if done != 3 {
		t.Errorf("%d requests have changed something, want 3", done)
	}
}

func TestReadiness(t *testing.T) {
	var why error
	s := newServer(t, admin.DefaultConfig(), func() error { return why })
	for _, tc := range []struct {
		why  error
		code int
		body string
	}{
		{errors.New("listeners.mqtt is not bound yet"), 503, "not ready: listeners.mqtt is not bound yet\n"},
		{nil, 200, "ready\n"},
		{errors.New("draining"), 503, "not ready: draining\n"},
	} {
		why = tc.why
		if w := ask(s, "GET", home+"/readyz"); w.Code != tc.code || w.Body.String() != tc.body {
			t.Errorf("with %v: %d %q, want %d %q", tc.why, w.Code, w.Body, tc.code, tc.body)
		}
		if w := ask(s, "GET", home+"/healthz"); w.Code != 200 {
			t.Errorf("with %v: /healthz is %d; the process lives", tc.why, w.Code)
		}
	}
}

func TestIndexListsRoutes(t *testing.T) {
	nothing := http.NotFoundHandler()
	s := newServer(t, admin.DefaultConfig(), fine,
		admin.Route{Path: "/metrics", Title: "Metrics", About: "for <Prometheus>", Handler: nothing},
		admin.Route{Path: "/hidden", Handler: nothing})
	page := ask(s, "GET", home+"/").Body.String()
	for _, want := range []string{`<a href="/metrics">Metrics</a>`, "for &lt;Prometheus&gt;", `href="/healthz"`} {
		if !strings.Contains(page, want) {
			t.Errorf("the index page has no %s", want)
		}
	}
	if strings.Contains(page, "/hidden") {
		t.Error("the index page has a route without a title")
	}
}

// A web page elsewhere can make its own name mean 127.0.0.1 and have a browser ask under that name.
func TestHosts(t *testing.T) {
	open := admin.Config{Listen: "0.0.0.0:8161", AllowPlainText: true}
	for _, tc := range []struct {
		cfg  admin.Config
		host string
		code int
	}{
		{admin.DefaultConfig(), "127.0.0.1:8161", 200},
		{admin.DefaultConfig(), "127.0.0.1", 200},
		{admin.DefaultConfig(), "[::1]:8161", 200},
		{admin.DefaultConfig(), "LocalHost:8161", 200},
		{admin.DefaultConfig(), "wye.localhost", 200},
		{admin.DefaultConfig(), "evil.example:8161", 421},
		{admin.DefaultConfig(), "localhost.evil.example", 421},
		{admin.DefaultConfig(), "", 421},
		{admin.Config{Listen: "127.0.0.1:8161", Hosts: []string{"broker.example"}}, "Broker.example", 200},
		{admin.Config{Listen: "127.0.0.1:8161", Hosts: []string{"broker.example"}}, "evil.example", 421},
		{open, "broker.example:8161", 200},
		{admin.Config{Listen: "0.0.0.0:8161", AllowPlainText: true, Hosts: []string{"broker.example"}}, "evil.example", 421},
	} {
		s := newServer(t, tc.cfg, fine)
		r := httptest.NewRequest("GET", "/healthz", nil)
		r.Host = tc.host
		w := httptest.NewRecorder()
		s.Handler().ServeHTTP(w, r)
		if w.Code != tc.code {
			t.Errorf("listening on %s with hosts %q, asked as %q: %d, want %d", tc.cfg.Listen, tc.cfg.Hosts, tc.host, w.Code, tc.code)
		}
		if tc.code == 421 && !strings.Contains(w.Body.String(), "admin.hosts") {
			t.Errorf("the answer does not say what to do: %q", w.Body)
		}
	}
}

func TestPprof(t *testing.T) {
	cfg := admin.DefaultConfig()
	cfg.Pprof = true
	s := newServer(t, cfg, fine)
	for _, path := range []string{"/debug/pprof/", "/debug/pprof/goroutine?debug=1", "/debug/pprof/cmdline"} {
		if w := ask(s, "GET", home+path); w.Code != 200 || w.Body.Len() == 0 {
			t.Errorf("GET %s: %d, %d bytes", path, w.Code, w.Body.Len())
		}
	}
	if w := ask(s, "GET", home+"/debug/pprof"); w.Code != 301 && w.Code != 307 && w.Code != 308 {
		t.Errorf("GET /debug/pprof: %d, want a redirect to the index", w.Code)
	}
}

func TestNewRefuses(t *testing.T) {
	nothing := http.NotFoundHandler()
	for _, tc := range []struct {
		name   string
		cfg    admin.Config
		routes []admin.Route
		want   string
	}{
		{"no port", admin.Config{Listen: "127.0.0.1"}, nil, `admin.listen: must be host:port or empty, is "127.0.0.1"`},
		{"odd port", admin.Config{Listen: "127.0.0.1:http2"}, nil, `admin.listen: port must be between 0 and 65535, is "http2"`},
		{"every address", admin.Config{Listen: ":8161"}, nil, "admin.tls.cert_file and admin.tls.key_file, or admin.allow_plain_text to true"},
		{"another address", admin.Config{Listen: "192.0.2.1:8161"}, nil, "without encryption"},
		{"a name", admin.Config{Listen: "broker.example:8161"}, nil, "without encryption"},
		{"host with port", admin.Config{Listen: "127.0.0.1:0", Hosts: []string{"a.example:80"}}, nil, `admin.hosts: must be names without scheme, port or wildcard, has "a.example:80"`},
		{"fewer than none", admin.Config{Listen: "127.0.0.1:0", MaxConnections: -1}, nil, "admin.max_connections: must not be negative, is -1"},
		{"twice", admin.DefaultConfig(), []admin.Route{{Path: "/healthz", Handler: nothing}}, `route "/healthz" is there twice`},
		{"index twice", admin.DefaultConfig(), []admin.Route{{Path: "/", Handler: nothing}}, `route "/" is there twice`},
		{"slash", admin.DefaultConfig(), []admin.Route{{Path: "/a/", Handler: nothing}}, "must begin and not end with a slash"},
		{"no handler", admin.DefaultConfig(), []admin.Route{{Path: "/a"}}, `route "/a" has no handler`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := admin.New(tc.cfg, fine, tc.routes, slog.New(slog.DiscardHandler))
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("error %v, want %q in it", err, tc.want)
			}
		})
	}
	for _, listen := range []string{"", "127.0.0.1:0", "[::1]:8161", "localhost:8161"} {
		if err := (admin.Config{Listen: listen}).Validate("admin"); err != nil {
			t.Errorf("listen %q: %v", listen, err)
		}
	}
	if err := (admin.Config{Listen: ":8161", AllowPlainText: true}).Validate("admin"); err != nil {
		t.Errorf("asked for: %v", err)
	}
}

// run starts s and returns how to stop it; stopping returns what Run returned.
func run(t *testing.T, s *admin.Server) (stop func() error) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	ready, ended := make(chan struct{}), make(chan error, 1)
	go func() { ended <- s.Run(ctx, func() { close(ready) }) }()
	select {
	case <-ready:
	case err := <-ended:
		t.Fatalf("Run: %v", err)
	}
	return func() error {
		cancel()
		return <-ended
	}
}

func TestRun(t *testing.T) {
	var log bytes.Buffer
	s, err := admin.New(admin.Config{Listen: "127.0.0.1:0"}, fine, nil, slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	if s.Addr() != nil {
		t.Errorf("an address before Run: %v", s.Addr())
	}
	stop := run(t, s)
	url := "http://" + s.Addr().String()
	res, err := http.Get(url + "/healthz")
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(res.Body)
	_ = res.Body.Close()
	if err != nil || string(body) != "ok\n" {
		t.Errorf("GET /healthz: %q, %v", body, err)
	}
	if err := stop(); err != nil {
		t.Errorf("Run: %v", err)
	}
	http.DefaultClient.CloseIdleConnections()
	if _, err := http.Get(url + "/healthz"); err == nil {
		t.Error("answers after Run returned")
	}
	if want := "msg=listening listener=admin address=" + url; !strings.Contains(log.String(), want) {
		t.Errorf("the log has no %q:\n%s", want, &log)
	}
}

// A request under way is answered before Run returns.
func TestRunWaitsForRequests(t *testing.T) {
	entered, release := make(chan struct{}), make(chan struct{})
	slow := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		close(entered)
		<-release
		fmt.Fprint(w, "done")
	})
	s := newServer(t, admin.Config{Listen: "127.0.0.1:0"}, fine, admin.Route{Path: "/slow", Handler: slow})
	stop := run(t, s)
	answer := make(chan string, 1)
	go func() {
		res, err := http.Get("http://" + s.Addr().String() + "/slow")
		if err != nil {
			answer <- err.Error()
			return
		}
		body, _ := io.ReadAll(res.Body)
		_ = res.Body.Close()
		answer <- string(body)
	}()
	<-entered
	stopped := make(chan error, 1)
	go func() { stopped <- stop() }()
	close(release)
	if got := <-answer; got != "done" {
		t.Errorf("the request under way got %q", got)
	}
	if err := <-stopped; err != nil {
		t.Errorf("Run: %v", err)
	}
	http.DefaultClient.CloseIdleConnections()
}

// TestMaxConnections has connections wait that are more than may be open, and answers when one of those has ended.
func TestMaxConnections(t *testing.T) {
	s := newServer(t, admin.Config{Listen: "127.0.0.1:0", MaxConnections: 2}, fine)
	stop := run(t, s)
	connect := func() net.Conn {
		nc, err := net.Dial("tcp", s.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(nc, "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		return nc
	}
	answered := func(nc net.Conn, within time.Duration) error {
		if err := nc.SetReadDeadline(time.Now().Add(within)); err != nil {
			t.Fatal(err)
		}
		_, err := nc.Read(make([]byte, 1))
		return err
	}
	first, second := connect(), connect()
	for _, nc := range []net.Conn{first, second} {
		if err := answered(nc, 10*time.Second); err != nil {
			t.Error(err)
		}
	}
	third := connect()
	if err := answered(third, 100*time.Millisecond); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("one connection too many: %v", err)
	}
	_ = first.Close()
	if err := answered(third, 10*time.Second); err != nil {
		t.Error(err)
	}
	_, _ = second.Close(), third.Close()
	if err := stop(); err != nil {
		t.Error(err)
	}
}

func TestRunFails(t *testing.T) {
	first := newServer(t, admin.Config{Listen: "127.0.0.1:0"}, fine)
	stop := run(t, first)
	second := newServer(t, admin.Config{Listen: first.Addr().String()}, fine)
	err := second.Run(t.Context(), func() { t.Error("ready without an address") })
	if err == nil || !strings.Contains(err.Error(), "admin.listen: ") || !strings.Contains(err.Error(), first.Addr().String()) {
		t.Errorf("error %v, want one that names the key and the address", err)
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
}

func TestRunSwitchedOff(t *testing.T) {
	s := newServer(t, admin.Config{}, fine)
	stop := run(t, s)
	if s.Addr() != nil {
		t.Errorf("listens on %v", s.Addr())
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
}

func ExampleNew() {
	s, err := admin.New(admin.DefaultConfig(), func() error { return errors.New("listeners.mqtt is not bound yet") },
		[]admin.Route{{Path: "/hello", Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "hello") })}},
		slog.New(slog.DiscardHandler))
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, path := range []string{"/hello", "/readyz"} {
		w := httptest.NewRecorder()
		s.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "http://localhost"+path, nil))
		fmt.Print(w.Code, " ", w.Body)
	}
	// Output:
	// 200 hello
	// 503 not ready: listeners.mqtt is not bound yet
}
