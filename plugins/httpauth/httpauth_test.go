package httpauth_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/wyemq/wye/core"
	"github.com/wyemq/wye/core/coretest"
	"github.com/wyemq/wye/plugins/httpauth"
)

// service answers as it is told, and notes what it is asked.
type service struct {
	*httptest.Server

	mu     sync.Mutex
	status int
	body   string
	asked  []map[string]any
	auth   string
}

func newService(t *testing.T) *service {
	t.Helper()
	s := &service{}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		defer s.mu.Unlock()
		var q map[string]any
		if err := json.NewDecoder(r.Body).Decode(&q); err != nil || r.Method != http.MethodPost {
			t.Errorf("%s: %v", r.Method, err)
		}
		s.asked, s.auth = append(s.asked, q), r.Header.Get("Authorization")
		if s.status/100 == 3 {
			w.Header().Set("Location", s.URL)
		}
		w.WriteHeader(s.status)
		_, _ = w.Write([]byte(s.body))
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *service) answer(status int, body string) (before int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.status, s.body = status, body
	return len(s.asked)
}

func newAuth(t *testing.T, url string, change ...func(*httpauth.Config)) *httpauth.Authenticator {
	t.Helper()
	cfg := httpauth.DefaultConfig()
	cfg.URL = url
	for _, fn := range change {
		fn(&cfg)
	}
	a, err := httpauth.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func outcome(p core.Principal, err error) string {
	switch {
	case errors.Is(err, core.ErrSkip):
		return "skipped"
	case errors.Is(err, core.ErrLogin):
		return "refused"
	case err != nil:
		return err.Error()
	default:
		site, _ := p.Claims.Get("site")
		return fmt.Sprint(p.Name, p.Groups, p.VHost, site, !p.Expires.IsZero())
	}
}

// TestAnswers lets nobody in but with a clear yes.
func TestAnswers(t *testing.T) {
	s := newService(t)
	for _, c := range []struct {
		name   string
		status int
		body   string
		want   string
	}{
		{"yes", 200, "", "ali[]<nil>false"},
		{"all", 200, `{"user":"bea","groups":["g"],"vhost":"/","claims":{"site":"n"},"expires_in":60}`, "bea[g]/ntrue"},
		{"no", 401, "", "refused"},
		{"forbidden", 403, `{"user":"ali"}`, "refused"},
		{"no content", 204, "", "refused"},
		{"redirect", 307, "", "refused"},
		{"not found", 404, `{"user":"ali"}`, "refused"},
		{"broken", 500, `{"user":"ali"}`, "refused"},
		{"no JSON", 200, "ok", "refused"},
		{"too large", 200, `{"user":"` + strings.Repeat("a", 1<<20) + `"}`, "refused"},
		{"bad expiry", 200, `{"expires_in":-1}`, "refused"},
		{"endless expiry", 200, `{"expires_in":1e300}`, "refused"},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := newAuth(t, s.URL, func(c *httpauth.Config) { c.Secret = "s3cret" })
			defer closeIdle(t, a)
			s.answer(c.status, c.body)
			got := outcome(a.Authenticate(t.Context(), &core.Login{User: "ali", Password: "p", ClientID: "c", Protocol: "mqtt", Source: "connect", Conn: coretest.NewConn()}))
			if strings.ReplaceAll(got, " ", "") != c.want {
				t.Errorf("%s, want %s", got, c.want)
			}
		})
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	q := s.asked[0]
	if q["user"] != "ali" || q["password"] != "p" || q["client_id"] != "c" || q["protocol"] != "mqtt" || q["source"] != "connect" || s.auth != "Bearer s3cret" {
		t.Errorf("asked %v with %q", q, s.auth)
	}
}

