//go:build !linux

package wire

// bed: where there is no epoll a connection waits on its goroutine.
type bed struct{}

func newBed(*Hub) *bed        { return nil }
func (*bed) run()             {}
func (*bed) close()           {}
func (*bed) able(*Conn) bool  { return false }
func (*bed) watch(*Conn) bool { return false }
func (*bed) forget(*Conn)     {}
