package versus

import (
	"cmp"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/wyemq/wye/cmd/internal/load"
)

// Report is everything that was measured: what results.json holds, and what tables and plots are made of.
type Report struct {
	Started  time.Time `json:"started"`
	Finished time.Time `json:"finished"`
	Machine  Machine   `json:"machine"`
	Rounds   int       `json:"rounds"`
	Seconds  float64   `json:"seconds"`     // of each run
	Brokers  string    `json:"broker_cpus"` // what each is pinned to; empty: broker and load share all
	Load     string    `json:"load_cpus"`
	Peers    []Peer    `json:"peers"`
	Runs     []Sample  `json:"runs"`
}

// Peer is one of those compared.
type Peer struct {
	Name    string            `json:"name"`
	Title   string            `json:"title"`
	Version string            `json:"version,omitempty"`
	About   string            `json:"about"`
	Of      string            `json:"variant_of,omitempty"`
	Floor   bool              `json:"floor,omitempty"`
	Via     map[string]string `json:"via"`                // transports of the protocols
	Without map[string]string `json:"without,omitempty"`  // rows it takes no part in, and why
	LeftOut string            `json:"left_out,omitempty"` // why it is not there
}

// Sample is one run of a row.
type Sample struct {
	Row      string       `json:"row"`
	Protocol string       `json:"protocol"`
	Peer     string       `json:"peer"`
	Round    int          `json:"round"`
	Args     []string     `json:"args,omitempty"`  // of wye bench
	Note     string       `json:"note,omitempty"`  // what is different for this peer
	Error    string       `json:"error,omitempty"` // there may be a result all the same
	Cut      bool         `json:"cut,omitempty"`   // it took too long, and was ended
	Result   *load.Result `json:"result,omitempty"`
}

// ReadReport reads what WriteFile has written.
func ReadReport(path string) (*Report, error) {
	b, err := os.ReadFile(path) //nolint:gosec // what the user names
	if err != nil {
		return nil, err
	}
	var r Report
	if err := json.Unmarshal(b, &r); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return &r, nil
}

// WriteFile writes the report, a run on each line.
func (r *Report) WriteFile(path string) error {
	short := *r
	short.Runs = nil
	head, err := json.MarshalIndent(short, "", "  ")
	if err != nil {
		return err
	}
	head = head[:len(head)-len("null\n}")]
	head = append(head, '[')
	for i := range r.Runs {
		line, err := json.Marshal(r.Runs[i])
		if err != nil {
			return err
		}
		if i > 0 {
			head = append(head, ',')
		}
		head = append(append(head, "\n    "...), line...)
	}
	return os.WriteFile(path, append(head, "\n  ]\n}\n"...), 0o644)
}

// peer finds one by its name.
func (r *Report) peer(name string) *Peer {
	i := slices.IndexFunc(r.Peers, func(p Peer) bool { return p.Name == name })
	if i < 0 {
		return nil
	}
	return &r.Peers[i]
}

// Figure is what several rounds have shown of one thing.
type Figure struct{ Median, Least, Most float64 }

// Spread returns the median of values, with the least and the greatest; ok says whether there are any.
func Spread(values []float64) (f Figure, ok bool) {
	if len(values) == 0 {
		return f, false
	}
	v := slices.Sorted(slices.Values(values))
	n := len(v)
	return Figure{Median: (v[(n-1)/2] + v[n/2]) / 2, Least: v[0], Most: v[n-1]}, true
}

// cell is all rounds of a row of a peer.
type cell struct{ runs []*Sample }

// cell collects them; it is empty for what the peer does not take part in.
func (r *Report) cell(row, protocol, peer string) cell {
	var c cell
	for i := range r.Runs {
		if x := &r.Runs[i]; x.Row == row && x.Protocol == protocol && x.Peer == peer {
			c.runs = append(c.runs, x)
		}
	}
	return c
}

// figure takes one thing out of every result that has it.
func (c cell) figure(of func(*load.Result) (float64, bool)) (Figure, bool) {
	var values []float64
	for _, x := range c.runs {
		if x.Result == nil {
			continue
		}
		if v, ok := of(x.Result); ok {
			values = append(values, v)
		}
	}
	return Spread(values)
}

// flaws says what was wrong in which round.
func (c cell) flaws() []string {
	var all []string
	for _, x := range c.runs {
		if f := x.flaw(); f != "" {
			all = append(all, fmt.Sprintf("round %d: %s", x.Round, f))
		}
	}
	return all
}

// flaw says what was wrong with a run.
func (x *Sample) flaw() string {
	switch {
	case x.Result == nil:
		return cmp.Or(x.Error, "no result")
	case x.Cut:
		return "too slow: cut off while messages were on their way"
	case x.Error != "":
		return x.Error
	case x.Result.Deliveries == 0 && x.Result.Logins == 0 && x.Result.PerConnection == nil:
		return "too slow: nothing has come in the time measured"
	case x.Result.Lost > 0:
		return fmt.Sprintf("%d of %d lost, which the protocol permits", x.Result.Lost, x.Result.Expected)
	}
	return ""
}

// These take one thing out of a result.

func cost(r *load.Result) (float64, bool) {
	if r.CPUPerMillion == nil {
		return 0, false
	}
	return *r.CPUPerMillion, true
}

func rate(r *load.Result) (float64, bool)   { return r.DeliveryRate, r.Deliveries > 0 }
func logins(r *load.Result) (float64, bool) { return r.LoginRate, r.Logins > 0 }
func memory(r *load.Result) (float64, bool) { return float64(r.BrokerRSS), r.BrokerRSS > 0 }

func perConnection(r *load.Result) (float64, bool) {
	if r.PerConnection == nil {
		return 0, false
	}
	return float64(*r.PerConnection), true
}

func percentile(of func(*load.Latency) float64) func(*load.Result) (float64, bool) {
	return func(r *load.Result) (float64, bool) {
		if r.Latency == nil {
			return 0, false
		}
		return of(r.Latency), true
	}
}

func p50(l *load.Latency) float64  { return l.P50 }
func p99(l *load.Latency) float64  { return l.P99 }
func p999(l *load.Latency) float64 { return l.P999 }

// main is what a row is about.
func (w *row) main() func(*load.Result) (float64, bool) {
	switch w.measure {
	case byLatency:
		return percentile(p99)
	case byMemory:
		return perConnection
	case byLogins:
		return logins
	default:
		return cost
	}
}

// better says whether a is better than b.
func (w *row) better(a, b float64) bool {
	if w.measure == byLogins {
		return a > b
	}
	return a < b
}
