package corefx

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/wyemq/wye/core"
	"github.com/wyemq/wye/core/config"
	"github.com/wyemq/wye/core/destination"
)

// ListenerSettings are the keys of a listener that do not depend on its transport.
type ListenerSettings struct {
	// URI says transport and address, as in ws://127.0.0.1:61614; port 0 takes a free one.
	URI string `koanf:"uri"`
	// Enabled switches the listener off without taking it out of the configuration.
	Enabled bool `koanf:"enabled"`
	// Protocols names those that are served, in the order in which they look at the first bytes.
	// Empty: all, by name.
	Protocols []string `koanf:"protocols"`
	// VHost is the virtual host of clients that name none, VHosts those that the listener leads to. Empty: all.
	VHost  string   `koanf:"vhost"`
	VHosts []string `koanf:"vhosts"`
	// AnyHost takes a host header of STOMP that names no virtual host for a name of the server: see core.Entrance.
	AnyHost bool `koanf:"any_host"`
}

// EngineSettings are the keys of the engine that do not depend on its kind.
type EngineSettings struct {
	// Kind picks one of the engines compiled in.
	Kind string `koanf:"kind"`
	// Dir is where an engine that writes to disk does so; others do not look at it.
	Dir string `koanf:"dir"`
	// MinFree is how much room such an engine leaves on the disk.
	MinFree int64 `koanf:"min_free"`
}

// AuthSettings is the section "auth".
type AuthSettings struct {
	// Anonymous says who may log in without credentials when no authenticator decides.
	Anonymous core.Anonymous `koanf:"anonymous" enum:"loopback,false,true"`
	// OnDenied says what becomes of a client that was refused a publish or a subscription: refuse tells it, disconnect ends
	// its connection as well.
	OnDenied string `koanf:"on_denied" enum:"refuse,disconnect"`
	// Authenticators and Authorizers are the order in which those compiled in are asked. Empty: that of [Defaults], and what
	// it does not name at the end, if that is one.
	Authenticators []string `koanf:"authenticators" restart:"true"`
	Authorizers    []string `koanf:"authorizers" restart:"true"`
	// Credentials are the places where those of a client are looked for, in order, and Cookie the name of one of them: see
	// core.Options.
	Credentials []string `koanf:"credentials" enum:"connect,ticket,authorization,subprotocol,cookie"`
	Cookie      string   `koanf:"cookie"`
}

// LogSettings is the section "log".
type LogSettings struct {
	Level  string `koanf:"level" enum:"debug,info,warn,error"`
	Format string `koanf:"format" enum:"text,json" restart:"true"`
}

func (s LogSettings) level() slog.Level {
	var level slog.Level
	_ = level.UnmarshalText([]byte(s.Level)) // one of those that the tag permits
	return level
}

// checkShutdown refuses what leaves no time.
func checkShutdown(value any) error {
	if t := value.(time.Duration); t <= 0 {
		return fmt.Errorf("%s: must be positive, is %v", keyShutdown, t)
	}
	return nil
}

// QueueSettings is the section "queues".
type QueueSettings []core.QueuePolicy

// Validate names every policy that makes no sense.
func (s QueueSettings) Validate() error {
	var errs []error
	for i, p := range s {
		// The wildcards are those of topics; queues have none.
		if err := destination.CheckFilter("topic/" + p.Match); err != nil {
			errs = append(errs, fmt.Errorf("%d.match: must be a filter such as orders/#, is %q", i, p.Match))
		}
		c := p.Config
		if c.MaxDeliveries < -1 {
			errs = append(errs, fmt.Errorf("%d.max_deliveries: must be -1 or more, is %d", i, c.MaxDeliveries))
		}
		if err := c.CheckDeadLetter(); err != nil {
			errs = append(errs, fmt.Errorf("%d.dead_letter: must be a queue, none or empty: %w", i, err))
		}
		for _, f := range []struct {
			key   string
			value int64
		}{
			{"backoff", int64(c.Backoff)},
			{"max_backoff", int64(c.MaxBackoff)},
			{"ttl", int64(c.TTL)},
			{"max_length", int64(c.MaxLength)},
			{"max_bytes", c.MaxBytes},
			{"expires_idle", int64(c.ExpiresIdle)},
			{"prefetch", int64(c.Credit)},
		} {
			if f.value < 0 {
				errs = append(errs, fmt.Errorf("%d.%s: must not be negative", i, f.key))
			}
		}
	}
	return errors.Join(errs...)
}

// VHostSettings is the section "vhosts".
type VHostSettings []core.VHost

// Validate names every virtual host that makes no sense.
func (s VHostSettings) Validate() error { return core.CheckVHosts(s) }

const (
	onDisconnect    = "disconnect" // of auth.on_denied
	defaultShutdown = 15 * time.Second
	keyListeners    = "listeners"
	keyEngine       = "engine"
	keyAuth         = "auth"
	keyInterceptors = "interceptors"
	keyLimits       = "limits"
	keyQueues       = "queues"
	keyLog          = "log"
	keyShutdown     = "shutdown_timeout"
	keyVHosts       = "vhosts"
)

// coreSections are those of the core itself. Which listeners there are by default, and which engine, the
// program decides: see [Defaults].
func coreSections(def Defaults, transports []TransportKind, engines []EngineKind) []config.Section {
	listeners := config.Section{
		Key: keyListeners, Named: true, By: "uri", Preset: def.Listeners,
		Default: ListenerSettings{Enabled: true, VHost: "/"},
	}
	for _, t := range transports {
		listeners.Variants = append(listeners.Variants, config.Variant{Names: t.Schemes, Default: t.Default})
	}
	eng := config.Section{Key: keyEngine, By: "kind", Default: EngineSettings{
		Kind: def.Engine, Dir: "wye-data", MinFree: 512 << 20,
	}}
	for _, e := range engines {
		eng.Variants = append(eng.Variants, config.Variant{Names: []string{e.Kind}, Default: e.Default})
	}
	return []config.Section{
		listeners, eng,
		{Key: keyAuth, Default: AuthSettings{Anonymous: core.AnonymousLoopback, OnDenied: "refuse", Credentials: core.DefaultCredentials()}},
		{Key: keyInterceptors, Default: []string(nil)},
		{Key: keyLimits, Default: core.DefaultLimits()},
		{Key: keyQueues, Default: QueueSettings(nil)},
		{Key: keyVHosts, Default: VHostSettings(nil)},
		{Key: keyLog, Default: LogSettings{Level: "info", Format: "text"}},
		{Key: keyShutdown, Default: defaultShutdown, Check: checkShutdown},
	}
}
