package mqtt

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"runtime/debug"

	mochi "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"

	"github.com/wyemq/wye/core"
)

// Protocol serves MQTT connections.
type Protocol struct {
	broker *core.Broker
	cfg    Config
	log    *slog.Logger
	srv    *mochi.Server
}

var (
	_ core.Protocol = (*Protocol)(nil)
	_ core.Sniffer  = (*Protocol)(nil)
	_ core.Pather   = (*Protocol)(nil)
	_ core.Runner   = (*Protocol)(nil)
)

// readBuffer is mochi's own read buffer: packet heads. The transport reads ahead.
const readBuffer = 128

// New returns the protocol over b. A nil log logs nothing.
func New(b *core.Broker, cfg Config, log *slog.Logger) (*Protocol, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	capabilities := mochi.NewDefaultServerCapabilities()
	capabilities.MaximumClientWritesPending = 1 // the channel is not used
	capabilities.MaximumPacketSize = uint32(cfg.MaxPacketSize)
	capabilities.MaximumMessageExpiryInterval = 0
	capabilities.TopicAliasMaximum = uint16(cfg.TopicAliasMaximum)
	capabilities.ReceiveMaximum = uint16(cfg.ReceiveMaximum)
	capabilities.Compatibilities.NoInheritedPropertiesOnAck = true
	srv := mochi.New(&mochi.Options{
		Capabilities:             capabilities,
		ClientNetReadBufferSize:  readBuffer,
		ClientNetWriteBufferSize: readBuffer,
		Logger:                   slog.New(slog.DiscardHandler), // it logs whole packets, payloads included
	})
	p := &Protocol{broker: b, cfg: cfg, log: log.With("protocol", "mqtt"), srv: srv}
	if err := srv.AddHook(&hooks{p: p}, nil); err != nil {
		return nil, fmt.Errorf("mqtt: %w", err)
	}
	return p, nil
}

// Name returns "mqtt".
func (*Protocol) Name() string { return "mqtt" }

// Subprotocols lists the tokens: mqttv3.1 is what MQTT 3.1 clients offer.
func (*Protocol) Subprotocols() []string { return []string{"mqtt", "mqttv3.1"} }

// Paths lists the customary path.
func (*Protocol) Paths() []string { return []string{"/mqtt"} }

// Sniff knows a CONNECT packet by its type and the protocol name in it.
func (*Protocol) Sniff(prefix []byte) core.Verdict {
	if len(prefix) == 0 {
		return core.More
	}
	if prefix[0] != 0x10 {
		return core.No
	}
	i := 1
	for ; i < len(prefix) && i <= 4; i++ {
		if prefix[i] < 0x80 {
			break
		}
	}
	rest := prefix[min(i+1, len(prefix)):]
	for _, name := range []string{"\x00\x04MQTT", "\x00\x06MQIsdp"} {
		if len(rest) >= len(name) && string(rest[:len(name)]) == name {
			return core.Yes
		}
		if len(rest) < len(name) && name[:len(rest)] == string(rest) {
			return core.More
		}
	}
	return core.No
}

// ServeConn serves one client until it leaves.
func (p *Protocol) ServeConn(ctx context.Context, c core.Conn) error {
	cl := newClient(ctx, p, c)
	defer cl.end()
	err := cl.why(p.establish(cl))
	cl.goodbye(err) //nolint:contextcheck // the connection's own, without its end
	return err
}

// establish runs mochi on the connection. What it panics about while it decodes is a malformed packet
// (a SUBSCRIBE without options does it); a panic of our own goes on to the Mux.
func (p *Protocol) establish(cl *client) (err error) {
	defer func() {
		if r := recover(); r != nil {
			if cl.ours {
				panic(r)
			}
			p.log.Debug("malformed packet", "conn", cl.conn.Info().ID, "panic", r, "stack", string(debug.Stack()))
			err = packets.ErrMalformedPacket
		}
		if cl.mochi != nil {
			p.srv.Clients.Delete(cl.mochi.ID)
		}
	}()
	return p.srv.EstablishConnection("wye", &link{Conn: core.Stream(cl.conn, core.Binary), cl: cl})
}

// why turns how mochi ended into the reason the connection ends with.
func (cl *client) why(err error) error {
	var code packets.Code
	switch {
	case cl.reason != nil:
		return cl.reason
	case cl.left:
		return nil
	case cl.readErr != nil:
		if errors.Is(cl.readErr, os.ErrDeadlineExceeded) {
			return fmt.Errorf("keep-alive of %s: %w", cl.keepAlive, core.ErrHeartbeat)
		}
		return cl.readErr
	case errors.Is(err, packets.ErrPacketTooLarge):
		return fmt.Errorf("packet of more than %d bytes: %w", cl.p.cfg.MaxPacketSize, core.ErrTooBig)
	case errors.As(err, &code):
		cl.code = code.Code
		return fmt.Errorf("%s: %w", code.Reason, core.ErrInvalid)
	case err != nil:
		return fmt.Errorf("%w: %w", core.ErrInvalid, err)
	}
	return nil
}
