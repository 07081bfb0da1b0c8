package wyecmd_test

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-stomp/stomp/v3"
)

// TestNodeClients runs the JavaScript clients of testdata/clients under Node.js against a broker. `make test`
// installs their packages; without them the test fails and says what to type.
func TestNodeClients(t *testing.T) {
	node, err := exec.LookPath("node")
	if err != nil {
		t.Fatal("node is not on PATH: install Node.js 20 or later")
	}
	dir := filepath.Join("testdata", "clients")
	if _, err := os.Stat(filepath.Join(dir, "node_modules")); err != nil {
		t.Fatal("the clients are not installed: npm ci --prefix cmd/testdata/clients")
	}
	b := startBroker(t)
	for _, script := range []string{"stompjs7.test.mjs", "stomp-old.test.mjs", "mqttjs.test.mjs"} {
		t.Run(strings.TrimSuffix(script, ".test.mjs"), func(t *testing.T) {
			t.Parallel()
			cmd := exec.CommandContext(t.Context(), node, "--test", "--test-reporter=spec", "--test-timeout=60000", script)
			cmd.Dir = dir
			cmd.Env = append(os.Environ(), "WYE_WS="+b.ws, "WYE_MQTT_TCP="+strings.Replace(b.mqtt, "tcp:", "mqtt:", 1))
			out, err := cmd.CombinedOutput()
			if err != nil {
				t.Errorf("%v\n%s", err, out)
			}
			if !strings.Contains(string(out), "ℹ fail 0") || strings.Contains(string(out), "ℹ tests 0") {
				t.Errorf("no tests were run:\n%s", out)
			}
		})
	}
}

// TestGoStomp uses go-stomp over TCP: queues, acknowledgements, transactions, receipts.
func TestGoStomp(t *testing.T) {
	b := startBroker(t)
	connect := func() *stomp.Conn {
		c, err := stomp.Dial("tcp", hostOf(b.stomp), stomp.ConnOpt.HeartBeat(time.Second, time.Second))
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	c := connect()
	if c.Version() != stomp.V12 {
		t.Errorf("version %v, want 1.2", c.Version())
	}
	sub, err := c.Subscribe("/queue/go", stomp.AckClientIndividual)
	if err != nil {
		t.Fatal(err)
	}
	tx, err := c.BeginWithError()
	if err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		if err := tx.Send("/queue/go", "text/plain", fmt.Append(nil, i), stomp.SendOpt.Header("n", fmt.Sprint(i))); err != nil {
			t.Fatal(err)
		}
	}
	if err := tx.Commit(); err != nil {
		t.Fatal(err)
	}
	var got []*stomp.Message
	for i := range 3 {
		m := <-sub.C
		if m.Err != nil {
			t.Fatal(m.Err)
		}
		if string(m.Body) != fmt.Sprint(i) || m.Header.Get("n") != fmt.Sprint(i) || m.ContentType != "text/plain" {
			t.Errorf("got %q %v", m.Body, m.Header)
		}
		got = append(got, m)
	}
	if err := c.Nack(got[0]); err != nil {
		t.Fatal(err)
	}
	again := <-sub.C
	if string(again.Body) != "0" || again.Header.Get("redelivered") != "true" {
		t.Errorf("after NACK: got %q %v", again.Body, again.Header)
	}
	for _, m := range []*stomp.Message{got[1], got[2], again} {
		if err := c.Ack(m); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.Send("/queue/go2", "text/plain", []byte("receipt"), stomp.SendOpt.Receipt); err != nil {
		t.Errorf("send with receipt: %v", err)
	}
	if err := c.Disconnect(); err != nil {
		t.Errorf("disconnect: %v", err)
	}
}

// TestTelnet is the session of the old manuals, byte for byte, typed by hand.
func TestTelnet(t *testing.T) {
	b := startBroker(t)
	nc, err := net.Dial("tcp", hostOf(b.stomp))
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	_ = nc.SetDeadline(time.Now().Add(10 * time.Second))
	in := bufio.NewReader(nc)
	say := func(s string) {
		if _, err := nc.Write([]byte(s)); err != nil {
			t.Fatal(err)
		}
	}
	hear := func() string {
		s, err := in.ReadString(0)
		if err != nil {
			t.Fatalf("%v after %q", err, s)
		}
		return strings.TrimLeft(s, "\r\n")
	}
	// telnet sends CR LF, and ^@ as NUL followed by a line end.
	say("CONNECT\r\nlogin:guest\r\npasscode:guest\r\n\r\n\x00\r\n")
	if got := hear(); !strings.HasPrefix(got, "CONNECTED\n") {
		t.Fatalf("got %q", got)
	}
	say("SUBSCRIBE\ndestination:/queue/test\nack:auto\n\n\x00\n")
	say("SEND\ndestination:/queue/test\n\nhello queue\n\x00\n")
	got := hear()
	if !strings.HasPrefix(got, "MESSAGE\n") || !strings.Contains(got, "destination:/queue/test\n") || !strings.HasSuffix(got, "\n\nhello queue\n\x00") {
		t.Errorf("got %q", got)
	}
	say("DISCONNECT\nreceipt:bye\n\n\x00\n")
	if got := hear(); got != "RECEIPT\nreceipt-id:bye\n\n\x00" {
		t.Errorf("got %q", got)
	}
}

func hostOf(uri string) string {
	_, host, _ := strings.Cut(uri, "://")
	return host
}
