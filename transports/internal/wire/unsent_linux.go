package wire

import (
	"net"
	"syscall"
	"unsafe"
)

// unsent returns how many bytes the system holds that the peer has not acknowledged.
func unsent(nc net.Conn) (int, bool) {
	sc, ok := nc.(syscall.Conn)
	if !ok {
		return 0, false
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return 0, false
	}
	var n int32
	var errno syscall.Errno
	err = raw.Control(func(fd uintptr) {
		_, _, errno = syscall.Syscall(syscall.SYS_IOCTL, fd, syscall.TIOCOUTQ, uintptr(unsafe.Pointer(&n))) //nolint:gosec // tcp(7), SIOCOUTQ
	})
	return int(n), err == nil && errno == 0
}
