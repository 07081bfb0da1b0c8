package edge_test

import (
	"net"
	"testing"

	"github.com/wyemq/wye/core/edge"
)

func TestForwarded(t *testing.T) {
	trusted, err := edge.ParseNetworks([]string{"10.0.0.0/8", "2001:db8:1::/48", "127.0.0.1"})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, peer string
		forwarded  []string
		xForwarded []string
		want       string
	}{
		{"none", "10.0.0.1", nil, nil, "10.0.0.1:9"},
		{"of a stranger", "192.0.2.1", []string{"for=198.51.100.7"}, []string{"198.51.100.7"}, "192.0.2.1:9"},
		{"one", "10.0.0.1", []string{"for=198.51.100.7"}, []string{"198.51.100.7"}, "198.51.100.7:0"},
		{"forged on the left", "10.0.0.1", []string{"for=6.6.6.6, for=198.51.100.7"}, []string{"6.6.6.6, 198.51.100.7"}, "198.51.100.7:0"},
		{"two proxies", "10.0.0.1", []string{"for=6.6.6.6,for=198.51.100.7,for=10.9.9.9"}, []string{"6.6.6.6,198.51.100.7,10.9.9.9"}, "198.51.100.7:0"},
		{"two lines", "10.0.0.1", []string{"for=6.6.6.6", "for=198.51.100.7"}, []string{"6.6.6.6", "198.51.100.7"}, "198.51.100.7:0"},
		{"all trusted", "10.0.0.1", []string{"for=10.0.0.3, for=10.0.0.2"}, []string{"10.0.0.3, 10.0.0.2"}, "10.0.0.3:0"},
		{"IPv6", "10.0.0.1", []string{`for="[2001:db8::7]"`}, []string{"2001:db8::7"}, "[2001:db8::7]:0"},
		{"IPv6 and port", "10.0.0.1", []string{`For="[2001:db8::7]:4711";proto=https`}, []string{"[2001:db8::7]:4711"}, "[2001:db8::7]:4711"},
		{"IPv4 as IPv6", "10.0.0.1", []string{`for="[::ffff:198.51.100.7]"`}, []string{"::ffff:198.51.100.7"}, "198.51.100.7:0"},
		{"port", "10.0.0.1", []string{`by=10.0.0.1;for="198.51.100.7:4711"`}, []string{"198.51.100.7:4711"}, "198.51.100.7:4711"},
		{"hidden", "10.0.0.1", []string{"for=6.6.6.6, for=_hidden"}, []string{"6.6.6.6, unknown"}, "10.0.0.1:9"},
		{"hidden behind a proxy", "10.0.0.1", []string{"for=6.6.6.6, for=unknown, for=10.0.0.2"}, []string{"6.6.6.6, unknown, 10.0.0.2"}, "10.0.0.2:0"},
		{"nonsense", "10.0.0.1", []string{"for=6.6.6.6, ;;=,"}, []string{"6.6.6.6, ,"}, "10.0.0.1:9"},
		{"an open quote", "10.0.0.1", []string{`for="6.6.6.6, for=198.51.100.7`}, []string{`"6.6.6.6, 198.51.100.7`}, "198.51.100.7:0"},
	} {
		peer := &net.TCPAddr{IP: net.ParseIP(c.peer), Port: 9}
		if got := trusted.Client(peer, edge.Forwarded(c.forwarded)).String(); got != c.want {
			t.Errorf("%s: Forwarded says %s, want %s", c.name, got, c.want)
		}
		if got := trusted.Client(peer, edge.ForwardedFor(c.xForwarded)).String(); got != c.want {
			t.Errorf("%s: X-Forwarded-For says %s, want %s", c.name, got, c.want)
		}
	}
}

// FuzzForwarded: whatever a client writes, what a trusted proxy adds to the right of it decides.
func FuzzForwarded(f *testing.F) {
	for _, s := range []string{"", "for=6.6.6.6", `for="6.6.6.6`, "6.6.6.6, 10.0.0.1", ",,", `for="[::1]:9";by=x, for=_y`, "for=10.0.0.2, for=10.0.0.3", "\\\"", "\x00"} {
		f.Add(s)
	}
	trusted, err := edge.ParseNetworks([]string{"10.0.0.0/8"})
	if err != nil {
		f.Fatal(err)
	}
	peer := &net.TCPAddr{IP: net.IPv4(10, 0, 0, 1), Port: 9}
	f.Fuzz(func(t *testing.T, forged string) {
		for name, hops := range map[string][]string{
			"Forwarded":       edge.Forwarded([]string{forged + ", for=198.51.100.7", "for=10.0.0.2"}),
			"X-Forwarded-For": edge.ForwardedFor([]string{forged + ", 198.51.100.7", "10.0.0.2"}),
		} {
			if got := trusted.Client(peer, hops).String(); got != "198.51.100.7:0" {
				t.Errorf("%s: %q makes the client %s", name, forged, got)
			}
		}
	})
}
