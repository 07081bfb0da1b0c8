package versus

import (
	"os"
	"runtime"
	"strings"
)

// Machine is what it was measured on.
type Machine struct {
	CPU    string `json:"cpu"`
	Cores  int    `json:"cores"`
	Kernel string `json:"kernel"`
	System string `json:"system"`
	Go     string `json:"go"`
	Load   string `json:"load_average"` // before the start: what others did
}

// thisMachine looks into /proc; what is not there stays unknown.
func thisMachine() Machine {
	m := Machine{CPU: "unknown", Cores: runtime.NumCPU(), Kernel: "unknown", System: runtime.GOOS + "/" + runtime.GOARCH, Go: runtime.Version()}
	field := func(path, key, sep string) string {
		b, err := os.ReadFile(path) //nolint:gosec // one of two below
		if err != nil {
			return "unknown"
		}
		for line := range strings.Lines(string(b)) {
			if name, value, ok := strings.Cut(line, sep); ok && strings.TrimSpace(name) == key {
				return strings.Trim(strings.TrimSpace(value), `"`)
			}
		}
		return "unknown"
	}
	m.CPU = field("/proc/cpuinfo", "model name", ":")
	m.System = field("/etc/os-release", "PRETTY_NAME", "=")
	if b, err := os.ReadFile("/proc/sys/kernel/osrelease"); err == nil {
		m.Kernel = "Linux " + strings.TrimSpace(string(b))
	}
	if b, err := os.ReadFile("/proc/loadavg"); err == nil {
		m.Load, _, _ = strings.Cut(string(b), " ")
	}
	return m
}
