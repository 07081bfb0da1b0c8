package core

import "context"

// Principal is who a client is.
type Principal struct {
	// Name is the user; empty for anonymous.
	Name string
	// Groups the user is in.
	Groups []string
	// ClientID as the client gave it, or as the broker made it.
	ClientID string
	// VHost the session lives in.
	VHost string
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

// Op is an operation that is authorized or intercepted.
type Op uint8

// The operations.
const (
	OpConnect Op = iota + 1
	OpPublish
	OpSubscribe
	OpDeliver
	OpDisconnect
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
	default:
		return "unknown"
	}
}

// Authorizer decides what a principal may do; all must agree. It runs for every publish and
// subscribe, so it does no I/O. dest is a destination, or a filter for OpSubscribe. The error
// wraps ErrDenied and names the rule.
type Authorizer interface {
	Name() string
	Authorize(ctx context.Context, p *Principal, op Op, dest string) error
}

// Interceptor wraps operations, as HTTP middleware does. Operations not in Ops cost nothing.
type Interceptor interface {
	Name() string
	// Ops lists what is wrapped. The result is constant.
	Ops() []Op
	// Intercept calls next, perhaps with another Call, or returns an error to refuse.
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
	// Err is why the session ended, for OpDisconnect.
	Err error
}
