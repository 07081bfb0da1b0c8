package versus

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/wyemq/wye/cmd/internal/cli"
)

// Run is the command with its arguments: it compares, writes the files, and the tables to stdout, and tells on stderr
// what it does. It returns the exit code: 0, 1 for an error, 2 for arguments that make no sense. A peer that cannot be
// had, or fails, is no error: the tables say so. When ctx is done it kills what it has started and writes nothing.
func Run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	c := &comparison{stdout: stdout, stderr: stderr, begun: time.Now()}
	cmd := cli.Command{Name: "versus", Usage: Usage, Help: "--help", Stdout: stdout, Stderr: stderr}
	return cmd.Run(func() (err error) {
		c.o, err = parse(args)
		return err
	}, func() error { return c.run(ctx) })
}

// comparison is one run of the command.
type comparison struct {
	o              *options
	stdout, stderr io.Writer
	begun          time.Time
}

func (c *comparison) say(format string, args ...any) {
	fmt.Fprintf(c.stderr, "%5.0fs  %s\n", time.Since(c.begun).Seconds(), fmt.Sprintf(format, args...))
}

func (c *comparison) run(ctx context.Context) error {
	if c.o.list {
		return c.list()
	}
	results := filepath.Join(c.o.out, "results.json")
	if c.o.render {
		r, err := ReadReport(results)
		if err != nil {
			return err
		}
		return c.write(r)
	}
	if err := os.MkdirAll(c.o.cache, 0o755); err != nil {
		return err
	}
	m := newMeasuring(c)
	if err := m.install(ctx); err != nil {
		return err
	}
	r, err := m.measure(ctx)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(c.o.out, 0o755); err != nil {
		return err
	}
	if err := r.WriteFile(results); err != nil {
		return err
	}
	return c.write(r)
}

func (c *comparison) list() error {
	fmt.Fprintln(c.stdout, "rows")
	for _, r := range rows() {
		fmt.Fprintf(c.stdout, "  %-17s%s\n", r.id, r.title)
	}
	fmt.Fprintln(c.stdout, "peers")
	for _, b := range brokers() {
		fmt.Fprintf(c.stdout, "  %-17s%s: %s\n", b.name, b.title, b.about)
	}
	return nil
}

// write makes everything that is made of a report.
func (c *comparison) write(r *Report) error {
	page := r.Markdown()
	errs := []error{os.WriteFile(filepath.Join(c.o.out, "README.md"), []byte(page), 0o644)}
	for name, svg := range r.Plots() {
		errs = append(errs, os.WriteFile(filepath.Join(c.o.out, name), []byte(svg), 0o644))
	}
	if c.o.publish {
		errs = append(errs, replaceSection("README.md", r.Summary()))
	}
	fmt.Fprint(c.stdout, page)
	return errors.Join(errs...)
}
