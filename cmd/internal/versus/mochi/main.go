// Command mochi is a stock mochi server on a WebSocket: every option as it comes, everybody may log in.
// It is one of the brokers wye is compared with.
//
//	mochi 127.0.0.1:9001
package main

import (
	"fmt"
	"os"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/listeners"
	"github.com/mochi-mqtt/server/v2/packets"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: mochi host:port")
		os.Exit(2)
	}
	fmt.Fprintln(os.Stderr, "mochi:", serve(os.Args[1]))
	os.Exit(1)
}

// serve serves until the process is killed, or something is wrong.
func serve(addr string) error {
	s := mqtt.New(nil)
	if err := s.AddHook(new(everybody), nil); err != nil {
		return err
	}
	if err := s.AddListener(listeners.NewWebsocket(listeners.Config{ID: "ws", Address: addr})); err != nil {
		return err
	}
	if err := s.Serve(); err != nil {
		return err
	}
	select {}
}

// everybody lets everybody in, as mochi's AllowHook does, whose package would bring a parser of YAML along.
type everybody struct{ mqtt.HookBase }

func (*everybody) ID() string { return "everybody" }

func (*everybody) Provides(b byte) bool {
	return b == mqtt.OnConnectAuthenticate || b == mqtt.OnACLCheck
}

func (*everybody) OnConnectAuthenticate(*mqtt.Client, packets.Packet) bool { return true }

func (*everybody) OnACLCheck(*mqtt.Client, string, bool) bool { return true }
