package peer

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"crypto/sha1" //nolint:gosec // what RFC 6455 wants
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
)

// The opcodes of RFC 6455, section 5.2, with the bit that ends a message.
const (
	opText   = 0x81
	opBinary = 0x82
	opClose  = 0x88
	opPing   = 0x89
	opPong   = 0x8a
)

// guid is that of RFC 6455, section 1.3.
const guid = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

// upgrade makes a WebSocket of nc. It returns what the server has sent beyond its answer.
func upgrade(nc net.Conn, t *Target) (rest []byte, err error) {
	key := base64.StdEncoding.EncodeToString(randomBytes(16))
	var b bytes.Buffer
	fmt.Fprintf(&b, "GET %s HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
		"Sec-WebSocket-Key: %s\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: %s\r\n", t.Path, t.Host, key, t.tokens())
	if err := t.HTTPHeader.Write(&b); err != nil {
		return nil, err
	}
	b.WriteString("\r\n")
	if _, err := nc.Write(b.Bytes()); err != nil {
		return nil, err
	}
	r := bufio.NewReaderSize(nc, 1024)
	resp, err := http.ReadResponse(r, nil)
	if err != nil {
		return nil, fmt.Errorf("upgrade: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusSwitchingProtocols {
		body, _ := io.ReadAll(io.LimitReader(resp.Body, 300))
		why, _, _ := strings.Cut(strings.TrimSpace(string(body)), "\n")
		return nil, fmt.Errorf("upgrade: this is no WebSocket for us: %s: %s", resp.Status, why)
	}
	sum := sha1.Sum([]byte(key + guid)) //nolint:gosec // see above
	if resp.Header.Get("Sec-WebSocket-Accept") != base64.StdEncoding.EncodeToString(sum[:]) {
		return nil, errors.New("upgrade: the answer does not belong to the question")
	}
	// No subprotocol in the answer is suffered: old Web-STOMP plug-ins have none.
	if chosen := resp.Header.Get("Sec-WebSocket-Protocol"); chosen != "" && !strings.Contains(t.tokens(), chosen) {
		return nil, fmt.Errorf("upgrade: the subprotocol is %q, offered was %q", chosen, t.tokens())
	}
	rest, err = r.Peek(r.Buffered())
	return bytes.Clone(rest), err
}

func randomBytes(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails
	return b
}

// maskKey is the key of a connection. RFC 6455 wants a new one for each frame, to protect proxies from pages
// that choose what is sent; the load here is not chosen by a page, and is masked once, not once a message.
type maskKey [4]byte

// mask applies the key; offset is where b lies in the payload.
func (k *maskKey) mask(b []byte, offset int) {
	for i := range b {
		b[i] ^= k[(offset+i)&3]
	}
}

// frame appends a frame with the payload, masked. It returns also where the payload starts.
func (k *maskKey) frame(dst []byte, op byte, payload []byte) (_ []byte, start int) {
	switch n := len(payload); {
	case n < 126:
		dst = append(dst, op, 0x80|byte(n))
	case n <= 0xffff:
		dst = binary.BigEndian.AppendUint16(append(dst, op, 0x80|126), uint16(n))
	default:
		dst = binary.BigEndian.AppendUint64(append(dst, op, 0x80|127), uint64(n))
	}
	dst = append(dst, k[:]...)
	start = len(dst)
	dst = append(dst, payload...)
	k.mask(dst[start:], 0)
	return dst, start
}

// CloseError is a close frame of the broker.
type CloseError struct {
	Code int
	Text string
}

func (e *CloseError) Error() string {
	return strings.TrimSpace(fmt.Sprintf("the broker closes the WebSocket: %d %s", e.Code, e.Text))
}

// header reads the head of a frame from a server: its size and that of the payload, 0 if it is not all there.
func header(b []byte) (head int, payload uint64, err error) {
	if len(b) < 2 {
		return 0, 0, nil
	}
	if b[0]&0x70 != 0 || b[1]&0x80 != 0 {
		return 0, 0, fmt.Errorf("not a frame of a WebSocket server: %x", b[:2])
	}
	switch n := b[1]; {
	case n < 126:
		return 2, uint64(n), nil
	case n == 126 && len(b) >= 4:
		return 4, uint64(binary.BigEndian.Uint16(b[2:])), nil
	case n == 127 && len(b) >= 10:
		return 10, binary.BigEndian.Uint64(b[2:]), nil
	}
	return 0, 0, nil
}
