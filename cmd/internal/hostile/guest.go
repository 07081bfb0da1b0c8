package hostile

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/wyemq/wye/cmd/internal/peer"
)

// guest is a client that means no harm: it sends to the guest after it, and hears from the one before it.
type guest struct {
	n      int
	conn   *peer.Conn
	target peer.Target

	sent     atomic.Uint64 // messages
	received atomic.Uint64
	wrong    atomic.Uint64 // were doubled or out of order
	err      error         // why it has been thrown out; to be read when all are
}

// party is all guests.
type party struct {
	guests []*guest
	times  times
	ending atomic.Bool
	reads  sync.WaitGroup
}

// times holds latencies.
type times struct {
	mu  sync.Mutex
	all []time.Duration
}

func (t *times) add(d time.Duration) {
	t.mu.Lock()
	t.all = append(t.all, d)
	t.mu.Unlock()
}

// queued are the guests that are sent to by way of a queue: each message of them is on disk before it is confirmed.
const queued = 50

func (g *guest) mqtt() bool { return g.target.Protocol != peer.STOMP }

// acknowledged says that what comes is to be acknowledged.
func (g *guest) acknowledged() bool { return g.n%3 > 0 }

// place is where guest n is sent to, in the words of the protocol.
func place(n int, mqtt bool) string {
	queue := n%queued == 0
	switch {
	case queue && mqtt:
		return fmt.Sprint("$queue/guest/", n)
	case queue:
		return fmt.Sprint("/queue/guest/", n)
	case mqtt:
		return fmt.Sprint("guest/", n)
	default:
		return fmt.Sprint("/topic/guest.", n)
	}
}

// invite lets n guests in.
func invite(ctx context.Context, b *broker, n int) (*party, error) {
	p := &party{guests: make([]*guest, n)}
	work := make(chan int)
	var wg sync.WaitGroup
	var failed atomic.Pointer[error]
	for range 32 {
		wg.Go(func() {
			for i := range work {
				if err := p.enter(ctx, b, i); err != nil {
					err = fmt.Errorf("guest %d: %w", i, err)
					failed.CompareAndSwap(nil, &err)
				}
			}
		})
	}
	for i := range n {
		if failed.Load() != nil || ctx.Err() != nil {
			break
		}
		work <- i
	}
	close(work)
	wg.Wait()
	if err := failed.Load(); err != nil {
		_, _ = p.leave() // that nobody else gets in is enough
		return nil, *err
	}
	return p, ctx.Err()
}

// enter lets one in, and reads what it is sent.
func (p *party) enter(ctx context.Context, b *broker, i int) error {
	ways := []struct {
		spoken   peer.Protocol
		listener string
	}{{peer.STOMP, "websocket"}, {peer.MQTT5, "websocket"}, {peer.MQTT, "mqtt"}, {peer.STOMP, "stomp"}}
	way := ways[i%len(ways)]
	g := &guest{n: i, target: peer.Target{
		Protocol: way.spoken, Addr: b.addrs[way.listener], Host: "localhost", Path: "/", WebSocket: way.listener == "websocket",
		Source: fmt.Sprintf("127.10.%d.1", i/50), Timeout: patience,
	}}
	var err error
	if g.conn, err = peer.Dial(ctx, g.target, peer.Login{ClientID: fmt.Sprint("guest-", i), Clean: true}); err != nil {
		return err
	}
	sub := peer.Subscription{ID: "0", Filter: place(i, g.mqtt())}
	if g.acknowledged() {
		sub.QoS, sub.Ack = 1, "client-individual"
	}
	take := func(pk *peer.Packet) error { //nolint:unparam // as ReadBatch wants it
		if pk.Kind == peer.Message {
			g.take(pk, &p.times)
		}
		return nil
	}
	if err := g.conn.Subscribe(sub, take); err != nil {
		g.conn.Abort()
		return err
	}
	p.guests[i] = g
	p.reads.Go(func() {
		for {
			if err := g.conn.ReadBatch(take); err != nil {
				if !p.ending.Load() {
					g.err = err
				}
				return
			}
		}
	})
	return nil
}

// take counts a message, which has its number and when it was due to be sent.
func (g *guest) take(pk *peer.Packet, ts *times) {
	var b [16]byte
	if n, err := hex.Decode(b[:], pk.Body); n != len(b) || err != nil {
		g.wrong.Add(1)
		return
	}
	if g.acknowledged() {
		g.conn.Ack(pk)
	}
	if got := binary.BigEndian.Uint64(b[:8]); got != g.received.Add(1) {
		g.wrong.Add(1)
	}
	ts.add(time.Since(time.Unix(0, int64(binary.BigEndian.Uint64(b[8:])))))
}

// send sends the next message to the guest after g.
func (g *guest) send(to int, due time.Time) error {
	var b [16]byte
	n := g.sent.Load() + 1
	binary.BigEndian.PutUint64(b[:8], n)
	binary.BigEndian.PutUint64(b[8:], uint64(due.UnixNano()))
	pub := peer.Publication{Destination: place(to, g.mqtt()), Body: []byte(hex.EncodeToString(b[:]))}
	if to%3 > 0 || to%queued == 0 {
		pub.QoS, pub.Confirm = 1, true
	}
	if err := g.conn.Publish(pub, uint32(n%60000)+1); err != nil {
		return err
	}
	g.sent.Add(1)
	return nil
}

// talk lets the guests send, rate messages a second together, until ctx is done. Each message has a time when it is due;
// if it is sent late, that is part of its latency.
func (p *party) talk(ctx context.Context, rate int) {
	const hosts = 64
	begun := time.Now()
	var wg sync.WaitGroup
	for h := range hosts {
		wg.Go(func() {
			for k := h; ; k += hosts {
				due := begun.Add(time.Duration(k) * time.Second / time.Duration(rate))
				if pause(ctx, time.Until(due)) != nil {
					return
				}
				i := k % len(p.guests)
				if err := p.guests[i].send((i+1)%len(p.guests), due); err != nil {
					continue // who reads it knows better why
				}
			}
		})
	}
	wg.Wait()
}

func pause(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// settle waits until everything has come that was sent, or nothing comes any more.
func (p *party) settle(ctx context.Context) {
	for before, still := uint64(0), 0; still < 20; {
		sent, received := p.count()
		if received >= sent {
			return
		}
		if received == before {
			still++
		} else {
			still = 0
		}
		before = received
		if pause(ctx, 250*time.Millisecond) != nil {
			return
		}
	}
}

func (p *party) count() (sent, received uint64) {
	for _, g := range p.guests {
		sent += g.sent.Load()
		received += g.received.Load()
	}
	return sent, received
}

// leave ends the party. Who was thrown out before is counted.
func (p *party) leave() (gone int, err error) {
	p.ending.Store(true)
	for _, g := range p.guests {
		if g != nil {
			g.conn.Abort()
		}
	}
	p.reads.Wait()
	var errs []error
	for _, g := range p.guests {
		if g != nil && g.err != nil {
			if gone++; gone <= 3 {
				errs = append(errs, fmt.Errorf("guest %d (%s by %s): %w", g.n, g.target.Protocol, g.target.Transport(), g.err))
			}
		}
	}
	return gone, errors.Join(errs...)
}
