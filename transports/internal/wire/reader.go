package wire

import (
	"io"
	"net"
	"sync"
)

// readSize is how much is read at once.
const readSize = 16 << 10

var readBuffers = sync.Pool{New: func() any { b := make([]byte, readSize); return &b }}

// Reader reads ahead of small reads, with a buffer that it holds only while there is something in it:
// where the system permits, an idle connection waits without one. One goroutine may use it.
type Reader struct {
	nc   net.Conn
	wait waiter
	buf  *[]byte
	at   int
	end  int
}

// NewReader returns a Reader over nc.
func NewReader(nc net.Conn) *Reader {
	r := &Reader{nc: nc}
	r.wait.init(nc)
	return r
}

// Buffered returns how many bytes can be read without waiting.
func (r *Reader) Buffered() int { return r.end - r.at }

// Read implements io.Reader.
func (r *Reader) Read(p []byte) (int, error) {
	if r.buf == nil {
		if len(p) >= readSize {
			return r.nc.Read(p)
		}
		if err := r.fill(); err != nil {
			return 0, err
		}
	}
	n := copy(p, (*r.buf)[r.at:r.end])
	if r.at += n; r.at == r.end {
		readBuffers.Put(r.buf)
		r.buf, r.at, r.end = nil, 0, 0
	}
	return n, nil
}

// fill reads what is there, or waits until there is something.
func (r *Reader) fill() error {
	buf, n, err := r.wait.read()
	if !r.wait.able() {
		buf, _ = readBuffers.Get().(*[]byte)
		n, err = r.nc.Read(*buf)
	}
	if n > 0 {
		r.buf, r.at, r.end = buf, 0, n
		return nil // an error comes again with the next read
	}
	if buf != nil {
		readBuffers.Put(buf)
	}
	if err == nil {
		err = io.EOF
	}
	return err
}
