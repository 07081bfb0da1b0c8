package wyecmd_test

import (
	"bufio"
	"strings"
	"syscall"
	"testing"
)

// readFrame reads one STOMP frame.
func readFrame(t *testing.T, r *bufio.Reader) string {
	t.Helper()
	text, err := r.ReadString(0)
	if err != nil {
		t.Fatalf("read: %v", err)
	}
	return strings.TrimLeft(text, "\n")
}

// TestDiskEngine: a message that was confirmed is there after a restart, and a second broker is told who has the store.
func TestDiskEngine(t *testing.T) {
	args := []string{"--set", "engine.kind=disk", "--set", "engine.dir=" + t.TempDir()}
	talk := func(p *program, text string) *bufio.Reader {
		nc := dial(t, p.addrs["stomp"])
		if _, err := nc.Write([]byte("CONNECT\naccept-version:1.2\nhost:/\n\n\x00" + text)); err != nil {
			t.Fatal(err)
		}
		r := bufio.NewReader(nc)
		if got := readFrame(t, r); !strings.HasPrefix(got, "CONNECTED") {
			t.Fatalf("got %q", got)
		}
		return r
	}
	first := start(t, args)
	r := talk(first, "SEND\ndestination:/queue/kept\nreceipt:r\n\nhello\x00")
	if got := readFrame(t, r); !strings.HasPrefix(got, "RECEIPT") {
		t.Fatalf("got %q", got)
	}
	code, _, stderr := run(t, append(ephemeral, args...)...)
	if code != 1 || !strings.Contains(stderr, "is in use by process") {
		t.Errorf("a second one ended with %d: %s", code, stderr)
	}
	first.stop(syscall.SIGTERM)
	if code := first.exit(); code != 0 {
		t.Errorf("it ended with %d: %s", code, first.all())
	}
	r = talk(start(t, args), "SUBSCRIBE\nid:1\ndestination:/queue/kept\n\n\x00")
	if got := readFrame(t, r); !strings.HasPrefix(got, "MESSAGE") || !strings.HasSuffix(got, "\nhello\x00") {
		t.Errorf("after the restart: %q", got)
	}
}
