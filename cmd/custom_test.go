package wyecmd_test

import (
	"net/http"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

// TestCustom builds a program with one more protocol, as a plugin author does, and speaks that protocol by its
// subprotocol, with the others still there.
func TestCustom(t *testing.T) {
	path := build(t, "./testdata/custom")
	out, err := exec.Command(path, "plugins").CombinedOutput()
	if err != nil || !strings.Contains(string(out), "  line         subprotocols line") || !strings.Contains(string(out), "  stomp  ") {
		t.Errorf("plugins: %v\n%s", err, out)
	}
	p := spawn(t, path)
	open := func(token string) *websocket.Conn {
		d := websocket.Dialer{Subprotocols: []string{token}, HandshakeTimeout: 10 * time.Second}
		c, resp, err := d.DialContext(t.Context(), "ws://"+p.addrs["websocket"], nil)
		if err != nil {
			t.Fatalf("%s: %v", token, err)
		}
		t.Cleanup(func() { c.Close() })
		if resp.StatusCode != http.StatusSwitchingProtocols || c.Subprotocol() != token {
			t.Fatalf("%s: status %d, subprotocol %q", token, resp.StatusCode, c.Subprotocol())
		}
		if err := c.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
			t.Fatal(err)
		}
		return c
	}
	say := func(c *websocket.Conn, text string) {
		if err := c.WriteMessage(websocket.TextMessage, []byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	hear := func(c *websocket.Conn) string {
		_, text, err := c.ReadMessage()
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	l, s := open("line"), open("v12.stomp")
	say(l, "SUB topic/news")
	say(l, "PUB topic/news by line")
	if got := hear(l); got != "topic/news by line" {
		t.Errorf("got %q", got)
	}
	say(s, "CONNECT\naccept-version:1.2\nhost:/\n\n\x00")
	if got := hear(s); !strings.HasPrefix(got, "CONNECTED\n") {
		t.Errorf("got %q", got)
	}
	say(s, "SEND\ndestination:/topic/news\n\nby stomp\x00")
	if got := hear(l); got != "topic/news by stomp" {
		t.Errorf("got %q", got)
	}
	p.stop(syscall.SIGTERM)
	if code := p.exit(); code != 0 {
		t.Errorf("exit code %d\n%s", code, p.all())
	}
}
