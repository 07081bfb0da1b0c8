package growth

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// The exit codes.
const (
	exitOK    = 0
	exitError = 1
	exitUsage = 2
)

// Run measures what args ask for and writes the report. It returns the exit code: 1 when a curve grows faster than
// its output.
func Run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	fs := flag.NewFlagSet("growth", flag.ContinueOnError)
	fs.SetOutput(stderr)
	only := fs.String("only", "", "measure these curves, separated by spaces; without: all")
	dir := fs.String("dir", filepath.Join(".github", "bench", "growth"), "where the report goes")
	few := fs.Bool("few", false, "only small steps, and no report")
	if err := fs.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return exitOK
		}
		return exitUsage
	}
	wanted := strings.Fields(*only)
	var names []string
	for _, c := range Curves() {
		names = append(names, c.Name)
	}
	for _, name := range wanted {
		if !slices.Contains(names, name) {
			fmt.Fprintf(stderr, "there is no curve %q; there are: %s\n", name, strings.Join(names, " "))
			return exitUsage
		}
	}
	report := newReport()
	for _, c := range Curves() {
		if len(wanted) > 0 && !slices.Contains(wanted, c.Name) {
			continue
		}
		r, err := c.Measure(ctx, *few)
		if err != nil {
			fmt.Fprintf(stderr, "%s: %v\n", c.Name, err)
			return exitError
		}
		r.Judge(Tolerance{Time: 3, Allocs: 1.5})
		r.print(stdout)
		report.Results = append(report.Results, *r)
	}
	if !*few && len(wanted) == 0 {
		if err := report.Write(*dir); err != nil {
			fmt.Fprintln(stderr, err)
			return exitError
		}
	}
	if broken := report.Broken(); len(broken) > 0 {
		fmt.Fprintf(stderr, "faster than their output grow:\n  %s\n", strings.Join(broken, "\n  "))
		return exitError
	}
	return exitOK
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
