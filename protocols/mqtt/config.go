package mqtt

import (
	"errors"
	"fmt"
	"math"
	"time"
)

// Config is how MQTT is served. All clients of all listeners share it.
type Config struct {
	// MaxPacketSize is the most a packet may have after login; MQTT 5 clients are told.
	MaxPacketSize int `koanf:"max_packet_size"`
	// MaxConnectSize is the most that CONNECT, and whatever comes before login, may have.
	MaxConnectSize int `koanf:"max_connect_size"`
	// ConnectTimeout is how long a client may take to send CONNECT.
	ConnectTimeout time.Duration `koanf:"connect_timeout"`
	// ReceiveMaximum is how many QoS 1 and 2 publishes of a client may be under way; MQTT 5 clients are told.
	ReceiveMaximum int `koanf:"receive_maximum"`
	// MaxInflight is how many QoS 1 and 2 messages a client may hold unacknowledged. A smaller Receive
	// Maximum of the client counts.
	MaxInflight int `koanf:"max_inflight"`
	// TopicAliasMaximum is how many topic aliases a client may define; 0: none.
	TopicAliasMaximum int `koanf:"topic_alias_maximum"`
	// MaxQoS is the highest quality of service: 0, 1 or 2.
	MaxQoS int `koanf:"max_qos"`
	// Retain permits retained messages.
	Retain bool `koanf:"retain"`
	// MaxSessionExpiry is the most a session outlives its connection, and how long one with Clean Session 0
	// does; limits.session_expiry caps it.
	MaxSessionExpiry time.Duration `koanf:"max_session_expiry"`
	// MaxKeepAlive is the longest keep alive; MQTT 5 clients are told, older ones cannot be and keep
	// theirs. 0: any, and none at all if the client wants none.
	MaxKeepAlive time.Duration `koanf:"max_keep_alive"`
	// SysInterval is how often the $SYS topics are published; 0: never.
	SysInterval time.Duration `koanf:"sys_interval"`

	// Authentications are the methods of enhanced authentication, MQTT 5 section 4.12. By default there is Bearer.
	Authentications []Authentication `koanf:"-"`
}

// DefaultConfig returns the defaults.
func DefaultConfig() Config {
	return Config{
		MaxPacketSize: 4 << 20, MaxConnectSize: 64 << 10, ConnectTimeout: 10 * time.Second,
		ReceiveMaximum: 1024, MaxInflight: 1000, TopicAliasMaximum: 16, MaxQoS: 2, Retain: true,
		MaxSessionExpiry: 7 * 24 * time.Hour, SysInterval: 10 * time.Second,
		Authentications: []Authentication{Bearer{}},
	}
}

// maxRemaining is the largest remaining length, section 2.1.4.
const maxRemaining = 268_435_455

// Validate names every setting that makes no sense.
func (c Config) Validate() error {
	var errs []error
	for _, f := range []struct {
		key            string
		value, lo, top int
	}{
		{"max_packet_size", c.MaxPacketSize, 128, maxRemaining + 5},
		{"max_connect_size", c.MaxConnectSize, 128, maxRemaining + 5},
		{"receive_maximum", c.ReceiveMaximum, 1, math.MaxUint16},
		{"max_inflight", c.MaxInflight, 1, math.MaxUint16},
		{"topic_alias_maximum", c.TopicAliasMaximum, 0, math.MaxUint16},
		{"max_qos", c.MaxQoS, 0, 2},
	} {
		if f.value < f.lo || f.value > f.top {
			errs = append(errs, fmt.Errorf("protocols.mqtt.%s: must be between %d and %d, is %d", f.key, f.lo, f.top, f.value))
		}
	}
	for _, f := range []struct {
		key       string
		value, lo time.Duration
		top       time.Duration
	}{
		{"connect_timeout", c.ConnectTimeout, time.Millisecond, time.Hour},
		{"max_session_expiry", c.MaxSessionExpiry, 0, math.MaxUint32 * time.Second},
		{"max_keep_alive", c.MaxKeepAlive, 0, math.MaxUint16 * time.Second},
		{"sys_interval", c.SysInterval, 0, 24 * time.Hour},
	} {
		if f.value < f.lo || f.value > f.top {
			errs = append(errs, fmt.Errorf("protocols.mqtt.%s: must be between %s and %s, is %s", f.key, f.lo, f.top, f.value))
		}
	}
	if c.MaxKeepAlive > 0 && c.MaxKeepAlive < time.Second {
		errs = append(errs, fmt.Errorf("protocols.mqtt.max_keep_alive: must be 0 or at least 1s, is %s", c.MaxKeepAlive))
	}
	if c.SysInterval > 0 && c.SysInterval < time.Second {
		errs = append(errs, fmt.Errorf("protocols.mqtt.sys_interval: must be 0 or at least 1s, is %s", c.SysInterval))
	}
	seen := make(map[string]bool)
	for _, a := range c.Authentications {
		if seen[a.Method()] {
			errs = append(errs, fmt.Errorf("protocols.mqtt: authentication method %q is there twice", a.Method()))
		}
		seen[a.Method()] = true
	}
	return errors.Join(errs...)
}
