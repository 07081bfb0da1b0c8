package wyecmd_test

import (
	"cmp"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// TestAuditEnds looks up in the log why sessions of both protocols have ended, by the client, by the protocol and by the broker.
func TestAuditEnds(t *testing.T) {
	file := filepath.Join(t.TempDir(), "audit.log")
	p := startWith(t, "audit: {file: '"+file+"'}\nprotocols: {stomp: {close_on_error: false, heart_beat: {floor: 50ms, receive: 50ms}}, mqtt: {max_packet_size: 1000}}\n")
	beats := map[string]string{"stomp-is-silent": "50,0"} // which it promises
	stomp := func(id, say string) net.Conn {
		t.Helper()
		nc := dial(t, p.addrs["stomp"])
		if _, err := io.WriteString(nc, stompFrame("CONNECT", "accept-version:1.2", "host:/", "client-id:"+id, "heart-beat:"+cmp.Or(beats[id], "0,0"))); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(nc, make([]byte, len("CONNECTED"))); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(nc, say); err != nil {
			t.Fatal(err)
		}
		return nc
	}
	mqtt := func(id, say string, keepAlive byte) net.Conn {
		t.Helper()
		nc := dial(t, p.addrs["mqtt"])
		if _, err := io.WriteString(nc, mqttConnect(4, id, keepAlive)); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(nc, make([]byte, 4)); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(nc, say); err != nil {
			t.Fatal(err)
		}
		return nc
	}
	reset := func(nc net.Conn) {
		_ = nc.(*net.TCPConn).SetLinger(0)
		_ = nc.Close()
	}
	ends := []net.Conn{
		stomp("stomp-leaves", stompFrame("DISCONNECT")),
		stomp("stomp-breaks-rules", stompFrame("NONSENSE")),
		stomp("stomp-is-silent", ""),
		mqtt("mqtt-leaves", "\xe0\x00", 0),
		mqtt("mqtt-breaks-rules", "\x10\x00", 0),
		mqtt("mqtt-is-silent", "", 1),
		mqtt("mqtt-too-large", mqttPublish("a", 0, 0, strings.Repeat("x", 2000)), 0),
	}
	stomp("stomp-is-taken-over", "")
	stomp("stomp-is-taken-over", "")
	mqtt("mqtt-is-kicked", "", 0)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodDelete, "http://"+p.addrs["admin"]+"/vhosts/%2F/sessions/mqtt-is-kicked", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil || resp.StatusCode >= 300 {
		t.Fatal(resp, err)
	}
	resp.Body.Close()
	reset(stomp("stomp-is-lost", ""))
	reset(mqtt("mqtt-is-lost", "", 0))
	for _, nc := range ends {
		_, _ = io.Copy(io.Discard, nc)
	}
	p.stop(syscall.SIGTERM)
	if code := p.exit(); code != 0 {
		t.Errorf("exit code %d\n%s", code, p.all())
	}
	var got []string
	for _, r := range auditLines(t, file) {
		if r.Event == "logout" {
			got = append(got, fmt.Sprint(r.Client, " ", r.Reason))
			if (r.Reason == "closed") != (r.Detail == "") {
				t.Errorf("%+v", r)
			}
		}
	}
	slices.Sort(got)
	want := []string{
		"mqtt-breaks-rules protocol_error", "mqtt-is-kicked closed_by_administrator", "mqtt-is-lost connection_lost", "mqtt-is-silent heartbeat_timeout",
		"mqtt-leaves closed", "mqtt-too-large frame_too_large", "stomp-breaks-rules protocol_error", "stomp-is-lost connection_lost",
		"stomp-is-silent heartbeat_timeout", "stomp-is-taken-over server_shutdown", "stomp-is-taken-over taken_over", "stomp-leaves closed",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}
