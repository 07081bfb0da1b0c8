package crash

import (
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"hash/fnv"
	"io"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// world is what all clients share.
type world struct {
	h        *History
	broker   *broker
	seed     uint64
	conns    atomic.Int64
	draining atomic.Bool // consume everything, give nothing back
}

// link is one connection of a client.
type link struct {
	w    *world
	name string
	conn int
	p    *process
}

// add notes what the client sees.
func (l *link) add(e Event) int {
	e.Client, e.Conn, e.Run = l.name, l.conn, l.p.run
	return l.w.h.Add(e)
}

// actor is a client: serve works on a new connection until that breaks, which is its error.
type actor interface {
	name() string
	serve(ctx context.Context, l *link) error
}

// errAway: the client has broken the connection off by itself.
var errAway = errors.New("away")

// grace is how long a broker may live after it has closed a connection because it is killed.
const grace = 3 * time.Second

// play lets an actor connect, again and again, until ctx ends.
func (w *world) play(ctx context.Context, a actor) {
	for ctx.Err() == nil {
		p, err := w.broker.await(ctx)
		if err != nil {
			return
		}
		l := &link{w: w, name: a.name(), conn: int(w.conns.Add(1)), p: p}
		err = a.serve(ctx, l)
		if errors.Is(err, errAway) || ctx.Err() != nil {
			continue
		}
		select {
		case <-p.down:
		case <-ctx.Done():
		case <-time.After(grace):
			if p.ended() != 0 { // it takes its time
				select {
				case <-p.down:
				case <-ctx.Done():
				}
				continue
			}
			l.add(Event{Kind: Fault, Text: fmt.Sprintf("the connection is gone, the broker is not: %v", err)})
		}
	}
}

// away says whether the client breaks its connection off now, for no reason.
func (l *link) away(r *rand.Rand) bool { return r.IntN(200) == 0 && !l.w.draining.Load() }

// visitor is an actor that is away most of the time: what is meant for it has to wait.
type visitor struct {
	actor
	r     *rand.Rand
	known bool // it was there
}

func (a *visitor) serve(ctx context.Context, l *link) error {
	if a.known && a.r.IntN(4) != 0 && !l.w.draining.Load() {
		select {
		case <-l.p.down:
			return errAway
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	a.known = true
	return a.actor.serve(ctx, l)
}

// random returns the source of an actor's decisions.
func (w *world) random(name string) *rand.Rand {
	f := fnv.New64a()
	_, _ = io.WriteString(f, name) // never fails
	return rand.New(               //nolint:gosec // to be repeated
		rand.NewPCG(w.seed, f.Sum64()),
	)
}

// both reads and writes on a connection at the same time, until one of them fails or ctx ends, which closes it.
func both(ctx context.Context, c *socket, read, write func(context.Context) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer c.until(ctx)()
	var wg sync.WaitGroup
	wg.Go(func() { cancel(write(ctx)) })
	cancel(read(ctx))
	wg.Wait()
	return context.Cause(ctx)
}

// pause waits, or returns the reason not to.
func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// compose makes the body of a message: it names the message, and shows whether it was harmed.
func compose(m Message, r *rand.Rand) []byte {
	size := r.IntN(200)
	if r.IntN(50) == 0 {
		size = r.IntN(20_000)
	}
	filler := strings.Repeat("wye", size/3)
	return fmt.Appendf(nil, "%s %d %d %s", m.Publisher, m.N, crc32.ChecksumIEEE([]byte(filler)), filler)
}

// parse reads what compose has written.
func parse(body []byte) (m Message, err error) {
	var sum uint32
	fields := strings.SplitN(string(body), " ", 4)
	if len(fields) != 4 {
		return m, fmt.Errorf("a body that nobody has sent: %.100q", body)
	}
	m.Publisher = fields[0]
	_, err = fmt.Sscan(fields[1]+" "+fields[2], &m.N, &sum)
	if err != nil || crc32.ChecksumIEEE([]byte(fields[3])) != sum {
		return m, fmt.Errorf("a body that was harmed: %.100q", body)
	}
	return m, nil
}
