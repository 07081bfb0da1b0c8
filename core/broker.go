package core

import (
	"context"
	"log/slog"
	"time"

	"github.com/wyemq/wye/core/engine"
)

// Options is what a [Broker] is made of.
type Options struct {
	// Engine stores and spreads; the broker closes it. Required.
	Engine engine.Engine
	// Authenticators, Authorizers and Interceptors, in the order they are asked.
	Authenticators []Authenticator
	Authorizers    []Authorizer
	Interceptors   []Interceptor
	// Anonymous says who may log in without credentials when no Authenticator decides.
	Anonymous Anonymous
	Limits    Limits
	// Queues are the policies of queues; the first whose Match fits the queue's name counts.
	Queues []QueuePolicy
	// Version is what protocols tell their clients.
	Version string
	Log     *slog.Logger
}

// Anonymous says who may log in without credentials.
type Anonymous string

// The values of auth.anonymous.
const (
	AnonymousLoopback Anonymous = "loopback" // connections on loopback addresses, the default
	AnonymousNever    Anonymous = "false"
	AnonymousAlways   Anonymous = "true"
)

// QueuePolicy gives the queues whose destination matches a filter their behaviour.
type QueuePolicy struct {
	Match  string // a filter over the levels of the name, as in "orders/#"
	Config QueueConfig
}

// Limits bound what one broker and one client may use. DefaultLimits has the defaults; no limit is off.
type Limits struct {
	Subscriptions    int           // of one session
	OutboxMessages   int           // direct deliveries waiting for one session
	OutboxBytes      int64         // body bytes of them
	OutboxOverflow   string        // "drop_oldest", "drop_new", "conflate" or "disconnect"
	Credit           int           // unsettled deliveries of a subscription that does not say
	Transactions     int           // open transactions of one session (kept by the protocols)
	TransactionOps   int           // sends and settlements of one transaction
	TransactionBytes int64         // body bytes of one transaction
	UnackedPublishes int           // publishes of one session under way in the engine; more make Publish wait
	SessionExpiry    time.Duration // most a session may outlive its connection
	RetainedMessages int           // retained messages in all
	SessionQueue     int           // messages waiting in one private queue of a session (max_length, drop_head)
}

// DefaultLimits returns the defaults.
func DefaultLimits() Limits {
	return Limits{
		Subscriptions: 10_000, OutboxMessages: 16_384, OutboxBytes: 64 << 20, OutboxOverflow: "drop_oldest",
		Credit: 100, Transactions: 16, TransactionOps: 10_000, TransactionBytes: 64 << 20,
		UnackedPublishes: 4096, SessionExpiry: 7 * 24 * time.Hour, RetainedMessages: 1_000_000, SessionQueue: 100_000,
	}
}

// Broker routes messages between sessions. All methods may be called concurrently.
type Broker struct{ o Options }

// NewBroker checks o and makes a broker. Run must be called for timers to work.
func NewBroker(o Options) (*Broker, error) { panic("wip") }

// Limits returns the limits the broker was made with.
func (b *Broker) Limits() Limits { return b.o.Limits }

// Version returns the version that protocols tell their clients.
func (b *Broker) Version() string { return b.o.Version }

// Connect authenticates l and opens a session. l.Conn is closed with the reason when the broker
// ends the session: takeover, slow consumer, administrator, failed delivery. A session with the
// same client id is closed with ErrTakenOver first, and waited for, bounded. The error wraps
// ErrLogin, ErrDenied, ErrLimit or ErrShutdown. Nothing is delivered before Subscribe.
func (b *Broker) Connect(ctx context.Context, l Login, deliver DeliverFunc) (*Session, error) {
	panic("wip")
}

// Close ends all sessions with ErrShutdown and closes the engine.
func (b *Broker) Close(ctx context.Context) error { panic("wip") }
