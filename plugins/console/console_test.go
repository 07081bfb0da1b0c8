package console_test

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/wyemq/wye/plugins/console"
)

func newConsole(t testing.TB, ls ...console.Listener) *console.Console {
	t.Helper()
	c, err := console.New(func() []console.Listener { return ls }, "1.2.3")
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func get(h http.Handler, path string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
	return w
}

func TestPages(t *testing.T) {
	c := newConsole(t)
	reference := regexp.MustCompile(`(?:src|href)="(/demo/[^"]*)"`)
	for _, path := range []string{"/demo", "/demo/websocket", "/demo/mqtt"} {
		for _, spelled := range []string{path, path + "/"} {
			w := get(c, spelled)
			if w.Code != http.StatusOK || w.Header().Get("Content-Type") != "text/html; charset=utf-8" {
				t.Errorf("GET %s: %d %s", spelled, w.Code, w.Header().Get("Content-Type"))
			}
			if csp := w.Header().Get("Content-Security-Policy"); !strings.Contains(csp, "frame-ancestors 'none'") || strings.Contains(csp, "unsafe") {
				t.Errorf("GET %s: Content-Security-Policy %q", spelled, csp)
			}
			refs := reference.FindAllStringSubmatch(w.Body.String(), -1)
			if len(refs) < 5 {
				t.Errorf("GET %s: only %d references", spelled, len(refs))
			}
			for _, ref := range refs {
				if a := get(c, ref[1]); a.Code != http.StatusOK || a.Body.Len() == 0 {
					t.Errorf("GET %s, which %s refers to: %d, %d bytes", ref[1], spelled, a.Code, a.Body.Len())
				}
			}
		}
	}
}

func TestConfig(t *testing.T) {
	for _, tc := range []struct {
		name      string
		listeners []console.Listener
		want      string
	}{
		{"none", nil, `{"version":"1.2.3","listeners":[]}`},
		{
			"two",
			[]console.Listener{{"websocket", "ws://127.0.0.1:61614", []string{"stomp", "mqtt"}}, {"mqtt", "tcp://127.0.0.1:1883", []string{"mqtt"}}},
			`{"version":"1.2.3","listeners":[{"name":"websocket","url":"ws://127.0.0.1:61614","protocols":["stomp","mqtt"]},` +
				`{"name":"mqtt","url":"tcp://127.0.0.1:1883","protocols":["mqtt"]}]}`,
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := get(newConsole(t, tc.listeners...), "/demo/config.json")
			if got := strings.TrimSpace(w.Body.String()); got != tc.want || !json.Valid([]byte(got)) {
				t.Errorf("got  %s\nwant %s", got, tc.want)
			}
			if got := w.Header().Get("Cache-Control"); got != "no-store" {
				t.Errorf("Cache-Control %q: an address that changed would not be seen", got)
			}
		})
	}
}

func TestRefusals(t *testing.T) {
	c := newConsole(t)
	for _, path := range []string{"/demo/nothing", "/demo/static", "/demo/static/npm", "/demo/static/../console.go", "/demo/pages/demo.html", "/", ""} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.URL.Path = path
		w := httptest.NewRecorder()
		c.ServeHTTP(w, r)
		if w.Code != http.StatusNotFound || !strings.Contains(w.Body.String(), "/demo/websocket") {
			t.Errorf("GET %q: %d %q, want 404 and where to look", path, w.Code, w.Body)
		}
	}
	w := httptest.NewRecorder()
	c.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/demo", nil))
	if w.Code != http.StatusMethodNotAllowed || w.Header().Get("Allow") != "GET, HEAD" {
		t.Errorf("POST /demo: %d, Allow %q", w.Code, w.Header().Get("Allow"))
	}
}

func TestCaching(t *testing.T) {
	c := newConsole(t)
	const path = "/demo/static/css/demo.css"
	first := get(c, path)
	r := httptest.NewRequest(http.MethodGet, path, nil)
	r.Header.Set("If-None-Match", first.Header().Get("ETag"))
	w := httptest.NewRecorder()
	c.ServeHTTP(w, r)
	if w.Code != http.StatusNotModified || w.Body.Len() != 0 {
		t.Errorf("asked again with the ETag %q: %d, %d bytes", first.Header().Get("ETag"), w.Code, w.Body.Len())
	}
}

// The libraries are what npm has: SHA256SUMS was written from the unpacked archives.
func TestLibraries(t *testing.T) {
	const dir = "static/npm"
	f, err := os.Open(dir + "/SHA256SUMS")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	listed := []string{"README.md", "SHA256SUMS"}
	for lines := bufio.NewScanner(f); lines.Scan(); {
		sum, name, ok := strings.Cut(lines.Text(), "  ")
		if !ok {
			t.Fatalf("SHA256SUMS: line %q", lines.Text())
		}
		listed = append(listed, name)
		body, err := os.ReadFile(dir + "/" + name)
		if err != nil {
			t.Error(err)
			continue
		}
		if got := sha256.Sum256(body); hex.EncodeToString(got[:]) != sum {
			t.Errorf("%s is not the file of the npm package", name)
		}
		// Git must not have changed line ends on the way, and the server must not either.
		w := get(newConsole(t), "/demo/static/npm/"+name)
		if served, _ := io.ReadAll(w.Body); string(served) != string(body) {
			t.Errorf("%s is served with %d bytes, the file has %d", name, len(served), len(body))
		}
	}
	err = fs.WalkDir(os.DirFS(dir), ".", func(name string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && !slices.Contains(listed, name) {
			t.Errorf("%s is not in SHA256SUMS", name)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
	for _, pkg := range []string{"@stomp/stompjs@7.5.0", "stompjs@2.3.3", "paho-mqtt@1.1.0"} {
		body, err := os.ReadFile(dir + "/" + pkg + "/package.json")
		if err != nil {
			t.Error(err)
			continue
		}
		var about struct{ Name, Version string }
		if err := json.Unmarshal(body, &about); err != nil || about.Name+"@"+about.Version != pkg {
			t.Errorf("%s/package.json is of %s@%s: %v", pkg, about.Name, about.Version, err)
		}
	}
}

// Go leaves folders called vendor out of a module's archive; who builds a broker of his own from the
// archive would have no libraries.
func TestNoVendorFolder(t *testing.T) {
	err := fs.WalkDir(os.DirFS("."), ".", func(name string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() && d.Name() == "vendor" {
			t.Errorf("%s will not be in the module's archive", name)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

func ExampleNew() {
	c, err := console.New(func() []console.Listener {
		return []console.Listener{{Name: "websocket", URL: "ws://127.0.0.1:61614"}}
	}, "1.0.0")
	if err != nil {
		fmt.Println(err)
		return
	}
	mux := http.NewServeMux()
	mux.Handle("/demo/", c)
	w := httptest.NewRecorder()
	mux.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/demo/config.json", nil))
	fmt.Print(w.Body)
	// Output: {"version":"1.0.0","listeners":[{"name":"websocket","url":"ws://127.0.0.1:61614","protocols":null}]}
}
