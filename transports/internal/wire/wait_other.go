//go:build !unix

package wire

import "net"

// waiter is for systems on which a socket cannot be read around net.Conn: the buffer is taken before
// the wait.
type waiter struct{}

func (*waiter) init(net.Conn)               {}
func (*waiter) able() bool                  { return false }
func (*waiter) read() (*[]byte, int, error) { return nil, 0, nil }
