package main

import (
	"bufio"
	"crypto/sha1" //nolint:gosec // RFC 6455 wants it
	"encoding/base64"
	"encoding/binary"
	"net"
	"net/http"
	"slices"
	"sync"
)

// The packets of MQTT that are told apart: the upper half of their first byte.
const (
	connect     = 1
	publish     = 3
	subscribe   = 8
	unsubscribe = 10
	ping        = 12
	disconnect  = 14
)

// audience is everybody who has subscribed.
type audience struct {
	mu      sync.RWMutex
	members []net.Conn
}

func (a *audience) join(c net.Conn) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.members = append(slices.Clip(a.members), c) // who is writing goes on with what there was
}

func (a *audience) leave(c net.Conn) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.members = slices.DeleteFunc(slices.Clone(a.members), func(m net.Conn) bool { return m == c })
}

func (a *audience) write(b []byte) {
	a.mu.RLock()
	members := a.members
	a.mu.RUnlock()
	for _, m := range members {
		_, _ = m.Write(b) // whoever is gone will leave by itself; one Write is not torn by another
	}
}

// conn is one connection.
type conn struct {
	net.Conn

	all     *audience
	packets []byte // received, not yet looked at: packets need not end where messages do
	passed  []byte // publishes of what was read last
	out     []byte
}

func newConn(c net.Conn, all *audience) *conn { return &conn{Conn: c, all: all} }

func (c *conn) serve() {
	defer c.Close()
	defer c.all.leave(c.Conn)
	in := bufio.NewReader(c)
	if !c.upgrade(in) {
		return
	}
	buf := make([]byte, max(512, in.Buffered()))
	have, _ := in.Read(buf[:in.Buffered()])
	in = nil
	for {
		n, err := c.Read(buf[have:])
		if err != nil {
			return
		}
		have += n
		used := c.frames(buf[:have])
		if !c.work() {
			return
		}
		full := have == len(buf)
		have = copy(buf, buf[used:have])
		if full && (have == len(buf) || len(buf) < 64<<10) { // who sends little needs little
			buf = append(buf, make([]byte, len(buf))...)
		}
	}
}

// upgrade answers the handshake: RFC 6455, 4.2.2.
func (c *conn) upgrade(in *bufio.Reader) bool {
	r, err := http.ReadRequest(in)
	if err != nil {
		return false
	}
	sum := sha1.Sum([]byte(r.Header.Get("Sec-WebSocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11")) //nolint:gosec // RFC 6455
	_, err = c.Write([]byte("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
		"Sec-WebSocket-Protocol: mqtt\r\nSec-WebSocket-Accept: " + base64.StdEncoding.EncodeToString(sum[:]) + "\r\n\r\n"))
	return err == nil
}

// frames unmasks the whole frames in b and returns how long they are: RFC 6455, 5.2.
func (c *conn) frames(b []byte) (used int) {
	for {
		f := b[used:]
		if len(f) < 2 {
			return used
		}
		n, head := int(f[1]&0x7f), 2
		switch {
		case n == 126 && len(f) >= 4:
			n, head = int(binary.BigEndian.Uint16(f[2:])), 4
		case n == 127 && len(f) >= 10:
			n, head = int(binary.BigEndian.Uint64(f[2:])), 10
		case n >= 126:
			return used
		}
		if len(f) < head+4+n {
			return used
		}
		payload := f[head+4 : head+4+n]
		unmask(payload, f[head:head+4])
		if f[0]&0x0f < 8 { // no control frame
			c.packets = append(c.packets, payload...)
		}
		used += head + 4 + n
	}
}

func unmask(p, key []byte) {
	k := uint64(binary.LittleEndian.Uint32(key))
	k |= k << 32
	i := 0
	for ; i+8 <= len(p); i += 8 {
		binary.LittleEndian.PutUint64(p[i:], binary.LittleEndian.Uint64(p[i:])^k)
	}
	for ; i < len(p); i++ {
		p[i] ^= key[i&3]
	}
}

// work does what the whole packets ask for, and says whether to go on.
func (c *conn) work() bool {
	used := 0
	c.passed = c.passed[:0]
	for {
		p := c.packets[used:]
		n := length(p)
		if n == 0 {
			break
		}
		p = p[:n]
		used += n
		switch p[0] >> 4 {
		case connect:
			c.answer(0x20, 2, 0, 0)
		case publish:
			c.passed = append(c.passed, p...)
		case subscribe:
			c.all.join(c.Conn)
			c.answer(0x90, 3, p[2], p[3], 0)
		case unsubscribe:
			c.all.leave(c.Conn)
			c.answer(0xb0, 2, p[2], p[3])
		case ping:
			c.answer(0xd0, 0)
		case disconnect:
			return false
		}
	}
	c.packets = append(c.packets[:0], c.packets[used:]...)
	if len(c.passed) > 0 {
		c.out = frame(c.out[:0], c.passed)
		c.all.write(c.out)
	}
	return true
}

func (c *conn) answer(packet ...byte) { _, _ = c.Write(frame(nil, packet)) } // the next read tells

// length returns how long the packet is that b begins with, 0 if there is not all of it: MQTT 3.1.1, 2.2.3.
func length(b []byte) int {
	n, shift := 0, 0
	for i := 1; i < len(b) && i < 5; i++ {
		n |= int(b[i]&0x7f) << shift
		shift += 7
		if b[i] < 0x80 {
			if n += i + 1; n <= len(b) {
				return n
			}
			return 0
		}
	}
	return 0
}

// frame appends payload as one binary message.
func frame(dst, payload []byte) []byte {
	switch n := len(payload); {
	case n < 126:
		dst = append(dst, 0x82, byte(n))
	case n < 65536:
		dst = binary.BigEndian.AppendUint16(append(dst, 0x82, 126), uint16(n))
	default:
		dst = binary.BigEndian.AppendUint64(append(dst, 0x82, 127), uint64(n))
	}
	return append(dst, payload...)
}