// closeIdle does what the end of Run does.
func closeIdle(t *testing.T, a *httpauth.Authenticator) {
	t.Helper()
	done := make(chan error)
	ctx, cancel := context.WithCancel(t.Context())
	go func() { done <- a.Run(ctx, func() {}) }()
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// TestCache asks once for the same, and again for anything else.
func TestCache(t *testing.T) {
	s := newService(t)
	a := newAuth(t, s.URL)
	defer closeIdle(t, a)
	login := func(user, password, client string) string {
		return outcome(a.Authenticate(t.Context(), &core.Login{User: user, Password: password, ClientID: client}))
	}
	s.answer(200, "")
	for range 3 {
		login("ali", "p", "c")
	}
	if n := s.answer(401, ""); n != 1 {
		t.Errorf("%d requests for one question", n)
	}
	if got := login("ali", "p", "c"); got == "refused" {
		t.Error("what was remembered is gone")
	}
	for _, other := range [][3]string{{"ali", "q", "c"}, {"ali", "p", "d"}, {"alip", "", "c"}, {"al", "ip", "c"}} {
		if got := login(other[0], other[1], other[2]); got != "refused" {
			t.Errorf("%v: %s", other, got)
		}
	}
	if n := s.answer(500, ""); n != 5 {
		t.Errorf("%d requests", n)
	}
	if got := login("ali", "q", "c"); got != "refused" {
		t.Error(got)
	}
	login("new", "", "")
	login("new", "", "")
	if n := s.answer(200, ""); n != 7 {
		t.Errorf("%d requests: a refusal is remembered, a failure is not", n)
	}
	off := newAuth(t, s.URL, func(c *httpauth.Config) { c.Cache, c.CacheRefused = 0, 0 })
	defer closeIdle(t, off)
	for range 2 {
		_, _ = off.Authenticate(t.Context(), &core.Login{User: "x"})
	}
	if n := s.answer(200, ""); n != 9 {
		t.Errorf("%d requests without a cache", n)
	}
}

// TestSilence does not wait for a service that says nothing, nor for one that is not there.
func TestSilence(t *testing.T) {
	stop := make(chan struct{})
	hangs := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-stop }))
	defer hangs.Close()
	defer close(stop)
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	for _, url := range []string{hangs.URL, gone.URL} {
		a := newAuth(t, url+"/?key=hunter2", func(c *httpauth.Config) { c.Timeout, c.MaxRequests = 50*time.Millisecond, 1 })
		var wg sync.WaitGroup
		for range 3 { // more than there is room for
			wg.Go(func() {
				p, err := a.Authenticate(t.Context(), &core.Login{User: "ali"})
				if got := outcome(p, err); got != "refused" || strings.Contains(err.Error(), "hunter2") {
					t.Errorf("%s: %s, %v", url, got, err)
				}
			})
		}
		wg.Wait()
		closeIdle(t, a)
	}
}

// TestSkips leaves clients without credentials to others.
func TestSkips(t *testing.T) {
	s := newService(t)
	a := newAuth(t, s.URL)
	if got := outcome(a.Authenticate(t.Context(), &core.Login{ClientID: "c"})); got != "skipped" {
		t.Error(got)
	}
	off := newAuth(t, "")
	if got := outcome(off.Authenticate(t.Context(), &core.Login{User: "ali"})); got != "skipped" || off.Enabled() || !a.Enabled() {
		t.Errorf("without a URL: %s", got)
	}
	if s.answer(200, "") != 0 {
		t.Error("the service was asked")
	}
}

// TestConfig refuses what makes no sense.
func TestConfig(t *testing.T) {
	err := httpauth.Config{URL: "http://app.example.com", Cache: -1, CacheRefused: -1}.Validate("k")
	for _, want := range []string{"k.url: ", "k.timeout: ", "k.max_requests: ", "k.cache: ", "k.cache_refused: "} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in %v", want, err)
		}
	}
	for url, ok := range map[string]bool{
		"https://a.example": true, "http://127.0.0.1:1": true, "http://[::1]/x": true, "http://localhost": true,
		"http://10.0.0.1": false, "ftp://localhost": false, "https://u:p@a.example": false, "://": false, "http://localhost.evil.example": false,
	} {
		cfg := httpauth.DefaultConfig()
		cfg.URL = url
		if err := cfg.Validate("k"); (err == nil) != ok {
			t.Errorf("%s: %v", url, err)
		}
	}
	if _, err := httpauth.New(httpauth.Config{}); err == nil {
		t.Error("New does not check")
	}
}
