// Command sabotage is wye with an engine that breaks a promise, to prove that it is noticed: engine.kind is sabotage,
// engine.mode says which promise.
package main

import (
	"fmt"
	"log/slog"

	wyecmd "github.com/wyemq/wye/cmd"
	"github.com/wyemq/wye/core/corefx"
	"github.com/wyemq/wye/plugins/disk"
)

// Config is the section "engine".
type Config struct {
	Dir  string `koanf:"dir"`
	Mode string `koanf:"mode"`
}

func main() {
	wyecmd.Main(corefx.Engine("sabotage", func() Config { return Config{} }, open))
}

func open(cfg Config, log *slog.Logger) (*saboteur, error) {
	harm, ok := harms[cfg.Mode]
	if !ok {
		return nil, fmt.Errorf("mode: there is no %q", cfg.Mode)
	}
	inner, err := disk.Open(disk.Config{Dir: cfg.Dir}, log)
	if err != nil {
		return nil, err
	}
	return &saboteur{Engine: inner, harm: harm, mode: cfg.Mode}, nil
}
