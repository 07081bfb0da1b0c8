package wire

import (
	"crypto/tls"
	"net"
	"sync/atomic"
)

// steady lies between TLS and the network. A TLS connection is broken by a write that timed out, however much
// the peer took of it; so it is here that a write to a peer that makes progress goes on.
type steady struct {
	net.Conn
	out atomic.Pointer[Out] // nil until the handshake is done
}

// TLSServer returns the server's side of TLS over nc.
func TLSServer(nc net.Conn, cfg *tls.Config) *tls.Conn { return tls.Server(&steady{Conn: nc}, cfg) }

// Write implements net.Conn. TLS calls it for one record at a time.
func (s *steady) Write(b []byte) (int, error) {
	if o := s.out.Load(); o != nil {
		return o.push(s.Conn, b)
	}
	return s.Conn.Write(b)
}

// TLSListener accepts connections with TLS; the handshake is left to the first use.
type TLSListener struct {
	net.Listener
	Config *tls.Config
}

// Accept implements net.Listener.
func (l *TLSListener) Accept() (net.Conn, error) {
	nc, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return TLSServer(nc, l.Config), nil
}
