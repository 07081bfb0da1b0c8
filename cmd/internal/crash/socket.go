package crash

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"time"
)

// The opcodes of RFC 6455, section 5.2, with the bit that ends a message.
const (
	opText   = 0x81
	opBinary = 0x82
	opClose  = 0x88
	opPing   = 0x89
	opPong   = 0x8a
)

// patience is how long anything may take that a client waits for.
const patience = 20 * time.Second

// socket is a WebSocket as a stream of bytes. One goroutine may read, any may write.
type socket struct {
	nc   net.Conn
	r    *bufio.Reader
	op   byte
	left uint64 // of the frame that is being read

	mu sync.Mutex // of writes
}

// dial connects and upgrades; op is that of the frames to be sent.
func dial(ctx context.Context, addr, token string, op byte) (*socket, error) {
	d := net.Dialer{Timeout: patience}
	nc, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	s := &socket{nc: nc, r: bufio.NewReader(nc), op: op}
	if err := s.upgrade(addr, token); err != nil {
		nc.Close()
		return nil, err
	}
	return s, nil
}

func (s *socket) upgrade(addr, token string) error {
	if err := s.nc.SetDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	key := make([]byte, 16)
	_, _ = rand.Read(key) // never fails
	_, err := fmt.Fprintf(s.nc, "GET / HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
		"Sec-WebSocket-Key: %s\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: %s\r\n\r\n",
		addr, base64.StdEncoding.EncodeToString(key), token)
	if err != nil {
		return err
	}
	resp, err := http.ReadResponse(s.r, nil)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if got := resp.Header.Get("Sec-WebSocket-Protocol"); resp.StatusCode != http.StatusSwitchingProtocols || got != token {
		return fmt.Errorf("upgrade: %s, subprotocol %q", resp.Status, got)
	}
	return s.nc.SetDeadline(time.Time{})
}

// Read reads payload of data frames, and answers pings.
func (s *socket) Read(b []byte) (int, error) {
	for s.left == 0 {
		if err := s.next(); err != nil {
			return 0, err
		}
	}
	n, err := s.r.Read(b[:min(uint64(len(b)), s.left)])
	s.left -= uint64(n)
	return n, err
}

// next reads the head of a frame.
func (s *socket) next() error {
	var head [10]byte
	if _, err := io.ReadFull(s.r, head[:2]); err != nil {
		return err
	}
	size := uint64(head[1])
	switch {
	case head[1]&0x80 != 0:
		return errors.New("the broker masks its frames")
	case size == 126:
		if _, err := io.ReadFull(s.r, head[2:4]); err != nil {
			return err
		}
		size = uint64(binary.BigEndian.Uint16(head[2:]))
	case size == 127:
		if _, err := io.ReadFull(s.r, head[2:10]); err != nil {
			return err
		}
		size = binary.BigEndian.Uint64(head[2:])
	}
	if op := head[0] & 0xf; op < 8 {
		s.left = size
		return nil
	}
	payload := make([]byte, size&127)
	if _, err := io.ReadFull(s.r, payload); err != nil {
		return err
	}
	switch head[0] {
	case opPing:
		return s.frame(opPong, payload)
	case opClose:
		return fmt.Errorf("the broker closes the WebSocket: %q", payload)
	}
	return nil
}

// Write sends b as a message.
func (s *socket) Write(b []byte) (int, error) {
	if err := s.frame(s.op, b); err != nil {
		return 0, err
	}
	return len(b), nil
}

// frame sends one frame, masked with zeros.
func (s *socket) frame(op byte, payload []byte) error {
	b := make([]byte, 0, len(payload)+14)
	switch n := len(payload); {
	case n < 126:
		b = append(b, op, 0x80|byte(n))
	case n <= 0xffff:
		b = binary.BigEndian.AppendUint16(append(b, op, 0x80|126), uint16(n))
	default:
		b = binary.BigEndian.AppendUint64(append(b, op, 0x80|127), uint64(n))
	}
	b = append(append(b, 0, 0, 0, 0), payload...)
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.nc.SetWriteDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	_, err := s.nc.Write(b)
	return err
}

// close breaks the connection off. Any goroutine may do so; what it says matters to nobody.
func (s *socket) close() { _ = s.nc.Close() }

// until closes the connection when ctx ends, or when the function that it returns is called.
func (s *socket) until(ctx context.Context) (done func()) {
	stop := context.AfterFunc(ctx, s.close)
	return func() {
		stop()
		s.close()
	}
}
