package wyecmd_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	wyecmd "github.com/wyemq/wye/cmd"
)

// command runs `wye` with the arguments.
func command(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, log bytes.Buffer
	code = wyecmd.Run(t.Context(), args, &out, &log)
	return code, out.String(), log.String()
}

// must is command for what is to succeed.
func must(t *testing.T, args ...string) string {
	t.Helper()
	code, stdout, stderr := command(t, args...)
	if code != 0 {
		t.Fatalf("wye %s: exit code %d\n%s", strings.Join(args, " "), code, stderr)
	}
	return stdout
}

// ways are the ways to reach a broker, with how it calls a queue.
func ways(b running) map[string][2]string {
	stomp, mqtt := strings.Replace(b.stomp, "tcp://", "stomp://", 1), strings.Replace(b.mqtt, "tcp://", "mqtt://", 1)
	return map[string][2]string{
		"--stomp " + b.ws: {"/queue/jobs", "/topic/a.b"}, "--stomp " + stomp: {"/queue/jobs", "/topic/a.b"},
		"--mqtt " + b.ws: {"$queue/jobs", "a/b"}, "--mqtt " + mqtt: {"$queue/jobs", "a/b"},
		"--mqtt5 " + b.ws: {"$queue/jobs", "a/b"}, "--mqtt5 " + mqtt: {"$queue/jobs", "a/b"},
	}
}

