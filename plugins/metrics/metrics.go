package metrics

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime"
	"runtime/debug"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// maxScrapes is how many scrapes are served at a time; more get 503.
const maxScrapes = 4

// New returns a handler that answers scrapes with what source tells, the Go runtime, the process and
// the build, from a registry of its own. It answers in the text format and in OpenMetrics.
func New(cfg Config, source Source, log *slog.Logger) (http.Handler, error) {
	if err := cfg.Validate("metrics"); err != nil {
		return nil, err
	}
	if source.Broker == nil {
		return nil, errors.New("metrics: no broker to ask")
	}
	r := prometheus.NewRegistry()
	for _, c := range []prometheus.Collector{
		NewCollector(cfg, source), buildInfo(source.Version),
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	} {
		if err := r.Register(c); err != nil {
			return nil, fmt.Errorf("metrics: %w", err)
		}
	}
	return promhttp.HandlerFor(r, promhttp.HandlerOpts{
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelError), ErrorHandling: promhttp.ContinueOnError,
		MaxRequestsInFlight: maxScrapes, EnableOpenMetrics: true,
	}), nil
}

// buildInfo is a gauge that is always 1, with the build in its labels.
func buildInfo(version string) prometheus.Collector {
	revision := "unknown"
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				revision = s.Value
			}
		}
	}
	g := prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "wye_build_info", Help: "Always 1; the labels say what is running.",
	}, []string{"version", "revision", "goversion"})
	g.WithLabelValues(version, revision, runtime.Version()).Set(1)
	return g
}
