// Package wire is what the transports share: a connection that gathers what is written and sends it
// in few system calls, limits and timeouts, the register of a listener's connections with one clock
// for all of them, how a listener is opened: TLS with reload, addresses behind proxies.
//
//	listener ─ Hub.Reserve ─ Hub.Serve ─┬─ Session.Serve ── core.Handler
//	                                    │     reads: Reader → Conn.Clip/Received (limits)
//	                                    │     writes: Out (gather, Flush, write timeout)
//	                                    └─ Session.Goodbye, log, Stats
//
// It knows neither frames nor protocols. A transport embeds [Conn] and adds its framing.
package wire
