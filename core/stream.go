package core

import "net"

// Stream returns a net.Conn over c for byte-stream protocols: reads join the messages, each Write is one message of
// kind k. A message of another kind than Binary is an error wrapping ErrUnsupported when k is Binary.
func Stream(c Conn, k Kind) net.Conn { panic("wip") }
