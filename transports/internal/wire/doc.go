// Package wire is what the transports share: a connection that gathers what is written and sends
// it in few system calls, limits, timeouts, the register of connections, TLS.
//
//	listener → Hub.Admit → Conn (read side: limits; write side: Out) → core.Handler → Conn.Finish
package wire
