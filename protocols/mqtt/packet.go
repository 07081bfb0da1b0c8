package mqtt

import (
	"bytes"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"

	"github.com/mochi-mqtt/server/v2/packets"

	"github.com/wyemq/wye/core"
)

// decoded are packets to decode into.
var decoded = sync.Pool{New: func() any { return new(packets.Packet) }}

// run serves until the connection ends or rests, and is called again when it has rested.
func (p *peer) run() error {
	err := p.serve()
	if errors.Is(err, core.ErrResting) {
		return err
	}
	return p.finish(err)
}

// serve works packets off until the connection ends or rests.
func (p *peer) serve() error {
	for !p.left {
		b, header, err := p.in.next()
		if err != nil {
			return err
		}
		if err := p.packet(b, header); err != nil {
			return err
		}
	}
	return nil
}

// packet works one packet off. What is wrong with it ends the connection, as does a panic, but this connection only.
func (p *peer) packet(b []byte, header int) (err error) {
	defer p.contain(&err)
	kind := b[0] >> 4
	if p.version == 0 {
		p.in.hello = false
		if f := p.checkVersion(b[header:]); f != nil {
			return f
		}
	}
	if kind == packets.Publish {
		if ok, f := p.plainPublish(b, header); f != nil {
			return f
		} else if ok {
			return nil
		}
	}
	if f := inspect(p.version, b, header); f != nil {
		return f
	}
	pk, _ := decoded.Get().(*packets.Packet)
	defer decoded.Put(pk)
	if err := decode(pk, p.version, b, header); err != nil {
		return err
	}
	if f := p.act(kind, pk); f != nil {
		return f
	}
	return nil
}

// decode decodes one packet with mochi's codec, on a copy of what messages and subscriptions keep of it.
func decode(pk *packets.Packet, version byte, b []byte, header int) error {
	*pk = packets.Packet{ProtocolVersion: version}
	if err := pk.FixedHeader.Decode(b[0]); err != nil {
		return err
	}
	body := b[header:]
	pk.FixedHeader.Remaining = len(body)
	switch pk.FixedHeader.Type {
	case packets.Puback:
		return pk.PubackDecode(body)
	case packets.Pubrec:
		return pk.PubrecDecode(body)
	case packets.Pubrel:
		return pk.PubrelDecode(body)
	case packets.Pubcomp:
		return pk.PubcompDecode(body)
	case packets.Pingreq:
		return nil
	}
	body = bytes.Clone(body)
	switch pk.FixedHeader.Type {
	case packets.Connect:
		return pk.ConnectDecode(body)
	case packets.Publish:
		return pk.PublishDecode(body)
	case packets.Subscribe:
		return pk.SubscribeDecode(body)
	case packets.Unsubscribe:
		return pk.UnsubscribeDecode(body)
	case packets.Disconnect:
		if version == 5 && len(body) == 1 { // a reason without properties, section 3.14.2.2.1: mochi overlooks it
			pk.ReasonCode = body[0]
			return nil
		}
		return pk.DisconnectDecode(body)
	case packets.Auth:
		return pk.AuthDecode(body)
	default: // inspect lets nothing else pass
		return failure(codeProtocol, "a packet that only a server sends")
	}
}

// act does what a packet asks for.
func (p *peer) act(kind byte, pk *packets.Packet) *fault {
	if !p.connected {
		return p.open(pk)
	}
	if kind != packets.Publish {
		p.release() // it may have to wait for the disk
	}
	switch kind {
	case packets.Connect: // [MQTT-3.1.0-2]
		return failure(codeProtocol, "a second CONNECT")
	case packets.Pingreq:
		return p.answerPing()
	case packets.Publish:
		return p.publish(pk)
	case packets.Puback:
		p.puback(pk)
	case packets.Pubrec:
		return p.pubrec(pk)
	case packets.Pubrel:
		return p.pubrel(pk)
	case packets.Pubcomp:
		p.pubcomp(pk)
	case packets.Subscribe:
		return p.subscribe(pk)
	case packets.Unsubscribe:
		return p.unsubscribe(pk)
	case packets.Auth:
		return p.reauthenticate(pk)
	case packets.Disconnect:
		if f := p.disconnect(pk); f != nil {
			return f
		}
		p.left = true
	}
	return nil
}

// pingresp is the answer to PINGREQ.
var pingresp = []byte{packets.Pingresp << 4, 0}

func (p *peer) answerPing() *fault {
	if err := p.write(pingresp); err != nil {
		return &fault{codeQuota, "write: " + reasonText(err), err}
	}
	return nil
}

// contain, deferred, turns a panic into an error that ends the connection.
func (p *peer) contain(err *error) {
	if r := recover(); r != nil {
		info := p.c.Info()
		remote := ""
		if info.Remote != nil {
			remote = info.Remote.String()
		}
		p.proto.log.Error("panic while serving a connection", "conn", info.ID, "remote", remote, "panic", r, "stack", string(debug.Stack()))
		*err = &fault{codeImplementation, undisclosedReason, core.ErrInternal}
	}
}

// write sends whole packets. What the reader of the connection writes is flushed before it waits for more.
func (p *peer) write(parts ...[]byte) error {
	p.dirty = true
	return p.say(parts...)
}

// say writes whole packets. Any goroutine may. To a peer that has gone nothing can be said, but what it has sent before
// counts, its DISCONNECT above all.
func (p *peer) say(parts ...[]byte) error {
	if err := p.c.WriteMessage(core.Binary, parts...); err != nil && !errors.Is(err, core.ErrGone) {
		return err
	}
	return nil
}

// idle is called before the connection waits for more bytes: the time to settle what was acknowledged, to let go what
// was published, and to send what was answered.
func (p *peer) idle() error {
	p.settleAcked()
	p.release()
	if p.dirty || p.answered.Swap(false) {
		p.dirty = false
		if err := p.c.Flush(); err != nil && !errors.Is(err, core.ErrGone) {
			return fmt.Errorf("flush: %w", err)
		}
	}
	if n := p.in.held(); n != p.holding && p.session != nil {
		p.holding = n
		return p.session.Held(p.ctx, n)
	}
	return nil
}

// release lets the receivers of what was published have it.
func (p *peer) release() {
	if p.session != nil {
		p.session.Release()
	}
}

// lost reports whether err says that nobody is there any more.
func lost(err error) bool {
	return err != nil && !errors.As(err, new(*core.Reason)) && faultOf(err) == nil
}
