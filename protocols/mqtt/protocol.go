package mqtt

import (
	"context"
	"errors"
	"hash/maphash"
	"log/slog"

	"github.com/wyemq/wye/core"
)

// Protocol speaks MQTT. Make it with New.
type Protocol struct {
	broker *core.Broker
	cfg    Config
	log    *slog.Logger
	seed   maphash.Seed
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
	return &Protocol{broker: b, cfg: cfg, log: log.With("protocol", "mqtt"), seed: maphash.MakeSeed()}, nil
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
	pe := newPeer(ctx, p, c)
	core.MayRest(c, pe.run)
	pe.in.wait = p.cfg.ConnectTimeout
	return pe.run()
}
