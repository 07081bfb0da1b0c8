package growth

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/wyemq/wye/cmd/internal/plot"
)

// Report is what a run has found.
type Report struct {
	Date    string
	Go      string
	System  string
	Cores   int
	Results []Result
}

func newReport() *Report {
	return &Report{
		Date: time.Now().UTC().Format(time.DateOnly), Go: runtime.Version(), System: runtime.GOOS + "/" + runtime.GOARCH,
		Cores: runtime.GOMAXPROCS(0),
	}
}

// Broken lists what grows faster than its output.
func (r *Report) Broken() []string {
	var all []string
	for _, c := range r.Results {
		for _, l := range c.Lines {
			if l.Breaks != "" && l.Allowed == "" {
				all = append(all, fmt.Sprintf("%s, %s: %s", c.Name, l.Name, l.Breaks))
			}
		}
	}
	return all
}

// Write writes the page, its pictures and the figures into dir.
func (r *Report) Write(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	figures, err := json.MarshalIndent(r, "", "\t")
	if err != nil {
		return err
	}
	errs := []error{
		os.WriteFile(filepath.Join(dir, "results.json"), append(figures, '\n'), 0o644),
		os.WriteFile(filepath.Join(dir, "README.md"), []byte(r.page()), 0o644),
	}
	for i := range r.Results {
		c := &r.Results[i]
		errs = append(errs, os.WriteFile(filepath.Join(dir, c.Name+".svg"), c.Plot().SVG(), 0o644))
	}
	return errors.Join(errs...)
}

// nothing is where a logarithmic axis has its zero.
const nothing = 0.5

// Plot draws the curve.
func (r *Result) Plot() *plot.Lines {
	p := &plot.Lines{Title: r.Title, X: plot.Axis{Label: r.X, Log: true}, Y: plot.Axis{Label: r.Y, Log: true}}
	p.X.Format = func(v float64) string {
		switch {
		case v < 1:
			return "0"
		case r.Bytes:
			return plot.Bytes(v)
		default:
			return plot.Number(v)
		}
	}
	for _, l := range r.Lines {
		s := plot.Series{Name: l.Name}
		var ticks []float64
		for _, at := range l.Points {
			x := max(float64(at.X), nothing)
			ticks = append(ticks, x)
			s.Points = append(s.Points, plot.Point{X: x, Y: at.cost()})
		}
		if len(ticks) > len(p.X.Ticks) {
			p.X.Ticks = ticks
		}
		p.Series = append(p.Series, s)
	}
	return p
}

// page is the report for readers.
func (r *Report) page() string {
	var b strings.Builder
	b.WriteString("# How cost grows\n\nWritten by `make bench-growth`; the figures are in [results.json](results.json). ")
	fmt.Fprintf(&b, "Measured on %s, %d processors, %s, %s.\n\n", r.System, r.Cores, r.Go, r.Date)
	b.WriteString("Each line is one operation while there is more and more around it, and what it costs for each output: processor time of " +
		"the whole process, clients included, at the cheapest of some rounds. Both axes are logarithmic: flat is what one wants.\n")
	if broken := r.Broken(); len(broken) == 0 {
		b.WriteString("\nNothing grows faster than its output, but for what is explained.\n")
	} else {
		b.WriteString("\nThese grow faster than their output:\n\n")
		for _, s := range broken {
			fmt.Fprintf(&b, "- %s\n", s)
		}
	}
	for i := range r.Results {
		c := &r.Results[i]
		fmt.Fprintf(&b, "\n## %s\n\n![%s](%s.svg)\n\n%s\n\n", c.Title, c.Title, c.Name, c.Sentence)
		c.table(&b)
		for _, l := range c.Lines {
			if l.Breaks != "" && l.Allowed != "" {
				fmt.Fprintf(&b, "\n%q %s: %s.\n", l.Name, l.Breaks, l.Allowed)
			}
		}
	}
	return b.String()
}

// table is what was compared of each line.
func (r *Result) table(b *strings.Builder) {
	show := plot.Number
	if r.Bytes {
		show = plot.Bytes
	}
	fmt.Fprintf(b, "| %s | two steps before the end | at the end | allocations at the end |\n| --- | --: | --: | --: |\n", r.Y)
	for _, l := range r.Lines {
		if len(l.Points) == 0 {
			continue
		}
		mid, end := l.ends()
		fmt.Fprintf(b, "| %s | %s at %s | %s at %s | %s |\n", l.Name, plot.Number(mid.cost()), show(float64(mid.X)),
			plot.Number(end.cost()), show(float64(end.X)), plot.Number(end.Allocs))
	}
}
