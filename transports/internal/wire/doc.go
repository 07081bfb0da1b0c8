// Package wire is what the transports share: a connection that gathers what is written and sends it
// in few system calls, limits and timeouts, the register of a listener's connections with one clock
// for all of them, how a listener is opened: TLS with reload, addresses behind proxies.
//
//	listener ─ Hub.Reserve ─ Hub.Serve ─┬─ Session.Serve ── core.Handler
//	                                    │     reads: Reader → Conn.Clip/Received (limits)
//	                                    │     writes: Out (gather, Flush, write timeout)
//	                                    └─ Session.Goodbye, log, Stats
//
// A connection whose peer has been silent for a second, and whose protocol says that it can go on later
// (core.Rester), rests: its goroutine ends with its stack, the socket waits in an epoll instance (bed), and
// another goroutine is started when there is something to read, a deadline has passed or the connection is
// closed. The clock of the Hub sees to the first and the second, as to every other time that is watched.
//
// It knows neither frames nor protocols. A transport embeds [Conn] and adds its framing.
package wire
