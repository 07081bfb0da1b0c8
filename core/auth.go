package core

import (
	"context"
	"net/netip"
	"slices"
	"time"
)

// Principal is who a client is.
type Principal struct {
	// Name is the user; empty for anonymous.
	Name string
	// Groups the user is in.
	Groups []string
	// ClientID as the client gave it, or as the broker made it.
	ClientID string
	// VHost the session lives in. An Authenticator that sets it binds the client to that one; else the credentials are good
	// for "/", and for others if an Authorizer allows OpConnect on "vhost/<name>".
	VHost string
	// Remote is the client's address; the zero Addr when there is none. The broker sets it.
	Remote netip.Addr
	// Claims are what the credentials say beside; nil: nothing.
	Claims *Claims
	// Expires is when the credentials end, and the session with them; zero: never.
	Expires time.Time
	// Proof is what the Authenticator wants to know again of the credentials when it looks through the clients that it has
	// let in (see [Revoker]), as the fingerprint of a key; never a secret. Nobody else looks at it.
	Proof string

	by     Authenticator // who has let the client in; nil: nobody was asked
	source string        // of the credentials
}

// Authenticator decides who a client is. In configured order, the first that does not return
// ErrSkip decides. When all skip, or none is configured, the login is refused.
type Authenticator interface {
	// Name identifies it in configuration and logs.
	Name() string
	// Authenticate is called from many goroutines. It returns ErrSkip when it knows nothing of
	// such credentials, an error wrapping ErrLogin when they are wrong.
	Authenticate(ctx context.Context, l *Login) (Principal, error)
}

// AuthenticatorFunc is an [Authenticator] made of a function.
type AuthenticatorFunc func(ctx context.Context, l *Login) (Principal, error)

// Name returns "func".
func (AuthenticatorFunc) Name() string { return "func" }

// Authenticate calls f.
func (f AuthenticatorFunc) Authenticate(ctx context.Context, l *Login) (Principal, error) {
	return f(ctx, l)
}

// Enabler is an optional interface of an [Authenticator] that may be compiled in and know nobody, because
// nothing is configured for it. Without it an Authenticator counts as enabled.
type Enabler interface {
	// Enabled reports whether anybody could be let in. It may change while the broker runs.
	Enabled() bool
}

// Guarded reports whether one of as knows anybody: then there are users, and who is none is a stranger.
func Guarded(as []Authenticator) bool {
	return slices.ContainsFunc(as, func(a Authenticator) bool {
		e, ok := a.(Enabler)
		return !ok || e.Enabled()
	})
}

// Op is an operation that is authorized or intercepted.
type Op uint8

// The operations. Those after OpDisconnect are authorized only: an Interceptor of OpPublish sees what is retained, one of
// OpSubscribe every subscription.
const (
	OpConnect    Op = iota + 1 // to log in with a client id, "client/<id>", or to a virtual host, "vhost/<name>"
	OpPublish                  // to send to a destination
	OpSubscribe                // to a topic filter
	OpDeliver                  // a message to a subscription; never authorized
	OpDisconnect               // the end of a session; never authorized
	OpConsume                  // to take messages from a queue, or to join a group: "group/<name>"
	OpBrowse                   // to look at a queue
	OpCreate                   // a queue that is not there yet, by sending to it or consuming it
	OpDelete                   // the queue of a group
	OpRetain                   // to set or clear the retained message of a topic
	OpManage                   // to administer, not as a client: a queue, "broker/<what>" or "vhost/<name>"
)

// String returns the name used in configuration and logs.
func (o Op) String() string {
	switch o {
	case OpConnect:
		return "connect"
	case OpPublish:
		return "publish"
	case OpSubscribe:
		return "subscribe"
	case OpDeliver:
		return "deliver"
	case OpDisconnect:
		return "disconnect"
	case OpConsume:
		return "consume"
	case OpBrowse:
		return "browse"
	case OpCreate:
		return "create"
	case OpDelete:
		return "delete"
	case OpRetain:
		return "retain"
	case OpManage:
		return "manage"
	default:
		return "unknown"
	}
}

// Authorizer decides what a principal may do; all must agree. It runs for every publish and
// subscribe, so it does no I/O. dest is a destination, or a filter for OpSubscribe; for a client id and the
// name of a group it is what the operation says, escaped as [url.PathEscape] does. What a session made for
// itself alone, as its temporary queues, is not asked for. The error wraps ErrDenied and names the rule: see [Deny].
type Authorizer interface {
	Name() string
	Authorize(ctx context.Context, p *Principal, op Op, dest string) error
}

// Changer is an optional interface of an [Authorizer] whose answers may change while the broker runs.
type Changer interface {
	// OnChange is called once, before anything is asked. fn is to be called after each change, not from Authorize: it ends
	// the subscriptions that are not allowed any more.
	OnChange(fn func())
}

// Interceptor wraps operations, as HTTP middleware does. Operations not in Ops cost nothing.
type Interceptor interface {
	Name() string
	// Ops lists what is wrapped. The result is constant.
	Ops() []Op
	// Intercept calls next, perhaps with another Call, or returns an error to refuse. Who returns nil without having called it
	// swallows the operation, and the client is told that all is well. Next is not called any more once Intercept has
	// returned. Of another Call only what is named here is looked at:
	//
	//   - OpConnect: nothing. An error refuses the login; without one it goes on, next or not.
	//   - OpPublish: Message. One that is swallowed goes nowhere, and its publisher has his receipt. Who calls next twice
	//     publishes twice, and the publisher is told how the first has ended. Of a message that next has taken, with nil, the
	//     publisher is told what becomes of it, whatever Intercept returns then. Next only notes down what a transaction sends:
	//     any error refuses the whole. Wills, and what the broker itself publishes, are not seen.
	//   - OpSubscribe: Subscription. One that is swallowed is not there, and gets nothing. Who calls next twice subscribes
	//     twice. The client is told what Intercept returns: an error after next ends nothing, so return what next has returned.
	//   - OpDeliver: Message; the queue has the one that came. It runs each time one is to be written, on the goroutine that
	//     writes to the client, with the context of the broker. One that is swallowed or refused is done with, as if the client
	//     had accepted it: it is neither delivered again nor a dead letter, its credit is given back, and one that was refused
	//     counts as dropped; who browses is just not shown it. Next returns nil, before anything is written. It counts once: a
	//     second call does nothing, and an error after it is only logged.
	//   - OpDisconnect: nothing. The session has ended, next or not.
	Intercept(ctx context.Context, c *Call, next func(context.Context, *Call) error) error
}

// Call is one operation on its way through the interceptors.
type Call struct {
	Op        Op
	Principal *Principal
	// Message is set for OpPublish and OpDeliver. It is immutable: to change it, pass a Clone on.
	Message *Message
	// Subscription is set for OpSubscribe and OpDeliver.
	Subscription *Subscription
	// Err is why the session ended, for OpDisconnect; nil: the client has left.
	Err error
}
