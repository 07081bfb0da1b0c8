package peer_test

import (
	"context"
	"fmt"

	"github.com/wyemq/wye/cmd/internal/peer"
)

// A target says how a broker is reached and what is spoken there; Dial connects to it and logs in.
func ExampleParse() {
	t, err := peer.Parse("wss://joe:secret@broker.example.com/ws", peer.STOMP)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(t.Protocol, t.Transport(), t.Addr, t.Path, t.User)

	receive := func(ctx context.Context, filter string) error {
		c, err := peer.Dial(ctx, t, peer.Login{ClientID: "joe"})
		if err != nil {
			return err
		}
		defer c.Leave()
		show := func(p *peer.Packet) error {
			if p.Kind == peer.Message {
				fmt.Println(p.Destination(), len(p.Body))
			}
			return nil
		}
		if err := c.Subscribe(peer.Subscription{ID: "0", Filter: filter}, show); err != nil {
			return err
		}
		for {
			if err := c.ReadBatch(show); err != nil {
				return err
			}
		}
	}
	_ = receive
	// Output: stomp wss broker.example.com:443 /ws joe
}
