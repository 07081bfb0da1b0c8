package wire

import (
	"io"
	"net"
	"sync"
	"syscall"
)

// readSize is how much is read at once.
const readSize = 16 << 10

var readBuffers = sync.Pool{New: func() any { b := make([]byte, readSize); return &b }}

// Reader reads ahead of small reads, with a buffer that it holds only while there is something in it:
// an idle connection waits without one where the system permits that.
type Reader struct {
	nc  net.Conn
	raw syscall.RawConn
	buf *[]byte
	at  int
	end int
}

// NewReader returns a Reader over nc. One goroutine may use it.
func NewReader(nc net.Conn) *Reader {
	r := &Reader{nc: nc}
	if sc, ok := nc.(syscall.Conn); ok {
		r.raw, _ = sc.SyscallConn()
	}
	return r
}

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
		r.buf = nil
	}
	return n, nil
}

func (r *Reader) fill() error {
	n, buf, err := r.once()
	if n <= 0 {
		if buf != nil {
			readBuffers.Put(buf)
		}
		if err == nil {
			err = io.EOF
		}
		return err
	}
	r.buf, r.at, r.end = buf, 0, n
	return nil
}

// once reads what is there, or waits until there is something.
func (r *Reader) once() (n int, buf *[]byte, err error) {
	if r.raw == nil {
		buf, _ = readBuffers.Get().(*[]byte)
		n, err = r.nc.Read(*buf)
		return n, buf, err
	}
	var failed error
	err = r.raw.Read(func(fd uintptr) bool {
		for {
			buf, _ = readBuffers.Get().(*[]byte)
			n, failed = syscall.Read(int(fd), *buf)
			if n > 0 || failed != syscall.EAGAIN && failed != syscall.EINTR {
				return true
			}
			readBuffers.Put(buf)
			buf = nil
			if failed == syscall.EAGAIN {
				return false
			}
		}
	})
	if err == nil && failed != nil {
		err = &net.OpError{Op: "read", Net: "tcp", Source: r.nc.LocalAddr(), Addr: r.nc.RemoteAddr(), Err: failed}
	}
	return n, buf, err
}
