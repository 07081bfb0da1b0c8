package stomp

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/wyemq/wye/protocols/stomp/frame"
)

// Config is what an operator may choose.
type Config struct {
	// Dialect says how destinations are written: auto, rabbitmq, activemq or slash.
	Dialect Dialect `koanf:"dialect"`
	// DefaultKind is what a destination without a known prefix is: topic, queue, or empty to refuse it.
	DefaultKind string `koanf:"default_kind"`
	// Listeners overrides both for single listeners, by their names.
	Listeners map[string]Listener `koanf:"listeners"`
	// CloseOnError closes the connection after every ERROR, as the specifications demand. Without it,
	// the refusal of a single SEND, SUBSCRIBE and the like costs an ERROR only.
	CloseOnError bool `koanf:"close_on_error"`
	// HeartBeat is the broker's side of the negotiation.
	HeartBeat HeartBeat `koanf:"heart_beat"`
	// MaxHeaders, MaxHeaderBytes and MaxBody bound one frame.
	MaxHeaders     int `koanf:"max_headers"`
	MaxHeaderBytes int `koanf:"max_header_bytes"`
	MaxBody        int `koanf:"max_body"`
	// DrainTimeout is how long DISCONNECT and a shutdown wait for what is under way.
	DrainTimeout time.Duration `koanf:"drain_timeout"`
}

// Listener overrides the dialect of one listener. Empty: as for all.
type Listener struct {
	Dialect     Dialect `koanf:"dialect"`
	DefaultKind string  `koanf:"default_kind"`
}

// HeartBeat says what the broker offers and tolerates. Clients that do not ask for heart-beats have no
// deadline.
type HeartBeat struct {
	// Send is the shortest interval at which the broker sends, Receive the one at which it would like to
	// receive; 0: not at all.
	Send    time.Duration `koanf:"send"`
	Receive time.Duration `koanf:"receive"`
	// Tolerance times the agreed interval may pass without anything from the client.
	Tolerance float64 `koanf:"tolerance"`
	// Floor is the least time that may pass, BrowserFloor for clients with an Origin: browsers let the
	// timers of hidden tabs run once in a minute.
	Floor        time.Duration `koanf:"floor"`
	BrowserFloor time.Duration `koanf:"browser_floor"`
}

// DefaultConfig returns the defaults.
func DefaultConfig() Config {
	l := frame.DefaultLimits()
	return Config{
		Dialect: Auto, CloseOnError: true,
		HeartBeat: HeartBeat{
			Send: 10 * time.Second, Receive: 10 * time.Second, Tolerance: 2,
			Floor: 5 * time.Second, BrowserFloor: 70 * time.Second,
		},
		MaxHeaders: l.Headers, MaxHeaderBytes: l.HeaderBytes, MaxBody: l.Body, DrainTimeout: 5 * time.Second,
	}
}

// Validate names everything that makes no sense, by its full key.
func (c Config) Validate() error {
	const key = "protocols.stomp."
	errs := []error{validDialect(key+"dialect", c.Dialect), validKind(key+"default_kind", c.DefaultKind)}
	for _, name := range slices.Sorted(maps.Keys(c.Listeners)) {
		l := c.Listeners[name]
		if l.Dialect != "" {
			errs = append(errs, validDialect(key+"listeners."+name+".dialect", l.Dialect))
		}
		errs = append(errs, validKind(key+"listeners."+name+".default_kind", l.DefaultKind))
	}
	h := c.HeartBeat
	for _, f := range []struct {
		name  string
		value time.Duration
		least time.Duration
	}{
		{"heart_beat.send", h.Send, 0},
		{"heart_beat.receive", h.Receive, 0},
		{"heart_beat.floor", h.Floor, 0},
		{"heart_beat.browser_floor", h.BrowserFloor, 0},
		{"drain_timeout", c.DrainTimeout, time.Millisecond},
	} {
		if f.value < f.least || f.value > 24*time.Hour {
			errs = append(errs, fmt.Errorf("%s%s: must be between %v and 24h, is %v", key, f.name, f.least, f.value))
		}
	}
	if !(h.Tolerance >= 1 && h.Tolerance <= 100) {
		errs = append(errs, fmt.Errorf("%sheart_beat.tolerance: must be between 1 and 100, is %v", key, h.Tolerance))
	}
	for _, f := range []struct {
		name        string
		value, most int
	}{
		{"max_headers", c.MaxHeaders, 1 << 16},
		{"max_header_bytes", c.MaxHeaderBytes, 1 << 24},
		{"max_body", c.MaxBody, 1 << 30},
	} {
		if f.value < 1 || f.value > f.most {
			errs = append(errs, fmt.Errorf("%s%s: must be between 1 and %d, is %d", key, f.name, f.most, f.value))
		}
	}
	return errors.Join(errs...)
}

func validDialect(key string, d Dialect) error {
	switch d {
	case Auto, RabbitMQ, ActiveMQ, Slash:
		return nil
	default:
		return fmt.Errorf("%s: must be auto, rabbitmq, activemq or slash, is %q", key, string(d))
	}
}

func validKind(key, kind string) error {
	switch kind {
	case "", "topic", "queue":
		return nil
	default:
		return fmt.Errorf("%s: must be topic, queue or empty, is %q", key, kind)
	}
}

// on returns how destinations are written on a listener.
func (c *Config) on(listener string) (Dialect, string) {
	d, k := c.Dialect, c.DefaultKind
	if l, ok := c.Listeners[listener]; ok {
		if l.Dialect != "" {
			d = l.Dialect
		}
		if l.DefaultKind != "" {
			k = l.DefaultKind
		}
	}
	return d, k
}
