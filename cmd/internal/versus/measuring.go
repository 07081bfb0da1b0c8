package versus

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"time"
)

// jitWarmup is how long a broker whose code becomes fast by being run is run before it counts.
const jitWarmup = 5.0

// measuring is the brokers, and the load on them.
type measuring struct {
	*comparison

	report   *Report
	programs map[string]program // of those that are there
	loader   *loader
	cores    int                 // of each broker
	up       map[string]*process // by name
}

func newMeasuring(c *comparison) *measuring {
	return &measuring{
		comparison: c, programs: make(map[string]program), up: make(map[string]*process),
		report: &Report{Started: c.begun.UTC(), Machine: thisMachine(), Rounds: c.o.rounds, Seconds: c.o.seconds},
		loader: &loader{seconds: c.o.seconds, warmup: c.o.warmup, limit: c.o.limit},
	}
}

// install gets all programs, and says which are left out.
func (m *measuring) install(ctx context.Context) error {
	s := &shop{cache: m.o.cache, say: m.say}
	load, err := wye().install(ctx, s)
	if err != nil {
		return fmt.Errorf("wye, whose bench is the load: %w", err)
	}
	m.loader.wye = load.path
	for _, b := range m.o.peers {
		p, err := b.install(ctx, s)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		peer := Peer{Name: b.name, Title: b.title, About: b.about, Of: b.of, Floor: b.floor, Version: p.version, Without: b.without(), Via: make(map[string]string)}
		if err != nil {
			m.say("%s is left out: %v", b.title, err)
			peer.LeftOut = strings.ReplaceAll(err.Error(), m.o.cache, "…")
		} else {
			m.programs[b.name] = p
			m.say("%s %s", b.title, p.version)
		}
		for protocol := range b.urls {
			peer.Via[protocol] = b.transport(protocol)
		}
		m.report.Peers = append(m.report.Peers, peer)
	}
	m.pin()
	return nil
}

// pin gives brokers and load two cores each, where there are four.
func (m *measuring) pin() {
	m.cores = 2
	_, err := exec.LookPath("taskset")
	switch n := runtime.NumCPU(); {
	case err != nil:
		m.say("there is no taskset: brokers and load share %d cores, the brokers are asked to use two", n)
	case n >= 4:
		m.report.Brokers, m.report.Load = "0,1", "2,3"
		m.loader.cpus = m.report.Load
	default:
		m.say("only %d cores: brokers and load share them", n)
		m.cores = n
	}
}

// measure runs all rounds.
func (m *measuring) measure(ctx context.Context) (*Report, error) {
	defer m.stopAll()
	for round := 1; round <= m.o.rounds; round++ {
		m.stopAll()
		m.startAll(ctx)
		for i := range m.o.rows {
			r := &m.o.rows[i]
			for _, protocol := range r.protocols {
				m.row(ctx, round, r, protocol)
			}
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
	}
	m.report.Finished = time.Now().UTC()
	m.say("done")
	return m.report, nil
}

// startAll starts what is there; who does not start is tried again when it is needed.
func (m *measuring) startAll(ctx context.Context) {
	m.say("starting %d brokers", len(m.programs))
	var wg sync.WaitGroup
	var mu sync.Mutex
	for _, b := range m.o.peers {
		if _, ok := m.programs[b.name]; ok {
			wg.Go(func() {
				p, err := m.start(ctx, b)
				if err != nil {
					return // it is started once more when it is needed, and then it is said why not
				}
				mu.Lock()
				defer mu.Unlock()
				m.up[b.name] = p
			})
		}
	}
	wg.Wait()
}

func (m *measuring) start(ctx context.Context, b *broker) (*process, error) {
	dir := filepath.Join(m.o.cache, "run", b.name)
	return start(ctx, b, m.programs[b.name], dir, m.report.Brokers, m.cores)
}

func (m *measuring) stopAll() {
	for name := range m.up {
		m.stop(name)
	}
}

func (m *measuring) stop(name string) {
	if p, ok := m.up[name]; ok {
		p.stop()
		delete(m.up, name)
	}
}

// running returns the process of b, started again if it has ended.
func (m *measuring) running(ctx context.Context, b *broker) (*process, error) {
	if p, ok := m.up[b.name]; ok && p.alive() {
		return p, nil
	}
	m.stop(b.name)
	p, err := m.start(ctx, b)
	if err != nil {
		return nil, fmt.Errorf("it does not start: %w", err)
	}
	m.up[b.name] = p
	return p, nil
}

// row runs a row of all brokers, one after the other.
func (m *measuring) row(ctx context.Context, round int, r *row, protocol string) {
	for _, b := range m.o.peers {
		if _, ok := m.programs[b.name]; !ok || !b.takes(r, protocol) || ctx.Err() != nil {
			continue
		}
		run := Sample{Row: r.id, Protocol: protocol, Peer: b.name, Round: round}
		if b.extra != nil {
			_, run.Note = b.extra(r, protocol)
		}
		m.one(ctx, &run, r, b)
		run.Error = strings.ReplaceAll(run.Error, m.o.cache, "…") // where somebody has it is nobody's business
		if ctx.Err() != nil {
			return
		}
		m.report.Runs = append(m.report.Runs, run)
		said := m.report.brief(r, &run)
		m.say("round %d of %d  %-9s %-5s %-17s %s", round, m.o.rounds, r.id, protocol, b.name, said)
		if p, ok := m.up[b.name]; run.Cut || run.Result == nil || r.measure == byMemory {
			m.stop(b.name) // it may have much left to do, and would start the next row with memory it has had to take
		} else if ok {
			p.settle(ctx)
		}
	}
}

// one fills in a run.
func (m *measuring) one(ctx context.Context, run *Sample, r *row, b *broker) {
	if r.measure == byMemory {
		m.stop(b.name) // one that has done nothing yet
	}
	p, err := m.running(ctx, b)
	if err != nil {
		run.Error = err.Error()
		return
	}
	if b.jit && !p.warm && r.measure != byMemory {
		p.warm = true
		first := *m.loader
		first.seconds = jitWarmup
		if _, _, err := first.run(ctx, first.arguments(&row{scenario: "fan", args: []string{"--subs", "10"}}, run.Protocol, p)); err != nil {
			m.say("warming up %s: %v", b.title, err)
		}
	}
	run.Args = m.loader.arguments(r, run.Protocol, p)
	run.Result, run.Cut, err = m.loader.run(ctx, run.Args)
	if err != nil {
		run.Error = err.Error()
	}
	if !p.alive() {
		run.Error = errors.Join(err, fmt.Errorf("the broker has ended%s", p.said())).Error()
	}
}
