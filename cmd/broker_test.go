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
	o := core.Options{Engine: memory.New(), Version: "test", Interceptors: interceptors, Log: slog.New(h)}
	return newHouse(t, o).open(t, stomp.DefaultConfig())
}

// house is a broker whose listeners run for the length of a test.
type house struct {
	ctx    context.Context //nolint:containedctx // of the listeners
	cancel context.CancelFunc
	broker *core.Broker
	log    *slog.Logger
}

func newHouse(t testing.TB, o core.Options) *house {
	t.Helper()
	b, err := core.NewBroker(o)
	if err != nil {
		t.Fatal(err)
	}
	h := &house{broker: b, log: o.Log}
	h.ctx, h.cancel = context.WithCancel(context.Background())
	t.Cleanup(func() {
		h.cancel()
		if err := b.Close(context.Background()); err != nil {
			t.Fatal(err)
		}
	})
	return h
}

// open makes the house listen by WebSocket and TCP, with its own settings of STOMP.
func (h *house) open(t testing.TB, sc stomp.Config) running {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	st, err := stomp.New(h.broker, sc, h.log)
	must(err)
	mt, err := mqtt.New(h.broker, mqtt.DefaultConfig(), h.log)
	must(err)
	mux, err := core.NewMux(h.log, st, mt)
	must(err)
	serve := func(tr core.Transport) string {
		a, err := tr.Listen(h.ctx)
		must(err)
		done := make(chan error, 1)
		go func() { done <- tr.Serve(h.ctx, mux) }()
		t.Cleanup(func() {
			h.cancel()
			must(<-done)
		})
		return a.String()
	}
	wc := websocket.DefaultConfig()
	wc.URI = "ws://127.0.0.1:0"
	w, err := websocket.New("websocket", wc, h.log)
	must(err)
	tc := tcp.DefaultConfig()
	tc.URI = "tcp://127.0.0.1:0"
	st1, err := tcp.New("stomp", tc, h.log)
	must(err)
	mq, err := tcp.New("mqtt", tc, h.log)
	must(err)
	return running{"ws://" + serve(w), "tcp://" + serve(st1), "tcp://" + serve(mq), h.broker}
}
