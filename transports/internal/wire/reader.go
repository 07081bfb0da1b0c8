package wire

import (
	"errors"
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
	sock waiter
	buf  *[]byte
	at   int
	end  int
	err  error // that wait has met, for the next Read
}

// NewReader returns a Reader over nc.
func NewReader(nc net.Conn) *Reader {
	r := &Reader{nc: nc}
	r.sock.init(nc)
	return r
}

// Buffered returns how many bytes can be read without waiting.
func (r *Reader) Buffered() int { return r.end - r.at }

// Read implements io.Reader.
func (r *Reader) Read(p []byte) (int, error) {
	if r.buf == nil {
		if err := r.err; err != nil {
			r.err = nil
			return 0, err
		}
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

// wait waits until there is something to read, or an error.
func (r *Reader) wait() {
	if r.buf == nil && r.err == nil {
		r.err = r.fill()
	}
}

// forgive drops the error that wait has met, if it is err.
func (r *Reader) forgive(err error) bool {
	if !errors.Is(r.err, err) {
		return false
	}
	r.err = nil
	return true
}

// fill reads what is there, or waits until there is something.
func (r *Reader) fill() error {
	buf, n, err := r.sock.read()
	if !r.sock.able() {
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
