package growth

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"sync"
	"time"

	"github.com/wyemq/wye/cmd/internal/peer"
	"github.com/wyemq/wye/core"
	"github.com/wyemq/wye/protocols/mqtt"
	"github.com/wyemq/wye/protocols/stomp"
	"github.com/wyemq/wye/transports/websocket"
)

// door is a broker behind a WebSocket on a port of its own.
type door struct {
	*house

	addr  string
	stop  context.CancelFunc
	serve sync.WaitGroup
}

func openDoor(ctx context.Context) (*door, error) {
	h, err := open(ctx, "")
	if err != nil {
		return nil, err
	}
	d := &door{house: h, stop: func() {}}
	if err := d.listen(ctx); err != nil {
		d.close()
		return nil, err
	}
	return d, nil
}

func (d *door) listen(ctx context.Context) error {
	log := slog.New(slog.DiscardHandler)
	m, err := mqtt.New(d.b, mqtt.DefaultConfig(), log)
	if err != nil {
		return err
	}
	s, err := stomp.New(d.b, stomp.DefaultConfig(), log)
	if err != nil {
		return err
	}
	mux, err := core.NewMux(log, m, s)
	if err != nil {
		return err
	}
	cfg := websocket.DefaultConfig()
	cfg.URI = "ws://127.0.0.1:0"
	cfg.PingInterval, cfg.Limits.IdleTimeout = time.Hour, 4*time.Hour // as many as there are may wait that long
	cfg.Limits.MaxConnections, cfg.Limits.MaxConnectionsPerAddress = 1_000_000, 1_000_000
	tr, err := websocket.New("growth", cfg, log)
	if err != nil {
		return err
	}
	addr, err := tr.Listen(ctx)
	if err != nil {
		return err
	}
	d.addr = addr.String()
	serving, stop := context.WithCancel(ctx)
	d.stop = stop
	d.serve.Go(func() { _ = tr.Serve(serving, mux) })
	d.serve.Go(func() { _ = m.Run(serving, func() {}) })
	return nil
}

func (d *door) close() {
	d.stop()
	d.serve.Wait()
	d.house.close()
}

// perAddress is how many connections are made from one address: fewer than it has ports.
const perAddress = 20_000

// dial logs the i-th client in.
func (d *door) dial(p peer.Protocol, i int) (*peer.Conn, error) {
	t, err := peer.Parse("ws://"+d.addr, p)
	if err != nil {
		return nil, err
	}
	if runtime.GOOS == "linux" { // where all of 127.0.0.0/8 is there
		t.Source = fmt.Sprintf("127.0.0.%d", 2+i/perAddress)
	}
	return peer.Dial(d.ctx, t, peer.Login{ClientID: fmt.Sprintf("c%d", i), Clean: true})
}

// trip is a publisher and a subscriber of one topic.
type trip struct {
	from, to *peer.Conn
	dest     string
}

func (d *door) trip(p peer.Protocol, i int) (*trip, error) {
	t := &trip{dest: "trip"}
	if p == peer.STOMP {
		t.dest = "/topic/trip"
	}
	var err error
	if t.from, err = d.dial(p, i); err != nil {
		return nil, err
	}
	if t.to, err = d.dial(p, i+1); err != nil {
		return nil, err
	}
	return t, t.to.Subscribe(peer.Subscription{ID: "0", Filter: t.dest}, func(*peer.Packet) error { return nil })
}

// run sends n messages and waits for them.
func (t *trip) run(n int, body []byte) error {
	for range n {
		if err := t.from.Publish(peer.Publication{Destination: t.dest, Body: body}, 0); err != nil {
			return err
		}
	}
	return t.receive(n)
}

