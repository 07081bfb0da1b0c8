package stomp

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"sync"

	"github.com/wyemq/wye/core"
	"github.com/wyemq/wye/protocols/stomp/frame"
)

// Protocol serves STOMP connections.
type Protocol struct {
	broker  *core.Broker
	cfg     Config
	log     *slog.Logger
	reads   sync.Pool // *[readSize]byte, held only while a client sends much at once
	replies sync.Pool // *reply
}

var (
	_ core.Protocol = (*Protocol)(nil)
	_ core.Sniffer  = (*Protocol)(nil)
	_ core.Pather   = (*Protocol)(nil)
)

// New returns the protocol over b. A nil log logs nothing.
func New(b *core.Broker, cfg Config, log *slog.Logger) (*Protocol, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Protocol{broker: b, cfg: cfg, log: log.With("protocol", "stomp")}, nil
}

// Name returns "stomp".
func (*Protocol) Name() string { return "stomp" }

// Subprotocols lists the registered tokens and "stomp", which older clients offer. The version is
// negotiated by CONNECT all the same.
func (*Protocol) Subprotocols() []string {
	return []string{"v12.stomp", "v11.stomp", "v10.stomp", "stomp"}
}

// Paths lists the customary paths.
func (*Protocol) Paths() []string { return []string{"/stomp", "/ws"} }

// Sniff knows a connection by its first command, CONNECT or not: who sends another one first
// is to get a STOMP answer.
func (*Protocol) Sniff(prefix []byte) core.Verdict {
	text := bytes.TrimLeft(prefix, "\r\n")
	if len(text) == 0 {
		return core.More
	}
	for _, command := range []string{
		frame.Connect, frame.Stomp, frame.Send, frame.Subscribe, frame.Unsubscribe, frame.Ack, frame.Nack,
		frame.Begin, frame.Commit, frame.Abort, frame.Disconnect,
	} {
		if len(text) <= len(command) {
			if strings.HasPrefix(command, string(text)) {
				return core.More
			}
			continue
		}
		// CONNECT is a method of HTTP, too, followed by a blank.
		if strings.HasPrefix(string(text), command) && (text[len(command)] == '\n' || text[len(command)] == '\r') {
			return core.Yes
		}
	}
	return core.No
}

// ServeConn serves one client until it leaves.
func (p *Protocol) ServeConn(ctx context.Context, c core.Conn) error {
	s := newSession(ctx, p, c)
	core.MayRest(c, s.run)
	return s.run()
}
