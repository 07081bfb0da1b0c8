package versus

import (
	"fmt"
	"math"
	"strings"

	"github.com/wyemq/wye/cmd/internal/load"
	"github.com/wyemq/wye/cmd/internal/plot"
)

// Plots returns the pictures of the report, by file name: one line for each row, one dot for each peer, on a
// logarithmic axis.
func (r *Report) Plots() map[string]string {
	out := make(map[string]string)
	put := func(name string, d *plot.Dots) {
		if len(d.Rows) > 0 {
			out[name] = string(d.SVG())
		}
	}
	for _, protocol := range both() {
		costs := r.dots(spelled(protocol)+": CPU time of the broker per million deliveries", "seconds", digits)
		rates := r.dots(spelled(protocol)+": deliveries", "per second", short)
		for _, w := range withMeasure(byCost) {
			r.line(costs, w.title, w.id, protocol, cost)
			r.line(rates, w.title, w.id, protocol, rate)
		}
		put("cost-"+protocol+".svg", costs)
		put("rate-"+protocol+".svg", rates)
	}
	latency := r.dots("Latency at 5,000 messages per second", "ms", digits)
	idle := r.dots("Resident memory of an idle connection", "bytes", short)
	for _, protocol := range both() {
		for _, part := range percentiles() {
			r.line(latency, spelled(protocol)+", "+part.name, "latency", protocol, percentile(part.of))
		}
		r.line(idle, spelled(protocol), "idle", protocol, perConnection)
	}
	put("latency.svg", latency)
	put("memory.svg", idle)
	return out
}

// percentiles are those of the tables.
func percentiles() []struct {
	name string
	of   func(*load.Latency) float64
} {
	return []struct {
		name string
		of   func(*load.Latency) float64
	}{{"p50", p50}, {"p99", p99}, {"p99.9", p999}}
}

// plotLinks writes the pictures into a page.
func (r *Report) plotLinks(b *strings.Builder) {
	plots := r.Plots()
	if len(plots) == 0 {
		return
	}
	b.WriteString("## Plots\n\nThe axes are logarithmic; lines through dots reach from the least to the greatest.\n\n")
	for _, name := range []string{"cost-stomp.svg", "cost-mqtt.svg", "rate-stomp.svg", "rate-mqtt.svg", "latency.svg", "memory.svg"} {
		if _, ok := plots[name]; ok {
			fmt.Fprintf(b, "![%s](%s)\n\n", strings.TrimSuffix(name, ".svg"), name)
		}
	}
}

// dots begins a picture, in which everybody has the colour that they have in the others.
func (r *Report) dots(title, unit string, write func(float64) string) *plot.Dots {
	d := &plot.Dots{Title: title, Value: plot.Axis{Label: unit, Log: true, Format: write}}
	for _, b := range brokers() {
		d.Names = append(d.Names, b.title)
	}
	return d
}

// line adds a line to d, if anybody has a figure for it.
func (r *Report) line(d *plot.Dots, label, row, protocol string, of func(*load.Result) (float64, bool)) {
	l, some := plot.Row{Name: label}, false
	for _, b := range brokers() {
		dot := plot.Dot{Value: math.NaN()}
		if f, ok := r.cell(row, protocol, b.name).figure(of); ok && f.Least > 0 { // a logarithm has no place for nothing
			dot = plot.Dot{Value: f.Median, Low: f.Least, High: f.Most, Title: b.title + ": " + f.with(d.Value.Format)}
			some = true
		}
		l.Dots = append(l.Dots, dot)
	}
	if some {
		d.Rows = append(d.Rows, l)
	}
}
