package corefx

import (
	"log/slog"

	"go.uber.org/fx"

	"github.com/wyemq/wye/core"
	"github.com/wyemq/wye/core/config"
	"github.com/wyemq/wye/core/engine"
)

// Protocol adds a protocol. ctor is its constructor, as in stomp.New; what it takes is provided by the
// graph: *core.Broker, its own Config (see [Config]), *slog.Logger.
func Protocol(ctor any) fx.Option { return member[core.Protocol](ctor, `group:"protocols"`) }

// Authenticator adds a [core.Authenticator]. When there are several, auth.authenticators gives their order.
func Authenticator(ctor any) fx.Option {
	return member[core.Authenticator](ctor, `group:"authenticators"`)
}

// Authorizer adds a [core.Authorizer]. When there are several, auth.authorizers gives their order.
func Authorizer(ctor any) fx.Option { return member[core.Authorizer](ctor, `group:"authorizers"`) }

// Interceptor adds a [core.Interceptor]. When there are several, interceptors gives their order.
func Interceptor(ctor any) fx.Option {
	return member[core.Interceptor](ctor, `group:"interceptors"`)
}

// Observer adds a [core.Observer].
func Observer(ctor any) fx.Option { return member[core.Observer](ctor, `group:"observers"`) }

// Runner adds a [core.Runner] that is nothing else. Protocols, authenticators and the others need no
// second registration: that they run is seen from their type.
func Runner(ctor any) fx.Option { return member[core.Runner](ctor, `group:"runners"`) }

func member[T any](ctor any, group string) fx.Option {
	return fx.Provide(fx.Annotate(ctor, fx.As(new(T)), fx.ResultTags(group)))
}

// Config adds the section at key to the configuration and provides it, as a T, to constructors. Plugins that are
// [Reloadable] with T are told when it changes.
func Config[T any](key string, defaults func() T) fx.Option {
	return fx.Options(
		Section(config.Section{Key: key, Default: defaults()}),
		fx.Provide(func(c *config.Config) T { return config.Get[T](c, key) }),
		fx.Supply(fx.Annotate(reloadable[T](key), fx.ResultTags(`group:"reloadables"`))),
	)
}

// Section adds a section to the configuration whose value is asked for with [config.Get].
func Section(s config.Section) fx.Option {
	return fx.Supply(fx.Annotate(s, fx.ResultTags(`group:"sections"`)))
}

// TransportKind makes the listeners whose uri has one of its schemes.
type TransportKind struct {
	Schemes []string
	Default any
	New     func(name string, cfg any, log *slog.Logger) (core.Transport, error)

	// of asks a transport whether it is Reloadable.
	of func(t core.Transport) (prepare func(cfg any) (core.Change, error), ok bool)
}

func (k *TransportKind) reloadable(t core.Transport) bool {
	_, ok := k.of(t)
	return ok
}

// prepare hands settings to a transport that is Reloadable; others stay as they are.
func (k *TransportKind) prepare(t core.Transport, cfg any) (core.Change, error) {
	prepare, ok := k.of(t)
	if !ok {
		return core.Change{}, nil
	}
	return prepare(cfg)
}

// Transport adds a kind of transport: create is called for each listener whose uri has one of the
// schemes. The keys of C are those of the listener, beside enabled and protocols; C should have a
// field with the tag koanf:"uri". A transport that is [Reloadable] with C keeps its connections when they change.
func Transport[C any, T core.Transport](
	defaults func() C, create func(name string, cfg C, log *slog.Logger) (T, error), schemes ...string,
) fx.Option {
	kind := TransportKind{
		Schemes: schemes, Default: defaults(),
		New: func(name string, cfg any, log *slog.Logger) (core.Transport, error) {
			return create(name, cfg.(C), log)
		},
		of: func(t core.Transport) (func(cfg any) (core.Change, error), bool) {
			r, ok := t.(Reloadable[C])
			return func(cfg any) (core.Change, error) { return r.Prepare(cfg.(C)) }, ok
		},
	}
	return fx.Supply(fx.Annotate(kind, fx.ResultTags(`group:"transports"`)))
}

// EngineKind makes the engine when engine.kind is its Kind.
type EngineKind struct {
	Kind    string
	Default any
	New     func(cfg any, log *slog.Logger) (engine.Engine, error)
}

// Engine adds a kind of engine. The keys of C are below engine, beside kind; a C without fields has none.
func Engine[C any, E engine.Engine](
	kind string, defaults func() C, create func(cfg C, log *slog.Logger) (E, error),
) fx.Option {
	k := EngineKind{
		Kind: kind, Default: defaults(),
		New: func(cfg any, log *slog.Logger) (engine.Engine, error) { return create(cfg.(C), log) },
	}
	return fx.Supply(fx.Annotate(k, fx.ResultTags(`group:"engines"`)))
}
