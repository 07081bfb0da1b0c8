package metrics

import "fmt"

// maxQueues bounds Config.Queues: five series for each queue is what a Prometheus server can be asked
// to bear.
const maxQueues = 100_000

// Config is the section "metrics" of the configuration.
type Config struct {
	// Queues is how many queues have series of their own: the deepest. The others are added up under
	// the name "(others)". 0: none has.
	Queues int `koanf:"queues"`
	// Restricted shows the metrics only to who may manage "broker/metrics": they name the queues of all virtual hosts.
	Restricted bool `koanf:"restricted"`
}

// DefaultConfig shows the 200 deepest queues.
func DefaultConfig() Config { return Config{Queues: 200} }

// Validate names what makes no sense; key is that of the section.
func (c Config) Validate(key string) error {
	if c.Queues < 0 || c.Queues > maxQueues {
		return fmt.Errorf("%s.queues: must be between 0 and %d, is %d", key, maxQueues, c.Queues)
	}
	return nil
}
