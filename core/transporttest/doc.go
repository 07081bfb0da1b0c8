// Package transporttest is the conformance kit of [core.Transport] and [core.Conn]: whoever writes a transport
// runs [Test] on it.
//
//	Suite.New ─ Transport ─ core.Handler of each check ─┐
//	Suite.Dial ─ Client ────────────────────────────────┴─ what both sides saw is compared
//
// The author writes a [Client] of a few methods; the checks own what must hold. They use real sockets and need
// no broker. What belongs to one transport alone, as negotiation and origins, is not looked at here.
package transporttest
