package growth

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/wyemq/wye/cmd/internal/cli"
)

// Usage is what --help prints.
const Usage = `usage: go run ./cmd/internal/growth/command [flags]

  --only NAMES  measure these curves, separated by spaces; without: all
  --dir DIR     where the report goes (.github/bench/growth)
  --few         only small steps, and no report
`

// options are the arguments.
type options struct {
	only []string
	dir  string
	few  bool
}

func (o *options) parse(args []string) error {
	fs := flag.NewFlagSet("growth", flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	only := fs.String("only", "", "")
	fs.StringVar(&o.dir, "dir", filepath.Join(".github", "bench", "growth"), "")
	fs.BoolVar(&o.few, "few", false, "")
	if err := fs.Parse(args); err != nil {
		return err
	}
	var names []string
	for _, c := range Curves() {
		names = append(names, c.Name)
	}
	o.only = strings.Fields(*only)
	for _, name := range o.only {
		if !slices.Contains(names, name) {
			return fmt.Errorf("there is no curve %q; there are: %s", name, strings.Join(names, " "))
		}
	}
	return nil
}

// Run measures what args ask for and writes the report. It returns the exit code: 1 when a curve grows faster than
// its output.
func Run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	var o options
	c := cli.Command{Name: "growth", Usage: Usage, Help: "--help", Stdout: stdout, Stderr: stderr}
	return c.Run(func() error { return o.parse(args) }, func() error { return o.run(ctx, stdout) })
}

func (o *options) run(ctx context.Context, stdout io.Writer) error {
	report := newReport()
	for _, c := range Curves() {
		if len(o.only) > 0 && !slices.Contains(o.only, c.Name) {
			continue
		}
		r, err := c.Measure(ctx, o.few)
		if err != nil {
			return fmt.Errorf("%s: %w", c.Name, err)
		}
		r.Judge(Tolerance{Time: 3, Allocs: 1.5})
		r.print(stdout)
		report.Results = append(report.Results, *r)
	}
	if !o.few && len(o.only) == 0 {
		if err := report.Write(o.dir); err != nil {
			return err
		}
	}
	if broken := report.Broken(); len(broken) > 0 {
		return fmt.Errorf("faster than their output grow:\n  %s", strings.Join(broken, "\n  "))
	}
	return nil
}

// Measure goes through the steps of the curve, or, with few, those that take little time.
func (c *Curve) Measure(ctx context.Context, few bool) (*Result, error) {
	root, err := os.MkdirTemp("", "wye-growth-")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(root) }()
	g := &gauge{round: 80 * time.Millisecond, rounds: 4, dir: func() (string, error) { return os.MkdirTemp(root, "disk-") }}
	steps := c.Steps
	if few {
		g.round, g.rounds, steps = 5*time.Millisecond, 2, c.Few
	}
	start := time.Now()
	if err := c.measure(ctx, g, steps); err != nil {
		return nil, err
	}
	for i := range g.lines {
		g.lines[i].Allowed = c.Allowed[g.lines[i].Name]
	}
	return &Result{
		Name: c.Name, Title: c.Title, X: c.X, Y: c.Y, Bytes: c.Bytes, Sentence: c.Sentence, Lines: g.lines, Took: time.Since(start),
	}, nil
}

// print writes the curve as text.
func (r *Result) print(w io.Writer) {
	fmt.Fprintf(w, "%s (%s): %s, took %v\n", r.Name, r.X, r.Y, r.Took.Round(time.Millisecond))
	for _, l := range r.Lines {
		fmt.Fprintf(w, "  %s\n", l.Name)
		for _, p := range l.Points {
			fmt.Fprintf(w, "    %9d %12.1f   %8.2f allocations, %10.1f bytes\n", p.X, p.cost(), p.Allocs, p.Bytes)
		}
		if l.Breaks != "" {
			fmt.Fprintf(w, "    ! %s\n", l.Breaks)
		}
	}
}
