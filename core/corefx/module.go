package corefx

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"

	"go.uber.org/fx"

	"github.com/wyemq/wye/core"
	"github.com/wyemq/wye/core/config"
	"github.com/wyemq/wye/core/engine"
)

// Defaults are what a program runs with when nothing is configured.
type Defaults struct {
	// Listeners has keys as "mqtt.uri" and "mqtt.protocols".
	Listeners map[string]string
	// Engine is the kind.
	Engine string
	// Authenticators is the order in which they are asked when the configuration gives none. It may name some that are not
	// compiled in.
	Authenticators []string
}

// Input is what a program gives the graph. It supplies exactly one.
type Input struct {
	Defaults
	Sources config.Sources
	// Version is what protocols tell their clients.
	Version string
	// Log is where log lines go.
	Log io.Writer
}

// Module provides everything between the plugins and the [Server]. The program supplies an [Input].
func Module() fx.Option {
	return fx.Module("core", fx.Provide(
		newConfig, newLog, newEngine, newBroker, newMux, newListeners, newRunners, newServer,
		func() *Readiness { return new(Readiness) }, newReloader,
	))
}

type configIn struct {
	fx.In

	Input      Input
	Sections   []config.Section `group:"sections"`
	Transports []TransportKind  `group:"transports"`
	Engines    []EngineKind     `group:"engines"`
}

// newConfig reads the configuration.
func newConfig(in configIn) (*config.Config, error) {
	// Groups come in no order, but what is printed should have one.
	slices.SortFunc(in.Transports, func(a, b TransportKind) int { return slices.Compare(a.Schemes, b.Schemes) })
	slices.SortFunc(in.Engines, func(a, b EngineKind) int { return cmp.Compare(a.Kind, b.Kind) })
	sections := append(coreSections(in.Input.Defaults, in.Transports, in.Engines), in.Sections...)
	slices.SortStableFunc(sections, func(a, b config.Section) int { return cmp.Compare(a.Key, b.Key) })
	c, err := config.Load(in.Input.Sources, sections...)
	if err != nil {
		return nil, &ConfigError{Partial: c, err: err}
	}
	return c, nil
}

// ConfigError is what the graph fails with when the configuration is wrong.
type ConfigError struct {
	// Partial is what was right; nil when the sections do not fit together.
	Partial *config.Config
	err     error
}

func (e *ConfigError) Error() string { return e.err.Error() }

// Unwrap returns what [config.Load] returned.
func (e *ConfigError) Unwrap() error { return e.err }

// newLog also returns what changes the level.
func newLog(in Input, c *config.Config) (*slog.Logger, *slog.LevelVar) {
	cfg := config.Get[LogSettings](c, keyLog)
	level := new(slog.LevelVar)
	level.Set(cfg.level())
	o := &slog.HandlerOptions{Level: level}
	if cfg.Format == "json" {
		return slog.New(slog.NewJSONHandler(in.Log, o)), level
	}
	return slog.New(slog.NewTextHandler(in.Log, o)), level
}

type engineIn struct {
	fx.In

	Config  *config.Config
	Log     *slog.Logger
	Engines []EngineKind `group:"engines"`
}

// newEngine opens the engine of the configured kind.
func newEngine(in engineIn) (engine.Engine, error) {
	chosen := in.Config.Instances(keyEngine)[0]
	i := slices.IndexFunc(in.Engines, func(k EngineKind) bool { return k.Kind == chosen.Variant })
	e, err := in.Engines[i].New(chosen.Value, in.Log.With("engine", chosen.Variant))
	if err != nil {
		return nil, fmt.Errorf("engine %s: %w", chosen.Variant, err)
	}
	return e, nil
}

type brokerIn struct {
	fx.In

	Input          Input
	Config         *config.Config
	Log            *slog.Logger
	Engine         engine.Engine
	Authenticators []core.Authenticator `group:"authenticators"`
	Authorizers    []core.Authorizer    `group:"authorizers"`
	Interceptors   []core.Interceptor   `group:"interceptors"`
	Observers      []core.Observer      `group:"observers"`
}

// newBroker makes the broker of everything that has an order.
func newBroker(in brokerIn) (*core.Broker, error) {
	auth := config.Get[AuthSettings](in.Config, keyAuth)
	o := brokerSettings(in.Config)
	o.Engine, o.Version, o.Log, o.Observers = in.Engine, in.Input.Version, in.Log, byName(in.Observers)
	var errs [3]error
	o.Authenticators, errs[0] = inOrder("auth.authenticators", given(auth.Authenticators, in.Input.Authenticators, in.Authenticators), in.Authenticators)
	o.Authorizers, errs[1] = inOrder("auth.authorizers", auth.Authorizers, in.Authorizers)
	o.Interceptors, errs[2] = inOrder(keyInterceptors, config.Get[[]string](in.Config, keyInterceptors), in.Interceptors)
	if err := errors.Join(errs[:]...); err != nil {
		return nil, err
	}
	return core.NewBroker(o)
}

// brokerSettings are the options that may change while the broker runs.
func brokerSettings(c *config.Config) core.Options {
	auth := config.Get[AuthSettings](c, keyAuth)
	o := core.Options{
		Anonymous: auth.Anonymous, Credentials: auth.Credentials, Cookie: auth.Cookie, DisconnectDenied: auth.OnDenied == onDisconnect,
		Limits: config.Get[core.Limits](c, keyLimits),
		Queues: config.Get[QueueSettings](c, keyQueues),
		VHosts: config.Get[VHostSettings](c, keyVHosts), Entrances: make(map[string]core.Entrance),
	}
	for _, inst := range c.Instances(keyListeners) {
		if s := inst.Common.(ListenerSettings); s.Enabled {
			o.Entrances[inst.Name] = core.Entrance{VHost: s.VHost, Served: s.VHosts, AnyHost: s.AnyHost}
		}
	}
	return o
}

type muxIn struct {
	fx.In

	Log       *slog.Logger
	Broker    *core.Broker
	Protocols []core.Protocol `group:"protocols"`
}

// newMux joins all protocols; listeners pick theirs of it.
func newMux(in muxIn) (*core.Mux, error) {
	m, err := core.NewMux(in.Log, byName(in.Protocols)...)
	if err == nil {
		m.KeptBy(in.Broker)
	}
	return m, err
}

// Runners are all that run, whatever else they are.
type Runners []core.Runner

type runnersIn struct {
	fx.In

	Broker         *core.Broker
	Engine         engine.Engine
	Runners        []core.Runner        `group:"runners"`
	Protocols      []core.Protocol      `group:"protocols"`
	Authenticators []core.Authenticator `group:"authenticators"`
	Authorizers    []core.Authorizer    `group:"authorizers"`
	Interceptors   []core.Interceptor   `group:"interceptors"`
	Observers      []core.Observer      `group:"observers"`
}

// newRunners finds them.
func newRunners(in runnersIn) Runners {
	all := appendRunners(append(slices.Clone(Runners(in.Runners)), in.Broker), []engine.Engine{in.Engine})
	all = appendRunners(all, in.Protocols)
	all = appendRunners(all, in.Authenticators)
	all = appendRunners(all, in.Authorizers)
	all = appendRunners(all, in.Interceptors)
	return appendRunners(all, in.Observers)
}

func appendRunners[T any](all Runners, items []T) Runners {
	for _, item := range items {
		if r, ok := any(item).(core.Runner); ok {
			all = append(all, r)
		}
	}
	return all
}
