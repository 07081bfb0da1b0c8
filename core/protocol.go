package core

import "context"

// Protocol speaks one wire protocol. ServeConn runs once per connection, concurrently.
type Protocol interface {
	// Name identifies the protocol in configuration, logs and metrics: "stomp".
	Name() string
	// Subprotocols lists the WebSocket subprotocol tokens served, as in "v12.stomp", the best
	// version first. Between protocols the client's order of preference wins, within one this
	// order does. The result is constant.
	Subprotocols() []string
	// ServeConn serves c until the peer leaves or ctx is done. When it returns, every
	// goroutine it started has exited; the transport then closes c with CloseCode(err).
	// It returns nil for an orderly close, and does not log the error it returns.
	ServeConn(ctx context.Context, c Conn) error
}

// Verdict is the result of sniffing.
type Verdict uint8

// The verdicts.
const (
	No   Verdict = iota // not this protocol
	More                // too short to tell
	Yes                 // this protocol
)

// Sniffer is an optional interface of a [Protocol] that knows its own first bytes, for clients
// that name no subprotocol and for plain TCP.
type Sniffer interface {
	// Sniff is called with up to 512 bytes; More means prefix is too short to tell.
	Sniff(prefix []byte) Verdict
}

// Pather is an optional interface of a [Protocol] with customary URL paths, for WebSocket clients
// that offer no subprotocol.
type Pather interface {
	// Paths lists them without a trailing slash, as in "/mqtt". The result is constant.
	Paths() []string
}

// Runner is an optional interface of every plugin that does work beside its connections. Run is
// called once and blocks until ctx is done, having cleaned up. It calls ready when connections
// may come. An error before that fails the start, after it stops the process.
type Runner interface {
	Run(ctx context.Context, ready func()) error
}
