// Package config reads wye's configuration, once, at the start.
//
//	defaults < file (--config) < environment (WYE_…) < --set key=value
//	    │            │                  │                    │
//	    └────────────┴── koanf merges ──┴────────────────────┘
//	                          │ every leaf knows where it comes from
//	                     decode into the sections' structs ── strict: unknown keys, bad values
//	                          │                               and Validate, all errors at once
//	                       *Config ── Get, Instances, Print
//
// A [Section] is the part of the configuration that one package owns: a key and the default value of
// that package's Config struct, whose fields carry koanf tags. A section may have variants: the
// settings of a listener depend on the scheme of its uri, those of an engine on its kind.
//
// In the environment, WYE_LISTENERS__MQTT__URI is the key listeners.mqtt.uri: "__" goes down a
// level, "_" stays. Lists are written [a, b] or a,b; whole maps as {a: 1}.
//
// The package does not know any section, does not watch files, and has no global.
package config
