package wire

import (
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/wyemq/wye/core"
)

// flushAt is how many bytes are gathered at most before they are sent without being asked.
const flushAt = 64 << 10

// buffers holds write buffers: a connection has one only while something waits to be sent.
var buffers = sync.Pool{New: func() any { b := make([]byte, 0, 4<<10); return &b }}

// Out gathers what is written to a connection. Its methods may be called concurrently; what one call of
// Append adds stays together. A peer that does not read blocks the writers of this connection only,
// and for the write timeout at most.
type Out struct {
	nc      net.Conn
	timeout time.Duration
	sent    *atomic.Uint64 // bytes, of the whole transport

	sending sync.Mutex // held while bytes leave, taken before mu

	mu  sync.Mutex
	buf *[]byte
	err error
}

// Append gathers the parts. The result of an earlier failed write is returned at once.
func (o *Out) Append(head []byte, parts ...[]byte) error {
	o.mu.Lock()
	if o.err != nil {
		o.mu.Unlock()
		return o.err
	}
	if o.buf == nil {
		o.buf, _ = buffers.Get().(*[]byte)
	}
	b := append(*o.buf, head...)
	for _, p := range parts {
		b = append(b, p...)
	}
	*o.buf = b
	full := len(b) >= flushAt
	o.mu.Unlock()
	if full {
		return o.Flush()
	}
	return nil
}

// Flush sends what is gathered, in one system call as a rule.
func (o *Out) Flush() error {
	o.sending.Lock()
	defer o.sending.Unlock()
	o.mu.Lock()
	buf, err := o.buf, o.err
	o.buf = nil
	o.mu.Unlock()
	if buf == nil || err != nil {
		return err
	}
	err = o.nc.SetWriteDeadline(time.Now().Add(o.timeout))
	if err == nil {
		var n int
		n, err = o.nc.Write(*buf)
		o.sent.Add(uint64(n))
	}
	if cap(*buf) <= 2*flushAt {
		*buf = (*buf)[:0]
		buffers.Put(buf)
	}
	if err == nil {
		return nil
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		err = fmt.Errorf("nothing was read for %s: %w", o.timeout, core.ErrSlowConsumer)
	}
	o.mu.Lock()
	if o.err == nil {
		o.err = err
	}
	o.mu.Unlock()
	return err
}

// Failed returns the error of an earlier write.
func (o *Out) Failed() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.err
}
