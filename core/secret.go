package core

import "log/slog"

// Secret is a configuration value that is never printed: its String, its LogValue and its text form
// are "[redacted]". To use it, convert it to a string.
type Secret string

// redacted stands for every secret that is set.
const redacted = "[redacted]"

// String returns "[redacted]", or nothing when there is no secret.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return redacted
}

// GoString keeps %#v from printing it.
func (s Secret) GoString() string { return `core.Secret("` + s.String() + `")` }

// LogValue keeps logs from printing it.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }
