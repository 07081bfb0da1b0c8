package stomp_test

import (
	"context"
	"fmt"
	"strings"

	"github.com/wyemq/wye/core"
)

// onlyUser lets in the user "name:password", and bearers of the token "name:password".
func onlyUser(pair string) core.Authenticator {
	return core.AuthenticatorFunc(func(_ context.Context, l *core.Login) (core.Principal, error) {
		name, _, _ := strings.Cut(pair, ":")
		if l.User+":"+l.Password != pair && l.Token != pair {
			return core.Principal{}, fmt.Errorf("user %q: %w", l.User, core.ErrLogin)
		}
		return core.Principal{Name: name}, nil
	})
}

// denies is an Authorizer that refuses one destination.
type denies string

func (denies) Name() string { return "denies" }

func (d denies) Authorize(_ context.Context, _ *core.Principal, op core.Op, dest string) error {
	if dest == string(d) {
		return fmt.Errorf("rule %q: %w", string(d), core.ErrDenied)
	}
	return nil
}
