// Package tcp serves protocols over plain TCP and TLS.
//
//	accept ─ limits ─ (PROXY header) ─ (TLS handshake) ─┬─ read:  socket → wire.Reader → protocol
//	                                                    └─ write: protocol → wire.Out → socket
//
// A connection is one endless message in each direction: boundaries mean nothing. Which protocol it speaks
// is told by the listener's configuration or, in the core.Mux, by its first bytes; the package itself
// looks at none, and knows no destination.
package tcp
