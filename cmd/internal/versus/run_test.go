package versus_test

import (
	"bytes"
	"context"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/wyemq/wye/cmd/internal/versus"
)

// TestRun compares those that need no network, for moments, and wants a figure for every row that makes sense.
func TestRun(t *testing.T) {
	dir := t.TempDir()
	out := filepath.Join(dir, "out")
	var stdout, stderr bytes.Buffer
	code := versus.Run(t.Context(), []string{
		"--rows", "fan-1 pairs latency cross", "--peers", "wye mochi null", "--rounds", "2", "--seconds", "0.1", "--warmup", "10ms",
		"--cache", filepath.Join(dir, "cache"), "--out", out,
	}, &stdout, &stderr)
	if code != 0 {
		t.Fatalf("exit code %d\n%s", code, stderr.String())
	}
	r, err := versus.ReadReport(filepath.Join(out, "results.json"))
	if err != nil {
		t.Fatal(err)
	}
	rounds := make(map[string]int)
	for _, x := range r.Runs {
		rounds[x.Row+" "+x.Protocol+" "+x.Peer]++
		switch {
		case x.Error != "" || x.Cut || x.Result == nil:
			t.Errorf("%s, %s, %s: %s", x.Peer, x.Row, x.Protocol, x.Error)
		case x.Result.Received == 0 || x.Result.BrokerCPU == nil || x.Result.BrokerRSS == 0:
			t.Errorf("%s, %s, %s: nothing was measured: %+v", x.Peer, x.Row, x.Protocol, *x.Result)
		case x.Row == "latency" && x.Result.Latency == nil:
			t.Errorf("%s has no latency", x.Peer)
		}
	}
	want := map[string]int{
		"fan-1 stomp wye": 2, "pairs stomp wye": 2, "latency stomp wye": 2, "cross cross wye": 2,
		"fan-1 mqtt wye": 2, "pairs mqtt wye": 2, "latency mqtt wye": 2,
		"fan-1 mqtt mochi": 2, "pairs mqtt mochi": 2, "latency mqtt mochi": 2,
		"fan-1 mqtt null": 2, "latency mqtt null": 2, // it sends everything to everybody, so that it can have no pairs
	}
	if !maps.Equal(rounds, want) {
		t.Errorf("runs %v, want %v", rounds, want)
	}
	page, err := os.ReadFile(filepath.Join(out, "README.md"))
	if err != nil || !bytes.Equal(page, stdout.Bytes()) {
		t.Errorf("what is printed is not what is written: %v", err)
	}
	if plots, _ := filepath.Glob(filepath.Join(out, "*.svg")); len(plots) != 5 {
		t.Errorf("plots %v", plots)
	}
	if left, _ := os.ReadDir(filepath.Join(dir, "cache", "run", "wye")); len(left) > 0 {
		t.Errorf("data left behind: %v", left)
	}
	interrupted(t, dir)
}

// interrupted ends a comparison in its midst, with what an earlier one has built, and wants nothing to be left of it.
func interrupted(t *testing.T, dir string) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	out := filepath.Join(dir, "never")
	stderr := &watcher{word: "mqtt  null", seen: cancel}
	code := versus.Run(ctx, []string{
		"--rows", "fan-1", "--peers", "null", "--rounds", "100", "--seconds", "0.1", "--cache", filepath.Join(dir, "cache"), "--out", out,
	}, io.Discard, stderr)
	if code != 1 || ctx.Err() == nil {
		t.Errorf("exit code %d\n%s", code, stderr.String())
	}
	if _, err := os.Stat(out); err == nil {
		t.Error("half a comparison was written down")
	}
	if left, _ := os.ReadDir(filepath.Join(dir, "cache", "run", "null")); len(left) > 0 {
		t.Errorf("data left behind: %v", left)
	}
}

// watcher is a log that says when a word comes.
type watcher struct {
	bytes.Buffer

	word string
	seen func()
}

func (w *watcher) Write(b []byte) (int, error) {
	if bytes.Contains(b, []byte(w.word)) {
		w.seen()
	}
	return w.Buffer.Write(b)
}

