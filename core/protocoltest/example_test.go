package protocoltest_test

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/wyemq/wye/core"
	"github.com/wyemq/wye/core/protocoltest"
)

// shout is not much of a protocol, but a ServeConn.
type shout struct{}

func (shout) ServeConn(_ context.Context, c core.Conn) error {
	for {
		_, r, err := c.NextReader()
		if err != nil {
			return err
		}
		msg, err := io.ReadAll(r)
		if err != nil {
			return err
		}
		if err := c.WriteMessage(core.Text, msg, []byte("!")); err != nil {
			return err
		}
		if err := c.Flush(); err != nil {
			return err
		}
	}
}

// The client's end of a pipe sees what a client of a real transport sees.
func ExampleServe() {
	ctx, cancel := context.WithCancel(context.Background())
	peer := protocoltest.Serve(ctx, shout{}, protocoltest.PipeOptions{})
	_ = peer.Send(core.Text, []byte("hello"))
	_, msg, err := peer.Receive(time.Second)
	fmt.Printf("%s %v\n", msg, err)
	cancel()
	code, err, _ := peer.Closed(time.Second)
	fmt.Println(code, err)
	// Output:
	// hello! <nil>
	// 1012 the server is shutting down
}
