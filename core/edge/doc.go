// Package edge is what everything that listens shares, whatever it speaks: TLS from files that change while it is open, and
// who its clients are behind proxies.
//
//	TLS (configuration) ─ Load ─ Certificates ─┬─ Server ── crypto/tls: SNI, client certificates, revocation
//	                                           ├─ Prepare, or a file that changes: from the next handshake on
//	                                           └─ Watch, List: what ends soon
//	Networks (trusted proxies) ─ Requester, Client ── the rightmost address that no trusted proxy has
//
// It opens nothing, and serves nobody.
package edge
