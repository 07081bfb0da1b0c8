package wyecmd_test

import (
	"bytes"
	"context"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/fx"

	wyecmd "github.com/wyemq/wye/cmd"
	"github.com/wyemq/wye/core/corefx"
	"github.com/wyemq/wye/protocols/line"
)

// TestGraph has fx check that everything the graph needs is there.
func TestGraph(t *testing.T) {
	if err := fx.ValidateApp(wyecmd.Graph()); err != nil {
		t.Error(err)
	}
	if err := fx.ValidateApp(wyecmd.Graph(corefx.Protocol(line.New))); err != nil {
		t.Error(err)
	}
	if err := fx.ValidateApp(wyecmd.Graph(corefx.Protocol(func(bytes.Buffer) *line.Protocol { return nil }))); err == nil {
		t.Error("a constructor that cannot be satisfied: no error")
	}
}

// dial connects by plain TCP.
func dial(t *testing.T, addr string) net.Conn {
	t.Helper()
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { nc.Close() })
	if err := nc.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return nc
}

// login begins a STOMP session.
func login(t *testing.T, nc net.Conn) {
	t.Helper()
	if _, err := io.WriteString(nc, "CONNECT\naccept-version:1.2\nhost:/\n\n\x00"); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 9)
	if _, err := io.ReadFull(nc, buf); err != nil || string(buf) != "CONNECTED" {
		t.Fatalf("got %q, %v", buf, err)
	}
}

