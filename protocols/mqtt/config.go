package mqtt

import (
	"errors"
	"fmt"
	"time"
)

// Config is the section protocols.mqtt.
type Config struct {
	// MaxPacketSize is the largest packet taken from a client, in bytes; MQTT 5 clients are told.
	MaxPacketSize int `koanf:"max_packet_size"`
	// ReceiveMaximum is how many publishes with QoS 1 and 2 a client may have unacknowledged.
	ReceiveMaximum int `koanf:"receive_maximum"`
	// MaxInflight is how many deliveries with QoS 1 and 2 a client has unacknowledged at most, whatever it permits.
	MaxInflight int `koanf:"max_inflight"`
	// TopicAliasMaximum is how many topic aliases a client may use.
	TopicAliasMaximum int `koanf:"topic_alias_maximum"`
	// MaxKeepAlive bounds the keep-alive; a client that asks for more, or for none, is told so (MQTT 5) or served
	// without (MQTT 3). 0: no bound.
	MaxKeepAlive time.Duration `koanf:"max_keep_alive"`
	// SysInterval is how often $SYS topics are published; 0: never.
	SysInterval time.Duration `koanf:"sys_interval"`
}

// DefaultConfig returns the defaults.
func DefaultConfig() Config {
	return Config{
		MaxPacketSize: 4 << 20, ReceiveMaximum: 1024, MaxInflight: 1024, TopicAliasMaximum: 16,
		SysInterval: 10 * time.Second,
	}
}

// Validate names everything that makes no sense.
func (c Config) Validate() error {
	var errs []error
	between := func(key string, v, lo, hi int) {
		if v < lo || v > hi {
			errs = append(errs, fmt.Errorf("protocols.mqtt.%s: must be between %d and %d, is %d", key, lo, hi, v))
		}
	}
	between("max_packet_size", c.MaxPacketSize, 128, 268435455)
	between("receive_maximum", c.ReceiveMaximum, 1, 65535)
	between("max_inflight", c.MaxInflight, 1, 65535)
	between("topic_alias_maximum", c.TopicAliasMaximum, 0, 65535)
	if c.MaxKeepAlive < 0 || c.SysInterval < 0 {
		errs = append(errs, errors.New("protocols.mqtt: max_keep_alive and sys_interval must not be negative"))
	}
	return errors.Join(errs...)
}
