package line_test

import (
	"context"
	"fmt"
	"time"

	"github.com/wyemq/wye/core"
	"github.com/wyemq/wye/core/engine/memory"
	"github.com/wyemq/wye/core/protocoltest"
	"github.com/wyemq/wye/protocols/line"
)

func Example() {
	ctx := context.Background()
	broker, err := core.NewBroker(core.Options{Engine: memory.New()})
	if err != nil {
		fmt.Println(err)
		return
	}
	peer := protocoltest.Serve(ctx, line.New(broker), protocoltest.PipeOptions{Subprotocol: "line"})
	send := func(msg string) { _ = peer.Send(core.Text, []byte(msg)) }
	receive := func() {
		_, msg, _ := peer.Receive(time.Second)
		fmt.Printf("%s\n", msg)
	}
	send("SUB topic/rooms/+")
	send("PUB topic/rooms/hall 21.5 °C")
	receive()
	send("HELP")
	receive()
	code, _, _ := peer.Closed(time.Second)
	fmt.Println("closed with", code)
	_ = broker.Close(ctx)
	// Output:
	// topic/rooms/hall 21.5 °C
	// ERR protocol_error verb "HELP": protocol error
	// closed with 1002
}
