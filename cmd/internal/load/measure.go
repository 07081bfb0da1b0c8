package load

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// mark is how things stood at a moment.
type mark struct {
	at     time.Time
	counts counts
	broker usage
	own    usage
}

// measurement is what was between two marks.
type measurement struct{ first, last mark }

// interval is how often progress is told.
const interval = time.Second

// gauge takes marks.
type gauge struct {
	flow     *flow
	meter    *meter
	self     *meter
	progress func(mark)
}

func (g *gauge) mark() mark {
	m := mark{at: time.Now(), counts: g.flow.counts()}
	m.broker, m.own = g.meter.read(), g.self.read()
	return m
}

// wait waits until the channel is closed or the time has come, and tells progress. It says whether to go on.
func (g *gauge) wait(ctx context.Context, done <-chan struct{}, until time.Time) bool {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	var end <-chan time.Time
	if !until.IsZero() {
		t := time.NewTimer(time.Until(until))
		defer t.Stop()
		end = t.C
	}
	for {
		select {
		case <-end:
			return true
		case <-done:
			return true
		case <-ctx.Done():
			return false
		case <-g.flow.ctx.Done():
			return false
		case <-tick.C:
			g.progress(g.mark())
		}
	}
}

// measure runs the load.
func (g *gauge) measure(ctx context.Context) measurement {
	f := g.flow
	m := measurement{first: g.mark()}
	start := time.Now()
	if f.o.rate > 0 {
		start = start.Add(lead)
	}
	from := start.Add(f.o.warmup)
	m.first.at = start
	f.start(start, from)
	sending, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	defer f.onFailure(stop)()
	var senders sync.WaitGroup
	for _, p := range f.pubs {
		senders.Go(func() {
			if err := p.loop(sending); err != nil {
				f.fail(fmt.Errorf("publisher %d: %w", p.index, err))
			}
		})
	}
	finished := make(chan struct{})
	f.wg.Go(func() {
		senders.Wait()
		close(finished)
	})
	if f.o.count > 0 {
		g.wait(ctx, finished, time.Time{})
		stop()
		<-finished
		m.last = g.drain(ctx)
		return m
	}
	on := g.wait(ctx, nil, from)
	m.first = g.mark()
	if on {
		g.wait(ctx, nil, m.first.at.Add(f.o.duration)) // not from: a busy machine may be late, and then measures nothing
	}
	m.last = g.mark()
	stop()
	<-finished
	g.drain(ctx)
	return m
}

// quiet is how long nothing must have come before nothing more is expected: what comes twice comes late.
const quiet = 20 * time.Millisecond

// drain waits until everything has come and it is quiet, or nothing has come for long. It returns how things
// stood when the last new message had come.
func (g *gauge) drain(ctx context.Context) mark {
	f := g.flow
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	told, end := time.Now(), mark{at: time.Now(), counts: f.counts()}
	for moved := end; f.ctx.Err() == nil && ctx.Err() == nil; <-tick.C {
		now := mark{at: time.Now(), counts: f.counts()}
		if now.counts.received != end.counts.received || now.counts.confirmed != end.counts.confirmed {
			end = now
		}
		if now.counts != moved.counts {
			moved = now
		}
		limit := f.o.drain
		if now.counts.received >= f.expected() && f.confirmed(now.counts) {
			limit = min(limit, quiet)
		}
		if time.Since(moved.at) >= limit {
			break
		}
		if time.Since(told) > interval {
			told = time.Now()
			g.progress(g.mark())
		}
	}
	end.broker, end.own = g.meter.read(), g.self.read() // nothing has happened meanwhile
	return end
}

// confirmed says whether every publish that is to be is confirmed.
func (f *flow) confirmed(c counts) bool {
	for _, p := range f.pubs {
		if p.confirm > 0 {
			return c.confirmed >= c.sent
		}
	}
	return true
}
