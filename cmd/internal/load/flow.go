package load

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/wyemq/wye/cmd/internal/peer"
)

// dialers is how many connections are being made at a time.
const dialers = 32

// lead is the time between the start and the first message that is due.
const lead = 10 * time.Millisecond

// sessionExpiry is how long a broker keeps the sessions of an MQTT queue when we do not come back.
const sessionExpiry = 10 * time.Minute

// flow is one measured run of messages from publishers to subscribers.
type flow struct {
	o     *options
	plan  *plan
	run   uint32
	pubs  []*publisher
	subs  []*subscriber
	times *recorder // of deliveries; nil without a rate
	lag   *recorder // of publishes: how late we are ourselves

	ctx    context.Context // of the goroutines; over when one fails, with the cause
	fail   context.CancelCauseFunc
	wg     sync.WaitGroup
	ending atomic.Bool // the connections are being closed, and what they say of it is no failure
}

// newRun returns a number that tells this run from others.
func newRun() uint32 {
	var b [4]byte
	_, _ = rand.Read(b[:]) // never fails
	return binary.BigEndian.Uint32(b[:]) >> 8
}

func newFlow(ctx context.Context, o *options, run uint32, p *plan) *flow {
	f := &flow{o: o, plan: p, run: run}
	f.ctx, f.fail = context.WithCancelCause(context.WithoutCancel(ctx)) // who interrupts a run wants its result
	return f
}

// clientID names a connection.
func (f *flow) clientID(role string, i int) string { return fmt.Sprintf("wb%x%s%d", f.run, role, i) }

func (f *flow) login(role string, i int, kept bool) peer.Login {
	l := peer.Login{ClientID: f.clientID(role, i), Clean: !kept, KeepAlive: f.o.flags.KeepAlive, Header: f.o.flags.Header}
	if kept {
		l.Expiry = sessionExpiry
	}
	return l
}

// each runs n calls, dialers at a time, until one fails.
func each(n int, call func(i int) error) error {
	var wg sync.WaitGroup
	var next atomic.Int64
	errs := make(chan error, 1) // the first is enough
	for range min(n, dialers) {
		wg.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				if err := call(i); err != nil {
					next.Store(int64(n))
					select {
					case errs <- err:
					default:
					}
				}
			}
		})
	}
	wg.Wait()
	select {
	case err := <-errs:
		return err
	default:
		return nil
	}
}

// open makes all connections, the subscribers' first.
func (f *flow) open(ctx context.Context) error {
	f.subs = make([]*subscriber, len(f.plan.subs))
	f.pubs = make([]*publisher, len(f.plan.pubs))
	err := each(len(f.subs), func(i int) error {
		role := &f.plan.subs[i]
		c, err := peer.Dial(ctx, role.target, f.login("s", i, role.kept))
		if err != nil {
			return err
		}
		s := &subscriber{index: i, conn: c, acks: role.acks, flow: f, size: f.o.size, channel: role.channel, cells: make([]cell, f.plan.rivals[role.channel])}
		f.subs[i] = s
		return c.Subscribe(role.sub, s.take)
	})
	if err != nil {
		return err
	}
	return each(len(f.pubs), func(i int) error {
		role := &f.plan.pubs[i]
		c, err := peer.Dial(ctx, role.target, f.login("p", i, false))
		if err != nil {
			return err
		}
		f.pubs[i] = f.publisher(i, role, c)
		return nil
	})
}

// start begins: the first message is due at the time, and what is due from the second time on is recorded.
func (f *flow) start(at, from time.Time) {
	if f.o.rate > 0 {
		f.times, f.lag = newRecorder(from), newRecorder(from)
	}
	for i, p := range f.pubs {
		p.start = at
		if f.o.rate > 0 {
			n := float64(len(f.pubs))
			p.interval = time.Duration(n / f.o.rate * float64(time.Second))
			p.start = at.Add(time.Duration(float64(p.interval) * float64(i) / n))
		}
	}
	for _, s := range f.subs {
		f.guard("subscriber", s.index, s.loop)
	}
	for _, p := range f.pubs {
		f.guard("publisher", p.index, p.listen)
	}
	if f.o.flags.KeepAlive > 0 {
		var conns []*peer.Conn
		for _, s := range f.subs {
			conns = append(conns, s.conn)
		}
		for _, p := range f.pubs {
			conns = append(conns, p.conn)
		}
		f.wg.Go(func() { peer.Beat(f.ctx, f.o.flags.KeepAlive, conns...) })
	}
}

