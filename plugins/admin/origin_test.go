package admin_test

import (
	"net"
	"strconv"
	"testing"

	"github.com/wyemq/wye/plugins/admin"
)

func TestServes(t *testing.T) {
	s := newServer(t, admin.Config{Listen: "127.0.0.1:0", Hosts: []string{"broker.example"}}, fine)
	if s.Serves("http://127.0.0.1:8161") {
		t.Error("an origin is the server's before it has an address")
	}
	stop := run(t, s)
	port := strconv.Itoa(s.Addr().(*net.TCPAddr).Port)
	for _, tc := range []struct {
		origin string
		want   bool
	}{
		{"http://127.0.0.1:" + port, true},
		{"http://localhost:" + port, true},
		{"http://LOCALHOST:" + port, true},
		{"http://broker.example:" + port, true},
		{"https://broker.example", true},
		{"https://broker.example:8443", false},
		{"https://127.0.0.1:" + port, false},
		{"http://127.0.0.1", false},
		{"http://127.0.0.1:1", false},
		{"http://127.0.0.2:" + port, false},
		{"http://192.0.2.1:" + port, false},
		{"http://evil.example:" + port, false},
		{"http://localhost.evil.example:" + port, false},
		{"http://localhost:" + port + "/", false},
		{"http://user@localhost:" + port, false},
		{"ftp://localhost:" + port, false},
		{"null", false},
		{"", false},
		{"http://[", false},
	} {
		if got := s.Serves(tc.origin); got != tc.want {
			t.Errorf("Serves(%q) = %v, want %v", tc.origin, got, tc.want)
		}
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
	s = newServer(t, admin.Config{Listen: "0.0.0.0:0", AllowPlainText: true}, fine)
	stop = run(t, s)
	port = strconv.Itoa(s.Addr().(*net.TCPAddr).Port)
	for origin, want := range map[string]bool{
		"http://127.0.0.1:" + port: true, "http://192.0.2.1:" + port: false, "http://any.example:" + port: false,
	} {
		if got := s.Serves(origin); got != want {
			t.Errorf("on every address: Serves(%q) = %v, want %v", origin, got, want)
		}
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
}
