package mqtt

import (
	"errors"
	"time"

	mochi "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"

	"github.com/wyemq/wye/core"
)

// hooks is what mochi calls.
type hooks struct {
	mochi.HookBase
	p *Protocol
}

// ID names the hook to mochi.
func (*hooks) ID() string { return "wye" }

// Provides tells mochi which hooks to call.
func (*hooks) Provides(b byte) bool {
	switch b {
	case mochi.OnConnect, mochi.OnConnectAuthenticate, mochi.OnPacketRead, mochi.OnPacketEncode, mochi.OnSessionEstablished:
		return true
	}
	return false
}

func clientOf(m *mochi.Client) *client {
	l, ok := m.Net.Conn.(*link)
	if !ok {
		return nil
	}
	return l.cl
}

// OnConnect logs the client in. After an error mochi says nothing, so the CONNACK is sent here.
func (h *hooks) OnConnect(m *mochi.Client, pk packets.Packet) error {
	cl := clientOf(m)
	cl.ours = true
	defer func() { cl.ours = false }()
	cl.mochi, cl.version = m, pk.ProtocolVersion
	code, err := cl.login(pk)
	if err != nil {
		cl.reason = err
		_ = h.p.srv.SendConnack(m, packets.Code{Code: code, Reason: err.Error()}, false, nil)
		return err
	}
	// What mochi would do with these is done by the core, or by us.
	m.ID = cl.conn.Info().ID
	m.Properties.Will = mochi.Will{}
	m.Properties.Props.ReceiveMaximum = 0
	m.Properties.Props.TopicAliasMaximum = 0
	m.State.Inflight.ResetSendQuota(0)
	m.State.TopicAliases.Outbound = mochi.NewOutboundTopicAliases(0)
	return nil
}

// OnConnectAuthenticate agrees: OnConnect has asked the core.
func (*hooks) OnConnectAuthenticate(*mochi.Client, packets.Packet) bool { return true }

// OnPacketEncode has the last word on CONNACK; mochi writes nothing else that has properties.
func (h *hooks) OnPacketEncode(m *mochi.Client, pk packets.Packet) packets.Packet {
	cl := clientOf(m)
	if cl == nil {
		return pk
	}
	switch pk.FixedHeader.Type {
	case packets.Connack:
		cl.connack(&pk)
	case packets.Disconnect:
		cl.toldWhy = true
	}
	return pk
}

// OnSessionEstablished comes after CONNACK.
func (*hooks) OnSessionEstablished(m *mochi.Client, _ packets.Packet) {
	cl := clientOf(m)
	cl.ours = true
	defer func() { cl.ours = false }()
	cl.conn.LoggedIn()
	cl.resume()
}

// ignored is a packet that mochi passes over: an acknowledgement of what it does not know.
var ignored = packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Puback}}

// OnPacketRead takes packets over before mochi processes them.
func (*hooks) OnPacketRead(m *mochi.Client, pk packets.Packet) (packets.Packet, error) {
	cl := clientOf(m)
	if cl.session == nil {
		return pk, nil // CONNECT
	}
	cl.ours = true
	defer func() { cl.ours = false }()
	var err error
	switch pk.FixedHeader.Type {
	case packets.Publish:
		err = cl.onPublish(&pk)
	case packets.Puback:
		cl.onPuback(pk.PacketID, pk.ReasonCode)
	case packets.Pubrec:
		err = cl.onPubrec(pk.PacketID, pk.ReasonCode)
	case packets.Pubrel:
		err = cl.onPubrel(pk.PacketID)
	case packets.Pubcomp:
		cl.onPubcomp(pk.PacketID)
	case packets.Subscribe:
		err = cl.onSubscribe(&pk)
	case packets.Unsubscribe:
		err = cl.onUnsubscribe(&pk)
	case packets.Disconnect:
		err = cl.onDisconnect(&pk)
	case packets.Auth:
		err = cl.refuse(codeProtocolError, errors.New("re-authentication is not supported"))
	case packets.Pingreq:
		return pk, nil
	default:
		err = cl.refuse(codeProtocolError, errors.New("unexpected packet"))
	}
	if err != nil {
		return pk, packets.ErrRejectPacket // mochi ends the connection
	}
	return ignored, nil
}

// onDisconnect is the client's goodbye.
func (cl *client) onDisconnect(pk *packets.Packet) error {
	if pk.Properties.SessionExpiryIntervalFlag && cl.version == 5 {
		if pk.Properties.SessionExpiryInterval > 0 && !cl.expires {
			return cl.refuse(codeProtocolError, errors.New("a session that ends with its connection cannot be prolonged [MQTT-3.14.2-2]"))
		}
		cl.session.SetExpiry(expiryOf(pk.Properties.SessionExpiryInterval))
	}
	if pk.ReasonCode != 0x04 { // disconnect with will message
		cl.session.DropWill()
	}
	cl.left = true
	return core.ErrClosed
}

// expiryOf reads a Session Expiry Interval; the core bounds it.
func expiryOf(seconds uint32) time.Duration { return time.Duration(seconds) * time.Second }
