package wyecmd

import (
	"log/slog"

	"go.uber.org/fx"

	"github.com/wyemq/wye/core"
	"github.com/wyemq/wye/core/corefx"
	"github.com/wyemq/wye/plugins/acl"
	"github.com/wyemq/wye/plugins/clientcert"
	"github.com/wyemq/wye/plugins/httpauth"
	"github.com/wyemq/wye/plugins/jwt"
	"github.com/wyemq/wye/plugins/tickets"
	"github.com/wyemq/wye/plugins/users"
)

// authenticators is the order in which they are asked when the configuration gives none: what is certain of its own
// credentials comes before what looks at names.
func authenticators() []string { return []string{"tickets", "jwt", "clientcert", "users", "http"} }

// auth is who may log in, and what they may do.
func auth() fx.Option {
	return fx.Options(
		corefx.Config("auth.users", users.DefaultConfig), corefx.Authenticator(users.New),
		corefx.Config("auth.jwt", jwt.DefaultConfig), corefx.Authenticator(jwt.New),
		corefx.Config("auth.clientcert", clientcert.DefaultConfig), corefx.Authenticator(clientcert.New),
		corefx.Config("auth.http", httpauth.DefaultConfig), corefx.Authenticator(httpauth.New),
		corefx.Config("auth.tickets", tickets.DefaultConfig), fx.Provide(tickets.New),
		corefx.Authenticator(func(o *tickets.Office) *tickets.Office { return o }),
		corefx.Config("auth.acl", acl.DefaultConfig), fx.Provide(newACL), corefx.Authorizer(func(a *acl.ACL) *acl.ACL { return a }),
	)
}

type aclIn struct {
	fx.In

	Config         acl.Config
	Authenticators []core.Authenticator `group:"authenticators"`
	Log            *slog.Logger
}

// newACL tells the rules whether there are users.
func newACL(in aclIn) (*acl.ACL, error) {
	return acl.New(in.Config, func() bool { return core.Guarded(in.Authenticators) }, in.Log)
}