// TestPubSub puts messages into a queue one way and takes them out another.
func TestPubSub(t *testing.T) {
	b := startBroker(t)
	file := filepath.Join(t.TempDir(), "lines")
	if err := os.WriteFile(file, []byte("one\ntwo\nthree\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for from, in := range ways(b) {
		for to, out := range ways(b) {
			t.Run(from+" "+to, func(t *testing.T) {
				pub := append(strings.Fields("pub -q 1 -t "+in[0]), strings.Fields(from)...)
				sub := append(strings.Fields("sub -q 1 -t "+out[0]), strings.Fields(to)...)
				must(t, append(pub, "-l", "-f", file)...)
				must(t, append(pub, "-m", "")...)
				must(t, append(pub, "-m", "four", "--count", "2")...)
				// The first takes no more than it prints.
				if got, want := must(t, append(sub, "-C", "2")...), "one\ntwo\n"; got != want {
					t.Errorf("first %q, want %q", got, want)
				}
				if got, want := must(t, append(sub, "-C", "4", "-v")...), fmt.Sprintf("%[1]s three\n%[1]s \n%[1]s four\n%[1]s four\n", out[0]); got != want {
					t.Errorf("then %q, want %q", got, want)
				}
				code, stdout, stderr := command(t, append(sub, "-C", "1", "-W", "100ms")...)
				if code != 1 || stdout != "" || !strings.Contains(stderr, "0 of 1 messages have come") {
					t.Errorf("at last %d, %q, %q", code, stdout, stderr)
				}
			})
		}
	}
}

// TestSubJSON looks at a message with headers, and at one that is not text.
func TestSubJSON(t *testing.T) {
	b := startBroker(t)
	file := filepath.Join(t.TempDir(), "bytes")
	if err := os.WriteFile(file, []byte{0, 0xff, 1}, 0o600); err != nil {
		t.Fatal(err)
	}
	type message struct {
		Destination string
		Body        *string
		Base64      []byte `json:"body_base64"`
		QoS         *int
		Retained    bool
		Headers     []struct{ Name, Value string }
	}
	read := func(t *testing.T, args ...string) (m message) {
		t.Helper()
		if err := json.Unmarshal([]byte(must(t, args...)), &m); err != nil {
			t.Fatal(err)
		}
		return m
	}
	has := func(m message, name, value string) bool {
		return slices.Contains(m.Headers, struct{ Name, Value string }{name, value})
	}
	must(t, "pub", "--mqtt5", "-t", "a/b", "-r", "-q", "2", "-m", "é", "-H", "colour:blue: dark", "--content-type", "text/plain", b.ws)
	if m := read(t, "sub", "--mqtt5", "-q", "2", "-t", "a/#", "-C", "1", "--json", b.ws); m.Destination != "a/b" || m.Body == nil || *m.Body != "é" ||
		!m.Retained || m.QoS == nil || *m.QoS != 2 || !has(m, "colour", "blue: dark") || !has(m, "content-type", "text/plain") {
		t.Errorf("MQTT 5: %+v", m)
	}
	if m := read(t, "sub", "--stomp", "-t", "/topic/a.b", "-C", "1", "--json", b.ws); m.Destination != "/topic/a.b" || m.Body == nil || *m.Body != "é" ||
		!m.Retained || m.QoS != nil || !has(m, "colour", "blue: dark") {
		t.Errorf("STOMP: %+v", m)
	}
	if code, stdout, _ := command(t, "sub", "--mqtt5", "-t", "a/b", "-R", "-W", "100ms", b.ws); code != 0 || stdout != "" {
		t.Errorf("--no-retained: %d, %q", code, stdout)
	}
	must(t, "pub", "--stomp", "-t", "/topic/a.b", "-r", "-f", file, b.ws)
	for _, how := range [][]string{{"--mqtt", "-t", "a/b"}, {"--stomp", "-t", "/topic/a.b"}} {
		if m := read(t, append([]string{"sub", "-C", "1", "--json", b.ws}, how...)...); m.Body != nil || !bytes.Equal(m.Base64, []byte{0, 0xff, 1}) {
			t.Errorf("%v: %+v", how, m)
		}
	}
	must(t, "pub", "--mqtt", "-t", "a/b", "-r", "-q", "1", "-n", b.ws)
	if code, stdout, _ := command(t, "sub", "--mqtt", "-t", "a/b", "-W", "100ms", b.ws); code != 0 || stdout != "" {
		t.Errorf("what was cleared: %d, %q", code, stdout)
	}
}

// TestSubKeeps shows that a kept session has what came meanwhile.
func TestSubKeeps(t *testing.T) {
	b := startBroker(t)
	for _, version := range []string{"--mqtt", "--mqtt5"} {
		sub := []string{"sub", version, "-k", "-i", "keeper" + version, "-q", "1", "-t", "news", b.ws}
		if out := must(t, append(sub, "-W", "100ms")...); out != "" {
			t.Errorf("%s: %q", version, out)
		}
		must(t, "pub", version, "-t", "news", "-q", "1", "-m", "meanwhile", b.ws)
		if out := must(t, append(sub, "-C", "1")...); out != "meanwhile\n" {
			t.Errorf("%s: %q", version, out)
		}
	}
}

// TestSubEnds shows that an interrupted sub ends well.
func TestSubEnds(t *testing.T) {
	b := startBroker(t)
	ctx, cancel := context.WithCancel(t.Context())
	r, w := io.Pipe()
	ended := make(chan int, 1)
	go func() {
		ended <- wyecmd.Run(ctx, []string{"sub", "--mqtt", "-t", "$queue/q", "-q", "1", b.ws}, w, io.Discard)
	}()
	must(t, "pub", "--mqtt", "-t", "$queue/q", "-q", "1", "-m", "hello", b.ws)
	if got, err := io.ReadAll(io.LimitReader(r, 6)); err != nil || string(got) != "hello\n" {
		t.Fatalf("%q, %v", got, err)
	}
	cancel()
	if code := <-ended; code != 0 {
		t.Errorf("exit code %d", code)
	}
}

// TestPubSubRefused looks at what is said when the broker or we say no.
func TestPubSubRefused(t *testing.T) {
	b := startBroker(t)
	for _, c := range []struct {
		args string
		code int
		says string
	}{
		{"pub --stomp -t nowhere -m x URL", 1, "begins with none of"},
		{"pub --stomp --receipt=false -t nowhere -m x URL", 1, "begins with none of"},
		{"pub --mqtt -t a/# -m x URL", 1, "wildcard"},
		{"pub --mqtt5 -t a/# -m x URL", 1, "topic name invalid"},
		{"pub --mqtt -t a -m x ws://127.0.0.1:1", 1, "connect to 127.0.0.1:1"},
		{"pub --mqtt -t a -f /nonexistent URL", 1, "/nonexistent"},
		{"pub --mqtt -t a URL", 2, "one of -m, -f, -l, -s and -n"},
		{"pub --mqtt -t a -m x -n URL", 2, "one of -m, -f, -l, -s and -n"},
		{"pub --mqtt -m x URL", 2, "where to?"},
		{"pub --mqtt -t a -m x -q 3 URL", 2, "--qos must be 0, 1 or 2"},
		{"pub --mqtt -t a -m x http://localhost", 2, "is not the URL of a broker"},
		{"sub --mqtt -t #/a URL", 1, "subscription refused"},
		{"sub --mqtt5 -t #/a URL", 1, "topic filter invalid"},
		{"sub --stomp -t nowhere URL", 1, "begins with none of"},
		{"sub --stomp --subprotocol mqtt -t /topic/a URL", 1, ""},
		{"sub --mqtt --subprotocol nonsense -t a URL", 1, "400"},
		{"sub --mqtt -t a -k URL", 2, "--keep needs an --id"},
		{"sub --stomp -t a --ack never URL", 2, "--ack must be"},
		{"sub -t a URL", 2, "add --stomp, --mqtt or --mqtt5"},
		{"sub --help", 0, "usage: wye sub"},
		{"pub --help", 0, "usage: wye pub"},
	} {
		t.Run(c.args, func(t *testing.T) {
			code, stdout, stderr := command(t, strings.Fields(strings.Replace(c.args, "URL", b.ws, 1))...)
			if code != c.code || !strings.Contains(stdout+stderr, c.says) {
				t.Errorf("exit code %d, want %d\n%s%s", code, c.code, stdout, stderr)
			}
		})
	}
}

// TestClientComesFirst shows that flags of the broker before the name of a client do not start a broker.
func TestClientComesFirst(t *testing.T) {
	for _, name := range []string{"bench", "pub", "sub"} {
		if code, _, stderr := command(t, "--set", "admin.listen=", name); code != 2 || !strings.Contains(stderr, "wye "+name+" --help") {
			t.Errorf("%s: exit code %d, %s", name, code, stderr)
		}
	}
}
