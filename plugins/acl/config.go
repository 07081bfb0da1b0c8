package acl

import "fmt"

// Config is the section "auth.acl" of the configuration.
type Config struct {
	// Rules come first.
	Rules []Rule `koanf:"rules"`
	// File holds more of them, as YAML: a list under the key "rules". It is read again when it changes. Empty: none.
	File string `koanf:"file"`
}

// DefaultConfig has no rules.
func DefaultConfig() Config { return Config{} }

// Validate names every rule that makes no sense; key is that of the section.
func (c Config) Validate(key string) error {
	_, err := compile(c.Rules, key+".rules")
	return err
}

// Rule is one line of the policy. Its conditions must all hold, of the values of a condition one; a condition without
// values holds always.
type Rule struct {
	// ID is what logs and refusals call the rule. Empty: where it is, as in "auth.acl.rules.0".
	ID string `json:"id" koanf:"id" yaml:"id"`
	// Allow or Deny are the operations, one of the two: publish, subscribe, consume, browse, create, delete, retain, connect,
	// manage; read (subscribe, consume, browse, create), write (publish, retain, create), or all.
	Allow []string `json:"allow" koanf:"allow" yaml:"allow"`
	Deny  []string `json:"deny" koanf:"deny" yaml:"deny"`
	// On are patterns of names.
	On []string `json:"on" koanf:"on" yaml:"on"`
	// VHosts are names of virtual hosts, which may hold "*": the one that the client is in, or wants to be in.
	VHosts []string `json:"vhosts" koanf:"vhosts" yaml:"vhosts"`
	// Users, Groups and Clients may hold "*", which stands for anything; "*" alone is any user that has a name.
	Users   []string `json:"users" koanf:"users" yaml:"users"`
	Groups  []string `json:"groups" koanf:"groups" yaml:"groups"`
	Clients []string `json:"clients" koanf:"clients" yaml:"clients"`
	// Addresses are IP addresses or networks, as in 10.0.0.0/8.
	Addresses []string `json:"addresses" koanf:"addresses" yaml:"addresses"`
	// Anonymous restricts the rule to clients without a name.
	Anonymous bool `json:"anonymous" koanf:"anonymous" yaml:"anonymous"`
}

// named says where a rule is, for messages.
func named(key string, i int) string { return fmt.Sprintf("%s.%d", key, i) }
