package core

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"time"
)

// Kind is the kind of a message on a connection.
type Kind uint8

// The kinds. They are the data frame types of RFC 6455, section 5.6.
const (
	Text   Kind = 1
	Binary Kind = 2
)

// Conn is an accepted connection that carries whole messages. On stream transports all that
// is received is one endless Binary message. One goroutine may read, any may write.
type Conn interface {
	// NextReader returns the next message; its reader is valid until the next call. Errors:
	// io.EOF after an orderly close by the peer, an error wrapping ErrTooBig past the size
	// limit, ErrShutdown as soon as the ctx of ServeConn is done, the error given to Close;
	// a deadline that passed is an error wrapping os.ErrDeadlineExceeded. After ErrShutdown
	// and Close writes still work, so that a protocol can say goodbye on its way out.
	NextReader() (Kind, io.Reader, error)
	// WriteMessage appends the parts, joined, as one message and does not keep them; what is
	// gathered leaves with Flush, or earlier when the buffer is full. A peer that reads
	// nothing for the write timeout gets an error wrapping ErrSlowConsumer, one that has closed the
	// connection ErrGone: nothing can be said any more, but what it sent before can be read. The slice of
	// parts is not kept either: callers on the hot path pass one that they use again.
	WriteMessage(k Kind, parts ...[]byte) error
	// Flush sends what is gathered. The broker calls it after each DeliverFunc; a protocol
	// calls it after its own replies, once per read that it has worked off.
	Flush() error
	// SetReadDeadline bounds reads to come, the one under way included; zero: none. A protocol
	// that sets one answers for it: the transport's own idle timeout no longer applies.
	SetReadDeadline(t time.Time) error
	// LoggedIn lifts the limits that hold before login: size of a message, time to log in.
	LoggedIn()
	// Close makes reads return err (io.EOF for nil), at once. Writes go on working until
	// ServeConn returns or a short linger has passed. The first call counts. It never blocks.
	Close(err error)
	// Info describes the connection: transport, subprotocol, addresses, TLS, HTTP header. The
	// result does not change and is shared.
	Info() *ConnInfo
}

// Holder is an optional interface of a [Conn] whose transport ends connections that are silent.
type Holder interface {
	// HeldBack says that the peer may have said something, but nobody has read it: the broker holds it back.
	HeldBack()
}

// Waiter is an optional interface of a [Conn] that reads ahead: several messages from the network at a time.
type Waiter interface {
	// BeforeWait sets what is called, by the goroutine that reads, each time before the network is waited for: the moment to
	// send what was gathered. An error ends the reads with it. It is called once, before the first read. On a Conn that is no
	// Waiter each NextReader may wait, and each read from what it returns.
	BeforeWait(fn func() error)
}

// ConnInfo says where a connection comes from. It is read-only.
type ConnInfo struct {
	// ID is unique in this process, as in "c17"; it appears in logs.
	ID string
	// Listener is the name of the listener in the configuration, Transport that of its kind.
	Listener, Transport string
	// Subprotocol is the WebSocket subprotocol that was agreed on, as the client spelled it.
	Subprotocol string
	// Path is the path of the HTTP request, and Host what it asked for; empty on plain TCP. A path that begins with
	// /vhosts/<name> names a virtual host; what follows is as without it.
	Path, Host string
	// Local and Remote are the addresses; behind a trusted proxy Remote is the client's.
	Local, Remote net.Addr
	// Forwarded says that the request came by way of a proxy, so that a loopback Remote is not known to be the client's.
	Forwarded bool
	// TLS is nil on a plain connection.
	TLS *tls.ConnectionState
	// Bearer is the token of a subprotocol "bearer.<token>" that was offered beside that of a protocol, Ticket the
	// parameter "ticket" of the URL. Both are secrets.
	Bearer, Ticket string
	// Header holds what an Authenticator may need of the HTTP request: Authorization, Cookie,
	// Origin, User-Agent. Nil on plain TCP.
	Header http.Header
	// Refused is why the connection is not admitted: it is served only to be told so by its protocol, and Connect returns
	// that. Nil: it is admitted.
	Refused error
	// Stream says that message boundaries mean nothing, as on plain TCP.
	Stream bool

	observed uint32 //nolint:modernize // atomically 1: what became of a login was told. A ConnInfo can be copied, an atomic.Uint32 cannot
}

// Loopback reports whether the connection was accepted on a loopback address and comes from one. A client of a proxy on this
// machine does not, as far as can be seen.
func (i *ConnInfo) Loopback() bool { return !i.Forwarded && loopback(i.Local) && loopback(i.Remote) }

func loopback(a net.Addr) bool {
	switch a := a.(type) {
	case *net.TCPAddr:
		return a.IP.IsLoopback()
	case nil:
		return false
	default:
		return a.Network() == "unix" || a.Network() == "pipe"
	}
}

// Handler is what a Transport serves. In production it is the [Mux], which picks the protocol
// by subprotocol, then by path, then by Sniff in configured order, else refuses.
type Handler interface {
	// Subprotocols lists the tokens that are served. The result is constant.
	Subprotocols() []string
	// Select returns the token, as the client spelled it, that serves a client which offered
	// these, in its order of preference; false when none is known.
	Select(offered []string) (string, bool)
	// ServeConn serves c until the peer leaves or ctx is done; then the transport closes c
	// with CloseCode(err) and the text of err, and logs it once.
	ServeConn(ctx context.Context, c Conn) error
}

// Doorkeeper is an optional interface of a [Handler] which may refuse connections before they stand, and wants to know of
// those that end before anybody has logged in. Its methods are called concurrently and do not block.
type Doorkeeper interface {
	// Admit returns nil, or an error that wraps ErrBusy: the client may come back later. A transport that can say no in words
	// of its own, as HTTP does, asks for each connection; else the protocol says it.
	Admit() error
	// Refused is told by the transport, once for each, of connections that it refuses, and of those that end without
	// LoggedIn for an err that has a [Reason]. What is not known of a connection is missing in info; it may be that there is
	// no more than Listener, Transport and Remote.
	Refused(info *ConnInfo, err error)
}

// Transport accepts connections.
type Transport interface {
	// Name is that of the listener, for logs and metrics.
	Name() string
	// Listen binds and returns the bound address, so that tests can use port 0.
	Listen(ctx context.Context) (net.Addr, error)
	// Serve accepts until ctx is done, then waits, bounded, for its connections and returns nil.
	Serve(ctx context.Context, h Handler) error
}
