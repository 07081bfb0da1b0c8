package corefx

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"sync"
	"sync/atomic"

	"go.uber.org/fx"

	"github.com/wyemq/wye/core"
	"github.com/wyemq/wye/core/config"
)

// Listener is a transport with the protocols it serves.
type Listener struct {
	// Key is the full key, as in "listeners.mqtt"; Scheme that of the uri.
	Key, Scheme string
	Transport   core.Transport

	kind    *TransportKind
	uri     string
	addr    net.Addr // once it is bound
	handler *handler
	close   context.CancelFunc // once it is served
}

// Protocols names those that it serves.
func (l *Listener) Protocols() []string { return l.handler.Load().Names() }

// handler is a Mux that may be exchanged for another one.
type handler struct{ atomic.Pointer[core.Mux] }

func (h *handler) Subprotocols() []string                 { return h.Load().Subprotocols() }
func (h *handler) Select(offered []string) (string, bool) { return h.Load().Select(offered) }

// Admit implements core.Doorkeeper.
func (h *handler) Admit() error { return h.Load().Admit() }

// Refused implements core.Doorkeeper.
func (h *handler) Refused(info *core.ConnInfo, err error) { h.Load().Refused(info, err) }

func (h *handler) ServeConn(ctx context.Context, c core.Conn) error {
	return h.Load().ServeConn(ctx, c)
}

// Listeners are those that there are. They change with the configuration.
type Listeners struct {
	kinds []TransportKind
	mux   *core.Mux
	log   *slog.Logger

	mu  sync.Mutex
	all []*Listener
	met []func(*Listener)
}

type listenersIn struct {
	fx.In

	Config     *config.Config
	Log        *slog.Logger
	Mux        *core.Mux
	Transports []TransportKind `group:"transports"`
}

// errNone is what there is without any listener.
var errNone = errors.New("listeners: none is enabled")

// newListeners makes a transport for each listener that is enabled.
func newListeners(in listenersIn) (*Listeners, error) {
	ls := &Listeners{kinds: in.Transports, mux: in.Mux, log: in.Log}
	var errs []error
	for _, inst := range enabled(in.Config) {
		l, err := ls.make(in.Config, inst)
		if err == nil {
			ls.all = append(ls.all, l)
		}
		errs = append(errs, err)
	}
	return ls, errors.Join(errs...)
}

// All lists them, ordered by name.
func (ls *Listeners) All() []*Listener {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	return slices.Clone(ls.all)
}

// Each calls fn for each of them, and later for each one more before it serves anybody.
func (ls *Listeners) Each(fn func(*Listener)) {
	ls.mu.Lock()
	ls.met = append(ls.met, fn)
	all := slices.Clone(ls.all)
	ls.mu.Unlock()
	for _, l := range all {
		fn(l)
	}
}

// replace makes all those that there are. Those that were not there before are introduced first.
func (ls *Listeners) replace(all []*Listener) {
	ls.mu.Lock()
	old, met := ls.all, slices.Clone(ls.met)
	ls.mu.Unlock()
	for _, l := range all {
		if slices.Contains(old, l) {
			continue
		}
		for _, fn := range met {
			fn(l)
		}
	}
	ls.mu.Lock()
	defer ls.mu.Unlock()
	ls.all = all
}

// enabled lists the listeners of a configuration, ordered by name.
func enabled(c *config.Config) []config.Instance {
	return slices.DeleteFunc(slices.Clone(c.Instances(keyListeners)), func(inst config.Instance) bool {
		return !inst.Common.(ListenerSettings).Enabled
	})
}

// make makes a listener as configured. It is not bound.
func (ls *Listeners) make(c *config.Config, inst config.Instance) (*Listener, error) {
	mux, err := ls.muxOf(c, inst)
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(ls.kinds, func(k TransportKind) bool { return slices.Contains(k.Schemes, inst.Variant) })
	t, err := ls.kinds[i].New(inst.Name, inst.Value, ls.log)
	if err != nil {
		return nil, err
	}
	l := &Listener{
		Key: inst.Key, Scheme: inst.Variant, Transport: t, kind: &ls.kinds[i],
		uri: inst.Common.(ListenerSettings).URI, handler: new(handler),
	}
	l.handler.Store(mux)
	return l, nil
}

// muxOf returns the protocols of a listener.
func (ls *Listeners) muxOf(c *config.Config, inst config.Instance) (*core.Mux, error) {
	mux, err := ls.mux.Only(inst.Common.(ListenerSettings).Protocols...)
	if err != nil {
		return nil, fmt.Errorf("%s.protocols: %w%s", inst.Key, err, origin(c, inst.Key+".protocols"))
	}
	return mux, nil
}

// origin says where a value comes from, for the end of a message.
func origin(c *config.Config, key string) string {
	if o := c.Origin(key); o != config.Default {
		return " (" + o + ")"
	}
	return ""
}