// publisher makes the publisher of a role. The window of a subscriber is shared by those who publish to it.
func (f *flow) publisher(i int, role *pubRole, c *peer.Conn) *publisher {
	o := f.o
	p := &publisher{
		index: i, channel: role.channel, slot: role.slot, conn: c, message: c.Template(role.message), flow: f, wake: make(chan struct{}, 1),
		batch: int64(o.batch),
	}
	p.waitFor.Store(nobody)
	p.batch = min(p.batch, int64(max(1, maxBurst/p.message.Len())))
	if o.window > 0 {
		p.window = int64(max(1, o.window/f.plan.rivals[role.channel]))
	}
	if role.message.Confirm || role.message.QoS > 0 {
		p.confirm = maxConfirm
		if o.window > 0 {
			p.confirm = min(p.confirm, o.window)
		}
		if c.ReceiveMax > 0 {
			p.confirm = min(p.confirm, c.ReceiveMax)
		}
	}
	if o.count > 0 {
		n := int64(len(f.plan.pubs))
		p.limit = o.count / n
		if int64(i) < o.count%n {
			p.limit++
		}
	}
	for _, s := range f.subs {
		if s.channel == role.channel {
			p.readers = append(p.readers, &s.cells[role.slot].progress)
			p.owners = append(p.owners, s.index)
		}
	}
	return p
}

// guard runs what reads a connection, and fails the run when that ends before its time.
func (f *flow) guard(role string, i int, loop func() error) {
	f.wg.Go(func() {
		if err := loop(); err != nil && !f.ending.Load() {
			f.fail(fmt.Errorf("%s %d: %w", role, i, err))
		}
	})
}

// close ends all connections and waits for those who read them.
func (f *flow) close(ctx context.Context) {
	f.ending.Store(true)
	for _, p := range f.pubs {
		if p != nil {
			p.conn.Leave()
		}
	}
	for _, s := range f.subs {
		if s != nil {
			s.conn.Leave()
		}
	}
	f.fail(nil)
	f.wg.Wait()
	f.forget(ctx)
}

// forget has the broker drop the sessions that were kept.
func (f *flow) forget(ctx context.Context) {
	var kept []int
	for i, r := range f.plan.subs {
		if r.kept && f.subs[i] != nil {
			kept = append(kept, i)
		}
	}
	_ = each(len(kept), func(k int) error { // they expire, or are in the way of nobody
		c, err := peer.Dial(context.WithoutCancel(ctx), f.plan.subs[kept[k]].target, f.login("s", kept[k], false))
		if err != nil {
			return err
		}
		return c.Close()
	})
}

// failure is why the run has ended before its time, nil if it has not.
func (f *flow) failure() error { return context.Cause(f.ctx) }

// onFailure has stop called when the run fails, unless what it returns is called before.
func (f *flow) onFailure(stop func()) func() bool { return context.AfterFunc(f.ctx, stop) }

// counts are the sums over all connections.
type counts struct{ sent, received, arrived, confirmed int64 }

func (f *flow) counts() counts {
	var c counts
	for _, p := range f.pubs {
		c.sent += p.sent.Load()
		c.confirmed += p.confirmed.Load()
	}
	for _, s := range f.subs {
		c.received += s.received.Load()
		c.arrived += s.arrived.Load()
	}
	return c
}

// expected is how many deliveries there will be of what was sent.
func (f *flow) expected() int64 {
	n := int64(0)
	for _, p := range f.pubs {
		if f.plan.competing {
			n += p.sent.Load()
		} else {
			n += p.sent.Load() * int64(len(p.readers))
		}
	}
	return n
}
