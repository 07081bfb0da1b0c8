package load

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"time"

	"golang.org/x/term"

	"github.com/wyemq/wye/cmd/internal/cli"
	"github.com/wyemq/wye/cmd/internal/peer"
)

// Run is `wye bench` with its arguments: it puts the load on the broker, writes results to stdout and
// progress to stderr, and returns the exit code: 0, 1 for an error or a broken promise, 2 for arguments that
// make no sense. When ctx is done it stops measuring and writes what there is.
func Run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	b := &bench{stdout: stdout, stderr: stderr, run: newRun()}
	c := cli.Command{Name: "wye bench", Usage: Usage, Help: "wye bench --help", Stdout: stdout, Stderr: stderr}
	return c.Run(func() (err error) {
		b.o, err = parse(args)
		return err
	}, func() error {
		if f, ok := stderr.(*os.File); !b.o.progress && (!ok || !term.IsTerminal(int(f.Fd()))) {
			b.o.quiet = true // a log has no use for it
		}
		return b.scenario(ctx)
	})
}

// bench is one run of the command.
type bench struct {
	o              *options
	stdout, stderr io.Writer
	run            uint32
}

func (b *bench) meters() (broker, self *meter) {
	return &meter{pids: b.o.pids, url: b.o.metrics}, &meter{pids: []int{os.Getpid()}}
}

func (b *bench) scenario(ctx context.Context) error {
	broker, _ := b.meters()
	if err := broker.check(); err != nil {
		return err
	}
	switch b.o.scenario {
	case "idle":
		return b.idle(ctx)
	case "connect":
		return b.connect(ctx)
	case "cross":
		there := b.flow(ctx, false)
		if ctx.Err() != nil {
			return there
		}
		b.run = newRun()
		return errors.Join(there, b.flow(ctx, true))
	default:
		return b.flow(ctx, false)
	}
}

// flow runs a scenario in which messages flow.
func (b *bench) flow(ctx context.Context, back bool) (err error) {
	names := &planner{o: b.o, run: strconv.FormatUint(uint64(b.run), 36)}
	p := names.plan(back)
	f := newFlow(ctx, b.o, b.run, p)
	r := b.result(p)
	m, err := b.measure(ctx, f)
	if err != nil {
		return err
	}
	r.measured(m.first, m.last)
	r.account(f)
	if f.times != nil {
		r.Latency, r.SendLag = f.times.result(), f.lag.result()
	}
	return errors.Join(b.print(r), r.failure(b.o.strict))
}

// measure returns when all connections are closed again.
func (b *bench) measure(ctx context.Context, f *flow) (m measurement, err error) {
	defer f.close(ctx)
	if err := f.open(ctx); err != nil {
		return m, err
	}
	broker, self := b.meters()
	g := &gauge{flow: f, meter: broker, self: self, progress: b.progress()}
	m = g.measure(ctx)
	return m, f.failure()
}

func (b *bench) result(p *plan) *Result {
	from, to := &p.pubs[0].target, &p.subs[0].target
	r := &Result{
		Scenario: b.o.scenario, From: spoken(from), To: spoken(to), URL: b.o.url, Started: time.Now().UTC(),
		Size: b.o.size, Rate: b.o.rate, Window: b.o.window, Publishers: len(p.pubs), Subscribers: len(p.subs),
		Confirmed: p.pubs[0].message.Confirm || p.pubs[0].message.QoS > 0, LossPromised: p.promised,
	}
	if from.Protocol != peer.STOMP || to.Protocol != peer.STOMP {
		r.QoS = &b.o.qos
	}
	if to.Protocol == peer.STOMP {
		r.Ack = b.o.ack
	}
	return r
}

func spoken(t *peer.Target) string { return string(t.Protocol) + "/" + t.Transport() }

func (b *bench) print(r *Result) error {
	if b.o.json {
		return r.JSON(b.stdout)
	}
	return r.Table(b.stdout)
}

// progress tells how far things are, each time what has come since the last.
func (b *bench) progress() func(mark) {
	if b.o.quiet {
		return func(mark) {}
	}
	start, before := time.Now(), mark{at: time.Now()}
	return func(m mark) {
		seconds := m.at.Sub(before.at).Seconds()
		rate := func(now, then int64) string { return grouped(int64(float64(now-then) / seconds)) }
		line := fmt.Sprintf("%4.0fs  sent %s (%s/s)  received %s (%s/s)", m.at.Sub(start).Seconds(),
			grouped(m.counts.sent), rate(m.counts.sent, before.counts.sent),
			grouped(m.counts.received), rate(m.counts.received, before.counts.received))
		if m.broker.known && before.broker.known {
			line += fmt.Sprintf("  broker %.2f cores, %.1f MB", (m.broker.cpu-before.broker.cpu)/seconds, float64(m.broker.rss)/1e6)
		}
		fmt.Fprintln(b.stderr, line)
		before = m
	}
}
