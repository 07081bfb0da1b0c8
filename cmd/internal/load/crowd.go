package load

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/wyemq/wye/cmd/internal/peer"
)

// idle opens connections that do nothing and says what each takes of the broker's memory.
func (b *bench) idle(ctx context.Context) error {
	o := b.o
	f := newFlow(ctx, o, b.run, &plan{})
	names := &planner{o: o, run: strconv.FormatUint(uint64(b.run), 36)}
	conns := make([]*peer.Conn, o.connections)
	targets := make([]peer.Target, len(conns))
	for i := range targets {
		targets[i] = names.source(o.target)
	}
	broker, self := b.meters()
	first := mark{at: time.Now(), broker: broker.read(), own: self.read()}
	var open atomic.Int64
	defer func() {
		f.ending.Store(true)
		for _, c := range conns {
			if c != nil {
				c.Leave()
			}
		}
		f.fail(nil)
		f.wg.Wait()
	}()
	nothing := func(*peer.Packet) error { return nil }
	opening, opened := context.WithCancel(ctx)
	defer opened()
	g := &gauge{flow: f, meter: broker, self: self, progress: b.crowd(&open)}
	f.wg.Go(func() { g.wait(ctx, opening.Done(), time.Time{}) })
	err := each(len(conns), func(i int) error {
		c, err := peer.Dial(ctx, targets[i], f.login("i", i, false))
		if err != nil {
			return err
		}
		conns[i] = c
		open.Add(1)
		if o.subscribe {
			name := names.name(o.target, i)
			err = c.Subscribe(peer.Subscription{ID: "0", Filter: name, QoS: byte(o.qos), Ack: o.ack, Header: o.subscribeHeader}, nothing)
		}
		f.guard("connection", i, func() error {
			for {
				if err := c.ReadBatch(nothing); err != nil {
					return err
				}
			}
		})
		return err
	})
	if err != nil {
		return fmt.Errorf("after %d connections: %w", open.Load(), err)
	}
	opened()
	if o.flags.KeepAlive > 0 {
		f.wg.Go(func() { peer.Beat(f.ctx, o.flags.KeepAlive, conns...) })
	}
	g.wait(ctx, nil, time.Now().Add(o.duration))
	if err := f.failure(); err != nil {
		return err
	}
	last := mark{at: time.Now(), broker: broker.read(), own: self.read()}
	r := &Result{
		Scenario: o.scenario, From: spoken(&o.target), To: spoken(&o.target), URL: o.url, Started: first.at.UTC(),
		Connections: len(conns), Seconds: last.at.Sub(first.at).Seconds(),
	}
	r.cost(first, last, 0)
	if first.broker.known && last.broker.known {
		each := (last.broker.rss - first.broker.rss) / int64(len(conns))
		r.PerConnection = &each
	}
	return b.print(r)
}

// crowd tells how many there are.
func (b *bench) crowd(n *atomic.Int64) func(mark) {
	if b.o.quiet {
		return func(mark) {}
	}
	start := time.Now()
	return func(m mark) {
		line := fmt.Sprintf("%4.0fs  %s", m.at.Sub(start).Seconds(), grouped(n.Load()))
		if m.broker.known {
			line += fmt.Sprintf("  broker %.1f MB", float64(m.broker.rss)/1e6)
		}
		fmt.Fprintln(b.stderr, line)
	}
}

// connect logs in and out, and says how often that can be done and how long it takes.
func (b *bench) connect(ctx context.Context) error {
	o := b.o
	f := newFlow(ctx, o, b.run, &plan{})
	defer f.fail(nil)
	broker, self := b.meters()
	start := time.Now()
	from := start.Add(o.warmup)
	f.times = newRecorder(from)
	var logins, serial atomic.Int64
	var wg sync.WaitGroup
	stopped, stop := context.WithCancel(ctx)
	defer f.onFailure(stop)()
	defer wg.Wait()
	defer stop()
	take := func() (mark, int64) {
		return mark{at: time.Now(), broker: broker.read(), own: self.read()}, logins.Load()
	}
	first, before := take()
	names := &planner{o: o}
	for w := range o.connections {
		t := names.source(o.target)
		wg.Go(func() {
			for stopped.Err() == nil {
				i := serial.Add(1)
				if o.count > 0 && i > o.count {
					return
				}
				began := time.Now()
				c, err := peer.Dial(ctx, t, f.login("c", int(i), false))
				if err == nil {
					f.times.note(w, time.Now(), began)
					logins.Add(1)
					err = c.Close()
				}
				if err != nil && stopped.Err() == nil {
					f.fail(err)
				}
			}
		})
	}
	finished := make(chan struct{})
	f.wg.Go(func() {
		wg.Wait()
		close(finished)
	})
	g := &gauge{flow: f, meter: broker, self: self, progress: b.crowd(&logins)}
	if o.count > 0 {
		g.wait(ctx, finished, time.Time{})
	} else {
		g.wait(ctx, nil, from)
		first, before = take()
		g.wait(ctx, nil, from.Add(o.duration))
	}
	last, after := take()
	stop()
	<-finished
	if err := f.failure(); err != nil {
		return err
	}
	r := &Result{
		Scenario: o.scenario, From: spoken(&o.target), To: spoken(&o.target), URL: o.url, Started: start.UTC(),
		Connections: o.connections, Seconds: last.at.Sub(first.at).Seconds(), Logins: after - before,
		Latency: f.times.result(),
	}
	if r.Logins == 0 {
		return errors.New("nobody has logged in")
	}
	r.LoginRate = float64(r.Logins) / r.Seconds
	r.cost(first, last, r.Logins)
	return b.print(r)
}
