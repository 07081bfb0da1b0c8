package websocket_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"

	"github.com/wyemq/wye/core"
	"github.com/wyemq/wye/transports/websocket"
)

// shout is a core.Handler; in the broker it is the core.Mux.
type shout struct{}

func (shout) Subprotocols() []string                 { return []string{"shout"} }
func (shout) Select(offered []string) (string, bool) { return offered[0], offered[0] == "shout" }
func (shout) ServeConn(_ context.Context, c core.Conn) error {
	_, r, err := c.NextReader()
	if err != nil {
		return err
	}
	b, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	return c.WriteMessage(core.Text, b, []byte("!")) // what is written leaves before the close
}

// A transport has a listener of its own. The port is 0 here: any that is free.
func Example() {
	cfg := websocket.DefaultConfig()
	cfg.URI = "ws://127.0.0.1:0"
	tr, err := websocket.New("example", cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		fmt.Println(err)
		return
	}
	addr, err := tr.Listen(context.Background())
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	done := make(chan error)
	go func() { done <- tr.Serve(ctx, shout{}) }()

	resp, err := http.Get("http://" + addr.String())
	if err != nil {
		fmt.Println(err)
		return
	}
	_ = resp.Body.Close()
	http.DefaultClient.CloseIdleConnections()
	fmt.Println("without an upgrade:", resp.Status)

	stop()
	fmt.Println("at the end:", <-done)
	// Output:
	// without an upgrade: 426 Upgrade Required
	// at the end: <nil>
}

// An application can serve the protocols in its own HTTP server, on any path.
func ExampleHandler() {
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	handler, wait, err := websocket.Handler(ctx, websocket.DefaultConfig(), shout{}, slog.New(slog.DiscardHandler))
	if err != nil {
		fmt.Println(err)
		return
	}
	mux := http.NewServeMux()
	mux.Handle("/messages", handler)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	srv := &http.Server{Handler: mux}
	done := make(chan error)
	go func() { done <- srv.Serve(l) }()

	_ = srv.Close()
	stop()
	wait()
	fmt.Println(<-done)
	// Output: http: Server closed
}
