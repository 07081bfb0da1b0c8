package wyecmd_test

import (
	"crypto/tls"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/wyemq/wye/plugins/audit"
	"github.com/wyemq/wye/plugins/users"
)

// TestAuditDoor looks up in the log who was refused before anybody could log in, on listeners that refuse for one reason each.
func TestAuditDoor(t *testing.T) {
	cert, key := selfSigned(t)
	secure := "tls: {cert_file: '" + cert + "', key_file: '" + key + "', client_ca_file: '" + cert + "'}"
	file := filepath.Join(t.TempDir(), "audit.log")
	p := startWith(t, "audit: {file: '"+file+"'}\nauth: {users: {file: '"+usersFile(t, users.User{Name: "ali"})+"'}}\n"+`listeners:
  websocket: {max_connections_per_address: 1, trusted_proxies: [127.0.0.1]}
  wait: {uri: 'tcp://127.0.0.1:0', login_timeout: 100ms}
  wswait: {uri: 'ws://127.0.0.1:0', login_timeout: 100ms}
  early: {uri: 'tcp://127.0.0.1:0', max_message_size_before_login: 100}
  rate: {uri: 'tcp://127.0.0.1:0', max_connection_rate: 1}
  full: {uri: 'tcp://127.0.0.1:0', max_connections_per_address: 1, proxy_protocol: true, trusted_proxies: [127.0.0.1]}
  proxy: {uri: 'tcp://127.0.0.1:0', proxy_protocol: true, trusted_proxies: [127.0.0.1]}
  wsproxy: {uri: 'ws://127.0.0.1:0', proxy_protocol: true, trusted_proxies: [127.0.0.1]}
  wss: {uri: 'wss://127.0.0.1:0', `+secure+`}
  tls: {uri: 'tls://127.0.0.1:0', `+secure+"}\n")
	end := func(listener, say string) {
		t.Helper()
		nc := dial(t, p.addrs[listener])
		if _, err := io.WriteString(nc, say); err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, nc)
	}
	stay := func(listener, say, answer string) {
		t.Helper()
		nc := dial(t, p.addrs[listener])
		got := make([]byte, len(answer))
		if _, err := io.WriteString(nc, say); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(nc, got); err != nil || string(got) != answer {
			t.Fatalf("%s: %q, %v", listener, got, err)
		}
	}
	ask := "GET /stomp HTTP/1.1\r\nHost: localhost\r\nX-Forwarded-For: 192.0.2.7\r\n" + badUpgrade
	stay("websocket", ask+"Origin: https://evil.example\r\n\r\n", "HTTP/1.1 403")
	stay("websocket", ask+"Sec-WebSocket-Protocol: wamp\r\n\r\n", "HTTP/1.1 400")
	end("websocket", "nonsense\r\n\r\n")
	stay("websocket", ask+"\r\n", "HTTP/1.1 101")
	stay("websocket", ask+"\r\n", "HTTP/1.1 429")
	end("wait", "")
	end("wswait", "")
	end("early", "CONNECT\n"+strings.Repeat("x", 200))
	end("mqtt", "no MQTT at all")
	end("rate", stompFrame("CONNECT", "accept-version:1.2", "login:ali", "passcode:wrong"))
	end("rate", stompFrame("CONNECT", "accept-version:1.2"))
	head := "PROXY TCP4 192.0.2.9 192.0.2.1 4711 1883\r\n"
	stay("full", head+stompFrame("CONNECT", "accept-version:1.2", "login:ali", "passcode:"+passwordOf("ali")), "CONNECTED")
	end("full", head+stompFrame("CONNECT", "accept-version:1.2"))
	end("proxy", "PROXY nonsense\r\n")
	end("wsproxy", "PROXY nonsense\r\n")
	for _, listener := range []string{"tls", "wss"} { // without a certificate
		nc := tls.Client(dial(t, p.addrs[listener]), &tls.Config{InsecureSkipVerify: true})
		_ = nc.HandshakeContext(t.Context()) // of TLS 1.3, whose end the client does not wait for
		_, _ = io.Copy(io.Discard, nc)
		dial(t, p.addrs[listener]).Close() // who only looks is not told of
	}
	for _, listener := range []string{"wss", "wswait", "wsproxy"} { // clients see that end before it is told
		p.await(t, `msg="connection refused" listener=`+listener)
	}
	p.stop(syscall.SIGTERM)
	if code := p.exit(); code != 0 {
		t.Errorf("exit code %d\n%s", code, p.all())
	}
	var got []string
	for _, r := range auditLines(t, file) {
		if r.Event == "connection_refused" && r.Count == 0 {
			got = append(got, fmt.Sprint(r.Listener, " ", r.Remote, " ", r.Reason))
			bare := audit.Record{Time: r.Time, Event: r.Event, Listener: r.Listener, Remote: r.Remote, Reason: r.Reason, Detail: r.Detail, Conn: r.Conn}
			if fmt.Sprint(bare) != fmt.Sprint(r) || r.Detail == "" {
				t.Errorf("%+v", r)
			}
		}
		if r.Event == "login_refused" {
			got = append(got, fmt.Sprint(r.Event, " ", r.Listener, " ", r.Reason))
		}
	}
	slices.Sort(got)
	if g, w := strings.Join(got, "\n"), doorWanted; g != w {
		t.Errorf("got\n%s\nwant\n%s\n%s", g, w, p.all())
	}
}

const doorWanted = `early 127.0.0.1 frame_too_large
full 192.0.2.9 limit_exceeded
login_refused rate bad_credentials
mqtt 127.0.0.1 protocol_error
proxy 127.0.0.1 protocol_error
rate 127.0.0.1 rate_exceeded
tls 127.0.0.1 protocol_error
wait 127.0.0.1 login_timeout
websocket 127.0.0.1 protocol_error
websocket 192.0.2.7 foreign_origin
websocket 192.0.2.7 limit_exceeded
websocket 192.0.2.7 unknown_subprotocol
wsproxy 127.0.0.1 protocol_error
wss 127.0.0.1 protocol_error
wswait 127.0.0.1 login_timeout`