// TestStart wants one line for each listener with its address, then the line ready, and clients served; then a
// stop in order, of which the client is told.
func TestStart(t *testing.T) {
	p := start(t, nil)
	if n := len(p.lines); n < 5 || !strings.Contains(p.lines[n-1], "msg=ready") {
		t.Errorf("the log begins with\n%s", strings.Join(p.lines, "\n"))
	}
	for _, name := range []string{"websocket", "stomp", "mqtt", "admin"} {
		if addr := p.addrs[name]; addr == "" || strings.HasSuffix(addr, ":0") {
			t.Errorf("listener %s: address %q", name, addr)
		}
	}
	nc := dial(t, p.addrs["stomp"])
	login(t, nc)
	p.stop(syscall.SIGTERM)
	rest, err := io.ReadAll(nc)
	if err != nil || !strings.Contains(string(rest), "ERROR\n") || !strings.Contains(string(rest), "server_shutdown") {
		t.Errorf("the client heard %q, %v", rest, err)
	}
	if code := p.exit(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	if !strings.Contains(p.all(), "msg=stopped") {
		t.Errorf("the log does not end with stopped:\n%s", p.all())
	}
}

// TestDisabled switches a listener off.
func TestDisabled(t *testing.T) {
	p := start(t, []string{"--set", "listeners.stomp.enabled=false"})
	if _, on := p.addrs["stomp"]; on || p.addrs["websocket"] == "" {
		t.Errorf("listeners: %v", p.addrs)
	}
}

// run runs the program to its end and returns what it says.
func run(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	code = wyecmd.Run(t.Context(), args, &out, &errs)
	return code, out.String(), errs.String()
}

// TestRefused lists what the program does not start with, and what it says.
func TestRefused(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for _, c := range []struct {
		name string
		args []string
		code int
		want []string
	}{
		{
			"address taken",
			[]string{"--set", "listeners.stomp.uri=tcp://" + taken.Addr().String()},
			1,
			[]string{"listeners.stomp.uri", taken.Addr().String(), "address already in use"},
		},
		{
			"several at once",
			[]string{"--set", "listeners.stomp.uri=tcp://" + taken.Addr().String(), "--set", "listeners.websocket.uri=ws://" + taken.Addr().String()},
			1,
			[]string{"listeners.stomp.uri", "listeners.websocket.uri"},
		},
		{"unknown key", []string{"--set", "listener.a=1"}, 1, []string{"listener: unknown key, did you mean listeners? (--set)"}},
		{
			"unknown protocol",
			[]string{"--set", "listeners.stomp.protocols=stmp"},
			1,
			[]string{`listeners.stomp.protocols: unknown protocol "stmp"`, "stomp", "(--set)"},
		},
		{"unknown engine", []string{"--set", "engine.kind=tape"}, 1, []string{`engine.kind: must be one of disk, memory`, `is "tape" (--set)`}},
		{
			"unknown scheme",
			[]string{"--set", "listeners.x.uri=udp://a:1"},
			1,
			[]string{"listeners.x.uri: must be one of ", "ws://…", `is "udp://a:1" (--set)`},
		},
		{
			"no listener",
			[]string{"--set", "listeners.websocket.enabled=false", "--set", "listeners.stomp.enabled=false", "--set", "listeners.mqtt.enabled=false"},
			1,
			[]string{"listeners: none is enabled"},
		},
		{"an authenticator that is not there", []string{"--set", "auth.authenticators=ldap"}, 1, []string{`auth.authenticators: unknown name "ldap"`}},
		{
			"limits and queues",
			[]string{"--set", "limits.credit=0", "--set", "queues=[{match: '', max_length: -1, overflow: x}]", "--set", "shutdown_timeout=0s"},
			1,
			[]string{
				"limits.credit: must be positive, is 0 (--set)", "queues.0.match: ", "queues.0.max_length: must not be negative (--set)",
				`queues.0.overflow: must be one of reject, drop_head, dead_letter, or empty, is "x" (--set)`,
				"shutdown_timeout: must be positive, is 0s (--set)",
			},
		},
		{"no such file", []string{"--config", "/nowhere.yaml"}, 1, []string{"/nowhere.yaml", "no such file"}},
		{"unknown command", []string{"confg", "print"}, 2, []string{`unknown command "confg print", did you mean "config print"?`}},
		{"half a command", []string{"config"}, 2, []string{"wye config check"}},
		{"another command", []string{"frobnicate"}, 2, []string{`unknown command "frobnicate", there are: `}},
		{"unknown flag", []string{"--verbose"}, 2, []string{"verbose"}},
		{"two files", []string{"--config", "a", "--config", "b"}, 2, []string{"is there twice"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			args := slices.Concat(ephemeral, inMemory, c.args)
			code, _, stderr := run(t, args...)
			if code != c.code {
				t.Errorf("exit code %d, want %d", code, c.code)
			}
			for _, want := range c.want {
				if !strings.Contains(stderr, want) {
					t.Errorf("%q is not in\n%s", want, stderr)
				}
			}
		})
	}
}

// TestUnbound wants no listener left open when another could not be bound.
func TestUnbound(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := free.Addr().String()
	free.Close()
	code, _, stderr := run(t, "--set", "listeners.stomp.uri=tcp://"+addr, "--set", "listeners.websocket.uri=ws://"+taken.Addr().String(),
		"--set", "listeners.mqtt.enabled=false", "--set", "admin.listen=127.0.0.1:0", "--set", "engine.kind=memory")
	if code != 1 || strings.Contains(stderr, "msg=listening listener=stomp") {
		t.Errorf("exit code %d\n%s", code, stderr)
	}
	again, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatalf("the address is still taken: %v", err)
	}
	again.Close()
}

// TestCancelledStart ends a program that was told to stop before it had started.
func TestCancelledStart(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if code := wyecmd.Run(ctx, slices.Concat(ephemeral, scratch(t)), io.Discard, io.Discard); code > 1 {
		t.Errorf("exit code %d", code)
	}
}

