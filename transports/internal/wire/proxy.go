package wire

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/wyemq/wye/core"
	"github.com/wyemq/wye/core/edge"
)

// ProxyListener accepts connections that begin with a PROXY header, version 1 or 2, when they come from a
// trusted address; others are served as they are.
type ProxyListener struct {
	net.Listener
	// Trusted returns those addresses.
	Trusted func() edge.Networks
	// Timeout bounds the wait for the header.
	Timeout time.Duration
}

// Accept implements net.Listener. The header is read with the first use of the connection, so that a
// client without one holds nobody up.
func (l *ProxyListener) Accept() (net.Conn, error) {
	nc, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	t, ok := nc.(*net.TCPConn)
	if !ok || !l.Trusted().HasNet(nc.RemoteAddr()) {
		return nc, nil
	}
	return &proxied{TCPConn: t, timeout: l.Timeout}, nil
}

// Proxied reports whether the addresses of nc have to be waited for.
func Proxied(nc net.Conn) bool {
	_, ok := lower(nc).(*proxied)
	return ok
}

// Open waits for the header of a connection that is Proxied, and returns its error.
func Open(nc net.Conn) error {
	if p, ok := lower(nc).(*proxied); ok {
		return p.open()
	}
	return nil
}

// Peer returns the address that nc has come from, which is that of the proxy if it is Proxied. It waits for nothing.
func Peer(nc net.Conn) net.Addr {
	if p, ok := lower(nc).(*proxied); ok {
		return p.TCPConn.RemoteAddr()
	}
	return nc.RemoteAddr()
}

// proxied is a connection of a proxy. Its first Read or address costs a wait for the header.
type proxied struct {
	*net.TCPConn
	timeout time.Duration

	once          sync.Once
	local, remote net.Addr
	err           error
}

func (p *proxied) open() error {
	p.once.Do(func() {
		p.local, p.remote = p.TCPConn.LocalAddr(), p.TCPConn.RemoteAddr()
		_ = p.SetReadDeadline(time.Now().Add(p.timeout))
		var from, to net.Addr
		if from, to, p.err = readProxyHeader(p.TCPConn); from != nil {
			p.remote, p.local = from, to
		}
		_ = p.SetReadDeadline(time.Time{})
		switch {
		case errors.Is(p.err, io.EOF): // who says nothing at all has just looked whether somebody is here
			_ = p.Close()
		case errors.Is(p.err, os.ErrDeadlineExceeded):
			p.err = fmt.Errorf("header of the PROXY protocol: %w: %w", core.ErrLoginTimeout, p.err)
			_ = p.Close()
		case p.err != nil:
			p.err = fmt.Errorf("header of the PROXY protocol: %w: %w", core.ErrInvalid, p.err)
			_ = p.Close()
		}
	})
	return p.err
}

// Read implements net.Conn.
func (p *proxied) Read(b []byte) (int, error) {
	if err := p.open(); err != nil {
		return 0, err
	}
	return p.TCPConn.Read(b)
}

// LocalAddr and RemoteAddr return what the header says.
func (p *proxied) LocalAddr() net.Addr {
	_ = p.open() // reading will tell
	return p.local
}

func (p *proxied) RemoteAddr() net.Addr {
	_ = p.open() // reading will tell
	return p.remote
}

var proxySignature = []byte("\r\n\r\n\x00\r\nQUIT\n")

// readProxyHeader reads exactly the header, not a byte more. It returns no addresses when the proxy speaks for
// itself. Both versions are longer than the signature of version 2.
func readProxyHeader(r io.Reader) (from, to net.Addr, err error) {
	var buf [107]byte // version 1 is no longer than that
	n := len(proxySignature)
	if _, err := io.ReadFull(r, buf[:n]); err != nil {
		return nil, nil, err
	}
	if bytes.Equal(buf[:n], proxySignature) {
		return readProxy2(r)
	}
	if !bytes.HasPrefix(buf[:], []byte("PROXY ")) {
		return nil, nil, errors.New("there is none")
	}
	for ; !bytes.HasSuffix(buf[:n], []byte("\r\n")); n++ {
		if n == len(buf) {
			return nil, nil, errors.New("version 1 without end")
		}
		if _, err := io.ReadFull(r, buf[n:n+1]); err != nil {
			return nil, nil, err
		}
	}
	return parseProxy1(string(buf[:n-2]))
}

// parseProxy1 parses "PROXY TCP4 source destination sourceport destinationport".
func parseProxy1(line string) (from, to net.Addr, err error) {
	f := strings.Split(line, " ")
	if len(f) >= 2 && f[1] == "UNKNOWN" {
		return nil, nil, nil
	}
	if len(f) != 6 || f[1] != "TCP4" && f[1] != "TCP6" {
		return nil, nil, fmt.Errorf("%q is not of version 1", line)
	}
	source, err := netip.ParseAddrPort(net.JoinHostPort(f[2], f[4]))
	if err != nil {
		return nil, nil, err
	}
	destination, err := netip.ParseAddrPort(net.JoinHostPort(f[3], f[5]))
	if err != nil {
		return nil, nil, err
	}
	return net.TCPAddrFromAddrPort(source), net.TCPAddrFromAddrPort(destination), nil
}

// readProxy2 reads what follows the signature: version and command, family, length, addresses, extensions.
func readProxy2(r io.Reader) (from, to net.Addr, err error) {
	var head [4]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return nil, nil, err
	}
	if head[0]>>4 != 2 || head[0]&0xf > 1 {
		return nil, nil, fmt.Errorf("version and command 0x%02x", head[0])
	}
	body := make([]byte, binary.BigEndian.Uint16(head[2:]))
	if _, err := io.ReadFull(r, body); err != nil {
		return nil, nil, err
	}
	size := map[byte]int{0x11: 4, 0x21: 16}[head[1]] // TCP over IPv4, IPv6
	if head[0]&0xf == 0 || size == 0 {
		return nil, nil, nil // LOCAL, or a family that we do not know
	}
	if len(body) < 2*size+4 {
		return nil, nil, fmt.Errorf("%d bytes are too few for addresses", len(body))
	}
	from = &net.TCPAddr{IP: bytes.Clone(body[:size]), Port: int(binary.BigEndian.Uint16(body[2*size:]))}
	to = &net.TCPAddr{IP: bytes.Clone(body[size : 2*size]), Port: int(binary.BigEndian.Uint16(body[2*size+2:]))}
	return from, to, nil
}
