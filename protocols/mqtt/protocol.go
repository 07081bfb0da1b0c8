package mqtt

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"strconv"
	"sync/atomic"

	mochi "github.com/mochi-mqtt/server/v2"

	"github.com/wyemq/wye/core"
)

// Protocol speaks MQTT. Make it with New.
type Protocol struct {
	broker *core.Broker
	cfg    Config
	log    *slog.Logger
	server *mochi.Server
	conns  atomic.Uint64
}

var (
	_ core.Protocol = (*Protocol)(nil)
	_ core.Sniffer  = (*Protocol)(nil)
	_ core.Pather   = (*Protocol)(nil)
	_ core.Runner   = (*Protocol)(nil)
)

// New returns the protocol for clients of b.
func New(b *core.Broker, cfg Config, log *slog.Logger) (*Protocol, error) {
	if b == nil {
		return nil, errors.New("mqtt: no broker")
	}
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	p := &Protocol{broker: b, cfg: cfg, log: log.With("protocol", "mqtt")}
	caps := mochi.NewDefaultServerCapabilities()
	caps.MaximumClients = math.MaxInt64
	caps.MaximumClientWritesPending = 1 // nothing is sent by mochi's own queue
	caps.MaximumMessageExpiryInterval = 0
	caps.MaximumPacketSize = 0 // frame.go has looked at it
	caps.ReceiveMaximum = math.MaxUint16
	caps.TopicAliasMaximum = 0 // publish.go has the aliases
	caps.MinimumProtocolVersion = 3
	p.server = mochi.New(&mochi.Options{
		Capabilities: caps,
		// Nothing of what mochi logs is for an operator, and it logs whole packets.
		Logger: slog.New(slog.DiscardHandler),
		// The smallest there is: frames has the buffer.
		ClientNetReadBufferSize: 16,
	})
	if err := p.server.AddHook(&hook{}, nil); err != nil {
		return nil, fmt.Errorf("mqtt: %w", err)
	}
	return p, nil
}

// Name implements core.Protocol.
func (*Protocol) Name() string { return "mqtt" }

// Subprotocols implements core.Protocol. mqttv3.1 is what clients of version 3.1 offer; which version is spoken is CONNECT's to
// say.
func (*Protocol) Subprotocols() []string { return []string{"mqtt", "mqttv3.1"} }

// Paths implements core.Pather.
func (*Protocol) Paths() []string { return []string{"/mqtt"} }

// Sniff implements core.Sniffer: a CONNECT packet, with the protocol names of 3.1 and of the later versions.
func (*Protocol) Sniff(prefix []byte) core.Verdict {
	if len(prefix) == 0 {
		return core.More
	}
	if prefix[0] != 0x10 {
		return core.No
	}
	i := 1
	for ; i < len(prefix) && prefix[i] >= 0x80; i++ {
		if i == 4 {
			return core.No
		}
	}
	if i >= len(prefix) {
		return core.More
	}
	have := prefix[i+1:]
	for _, name := range []string{"\x00\x04MQTT", "\x00\x06MQIsdp"} {
		n := min(len(have), len(name))
		if string(have[:n]) != name[:n] {
			continue
		}
		if n == len(name) {
			return core.Yes
		}
		return core.More
	}
	return core.No
}

// ServeConn implements core.Protocol.
func (p *Protocol) ServeConn(ctx context.Context, c core.Conn) error {
	pe := newPeer(ctx, p, c, "c"+strconv.FormatUint(p.conns.Add(1), 10))
	err := pe.establish()
	return pe.finish(err)
}
