package tcp_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"

	"github.com/wyemq/wye/transports/tcp"
)

func Example() {
	cfg := tcp.DefaultConfig()
	cfg.URI = "tcp://127.0.0.1:0"
	tr, err := tcp.New("example", cfg, slog.New(slog.DiscardHandler))
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
	go func() { done <- tr.Serve(ctx, echo{}) }() // in the broker: a core.Mux

	nc, err := net.Dial("tcp", addr.String())
	if err != nil {
		fmt.Println(err)
		return
	}
	_, _ = io.WriteString(nc, "hello")
	answer := make([]byte, 5)
	_, err = io.ReadFull(nc, answer)
	fmt.Println(string(answer), err)
	_ = nc.Close()

	stop()
	fmt.Println(<-done)
	// Output:
	// hello <nil>
	// <nil>
}