// receive waits for n messages.
func (t *trip) receive(n int) error {
	for got := 0; got < n; {
		err := t.to.ReadBatch(func(p *peer.Packet) error {
			if p.Kind == peer.Message {
				got++
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (t *trip) leave() {
	t.from.Leave()
	t.to.Leave()
}

// bodies grow in size.
func bodies() Curve {
	return Curve{
		Name: "body", Title: "A message over WebSockets, by the size of its body", X: "body", Bytes: true,
		Y: "CPU ns per KiB of messages; each counts 1 KiB more", Steps: []int{16, 64, 256, 1 << 10, 4 << 10, 16 << 10, 64 << 10, 256 << 10, 1 << 20},
		Few: []int{16, 256, 4 << 10, 64 << 10},
		Sentence: "Up to some kilobytes a message costs what its handling costs; then each byte is paid for where it is masked, read, " +
			"unmasked and written, at the same price however many there are.",
		measure: func(ctx context.Context, g *gauge, steps []int) error {
			d, err := openDoor(ctx)
			if err != nil {
				return err
			}
			defer d.close()
			for _, p := range []peer.Protocol{peer.MQTT, peer.STOMP} {
				t, err := d.trip(p, 0)
				if err != nil {
					return err
				}
				defer t.leave()
				for _, size := range steps {
					text := make([]byte, size)
					for i := range text {
						text[i] = 'x'
					}
					n := max(1, min(batch, 32<<10/size)) // what fits into the buffers of the sockets
					err := g.measure(string(p), size, float64(n)*(1+float64(size)/1024), func() error { return send(t, n, text) })
					if err != nil {
						return err
					}
				}
			}
			return nil
		},
	}
}

// send is run where a message may be larger than all buffers on its way, so that it is read while it is written.
func send(t *trip, n int, body []byte) error {
	if len(body) < 32<<10 {
		return t.run(n, body)
	}
	var wg sync.WaitGroup
	var err error
	wg.Go(func() { err = t.from.Publish(peer.Publication{Destination: t.dest, Body: body}, 0) })
	failed := t.receive(1)
	wg.Wait()
	return errors.Join(err, failed)
}

// affordable are the steps for which there are files, two each, and at the end as many as there can be.
func affordable(steps []int) []int {
	most := (files(uint64(2*steps[len(steps)-1]+1000)) - 500) / 2
	for i, n := range steps {
		if n > most {
			return append(steps[:i:i], most)
		}
	}
	return steps
}

// crowd opens connections up to each step and hands over what opening them has cost.
func crowd(ctx context.Context, steps []int, step func(d *door, n int, opening Point) error) error {
	d, err := openDoor(ctx)
	if err != nil {
		return err
	}
	var conns []*peer.Conn
	defer func() {
		for _, c := range conns {
			c.Abort()
		}
		d.close()
	}()
	for _, n := range steps {
		more := n - len(conns)
		opening, err := alone(n, float64(more), func() error {
			for len(conns) < n {
				c, err := d.dial(peer.MQTT, len(conns))
				if err != nil {
					return err
				}
				conns = append(conns, c)
			}
			return nil
		})
		if err != nil {
			return fmt.Errorf("connection %d: %w", len(conns)+1, err)
		}
		if err := step(d, n, opening); err != nil {
			return err
		}
	}
	return nil
}

// connections grow in number.
func connections() Curve {
	return Curve{
		Name: "connections", Title: "A login and a message over WebSockets, by how many are connected", X: "connections",
		Y: "CPU ns per login, or per message; both ends", Steps: decades(100_000), Few: []int{1, 10, 100},
		Sentence: "A connection that is idle is not looked at when another one is used: the kernel says which are ready.",
		measure: func(ctx context.Context, g *gauge, steps []int) error {
			return crowd(ctx, affordable(steps), func(d *door, n int, opening Point) error {
				if n > 1 { // the first pays for all that is done once
					g.add("login", opening)
				}
				t, err := d.trip(peer.MQTT, 1_000_000)
				if err != nil {
					return err
				}
				defer t.leave()
				return g.measure("message between two of them", n, batch, func() error { return t.run(batch, body) })
			})
		},
	}
}

// footprint is what connections take.
func footprint() Curve {
	return Curve{
		Name: "memory", Title: "Memory of an idle connection, by how many are connected", X: "connections",
		Y: "bytes of heap and stacks per connection, both ends in one process", Steps: decades(10_000), Few: []int{1, 10, 100},
		Sentence: "An idle connection holds what it needs to be known again, and no buffer; its client in the same process is counted too.",
		measure: func(ctx context.Context, g *gauge, steps []int) error {
			used := func() float64 {
				runtime.GC()
				runtime.GC() // pools let go in two turns
				var m runtime.MemStats
				runtime.ReadMemStats(&m)
				return float64(m.HeapAlloc + m.StackInuse)
			}
			before := 0.0
			return crowd(ctx, affordable(steps), func(_ *door, n int, opening Point) error {
				if n == 1 {
					before = used()
					return nil
				}
				g.add("WebSocket, MQTT, heap and stacks", Point{X: n, Value: max(1, (used()-before)/float64(n-1)), Allocs: opening.Allocs})
				return nil
			})
		},
	}
}
