package hostile

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/wyemq/wye/cmd/internal/peer"
)

// kind is a way to misbehave.
type kind struct {
	name string
	// act misbehaves once. It returns when the broker has had enough, or ctx is done.
	act func(ctx context.Context, f *foe) error
	// share is how many of a hundred foes do it.
	share int
	// rest is how long a foe waits before it comes again.
	rest time.Duration
}

// Kinds lists the ways to misbehave.
func Kinds() []string {
	var names []string
	for _, k := range kinds() {
		names = append(names, k.name)
	}
	return names
}

func kinds() []kind {
	const soon, later = 300 * time.Millisecond, time.Second
	return []kind{
		{"never logs in", neverLogsIn, 8, soon},
		{"logs in octet by octet", slowLogin, 4, soon},
		{"never reads", neverReads, 10, soon},
		{"reads slowly", readsSlowly, 3, soon},
		{"announces huge frames", hugeFrames, 6, later},
		{"sends half a frame", halfFrame, 8, soon},
		{"subscribes without end", subscribeFlood, 6, later},
		{"wants everything", everything, 3, later},
		{"selector bomb", selectorBomb, 5, later},
		{"take-over storm", takeOver, 5, 0},
		{"half-open", halfOpen, 6, soon},
		{"compression bomb", compressionBomb, 4, later},
		{"guesses passwords", guesses, 8, 50 * time.Millisecond},
		{"publishes without end", publishFlood, 6, later},
		{"headers without end", headerBomb, 4, later},
		{"makes queues and retained messages", queueFlood, 4, later},
		{"transactions without end", transactions, 4, later},
		{"garbage", garbage, 3, soon},
		{"connects and drops", drops, 3, 5 * time.Millisecond},
	}
}

// foe is a client that means harm. It comes from an address that few others have.
type foe struct {
	b    *broker
	n    int
	from string
	r    *rand.Rand
}

// rage lets n foes misbehave for a time, and returns how often each way was gone.
func rage(ctx context.Context, b *broker, n int, d time.Duration, progress func(left time.Duration)) map[string]uint64 {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	all := kinds()
	var deck []int // kinds by their shares
	for i, k := range all {
		deck = append(deck, slices.Repeat([]int{i}, k.share)...)
	}
	shuffle := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // the same foes each time
	shuffle.Shuffle(len(deck), func(i, j int) { deck[i], deck[j] = deck[j], deck[i] })
	acts := make([]atomic.Uint64, len(all))
	var wg sync.WaitGroup
	for i := range n {
		which := deck[i%len(deck)]
		if i < len(all) {
			which = i // each at least once
		}
		k := all[which]
		f := &foe{b: b, n: i, from: fmt.Sprintf("127.20.%d.1", i/25), r: rand.New(rand.NewPCG(uint64(i), 3))} //nolint:gosec // the same again
		wg.Go(func() {
			_ = pause(ctx, time.Duration(f.r.Int64N(int64(d)/10+1)))
			for ctx.Err() == nil {
				_ = k.act(ctx, f) // how it ends is the broker's business
				acts[which].Add(1)
				_ = pause(ctx, k.rest+time.Duration(f.r.Int64N(int64(k.rest)+1)))
			}
		})
	}
	tick := time.NewTicker(max(d/6, time.Second))
	defer tick.Stop()
	end := time.Now().Add(d)
	for ctx.Err() == nil {
		select {
		case <-tick.C:
			progress(time.Until(end))
		case <-ctx.Done():
		}
	}
	wg.Wait()
	counts := make(map[string]uint64, len(all))
	for i, k := range all {
		counts[k.name] = acts[i].Load()
	}
	return counts
}

// dial connects to a listener. The connection breaks when ctx is done.
func (f *foe) dial(ctx context.Context, listener string) (net.Conn, error) {
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(f.from)}, Timeout: patience}
	nc, err := d.DialContext(ctx, "tcp", f.b.addrs[listener])
	if err != nil {
		return nil, err
	}
	context.AfterFunc(ctx, func() { _ = nc.Close() })
	return nc, nil
}

// login connects and logs in.
func (f *foe) login(ctx context.Context, spoken peer.Protocol, l peer.Login) (*peer.Conn, error) {
	listener := "websocket"
	if f.r.IntN(2) == 0 {
		if listener = "mqtt"; spoken == peer.STOMP {
			listener = "stomp"
		}
	}
	c, err := peer.Dial(ctx, peer.Target{
		Protocol: spoken, Addr: f.b.addrs[listener], Host: "localhost", Path: "/", WebSocket: listener == "websocket", Source: f.from, Timeout: patience,
	}, l)
	if err != nil {
		return nil, err
	}
	context.AfterFunc(ctx, c.Abort)
	return c, nil
}

// spoken picks a protocol.
func (f *foe) spoken() peer.Protocol {
	return []peer.Protocol{peer.STOMP, peer.MQTT, peer.MQTT5}[f.r.IntN(3)]
}

// raw logs in over plain TCP by STOMP, and returns the bare connection.
func (f *foe) raw(ctx context.Context) (net.Conn, error) {
	nc, err := f.dial(ctx, "stomp")
	if err != nil {
		return nil, err
	}
	if _, err := io.WriteString(nc, "CONNECT\naccept-version:1.2\nhost:/\n\n\x00"); err != nil {
		_ = nc.Close()
		return nil, err
	}
	var b [512]byte
	if _, err := nc.Read(b[:]); err != nil {
		_ = nc.Close()
		return nil, err
	}
	return nc, nil
}

// untilClosed reads until the broker closes the connection.
func untilClosed(nc net.Conn) error {
	_, err := io.Copy(io.Discard, nc)
	_ = nc.Close()
	return err
}

// listen reads what comes, without a thought, until the connection ends.
func listen(c *peer.Conn) error {
	defer c.Abort()
	for {
		err := c.ReadBatch(func(*peer.Packet) error { return nil })
		if refused := new(peer.RefusedError); err != nil && !errors.As(err, &refused) {
			return err
		}
	}
}
