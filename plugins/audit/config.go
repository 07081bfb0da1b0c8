package audit

// Config is the section "audit" of the configuration.
type Config struct {
	// File is where lines are appended; stdout and stderr are those of the program. Empty: there is no audit log.
	File string `koanf:"file"`
}

// DefaultConfig keeps no log: it holds names and addresses of people, and grows.
func DefaultConfig() Config { return Config{} }
