package mqtt

import (
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/wyemq/wye/core"
)

// maxConnect is the most bytes a CONNECT packet may have: mochi makes room for a packet when its length is
// announced, so before login the length is looked at here.
const maxConnect = 64 << 10

// link is the net.Conn that mochi works on. Its writes are gathered, and leave when mochi is about to wait for
// more: one system call for the answers to all that was read.
type link struct {
	net.Conn
	cl   *client
	head []byte // of the first packet, until its length is known
	seen bool
}

// Read sets the keep-alive deadline: mochi would compute it with an overflow above 43690 s. [MQTT-3.1.2-22]
func (l *link) Read(p []byte) (int, error) {
	if err := l.cl.conn.Flush(); err != nil {
		return 0, l.failed(err)
	}
	if d := l.cl.keepAlive; d > 0 {
		_ = l.cl.conn.SetReadDeadline(time.Now().Add(d + d/2))
	}
	n, err := l.Conn.Read(p)
	if err != nil {
		return n, l.failed(err)
	}
	if !l.seen {
		if err := l.first(p[:n]); err != nil {
			return 0, l.failed(err)
		}
	}
	return n, nil
}

func (l *link) failed(err error) error {
	if l.cl.readErr == nil && !errors.Is(err, net.ErrClosed) {
		l.cl.readErr = err
	}
	return err
}

// first checks the head of the first packet.
func (l *link) first(p []byte) error {
	l.head = append(l.head, p[:min(len(p), 5)]...)
	if l.head[0] != 0x10 {
		return fmt.Errorf("the first packet must be CONNECT [MQTT-3.1.0-1]: %w", core.ErrInvalid)
	}
	size, shift := 0, 0
	for _, b := range l.head[1:min(len(l.head), 5)] {
		size |= int(b&0x7f) << shift
		shift += 7
		if b < 0x80 {
			l.seen, l.head = true, nil
			if size > maxConnect {
				return fmt.Errorf("CONNECT of %d bytes, %d are permitted: %w", size, maxConnect, core.ErrTooBig)
			}
			return nil
		}
	}
	if len(l.head) >= 5 {
		return fmt.Errorf("malformed remaining length: %w", core.ErrInvalid)
	}
	return nil
}

// Write gathers a packet of mochi's.
func (l *link) Write(p []byte) (int, error) {
	if err := l.cl.write(p); err != nil {
		return 0, err
	}
	return len(p), nil
}

// Close ends reads. What was written still leaves.
func (l *link) Close() error {
	l.cl.conn.Close(io.EOF)
	return nil
}

// The deadlines are ours: see Read.
func (*link) SetDeadline(time.Time) error      { return nil }
func (*link) SetReadDeadline(time.Time) error  { return nil }
func (*link) SetWriteDeadline(time.Time) error { return nil }
