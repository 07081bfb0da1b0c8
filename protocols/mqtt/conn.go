package mqtt

import (
	"errors"
	"fmt"
	"net"
	"runtime/debug"
	"time"

	"github.com/wyemq/wye/core"
)

// netConn is what mochi takes for its network connection: reads give it one whole packet at a time, that has been inspected; what
// it writes is whole packets. Its deadlines and its Close do not reach the Conn, which is ours to close.
type netConn struct {
	p      *peer
	rest   []byte // of the packet that is being read
	err    error
	closed bool
	mute   bool // what mochi writes next is not for the client
}

var _ net.Conn = (*netConn)(nil)

// Read implements net.Conn.
func (n *netConn) Read(b []byte) (int, error) {
	switch {
	case n.closed:
		return 0, net.ErrClosed
	case n.err != nil:
		return 0, n.err
	}
	if len(n.rest) == 0 {
		if n.rest, n.err = n.p.receive(); n.err != nil {
			return 0, n.err
		}
	}
	k := copy(b, n.rest)
	n.rest = n.rest[k:]
	return k, nil
}

// Write implements net.Conn. mochi writes CONNACK and PINGRESP.
func (n *netConn) Write(b []byte) (int, error) {
	if n.mute {
		n.mute = false
		return len(b), nil
	}
	if err := n.p.write(b); err != nil {
		return 0, err
	}
	return len(b), nil
}

// Close implements net.Conn.
func (n *netConn) Close() error { n.closed = true; return nil }

// LocalAddr implements net.Conn.
func (n *netConn) LocalAddr() net.Addr { return address{n.p.c.Info().Local} }

// RemoteAddr implements net.Conn.
func (n *netConn) RemoteAddr() net.Addr { return address{n.p.c.Info().Remote} }

// SetDeadline, SetReadDeadline and SetWriteDeadline do nothing: mochi computes the keep alive with 16 bits, which overflow. frames
// keeps the time.
func (*netConn) SetDeadline(time.Time) error      { return nil }
func (*netConn) SetReadDeadline(time.Time) error  { return nil }
func (*netConn) SetWriteDeadline(time.Time) error { return nil }

// address is an address that may be missing; mochi asks for its text without looking.
type address struct{ a net.Addr }

func (a address) Network() string {
	if a.a == nil {
		return ""
	}
	return a.a.Network()
}

func (a address) String() string {
	if a.a == nil {
		return ""
	}
	return a.a.String()
}

// establish runs the connection inside mochi until it ends. A panic ends this connection only.
func (p *peer) establish() (err error) {
	defer p.proto.server.Clients.Delete(p.name)
	defer p.contain(&err)
	p.in.wait = p.proto.cfg.ConnectTimeout
	return p.proto.server.EstablishConnection("wye", &p.nc)
}

// contain, deferred, turns a panic into an error that ends the connection.
func (p *peer) contain(err *error) {
	if r := recover(); r != nil {
		p.proto.log.Error("panic while serving a connection", "conn", p.c.Info().ID, "remote", p.nc.RemoteAddr().String(),
			"panic", r, "stack", string(debug.Stack()))
		*err = &fault{codeImplementation, undisclosedReason, core.ErrInternal}
	}
}

// receive returns the next packet for mochi.
func (p *peer) receive() ([]byte, error) {
	packet, header, err := p.in.next()
	if err != nil {
		return nil, err
	}
	if p.version == 0 {
		p.in.hello = false
		if f := p.checkVersion(packet[header:]); f != nil {
			return nil, f
		}
	}
	if f := inspect(p.version, packet, header); f != nil {
		return nil, f
	}
	return packet, nil
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

// idle is called before the connection waits for more bytes: the time to settle what was acknowledged, and to send
// what was answered.
func (p *peer) idle() error {
	p.settleAcked()
	if !p.dirty && !p.answered.Swap(false) {
		return nil
	}
	p.dirty = false
	if err := p.c.Flush(); err != nil && !errors.Is(err, core.ErrGone) {
		return fmt.Errorf("flush: %w", err)
	}
	return nil
}

// lost reports whether err says that nobody is there any more.
func lost(err error) bool {
	return err != nil && !errors.As(err, new(*core.Reason)) && faultOf(err) == nil
}
