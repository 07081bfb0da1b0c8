// Package websocket serves protocols over WebSocket (RFC 6455): negotiation by subprotocol, origin
// rules, limits, PING, close codes with reasons. gorilla/websocket upgrades, reads and answers
// control frames; data frames are framed by the package itself into the buffer that gathers what is
// written, so that many messages leave with one system call. It knows no destination and no protocol.
package websocket
