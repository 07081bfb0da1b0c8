package hostile

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
)

// Config says what to run.
type Config struct {
	// Program is the broker, and Args what it is called with beside a configuration of ours.
	Program string
	Args    []string
	// Dir gets configuration and log.
	Dir string
	// Connections is how many clients there are, and Foes how many of them mean harm.
	Connections, Foes int
	// Time is how long they do.
	Time time.Duration
	// Rate is how many messages all guests send in a second.
	Rate int
	// Budget is how much memory the broker may use.
	Budget int64
	// P99 is how late one message of a hundred may be.
	P99 time.Duration
	// Report is told of progress.
	Report func(format string, args ...any)
}

// Result is what came of it.
type Result struct {
	Guests, Foes    int
	Sent, Received  uint64
	Wrong           uint64 // doubled or out of order
	ThrownOut       int    // guests
	WhyThrownOut    error
	P50, P99, P999  time.Duration
	Worst           time.Duration
	Calm            time.Duration // p99 before the foes came
	Resident, Used  int64         // the most of both, bytes
	Acts            map[string]uint64
	Refused, Slowed map[string]uint64 // by limit, as the broker counts
	Ended           error             // why the broker has, if it should not
	budget          int64
	p99             time.Duration
}

// Run lets them loose. An error means that it could not be done.
func Run(ctx context.Context, cfg Config) (*Result, error) {
	b, err := start(ctx, cfg.Program, cfg.Dir, cfg.Budget, cfg.Args)
	if err != nil {
		return nil, err
	}
	stopped := false
	defer func() {
		if !stopped {
			_ = b.stop()
		}
	}()
	r := &Result{Guests: cfg.Connections - cfg.Foes, Foes: cfg.Foes, budget: cfg.Budget, p99: cfg.P99}
	p, err := invite(ctx, b, r.Guests)
	if err != nil {
		return nil, err
	}
	cfg.Report("%d guests are in, the broker has %d MiB", r.Guests, b.resident()>>20)
	talking, hush := context.WithCancel(ctx)
	defer hush()
	var wg sync.WaitGroup
	wg.Go(func() { p.talk(talking, cfg.Rate) })
	watching, look := context.WithCancel(ctx)
	defer look()
	wg.Go(func() { r.watch(watching, b) })
	_ = pause(ctx, cfg.Time/4)
	r.Calm = quantile(p.times.take(), 0.99)
	cfg.Report("before the foes come, 99 of 100 messages arrive within %v", r.Calm)
	r.Acts = rage(ctx, b, cfg.Foes, cfg.Time, func(left time.Duration) {
		sent, received := p.count()
		cfg.Report("%v left: %d sent, %d received, the broker has %d MiB", left.Round(time.Second), sent, received, b.resident()>>20)
	})
	hush()
	p.settle(ctx)
	look()
	wg.Wait()
	r.count(ctx, b)
	r.times(p.times.take())
	r.Sent, r.Received = p.count()
	for _, g := range p.guests {
		r.Wrong += g.wrong.Load()
	}
	r.ThrownOut, r.WhyThrownOut = p.leave()
	select {
	case <-b.down:
		r.Ended = fmt.Errorf("the broker has ended: %w", b.err)
	default:
		r.Ended = b.stop()
	}
	stopped = true
	return r, ctx.Err()
}

// take returns what there is, and begins anew.
func (t *times) take() []time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	all := t.all
	t.all = nil
	slices.Sort(all)
	return all
}

// quantile is the one of sorted times below which the part q of them lies.
func quantile(sorted []time.Duration, q float64) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[min(int(q*float64(len(sorted))), len(sorted)-1)]
}

func (r *Result) times(sorted []time.Duration) {
	r.P50, r.P99, r.P999 = quantile(sorted, 0.5), quantile(sorted, 0.99), quantile(sorted, 0.999)
	r.Worst = quantile(sorted, 1)
}

// watch looks at the memory of the broker.
func (r *Result) watch(ctx context.Context, b *broker) {
	for n := 0; pause(ctx, 100*time.Millisecond) == nil; n++ {
		r.Resident = max(r.Resident, b.resident())
		if n%10 > 0 {
			continue
		}
		if m, err := b.metrics(ctx); err == nil {
			r.Used = max(r.Used, int64(m[`wye_memory_bytes{what="used"}`]))
		}
	}
}

// count asks the broker which limits were reached.
func (r *Result) count(ctx context.Context, b *broker) {
	r.Refused, r.Slowed = make(map[string]uint64), make(map[string]uint64)
	m, err := b.metrics(ctx)
	if err != nil {
		return // then none were, which is a violation
	}
	for name, n := range m {
		for prefix, counts := range map[string]map[string]uint64{`wye_limit_refused_total{limit="`: r.Refused, `wye_limit_slowed_total{limit="`: r.Slowed} {
			if limit, ok := strings.CutPrefix(name, prefix); ok && n > 0 {
				counts[strings.TrimSuffix(limit, `"}`)] = uint64(n)
			}
		}
	}
}

// Violations says what is wrong, with those who did nothing wrong and with the broker.
func (r *Result) Violations() []string {
	var all []string
	wrong := func(is bool, format string, args ...any) {
		if is {
			all = append(all, fmt.Sprintf(format, args...))
		}
	}
	wrong(r.Ended != nil, "%v", r.Ended)
	wrong(r.ThrownOut > 0, "%d guests were thrown out: %v", r.ThrownOut, r.WhyThrownOut)
	wrong(r.Received < r.Sent, "%d of %d messages were lost", r.Sent-r.Received, r.Sent)
	wrong(r.Wrong > 0, "%d messages were doubled or out of order", r.Wrong)
	wrong(r.Sent == 0, "nothing was sent")
	wrong(r.P99 > r.p99, "99 of 100 messages arrive within %v only, not %v", r.P99, r.p99)
	wrong(r.Resident > r.budget, "the broker has had %d MiB, its budget is %d", r.Resident>>20, r.budget>>20)
	for _, k := range Kinds() {
		wrong(r.Acts[k] == 0, "nobody got to %q", k)
	}
	return all
}

// String shows the figures.
func (r *Result) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d guests and %d foes\n", r.Guests, r.Foes)
	fmt.Fprintf(&b, "messages of guests: %d sent, %d received, %d wrong; %d guests thrown out\n", r.Sent, r.Received, r.Wrong, r.ThrownOut)
	fmt.Fprintf(&b, "latency: p50 %v, p99 %v, p99.9 %v, worst %v (p99 without foes: %v)\n", r.P50, r.P99, r.P999, r.Worst, r.Calm)
	fmt.Fprintf(&b, "memory: at most %d MiB resident, %d MiB by its own account, of %d MiB\n", r.Resident>>20, r.Used>>20, r.budget>>20)
	for _, part := range []struct {
		what   string
		counts map[string]uint64
	}{{"acts of foes", r.Acts}, {"limits that refused", r.Refused}, {"limits that slowed", r.Slowed}} {
		fmt.Fprintf(&b, "%s:", part.what)
		names := make([]string, 0, len(part.counts))
		for name := range part.counts {
			names = append(names, name)
		}
		slices.Sort(names)
		for _, name := range names {
			fmt.Fprintf(&b, " %s %d,", name, part.counts[name])
		}
		b.WriteString("\n")
	}
	return b.String()
}
