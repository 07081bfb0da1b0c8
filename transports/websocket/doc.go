// Package websocket serves protocols over WebSocket (RFC 6455): negotiation by subprotocol, origin
// rules, limits, PING, close codes with reasons, TLS, proxies.
//
//	HTTP request ─ upgrade: method, origin, subprotocol, limits ─ hijack ─┬─ read:  socket → wire.Reader → gorilla → message → protocol
//	                       426, 405, 400, 403, 429, 503                   └─ write: protocol → frame → wire.Out → socket
//
// gorilla/websocket upgrades and reads. What is written is framed by the package itself, into the buffer
// that gathers until Flush: a batch of messages leaves with one system call, a message that is encoded
// already costs no allocation, and the HTTP server's goroutine, buffers and request are let go. The goroutine
// of a connection goes as well while its peer is silent, if the protocol can rest (core.Rester).
//
// It knows no destination and no protocol, logs in nobody, and keeps no messages.
package websocket
