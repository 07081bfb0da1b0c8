package wyecmd_test

import (
	"context"
	"log/slog"
	"testing"

	"github.com/wyemq/wye/core"
	"github.com/wyemq/wye/core/engine/memory"
	"github.com/wyemq/wye/protocols/mqtt"
	"github.com/wyemq/wye/protocols/stomp"
	"github.com/wyemq/wye/transports/tcp"
	"github.com/wyemq/wye/transports/websocket"
)

// running is a broker with its listeners, as URIs.
type running struct {
	ws, stomp, mqtt string
	broker          *core.Broker
}

// startBroker runs a broker on free ports for the length of the test.
func startBroker(t testing.TB, interceptors ...core.Interceptor) running {
	t.Helper()
	return startBrokerLogging(t, slog.DiscardHandler, interceptors...)
}

// startBrokerLogging is startBroker for who wants to see the log.
func startBrokerLogging(t testing.TB, h slog.Handler, interceptors ...core.Interceptor) running {
	t.Helper()
	log := slog.New(h)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	b, err := core.NewBroker(core.Options{Engine: memory.New(), Version: "test", Interceptors: interceptors, Log: log})
	must(err)
	st, err := stomp.New(b, stomp.DefaultConfig(), log)
	must(err)
	mt, err := mqtt.New(b, mqtt.DefaultConfig(), log)
	must(err)
	mux, err := core.NewMux(log, st, mt)
	must(err)
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(func() {
		cancel()
		must(b.Close(context.Background()))
	})
	serve := func(tr core.Transport) string {
		a, err := tr.Listen(ctx)
		must(err)
		done := make(chan error, 1)
		go func() { done <- tr.Serve(ctx, mux) }()
		t.Cleanup(func() {
			cancel()
			must(<-done)
		})
		return a.String()
	}
	wc := websocket.DefaultConfig()
	wc.URI = "ws://127.0.0.1:0"
	w, err := websocket.New("websocket", wc, log)
	must(err)
	tc := tcp.DefaultConfig()
	tc.URI = "tcp://127.0.0.1:0"
	st1, err := tcp.New("stomp", tc, log)
	must(err)
	mq, err := tcp.New("mqtt", tc, log)
	must(err)
	return running{"ws://" + serve(w), "tcp://" + serve(st1), "tcp://" + serve(mq), b}
}
