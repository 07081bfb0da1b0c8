package wire

import (
	"os"
	"sync"
	"syscall"
)

// bed is where connections rest: an epoll instance of our own, in the runtime's, so that one goroutine waits for them
// all and no thread does.
type bed struct {
	hub  *Hub
	file *os.File // the epoll instance
	raw  syscall.RawConn

	mu    sync.Mutex
	conns []*Conn // by file descriptor
}

// newBed returns nil if the system gives none.
func newBed(h *Hub) *bed {
	fd, err := syscall.EpollCreate1(syscall.EPOLL_CLOEXEC)
	if err != nil {
		return nil
	}
	_ = syscall.SetNonblock(fd, true) // which is how os learns that the runtime can wait for it
	b := &bed{hub: h, file: os.NewFile(uintptr(fd), "epoll")}
	if b.raw, err = b.file.SyscallConn(); err != nil {
		_ = b.file.Close()
		return nil
	}
	return b
}

// run wakes connections until close.
func (b *bed) run() {
	var events [128]syscall.EpollEvent
	n := 0
	for b.raw.Read(func(fd uintptr) bool {
		n, _ = syscall.EpollWait(int(fd), events[:], 0)
		return n > 0
	}) == nil {
		for i := range events[:n] {
			b.mu.Lock()
			c := b.conns[events[i].Fd]
			b.mu.Unlock()
			if c != nil {
				b.hub.wake(c)
			}
		}
	}
}

// close ends run. b may be nil.
func (b *bed) close() {
	if b != nil {
		_ = b.file.Close()
	}
}

// watch puts c to rest and makes run wake it when there is something to read. It returns false if c was closed.
func (b *bed) watch(c *Conn) bool {
	raw, err := lower(c.nc).(syscall.Conn).SyscallConn()
	if err != nil {
		return false
	}
	return raw.Control(func(fd uintptr) {
		op := syscall.EPOLL_CTL_ADD
		if c.rest.known {
			op = syscall.EPOLL_CTL_MOD
		}
		c.rest.fd, c.rest.known = int(fd), true
		b.enter(c)
		c.rest.phase.Store(resting) // from here on c can be another goroutine's
		event := syscall.EpollEvent{Events: syscall.EPOLLIN | syscall.EPOLLRDHUP | oneShot, Fd: int32(fd)}
		if !b.control(op, int(fd), &event) {
			b.hub.wake(c)
		}
	}) == nil
}

// oneShot is syscall.EPOLLONESHOT, which is missing there.
const oneShot = 1 << 30

// able reports whether c can be watched.
func (*bed) able(c *Conn) bool {
	_, ok := lower(c.nc).(syscall.Conn)
	return ok
}

func (b *bed) enter(c *Conn) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if n := c.rest.fd + 1 - len(b.conns); n > 0 {
		b.conns = append(b.conns, make([]*Conn, n)...)
	}
	b.conns[c.rest.fd] = c
}

func (b *bed) control(op, fd int, e *syscall.EpollEvent) bool {
	var failed error
	err := b.raw.Control(func(ep uintptr) { failed = syscall.EpollCtl(int(ep), op, fd, e) })
	return err == nil && failed == nil
}

// forget is called before the file descriptor of c can be another's.
func (b *bed) forget(c *Conn) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if c.rest.fd < len(b.conns) && b.conns[c.rest.fd] == c {
		b.conns[c.rest.fd] = nil
	}
}
