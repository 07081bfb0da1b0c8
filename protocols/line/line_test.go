package line_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/wyemq/wye/core"
	"github.com/wyemq/wye/core/protocoltest"
	"github.com/wyemq/wye/protocols/line"
)

type client struct{ *protocoltest.Peer }

func (c client) Connect(protocoltest.Login) error { return nil }
func (c client) Subscribe(filter string) error    { return c.Send(core.Text, []byte("SUB "+filter)) }

func (c client) Publish(dest string, body []byte) error {
	return c.Send(core.Text, []byte("PUB "+dest+" "), body)
}

func (c client) Receive(timeout time.Duration) (protocoltest.Delivery, error) {
	_, msg, err := c.Peer.Receive(timeout)
	dest, body, _ := strings.Cut(string(msg), " ")
	if dest == "ERR" {
		err = errors.New(body)
	}
	return protocoltest.Delivery{Destination: dest, Body: []byte(body)}, err
}

func suite() protocoltest.Suite {
	return protocoltest.Suite{
		New:    func(b *core.Broker) core.Protocol { return line.New(b) },
		Client: func(_ testing.TB, p *protocoltest.Peer) protocoltest.Client { return client{p} },
		Bodies: [][]byte{nil, []byte("hello"), []byte("two words")},
		Missing: map[protocoltest.Capability]string{
			protocoltest.Credentials:    "there is no login",
			protocoltest.ClientIDs:      "there is no login",
			protocoltest.Headers:        "a message is destination and body",
			protocoltest.Acks:           "subscriptions are at most once",
			protocoltest.Redelivered:    "subscriptions are at most once",
			protocoltest.Confirms:       "nothing is answered but errors",
			protocoltest.Disconnect:     "clients close the connection",
			protocoltest.SplitFrames:    "a message is a line",
			protocoltest.SharedMessages: "a message is a line",
		},
	}
}

func TestProtocol(t *testing.T) { protocoltest.Test(t, suite()) }

func FuzzProtocol(f *testing.F) { protocoltest.Fuzz(f, suite()) }