// TestArguments refuses what makes no sense.
func TestArguments(t *testing.T) {
	for _, c := range []struct {
		args string
		code int
		says string
	}{
		{"--help", 0, "usage:"},
		{"--list", 0, "fan-1000"},
		{"--rows fan-2", 2, `no row "fan-2"`},
		{"--peers=kafka", 2, `no peer "kafka"`},
		{"--rounds 0", 2, "must be positive"},
		{"fan-1", 2, "neither a flag"},
		{"--what", 2, "not defined"},
		{"--render --out /nowhere", 1, "results.json"},
	} {
		var said bytes.Buffer
		if code := versus.Run(t.Context(), strings.Fields(c.args), &said, &said); code != c.code || !strings.Contains(said.String(), c.says) {
			t.Errorf("%s: exit code %d, want %d, and %q in %q", c.args, code, c.code, c.says, said.String())
		}
	}
}

// TestConfigurations wants every peer to be told its ports, its folder and its cores.
func TestConfigurations(t *testing.T) {
	root := t.TempDir() // an unpacked package of Debian
	for jar := range strings.FieldsSeq("activemq-broker activemq-client activemq-console activemq-kahadb-store activemq-openwire-legacy activemq-protobuf " +
		"activemq-stomp geronimo-jms_1.1_spec geronimo-j2ee-management-1.1-spec hawtbuf slf4j-api slf4j-nop") {
		path := filepath.Join(root, "usr/share/java", jar+".jar")
		if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	dirs := make(map[string]string)
	all, errs := versus.Configure(func(name string) string { dirs[name] = t.TempDir(); return dirs[name] }, root)
	for _, err := range errs {
		t.Error(err)
	}
	settings := map[string][]string{
		"wye":              {"kind: disk", "GOMAXPROCS=2"},
		"rabbitmq":         {"rabbitmq_web_mqtt", "+S 2:2", "ERL_EPMD_PORT=", "RABBITMQ_MNESIA_BASE=", root + "/usr/lib/erlang/bin:"},
		"activemq":         {"-XX:ActiveProcessorCount=2", root + "/usr/share/java/activemq-stomp.jar", "dataDirectory="},
		"mosquitto":        {"persistence false", "max_queued_messages 0", "protocol websockets", "LD_LIBRARY_PATH="},
		"mosquitto-stored": {"persistence true", "persistence_location "},
		"nats":             {"no_tls: true", "store_dir: ", "GOMAXPROCS=2"},
		"nats-synced":      {"sync_interval: always"},
		"mochi":            {"GOMAXPROCS=2"},
		"null":             {"GOMAXPROCS=2"},
	}
	if len(all) != len(settings) {
		t.Errorf("%d peers, want %d", len(all), len(settings))
	}
	for _, c := range all {
		text := strings.Join(slices.Concat([]string{c.Path}, c.Args, c.Env), "\n")
		files, err := filepath.Glob(filepath.Join(dirs[c.Name], "*"))
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range files {
			b, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			text += "\n" + string(b)
		}
		for _, want := range settings[c.Name] {
			if !strings.Contains(text, want) {
				t.Errorf("%s: %q is not in\n%s", c.Name, want, text)
			}
		}
		for protocol, url := range c.URLs {
			_, port, _ := strings.Cut(strings.TrimPrefix(strings.TrimPrefix(url, "ws://"), "stomp://"), ":")
			if port, _, _ = strings.Cut(port, "/"); len(port) < 4 || !strings.Contains(text, port) {
				t.Errorf("%s is not told the port of %s for %s:\n%s", c.Name, url, protocol, text)
			}
		}
		if c.Name == "nats" && strings.Contains(text, "sync_interval") {
			t.Error("nats is not to be synced")
		}
	}
}

// TestPlanned reads what apt-get would install.
func TestPlanned(t *testing.T) {
	said := `Reading package lists...
Inst libcjson1 (1.7.15-1 Debian:12.9/oldstable [amd64])
Inst libssl3 [3.0.15-1] (3.0.17-1~deb12u2 Debian-Security:12/oldstable-security [amd64]) []
Inst mosquitto (2.0.11-1.2+deb12u2 Debian:12.9/oldstable [amd64])
Conf mosquitto (2.0.11-1.2+deb12u2 Debian:12.9/oldstable [amd64])
`
	want := []string{"libcjson1=1.7.15-1", "libssl3=3.0.17-1~deb12u2", "mosquitto=2.0.11-1.2+deb12u2"}
	if got := versus.Planned(said); !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

// TestDebian uses what is installed, unpacks what is not, and says why it cannot. The programs of Debian are played by scripts.
func TestDebian(t *testing.T) {
	bin, cache := t.TempDir(), t.TempDir()
	play := func(name, text string) {
		if err := os.WriteFile(filepath.Join(bin, name), []byte("#!/bin/sh\n"+text+"\n"), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", bin)
	if err := versus.Debian(t.Context(), cache, "mosquitto"); err == nil || !strings.Contains(err.Error(), "no apt-get") {
		t.Errorf("without apt-get: %v", err)
	}
	play("apt-get", `case $1 in
install) echo 'Inst mosquitto (2.0.11 Debian:12 [amd64])' ;;
download) [ "$2" = mosquitto=2.0.11 ] && echo deb >mosquitto.deb ;;
esac`)
	play("dpkg-deb", `echo unpacked >"$3/program"`)
	if err := versus.Debian(t.Context(), cache, "mosquitto"); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(cache, "debian", "mosquitto", "program")); err != nil {
		t.Error(err)
	}
	play("apt-get", "echo 'E: no network' >&2; exit 100")
	play("sudo", "exit 1")
	if err := versus.Debian(t.Context(), cache, "mosquitto"); err != nil {
		t.Errorf("it is there already: %v", err)
	}
	if err := versus.Debian(t.Context(), cache, "activemq"); err == nil || !strings.Contains(err.Error(), "no network") {
		t.Errorf("without network: %v", err)
	}
	play("dpkg-query", "printf 'installed 5.17'")
	if err := versus.Debian(t.Context(), cache, "activemq"); err != nil {
		t.Errorf("it is installed: %v", err)
	}
}

// script writes a program for the shell.
func script(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "script")
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+text), 0o700); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestLoadIsLimited ends a load that comes to no end, and keeps what it has found until then.
func TestLoadIsLimited(t *testing.T) {
	result := `{"scenario":"fan","deliveries":3}`
	for _, c := range []struct {
		name, text string
		limit      time.Duration
		found, cut bool
		err        string
	}{
		{"in time", "echo '" + result + "'", time.Minute, true, false, ""},
		{"broken promise", "echo '" + result + "'; echo 'wye bench: fan: 2 lost' >&2; exit 1", time.Minute, true, false, "fan: 2 lost"},
		{"refused", "echo 'wye bench: connect: refused' >&2; exit 1", time.Minute, false, false, "connect: refused"},
		{"silent", "true", time.Minute, false, false, "no result"},
		{"endless", "sleep 60 &\ntrap 'kill $!; exit 1' INT\nwait", 300 * time.Millisecond, false, true, "nothing after"},
		{"cut off", "sleep 60 &\nstop() { kill $!; echo '" + result + "'; }\ntrap stop INT\nwait", 300 * time.Millisecond, true, true, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			found, cut, err := versus.Load(t.Context(), script(t, c.text), c.limit)
			if found != c.found || cut != c.cut {
				t.Errorf("found %t, cut %t, want %t and %t: %v", found, cut, c.found, c.cut, err)
			}
			if (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
				t.Errorf("error %v, want %q", err, c.err)
			}
		})
	}
}

// TestStartFails says why a broker has not started, in its own words.
func TestStartFails(t *testing.T) {
	err := versus.Start(t.Context(), filepath.Join(t.TempDir(), "run"), script(t, "echo 'no such option' >&2; exit 3"))
	if err == nil || !strings.Contains(err.Error(), "no such option") {
		t.Errorf("error %v", err)
	}
}

// TestDescendant finds what a script has started.
func TestDescendant(t *testing.T) {
	cmd := exec.Command(script(t, "sleep 60 & echo $!; wait"))
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line := make([]byte, 32)
	n, err := out.Read(line)
	if err != nil {
		t.Fatal(err)
	}
	pid, err := versus.Descendant(cmd.Process.Pid, "sleep")
	if want := strings.TrimSpace(string(line[:n])); err != nil || want != strconv.Itoa(pid) {
		t.Errorf("%d, %v; want %s", pid, err, want)
	}
	if _, err := versus.Descendant(cmd.Process.Pid, "beam.smp"); err == nil {
		t.Error("something is named beam.smp")
	}
	if p, err := os.FindProcess(pid); err == nil && pid > 0 {
		_ = p.Kill()
	}
	_ = cmd.Wait()
}
