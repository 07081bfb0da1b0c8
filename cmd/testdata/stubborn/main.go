// Command stubborn is wye with a protocol whose connections never end, for tests of the shutdown.
package main

import (
	"context"

	wyecmd "github.com/wyemq/wye/cmd"
	"github.com/wyemq/wye/core"
	"github.com/wyemq/wye/core/corefx"
)

func main() {
	wyecmd.Main(corefx.Protocol(func() protocol { return protocol{} }))
}

type protocol struct{}

func (protocol) Name() string           { return "stubborn" }
func (protocol) Subprotocols() []string { return nil }

func (protocol) ServeConn(_ context.Context, c core.Conn) error {
	if err := c.WriteMessage(core.Binary, []byte("hello\n")); err != nil {
		return err
	}
	if err := c.Flush(); err != nil {
		return err
	}
	select {}
}
