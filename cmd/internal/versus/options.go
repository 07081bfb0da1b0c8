package versus

import (
	"flag"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Usage is what --help prints.
const Usage = `usage: go run ./cmd/internal/versus/command [flags]

Compares wye with other brokers: gets them, starts them, puts the load of wye bench on them in turns.
make bench-peers runs it; its variables ROWS, PEERS, ROUNDS and SECONDS are the flags.

  --rows 'fan-1 queue'   only these; --list says which there are
  --peers 'wye nats'     only these
  --rounds 3             how often everything is run, from the start of the brokers on
  --seconds 2            how long each run measures, after --warmup 300ms
  --limit 90s            when a run is cut off
  --cache .cache/peers   where programs and data go
  --out folder           where results.json, tables and plots go; all rows and all peers: .github/bench, and the README
                         gets its table; else .cache/bench
  --render               measure nothing: make tables and plots of the results.json that is there
  --list                 rows and peers
`

// options are the arguments.
type options struct {
	rows    []row
	peers   []*broker
	rounds  int
	seconds float64
	warmup  time.Duration
	limit   time.Duration
	cache   string
	out     string
	publish bool // the README gets its table
	render  bool
	list    bool
}

func parse(args []string) (*options, error) {
	o := &options{}
	fs := flag.NewFlagSet("versus", flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	named := fs.String("rows", "", "")
	who := fs.String("peers", "", "")
	fs.IntVar(&o.rounds, "rounds", 3, "")
	fs.Float64Var(&o.seconds, "seconds", 2, "")
	fs.DurationVar(&o.warmup, "warmup", 300*time.Millisecond, "")
	fs.DurationVar(&o.limit, "limit", 90*time.Second, "")
	fs.StringVar(&o.cache, "cache", ".cache/peers", "")
	fs.StringVar(&o.out, "out", "", "")
	fs.BoolVar(&o.render, "render", false, "")
	fs.BoolVar(&o.list, "list", false, "")
	if err := fs.Parse(args); err != nil {
		return nil, err
	}
	if fs.NArg() > 0 {
		return nil, fmt.Errorf("%q is neither a flag nor the value of one", fs.Arg(0))
	}
	if o.rounds < 1 || o.seconds <= 0 || o.limit <= 0 || o.warmup < 0 {
		return nil, fmt.Errorf("--rounds, --seconds and --limit must be positive")
	}
	var err error
	if o.rows, err = choose("row", *named, rows(), func(r row) string { return r.id }); err != nil {
		return nil, err
	}
	if o.peers, err = choose("peer", *who, brokers(), func(b *broker) string { return b.name }); err != nil {
		return nil, err
	}
	o.publish = *named == "" && *who == "" && o.out == ""
	switch {
	case o.publish:
		o.out = filepath.Join(".github", "bench")
	case o.out == "":
		o.out = filepath.Join(".cache", "bench")
	}
	o.cache, err = filepath.Abs(o.cache) // brokers are started in other folders
	return o, err
}

// choose takes what is named, separated by spaces or commas, or all.
func choose[T any](what, named string, all []T, name func(T) string) ([]T, error) {
	words := strings.FieldsFunc(named, func(r rune) bool { return r == ' ' || r == ',' })
	var known []string
	var out []T
	for _, v := range all {
		known = append(known, name(v))
		if len(words) == 0 || slices.Contains(words, name(v)) {
			out = append(out, v)
		}
	}
	for _, w := range words {
		if !slices.Contains(known, w) {
			return nil, fmt.Errorf("there is no %s %q, but %s", what, w, strings.Join(known, ", "))
		}
	}
	return out, nil
}
