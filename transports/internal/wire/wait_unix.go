//go:build unix

package wire

import (
	"net"
	"os"
	"syscall"
)

// waiter reads from a socket with a buffer that is taken when there is something to read.
type waiter struct {
	raw  syscall.RawConn
	once func(fd uintptr) bool // made once, or each read would allocate it

	buf *[]byte
	n   int
	err error
}

// init prepares w for nc. Only the system's own connections are read around their Read method: another
// type may do something there.
func (w *waiter) init(nc net.Conn) {
	var sc syscall.Conn
	switch nc := nc.(type) {
	case *net.TCPConn:
		sc = nc
	case *net.UnixConn:
		sc = nc
	case *proxied:
		sc = nc.TCPConn
	default:
		return
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return // closed already: the plain Read will say so
	}
	w.raw, w.once = raw, w.try
}

func (w *waiter) able() bool { return w.raw != nil }

// read returns a buffer with n bytes in it; nil when there are none. n is 0 at the end of the stream.
func (w *waiter) read() (*[]byte, int, error) {
	if w.raw == nil {
		return nil, 0, nil
	}
	err := w.raw.Read(w.once)
	buf, n, failed := w.buf, w.n, w.err
	w.buf, w.n, w.err = nil, 0, nil
	if err != nil {
		return buf, 0, err
	}
	if failed != nil {
		return buf, 0, os.NewSyscallError("read", failed)
	}
	return buf, n, nil
}

// try is called with a file descriptor that may be ready; false: wait until it is.
func (w *waiter) try(fd uintptr) bool {
	buf, _ := readBuffers.Get().(*[]byte)
	for {
		n, err := syscall.Read(int(fd), *buf)
		switch {
		case n < 0 && err == syscall.EINTR:
			continue
		case n < 0 && (err == syscall.EAGAIN || err == syscall.EWOULDBLOCK):
			readBuffers.Put(buf)
			return false
		}
		w.buf, w.n, w.err = buf, max(n, 0), err
		return true
	}
}
