package crash

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Destinations, as STOMP writes them.
const (
	work          = "/queue/work"
	batch         = "/queue/batch"
	later         = "/queue/later"
	bad           = "/queue/bad"
	poison        = "/queue/poison"
	in            = "/queue/in"
	out           = "/queue/out"
	news          = "/topic/news.today"
	backlog       = "/queue/backlog"
	wander        = "/topic/wander"
	retainedLevel = "retained"
)

// topicOf returns the MQTT topic of a destination.
func topicOf(dest string) string {
	if name, ok := strings.CutPrefix(dest, "/queue/"); ok {
		return "$queue/" + name
	}
	return strings.ReplaceAll(strings.TrimPrefix(dest, "/topic/"), ".", "/")
}

// destOf is the inverse for topics.
func destOf(topic string) string { return "/topic/" + strings.ReplaceAll(topic, "/", ".") }

// Places are where the clients of Run receive.
func Places() []Place {
	return []Place{
		{Name: "work", From: work},
		{Name: "batch", From: batch},
		{Name: "later", From: later, Unordered: true},
		{Name: "bad", From: bad},
		{Name: "dead", DeadOf: "bad"},
		{Name: "poison", From: poison, Limit: 3},
		{Name: "poisoned", DeadOf: "poison"},
		{Name: "in", From: in},
		{Name: "out", From: out},
		{Name: "durable", From: news, Sole: true},
		{Name: "durable-all", From: news, Sole: true},
		{Name: "session", From: news, QoS: 1, Sole: true},
		{Name: "session-5", From: news, QoS: 1, Sole: true},
		{Name: "exact", From: news, QoS: 2, Sole: true},
		{Name: "group", From: news},
		{Name: "backlog", From: backlog},
		{Name: "wander", From: wander, Sole: true},
		{Name: "durable-away", From: news, Sole: true},
		{Name: "exact-away", From: news, QoS: 2, Sole: true},
	}
}

// Config says what to run.
type Config struct {
	// Program is the broker, and Args what it is called with beside the listener; it must keep everything in Dir.
	Program string
	Args    []string
	// Dir gets the broker's configuration and log, and the history if it shows violations.
	Dir string
	// Cycles is how often the broker is killed.
	Cycles int
	// Seed decides when, and what the clients do.
	Seed uint64
	// Quiet is how long nothing must have happened for everything to be over.
	Quiet time.Duration
	// Report is told of progress.
	Report func(format string, args ...any)
}

// policies make nothing a dead letter but what is rejected, and what fails too often in one queue.
const policies = `queues:
  - { match: "poison", max_deliveries: 3, backoff: 150ms }
  - { match: "out", max_deliveries: -1, backoff: 20ms }
  - { match: "#", max_deliveries: -1 }
`

// Run runs the broker and its clients, and returns what the clients have seen once nothing comes any more. An error means
// that the broker could not be run.
func Run(ctx context.Context, cfg Config) (h *History, err error) {
	file := filepath.Join(cfg.Dir, "wye.yaml")
	if err := os.WriteFile(file, []byte(policies), 0o600); err != nil {
		return nil, err
	}
	log, err := os.OpenFile(filepath.Join(cfg.Dir, "wye.log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	args := append([]string{
		"--config", file,
		"--set", "listeners.websocket.uri=ws://127.0.0.1:0", "--set", "listeners.stomp.enabled=false",
		"--set", "listeners.mqtt.enabled=false", "--set", "admin.listen=",
		"--set", "limits.session_queue=100000000", // visitors may be away for long
	}, cfg.Args...)
	h = new(History)
	w := &world{h: h, seed: cfg.Seed}
	w.broker = newBroker(cfg.Program, args, io.Writer(log), w.h)
	defer w.broker.close()
	run := &run{Config: cfg, w: w, r: w.random("run")}
	return h, run.all(ctx)
}

// run is one Run.
type run struct {
	Config

	w *world
	r *rand.Rand
}

func (r *run) all(ctx context.Context) error {
	consumers, stopConsumers := r.cast(ctx)
	defer stopConsumers()
	producers, stopProducers := r.cast(ctx)
	defer stopProducers()
	if err := r.w.broker.start(ctx, 0); err != nil {
		return err
	}
	ready := make(chan struct{}, 64) // more than there are subscribers: they never wait
	all, subscribers := r.w.consumers(ready)
	consumers(all...)
	for range subscribers {
		select {
		case <-ready:
		case <-time.After(patience):
			return errors.New("not everybody could subscribe")
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	producers(r.w.producers()...)
	for n := range r.Cycles {
		if err := r.cycle(ctx); err != nil {
			return fmt.Errorf("cycle %d: %w", n+1, err)
		}
		if (n+1)%10 == 0 {
			r.Report("%d cycles, %d events", n+1, r.w.h.Len())
		}
	}
	stopProducers()
	return r.drain(ctx)
}

// cast returns what starts actors, and what stops them.
func (r *run) cast(ctx context.Context) (start func(...actor), stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	start = func(all ...actor) {
		for _, a := range all {
			wg.Go(func() { r.w.play(ctx, a) })
		}
	}
	return start, func() {
		cancel()
		wg.Wait()
	}
}

// cycle lets the clients work for a while, ends the broker and starts it again, perhaps not at the first attempt.
func (r *run) cycle(ctx context.Context) error {
	if err := pause(ctx, time.Duration(50+r.r.IntN(1450))*time.Millisecond); err != nil {
		return err
	}
	s := syscall.SIGKILL
	if r.r.IntN(8) == 0 {
		s = syscall.SIGTERM
	}
	return r.restart(ctx, s)
}

func (r *run) restart(ctx context.Context, s syscall.Signal) error {
	if err := r.w.broker.end(s); err != nil {
		return err
	}
	for r.r.IntN(6) == 0 {
		if err := r.w.broker.start(ctx, time.Duration(1+r.r.IntN(60))*time.Millisecond); !errors.Is(err, errKilled) {
			return err
		}
	}
	return r.w.broker.start(ctx, 0)
}

// drain consumes everything, and kills the broker once more: what was settled must not come back.
func (r *run) drain(ctx context.Context) error {
	r.w.draining.Store(true)
	for range 2 {
		if err := r.restart(ctx, syscall.SIGKILL); err != nil {
			return err
		}
		if err := r.quiet(ctx, r.Quiet); err != nil {
			return err
		}
	}
	r.Report("the slowest start took %s", r.w.broker.slowest.Round(time.Millisecond))
	for _, v := range Check(Places(), r.w.h.Events()) {
		if v.Rule == Lost { // or only late
			return r.quiet(ctx, 5*r.Quiet)
		}
	}
	return nil
}

// quiet returns when nothing has happened for so long.
func (r *run) quiet(ctx context.Context, d time.Duration) error {
	for before := -1; before != r.w.h.Len(); {
		before = r.w.h.Len()
		if err := pause(ctx, d); err != nil {
			return err
		}
	}
	return nil
}
