package stomp_test

import (
	"bytes"
	"context"
	"fmt"
	"net"

	"github.com/wyemq/wye/core"
	"github.com/wyemq/wye/core/engine/memory"
	"github.com/wyemq/wye/protocols/stomp"
)

func Example() {
	broker, err := core.NewBroker(core.Options{Engine: memory.New()})
	if err != nil {
		fmt.Println(err)
		return
	}
	cfg := stomp.DefaultConfig()
	cfg.Dialect = stomp.Slash
	p, err := stomp.New(broker, cfg, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	here := &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)}
	conn := newConn(ctx, core.ConnInfo{Local: here, Remote: here}) // a transport makes these
	conn.in <- []byte("CONNECT\naccept-version:1.2\n\n\x00")
	conn.in <- []byte("SUBSCRIBE\nid:1\ndestination:/topic/**\nreceipt:r\n\n\x00")
	conn.in <- []byte("DISCONNECT\n\n\x00")
	if err := p.ServeConn(ctx, conn); err != nil {
		fmt.Println(err)
	}
	for m, ok := conn.take(); ok; m, ok = conn.take() {
		command, _, _ := bytes.Cut(m.data, []byte("\n"))
		fmt.Println(string(command))
	}
	cancel()
	if err := broker.Close(context.Background()); err != nil {
		fmt.Println(err)
	}
	// Output:
	// CONNECTED
	// RECEIPT
}
