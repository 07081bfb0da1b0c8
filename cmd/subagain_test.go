package wyecmd_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	wyecmd "github.com/wyemq/wye/cmd"
	"github.com/wyemq/wye/core"
	"github.com/wyemq/wye/plugins/disk"
	"github.com/wyemq/wye/protocols/mqtt"
	"github.com/wyemq/wye/protocols/stomp"
	"github.com/wyemq/wye/transports/websocket"
)

// mortal is a broker on disk that can be stopped and started again, on the same address.
type mortal struct {
	dir, addr string
	stop      func()
}

// start listens on addr, and the first time on any.
func (m *mortal) start(t *testing.T) {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	cfg := disk.DefaultConfig()
	cfg.Dir, cfg.MinFree = m.dir, 0
	eng, err := disk.Open(cfg, log)
	must(err)
	b, err := core.NewBroker(core.Options{Engine: eng})
	must(err)
	st, err := stomp.New(b, stomp.DefaultConfig(), log)
	must(err)
	mt, err := mqtt.New(b, mqtt.DefaultConfig(), log)
	must(err)
	mux, err := core.NewMux(log, st, mt)
	must(err)
	wc := websocket.DefaultConfig()
	wc.URI = "ws://" + m.addr
	ws, err := websocket.New("websocket", wc, log)
	must(err)
	ctx, cancel := context.WithCancel(context.Background())
	addr, err := ws.Listen(ctx)
	must(err)
	m.addr = addr.String()
	var serving sync.WaitGroup
	serving.Go(func() {
		if err := ws.Serve(ctx, mux); err != nil {
			t.Error(err)
		}
	})
	m.stop = sync.OnceFunc(func() {
		cancel()
		serving.Wait()
		if err := b.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(m.stop)
}

// following is `wye sub` while it runs.
type following struct {
	lines  *bufio.Reader
	seen   map[string]bool
	stop   context.CancelFunc
	ended  chan int
	stderr bytes.Buffer // to be read when it has ended
}

func follow(t *testing.T, args ...string) *following {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	r, w := io.Pipe()
	f := &following{lines: bufio.NewReader(r), stop: cancel, ended: make(chan int, 1), seen: make(map[string]bool)}
	go func() {
		f.ended <- wyecmd.Run(ctx, append([]string{"sub"}, args...), w, &f.stderr)
		w.Close()
	}()
	t.Cleanup(cancel)
	return f
}

// want reads a line. What was printed before may come again, when the connection was lost before its acknowledgement has
// arrived.
func (f *following) want(t *testing.T, line string) {
	t.Helper()
	for {
		got, err := f.lines.ReadString('\n')
		if err != nil {
			t.Fatalf("%q, %v; want %q; exit code %d\n%s", got, err, line, <-f.ended, &f.stderr)
		}
		if f.seen[got] {
			continue
		}
		if f.seen[got] = true; got != line+"\n" {
			t.Fatalf("%q, want %q", got, line)
		}
		return
	}
}

// end waits for the end and returns what was said.
func (f *following) end(t *testing.T, want int) string {
	t.Helper()
	go func() { _, _ = io.Copy(io.Discard, f.lines) }() // ends with what is printed, which may still be something that came again
	select {
	case code := <-f.ended:
		if code != want {
			t.Errorf("exit code %d, want %d\n%s", code, want, &f.stderr)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("it does not end")
	}
	return f.stderr.String()
}

// TestSubReconnects restarts the broker under a subscriber, which then has everything, also what came before it was back.
func TestSubReconnects(t *testing.T) {
	for name, c := range map[string][2]string{
		"mqtt":  {"--mqtt -t news -q 1", "-t up -k -i reader"},
		"mqtt5": {"--mqtt5 -t news -q 1", "-t up -k -i reader"},
		"stomp": {"--stomp -t /queue/news", ""},
	} {
		t.Run(name, func(t *testing.T) {
			m := &mortal{dir: t.TempDir(), addr: "127.0.0.1:0"}
			m.start(t)
			url := "ws://" + m.addr
			pub := func(body string) {
				t.Helper()
				must(t, append(strings.Fields("pub "+c[0]), "-m", body, url)...)
			}
			args := append(strings.Fields(c[0]+" "+c[1]), url)
			f := follow(t, args...)
			if c[1] != "" { // it is subscribed when it has what is retained
				must(t, append(strings.Fields("pub -r -m up "+strings.ReplaceAll(c[0], "news", "up")), url)...)
				f.want(t, "up")
			}
			pub("one")
			f.want(t, "one")
			for i := range 2 {
				m.stop()
				m.start(t)
				for n := range 50 {
					pub(fmt.Sprintf("%d.%d", i, n))
				}
				for n := range 50 {
					f.want(t, fmt.Sprintf("%d.%d", i, n))
				}
			}
			f.stop()
			if said := f.end(t, 0); strings.Count(said, "connecting again") < 2 {
				t.Errorf("it says %q", said)
			}
		})
	}
}

// TestSubStaysAway: who is told not to, who was never let in, and who has lost the client id to somebody else.
func TestSubStaysAway(t *testing.T) {
	m := &mortal{dir: t.TempDir(), addr: "127.0.0.1:0"}
	m.start(t)
	url := "ws://" + m.addr
	first := follow(t, "--mqtt5", "-t", "a", "-i", "same", url)
	must(t, "pub", "--mqtt5", "-t", "a", "-r", "-m", "x", url) // retained: comes whenever it has subscribed
	first.want(t, "x")
	stomped := follow(t, "--stomp", "-t", "/queue/a", "-i", "other", url)
	must(t, "pub", "--stomp", "-t", "/queue/a", "-m", "x", url)
	stomped.want(t, "x")
	thief := follow(t, "--stomp", "-t", "/queue/a", "-i", "other", url)
	if said := stomped.end(t, 1); strings.Contains(said, "connecting again") {
		t.Errorf("whose id is somebody else's now says %q", said)
	}
	thief.stop()
	thief.end(t, 0)
	second := follow(t, "--mqtt5", "-t", "a", "-i", "same", "--no-reconnect", url)
	if said := first.end(t, 1); !strings.Contains(said, "0x8e") {
		t.Errorf("the first says %q", said)
	}
	second.want(t, "x")
	m.stop()
	if said := second.end(t, 1); strings.Contains(said, "connecting again") {
		t.Errorf("the second says %q", said)
	}
	if code, _, said := command(t, "sub", "--mqtt5", "-t", "a", url); code != 1 || strings.Contains(said, "connecting again") {
		t.Errorf("the third ends with %d and says %q", code, said)
	}
}
