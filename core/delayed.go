package core

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/wyemq/wye/core/engine"
	"github.com/wyemq/wye/core/internal/cron"
)

// delayed keeps messages that are to be routed later in one log of the engine, which makes records
// readable in the order of their time.
type delayed struct {
	b   *Broker
	log engine.Log

	mu      sync.Mutex
	running bool
	again   bool
	over    bool
	failed  []engine.Record // to be tried again now
	done    sync.WaitGroup
}

const (
	delayedLog   = engine.LogID("x/delayed")
	delayedMost  = 1_000_000 // messages waiting for their time
	delayedBatch = 256

	shortestPeriod = time.Millisecond
	delayedRetry   = time.Second // after the engine refused
)

func openDelayed(b *Broker) (*delayed, error) {
	d := &delayed{b: b}
	log, err := b.eng.Open(b.ctx, delayedLog, engine.LogOptions{Ready: d.kick})
	if err != nil {
		return nil, fmt.Errorf("open delayed messages: %w", err)
	}
	d.mu.Lock()
	d.log = log
	d.mu.Unlock()
	d.kick()
	return d, nil
}

// op returns what keeps m until it is visible.
func (d *delayed) op(v *vhost, m *Message) (engine.Op, error) {
	if d.log.Stats().Depth >= delayedMost {
		return engine.Op{}, fmt.Errorf("%d delayed messages are waiting already: %w", delayedMost, ErrQueueFull)
	}
	r := m.Repeat
	switch {
	case r == nil:
	case r.Cron == "" && r.Count != 0 && r.Period < shortestPeriod:
		return engine.Op{}, fmt.Errorf("repeated every %s, %s is the shortest: %w", r.Period, shortestPeriod, ErrInvalid)
	case r.Cron == "":
		if m.Visible.IsZero() { // repetitions count from here
			m = m.Clone()
			m.Visible = m.Timestamp
		}
	default:
		line, err := cron.Parse(r.Cron)
		if err != nil {
			return engine.Op{}, fmt.Errorf("%w: %w", ErrInvalid, err)
		}
		next, ok := line.Next(time.Now())
		if !ok {
			return engine.Op{}, fmt.Errorf("cron %q never happens: %w", r.Cron, ErrInvalid)
		}
		m = m.Clone()
		m.Visible = next
	}
	return d.append(v, m), nil
}

func (d *delayed) append(v *vhost, m *Message) engine.Op {
	em := d.b.record(m, true)
	em.Dest = v.token + ":" + m.Destination
	em.Expires = noTime // routing looks at it, when the time has come
	return engine.Op{Kind: engine.Append, Logs: []engine.LogID{delayedLog}, Msg: em}
}

// kick works off what has become visible.
func (d *delayed) kick() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.wake()
}

func (d *delayed) wake() {
	if d.over || d.log == nil {
		return
	}
	if d.running {
		d.again = true
		return
	}
	d.running = true
	d.done.Go(d.run)
}

func (d *delayed) run() {
	for {
		recs, err := d.log.Next(delayedBatch, 8<<20)
		if err != nil {
			d.b.log.Error("delayed messages cannot be read", "error", err)
		}
		for _, r := range recs {
			d.publish(r)
		}
		d.mu.Lock()
		failed := d.failed
		d.failed = nil
		d.mu.Unlock()
		for _, r := range failed {
			d.publish(r)
		}
		d.mu.Lock()
		if len(recs) == 0 && !d.again || d.over {
			d.running = false
			d.mu.Unlock()
			return
		}
		d.again = false
		d.mu.Unlock()
	}
}

// publish routes one message and settles its record in the same batch; one that repeats is kept anew.
func (d *delayed) publish(r engine.Record) {
	token, dest, _ := strings.Cut(r.Msg.Dest, ":")
	name, err := url.PathUnescape(token)
	if err != nil {
		name = defaultVHost
	}
	v := d.b.vhost(name)
	kept := d.b.message(r.Msg)
	if r.Msg.Ref == nil { // just read
		kept.Destination = dest
	}
	retry := func(err error) { d.retry(r, err) }
	ops := []engine.Op{{Kind: engine.Settle, Log: d.log, Seqs: []engine.Seq{r.Seq}}}
	if next := kept.next(); next != nil {
		ops = append(ops, d.append(v, next))
	}
	m := kept.Clone()
	m.Visible, m.Repeat, m.Timestamp = noTime, nil, noTime
	d.b.stamp(m)
	if m.expired(m.Timestamp) {
		v.stats.dropped(ErrExpired.ID(), 1)
		d.b.eng.Commit(&engine.Batch{Ops: ops}, retry)
		return
	}
	d.b.inject(v, m, &Principal{Name: m.User}, ops, retry)
}

// retry publishes a record again whose batch failed: Next does not give it twice.
func (d *delayed) retry(r engine.Record, err error) {
	if err == nil || errors.Is(err, engine.ErrNotOwner) {
		return
	}
	time.AfterFunc(delayedRetry, func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		if !d.over {
			d.failed = append(d.failed, r)
			d.wake()
		}
	})
}

// next returns the repetition to keep, or nil.
func (m *Message) next() *Message {
	r := m.Repeat
	if r == nil || r.Count == 0 && r.Cron == "" {
		return nil
	}
	c := m.Clone()
	left := *r
	if left.Count > 0 {
		left.Count--
		if left.Count == 0 && r.Cron != "" {
			return nil
		}
	}
	c.Repeat = &left
	if r.Cron == "" {
		c.Visible = m.Visible.Add(r.Period)
		if late := time.Since(c.Visible); late > 0 && r.Count < 0 {
			c.Visible = c.Visible.Add(late.Truncate(r.Period) + r.Period) // what was missed is not made up for
		}
		return c
	}
	line, err := cron.Parse(r.Cron)
	if err != nil {
		return nil
	}
	t, ok := line.Next(time.Now())
	if !ok {
		return nil
	}
	c.Visible = t
	return c
}

func (d *delayed) close() {
	d.mu.Lock()
	d.over = true
	d.mu.Unlock()
	d.done.Wait()
	_ = d.log.Release(context.Background())
}
