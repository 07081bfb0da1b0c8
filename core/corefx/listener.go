package corefx

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"

	"go.uber.org/fx"

	"github.com/wyemq/wye/core"
	"github.com/wyemq/wye/core/config"
)

// Listener is a transport with the protocols it serves.
type Listener struct {
	// Key is the full key, as in "listeners.mqtt"; Scheme that of the uri.
	Key, Scheme string
	Transport   core.Transport
	Mux         *core.Mux
}

type listenersIn struct {
	fx.In

	Config     *config.Config
	Log        *slog.Logger
	Mux        *core.Mux
	Transports []TransportKind `group:"transports"`
}

// newListeners makes a transport for each listener that is enabled, ordered by name.
func newListeners(in listenersIn) ([]Listener, error) {
	var listeners []Listener
	var errs []error
	for _, inst := range in.Config.Instances(keyListeners) {
		settings := inst.Common.(ListenerSettings)
		if !settings.Enabled {
			continue
		}
		mux, err := in.Mux.Only(settings.Protocols...)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s.protocols: %w%s", inst.Key, err, origin(in.Config, inst.Key+".protocols")))
			continue
		}
		i := slices.IndexFunc(in.Transports, func(k TransportKind) bool { return slices.Contains(k.Schemes, inst.Variant) })
		t, err := in.Transports[i].New(inst.Name, inst.Value, in.Log)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		listeners = append(listeners, Listener{Key: inst.Key, Scheme: inst.Variant, Transport: t, Mux: mux})
	}
	return listeners, errors.Join(errs...)
}

// origin says where a value comes from, for the end of a message.
func origin(c *config.Config, key string) string {
	if o := c.Origin(key); o != config.Default {
		return " (" + o + ")"
	}
	return ""
}
