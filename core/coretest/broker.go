package coretest

import (
	"context"
	"testing"
	"time"

	"github.com/wyemq/wye/core"
	"github.com/wyemq/wye/core/engine/memory"
)

// closeTimeout bounds the end of a broker whose protocols hang.
const closeTimeout = 10 * time.Second

// Option changes the options of a broker for tests.
type Option func(*core.Options)

// Broker returns a broker on a memory engine that serves anonymous clients from everywhere. It is
// closed with the test; sessions that are left then have ten seconds to go.
func Broker(t testing.TB, opts ...Option) *core.Broker {
	t.Helper()
	o := core.Options{Anonymous: core.AnonymousAlways, Limits: core.DefaultLimits(), Version: "test"}
	for _, opt := range opts {
		opt(&o)
	}
	if o.Engine == nil {
		o.Engine = memory.New()
	}
	b, err := core.NewBroker(o)
	if err != nil {
		t.Fatalf("new broker: %v", err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
		defer cancel()
		if err := b.Close(ctx); err != nil {
			t.Errorf("close the broker: %v", err)
		}
	})
	return b
}

// Limits changes the limits of a broker.
func Limits(change func(*core.Limits)) Option {
	return func(o *core.Options) { change(&o.Limits) }
}

// Queue gives the queues that match a filter over the levels of their name, as in "orders/#", a policy.
func Queue(match string, c core.QueueConfig) Option {
	return func(o *core.Options) { o.Queues = append(o.Queues, core.QueuePolicy{Match: match, Config: c}) }
}

// Users makes a broker serve these users, by password, and nobody else.
func Users(passwords map[string]string) Option {
	return func(o *core.Options) {
		o.Anonymous = core.AnonymousNever
		o.Authenticators = append(o.Authenticators, users(passwords))
	}
}

// Authenticate adds an authenticator made of fn.
func Authenticate(fn core.AuthenticatorFunc) Option {
	return func(o *core.Options) { o.Authenticators = append(o.Authenticators, fn) }
}

// Authorize adds an authorizer made of fn: it returns nil for what is allowed.
func Authorize(fn func(p *core.Principal, op core.Op, dest string) error) Option {
	return func(o *core.Options) { o.Authorizers = append(o.Authorizers, authorizer(fn)) }
}

// Intercept adds an interceptor made of fn for ops.
func Intercept(fn func(ctx context.Context, c *core.Call, next func(context.Context, *core.Call) error) error, ops ...core.Op) Option {
	return func(o *core.Options) { o.Interceptors = append(o.Interceptors, interceptor{fn, ops}) }
}
