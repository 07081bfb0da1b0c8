package wyecmd_test

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"github.com/wyemq/wye/core"
	"github.com/wyemq/wye/core/engine/memory"
	"github.com/wyemq/wye/protocols/mqtt"
	"github.com/wyemq/wye/protocols/stomp"
	"github.com/wyemq/wye/transports/tcp"
	"github.com/wyemq/wye/transports/websocket"
)

// secureBroker runs a broker behind TLS alone, and returns the ports of its WebSocket and its TCP listener.
func secureBroker(t *testing.T, cert, key string) (ws, stream string) {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	b, err := core.NewBroker(core.Options{Engine: memory.New()})
	must(err)
	st, err := stomp.New(b, stomp.DefaultConfig(), log)
	must(err)
	mt, err := mqtt.New(b, mqtt.DefaultConfig(), log)
	must(err)
	mux, err := core.NewMux(log, st, mt)
	must(err)
	wc := websocket.DefaultConfig()
	wc.URI, wc.TLS = "wss://127.0.0.1:0", websocket.TLS{KeyPair: websocket.KeyPair{CertFile: cert, KeyFile: key}}
	w, err := websocket.New("secure", wc, log)
	must(err)
	tc := tcp.DefaultConfig()
	tc.URI, tc.TLS = "tls://127.0.0.1:0", tcp.TLS{KeyPair: tcp.KeyPair{CertFile: cert, KeyFile: key}}
	s, err := tcp.New("stream", tc, log)
	must(err)
	ctx, cancel := context.WithCancel(context.Background())
	var serving sync.WaitGroup
	t.Cleanup(func() {
		cancel()
		serving.Wait()
		must(b.Close(context.Background()))
	})
	listen := func(tr core.Transport) string {
		a, err := tr.Listen(ctx)
		must(err)
		serving.Go(func() {
			if err := tr.Serve(ctx, mux); err != nil {
				t.Error(err)
			}
		})
		return a.String()[strings.LastIndex(a.String(), ":"):]
	}
	return listen(w), listen(s)
}

// TestClientsTLS sends, receives and measures through TLS, with every scheme that has it, trusting the certificate or
// anybody; and refuses to without.
func TestClientsTLS(t *testing.T) {
	cert, key := selfSigned(t)
	ws, stream := secureBroker(t, cert, key)
	for _, c := range []string{
		"--stomp -t /queue/q wss://localhost" + ws, "--mqtt -q 1 -t $queue/q wss://localhost" + ws, "--mqtt5 -q 1 -t $queue/q wss://localhost" + ws,
		"-q 1 -t $queue/q mqtts://localhost" + stream, "--mqtt5 -q 1 -t $queue/q mqtts://localhost" + stream,
		"--mqtt -q 1 -t $queue/q ssl://localhost" + stream, "--stomp -t /queue/q tls://localhost" + stream,
		"-t /queue/q stomps://localhost" + stream,
	} {
		t.Run(c, func(t *testing.T) {
			for i, trust := range []string{"--ca-file=" + cert, "--cafile=" + cert, "--ca=" + cert, "--insecure"} {
				args := append(strings.Fields(c), trust)
				if i == 3 { // the name does not count then
					args = append(strings.Fields(strings.Replace(c, "localhost", "127.0.0.1", 1)), trust)
				}
				must(t, append([]string{"pub", "-m", "secret"}, args...)...)
				if out := must(t, append([]string{"sub", "-C", "1"}, args...)...); out != "secret\n" {
					t.Errorf("%s: %q", trust, out)
				}
			}
			for _, verb := range []string{"pub -m x ", "sub -C 1 "} {
				if code, _, said := command(t, strings.Fields(verb+c)...); code != 1 || !strings.Contains(said, "certificate") {
					t.Errorf("%sends with %d and says %q", verb, code, said)
				}
			}
		})
	}
	for _, url := range []string{"--stomp wss://localhost" + ws, "--mqtt wss://localhost" + ws, "mqtts://localhost" + stream, "stomps://localhost" + stream} {
		code, rs, said := runBench(t, append(strings.Fields("fan --count 500 --json --ca-file "+cert), strings.Fields(url)...)...)
		if code != 0 || len(rs) != 1 {
			t.Fatalf("%s: exit code %d\n%s", url, code, said)
		}
		checkFlow(t, rs[0], 500, 500)
	}
}

// TestBenchProgress: a log is not filled with it unless somebody asks for it.
func TestBenchProgress(t *testing.T) {
	b := startBroker(t)
	for flag, want := range map[string]bool{"--qos=0": false, "--quiet": false, "--progress": true} {
		code, rs, said := runBench(t, "fan", "--mqtt", "--rate", "100", "--duration", "1100ms", "--warmup", "1ms", "--json", flag, b.ws)
		if code != 0 || len(rs) != 1 || strings.Contains(said, "received") != want {
			t.Errorf("%s: exit code %d, says %q", flag, code, said)
		}
	}
}