// TestCommands reads what the commands print.
func TestCommands(t *testing.T) {
	file := filepath.Join(t.TempDir(), "my.yaml")
	if err := os.WriteFile(file, []byte("log: {level: warn}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("WYE_LIMITS__CREDIT", "7")
	for _, c := range []struct {
		name string
		args []string
		want []string
	}{
		{"help", []string{"help"}, []string{"config check", "--set key=value"}},
		{"help flag", []string{"config", "print", "-h"}, []string{"usage: wye"}},
		{"version", []string{"version"}, []string{"wye ", "go1."}},
		{"version flag", []string{"--version"}, []string{"wye ", "go1."}},
		{"plugins", []string{"plugins"}, []string{
			"protocols\n", "  mqtt         subprotocols mqtt", "  stomp        subprotocols v12.stomp", "paths /stomp", "transports\n", "  ws://, wss://\n", "  tcp://, tls://\n", "engines\n", "  disk\n", "  memory\n",
		}},
		{"print", []string{"config", "print", "--config", file, "--set=engine.dir=here"}, []string{
			`level: "warn" # my.yaml:1`, `credit: 7 # WYE_LIMITS__CREDIT`, `dir: "here" # --set`, `uri: "ws://127.0.0.1:61614" # default`,
		}},
		{"check", []string{"--config", file, "config", "check"}, []string{"the configuration is right"}},
		{"schema", []string{"config", "schema"}, []string{`"$schema"`, `"heart_beat"`}},
	} {
		t.Run(c.name, func(t *testing.T) {
			code, stdout, stderr := run(t, c.args...)
			if code != 0 || stderr != "" {
				t.Errorf("exit code %d: %s", code, stderr)
			}
			for _, want := range c.want {
				if !strings.Contains(stdout, want) {
					t.Errorf("%q is not in\n%s", want, stdout)
				}
			}
		})
	}
}

// TestCheckFails tells everything and ends with 1; print shows what is right all the same.
func TestCheckFails(t *testing.T) {
	bad := []string{"--set", "log.level=loud", "--set", "limits.credt=1"}
	code, stdout, stderr := run(t, append(bad, "config", "check")...)
	if code != 1 || stdout != "" || !strings.Contains(stderr, "log.level: ") || !strings.Contains(stderr, "limits.credt: ") {
		t.Errorf("check: exit code %d, %q, %q", code, stdout, stderr)
	}
	code, stdout, stderr = run(t, append(bad, "config", "print")...)
	if code != 1 || !strings.Contains(stdout, "outbox_messages: 16384") || !strings.Contains(stderr, "log.level: ") {
		t.Errorf("print: exit code %d, %q, %q", code, stdout, stderr)
	}
}

// TestSignals stops a process of its own: by SIGTERM in order, by a second signal at once.
func TestSignals(t *testing.T) {
	t.Run("SIGTERM", func(t *testing.T) {
		t.Parallel()
		p := spawn(t, build(t, "./wye"))
		nc := dial(t, p.addrs["stomp"])
		login(t, nc)
		p.stop(syscall.SIGTERM)
		if rest, err := io.ReadAll(nc); err != nil || !strings.Contains(string(rest), "server_shutdown") {
			t.Errorf("the client heard %q, %v", rest, err)
		}
		if code := p.exit(); code != 0 {
			t.Errorf("exit code %d\n%s", code, p.all())
		}
	})
	stuck := func(t *testing.T, args ...string) *program {
		t.Helper()
		p := spawn(t, build(t, "./testdata/stubborn"),
			append(args, "--set", "listeners.stubborn.uri=tcp://127.0.0.1:0", "--set", "listeners.stubborn.protocols=stubborn")...)
		nc := dial(t, p.addrs["stubborn"])
		if _, err := io.ReadFull(nc, make([]byte, 6)); err != nil {
			t.Fatal(err)
		}
		p.stop(syscall.SIGINT)
		return p
	}
	t.Run("second", func(t *testing.T) {
		t.Parallel()
		p := stuck(t)
		p.await(t, "shutting down")
		p.stop(syscall.SIGINT)
		if code := p.exit(); code != 130 || strings.Contains(p.all(), "msg=stopped") {
			t.Errorf("exit code %d\n%s", code, p.all())
		}
	})
	t.Run("bounded", func(t *testing.T) {
		t.Parallel()
		p := stuck(t, "--set", "shutdown_timeout=1s")
		if code := p.exit(); code != 1 || !strings.Contains(p.all(), "have not ended in time") {
			t.Errorf("exit code %d\n%s", code, p.all())
		}
	})
}
