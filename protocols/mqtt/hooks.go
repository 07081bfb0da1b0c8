package mqtt

import (
	mochi "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"
)

// hook is what mochi calls. It has no state: that of a connection is found through its netConn.
type hook struct{ mochi.HookBase }

// ID implements mochi.Hook.
func (*hook) ID() string { return "wye" }

// Provides implements mochi.Hook.
func (*hook) Provides(b byte) bool {
	switch b {
	case mochi.OnPacketRead, mochi.OnConnect, mochi.OnConnectAuthenticate, mochi.OnPacketEncode, mochi.OnSessionEstablished:
		return true
	}
	return false
}

func peerOf(cl *mochi.Client) *peer {
	n, _ := cl.Net.Conn.(*netConn)
	return n.p
}

// ignored is a packet that mochi does nothing about: the acknowledgement of an identifier that is none.
var ignored = packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Puback}}

// OnPacketRead implements mochi.Hook. Only CONNECT, without what is not mochi's business, and PINGREQ go on to mochi.
func (*hook) OnPacketRead(cl *mochi.Client, pk packets.Packet) (packets.Packet, error) {
	p := peerOf(cl)
	var f *fault
	switch pk.FixedHeader.Type {
	case packets.Connect:
		f = p.readConnect(&pk)
	case packets.Pingreq:
	case packets.Publish:
		f = p.publish(&pk)
		pk = ignored
	case packets.Puback:
		p.puback(&pk)
		pk = ignored
	case packets.Pubrec:
		f = p.pubrec(&pk)
		pk = ignored
	case packets.Pubrel:
		f = p.pubrel(&pk)
		pk = ignored
	case packets.Pubcomp:
		p.pubcomp(&pk)
		pk = ignored
	case packets.Subscribe:
		f = p.subscribe(&pk)
		pk = ignored
	case packets.Unsubscribe:
		f = p.unsubscribe(&pk)
		pk = ignored
	case packets.Auth:
		f = p.reauthenticate(&pk)
		pk = ignored
	case packets.Disconnect:
		f = p.disconnect(&pk)
		if f == nil {
			p.left = true
			return pk, packets.ErrRejectPacket
		}
	}
	if f != nil {
		p.fault = f
		return pk, packets.ErrRejectPacket // the one error that ends the connection
	}
	return pk, nil
}

// OnConnect implements mochi.Hook: the login. What it refuses is answered in finish.
func (*hook) OnConnect(cl *mochi.Client, _ packets.Packet) error {
	p := peerOf(cl)
	if f := p.login(); f != nil {
		p.fault = f
		return packets.ErrRejectPacket
	}
	return nil
}

// OnConnectAuthenticate implements mochi.Hook. OnConnect has logged in.
func (*hook) OnConnectAuthenticate(*mochi.Client, packets.Packet) bool { return true }

// OnPacketEncode implements mochi.Hook: what CONNACK says is ours.
func (*hook) OnPacketEncode(cl *mochi.Client, pk packets.Packet) packets.Packet {
	if pk.FixedHeader.Type != packets.Connack {
		return pk
	}
	p := peerOf(cl)
	if p.session == nil { // a refusal of mochi's, that finish words for the version
		p.nc.mute = true
		return pk
	}
	p.connack(&pk)
	return pk
}

// OnSessionEstablished implements mochi.Hook: CONNACK is written.
func (*hook) OnSessionEstablished(cl *mochi.Client, _ packets.Packet) { peerOf(cl).begin() }
