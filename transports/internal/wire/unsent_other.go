//go:build !linux

package wire

import "net"

// unsent is not known on this system: what counts is what it takes from us.
func unsent(net.Conn) (int, bool) { return 0, false }
