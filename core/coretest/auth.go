package coretest

import (
	"context"
	"fmt"

	"github.com/wyemq/wye/core"
)

// users is an authenticator of names and passwords.
type users map[string]string

// Name implements core.Authenticator.
func (users) Name() string { return "users" }

// Authenticate implements core.Authenticator. The user is in the group of its own name.
func (u users) Authenticate(_ context.Context, l *core.Login) (core.Principal, error) {
	if l.User == "" {
		return core.Principal{}, core.ErrSkip
	}
	if password, ok := u[l.User]; !ok || password != l.Password {
		return core.Principal{}, fmt.Errorf("user %q: %w", l.User, core.ErrLogin)
	}
	return core.Principal{Name: l.User, Groups: []string{l.User}}, nil
}

// Deny is an authenticator that refuses everybody.
func Deny(context.Context, *core.Login) (core.Principal, error) {
	return core.Principal{}, fmt.Errorf("nobody is let in: %w", core.ErrLogin)
}

// Fail returns an authenticator that cannot tell, because of err.
func Fail(err error) core.AuthenticatorFunc {
	return func(context.Context, *core.Login) (core.Principal, error) { return core.Principal{}, err }
}

type authorizer func(p *core.Principal, op core.Op, dest string) error

// Name implements core.Authorizer.
func (authorizer) Name() string { return "func" }

// Authorize implements core.Authorizer.
func (fn authorizer) Authorize(_ context.Context, p *core.Principal, op core.Op, dest string) error {
	return fn(p, op, dest)
}

// DenyOn returns a function for Authorize that refuses op on dest, to everybody.
func DenyOn(op core.Op, dest string) func(*core.Principal, core.Op, string) error {
	return func(_ *core.Principal, o core.Op, d string) error {
		if o == op && d == dest {
			return fmt.Errorf("%s %s: %w", o, d, core.ErrDenied)
		}
		return nil
	}
}

type interceptor struct {
	fn  func(ctx context.Context, c *core.Call, next func(context.Context, *core.Call) error) error
	ops []core.Op
}

// Name implements core.Interceptor.
func (interceptor) Name() string { return "func" }

// Ops implements core.Interceptor.
func (i interceptor) Ops() []core.Op { return i.ops }

// Intercept implements core.Interceptor.
func (i interceptor) Intercept(ctx context.Context, c *core.Call, next func(context.Context, *core.Call) error) error {
	return i.fn(ctx, c, next)
}
