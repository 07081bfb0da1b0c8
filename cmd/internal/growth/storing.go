package growth

import (
	"context"
	"fmt"

	"github.com/wyemq/wye/core"
)

// engines are where messages are kept; fill is how many are published at a time to get there.
func (g *gauge) engines() ([]struct{ name, dir string }, error) {
	dir, err := g.dir()
	return []struct{ name, dir string }{{"memory", ""}, {"disk", dir}}, err
}

// queues grow in number.
func queues() Curve {
	return Curve{
		Name: "queues", Title: "A message through a queue, by how many queues there are", X: "queues",
		Y: "CPU ns per message, published, delivered and acknowledged", Steps: decades(100_000), Few: decades(1000),
		Sentence: "A queue is found by its name and knows its consumers, so that others beside it are not looked at. With few queues one " +
			"delivery and one record on disk hold several messages of the same queue, which is cheaper; with many each message has its " +
			"own, and its queue comes from memory instead of a cache.",
		measure: func(ctx context.Context, g *gauge, steps []int) error {
			engines, err := g.engines()
			if err != nil {
				return err
			}
			for _, e := range engines {
				if err := manyQueues(ctx, g, steps, e.name, e.dir); err != nil {
					return err
				}
			}
			return nil
		},
	}
}

func manyQueues(ctx context.Context, g *gauge, steps []int, name, dir string) error {
	h, err := open(ctx, dir)
	if err != nil {
		return err
	}
	defer h.close()
	pub, err := h.connect()
	if err != nil {
		return err
	}
	con, err := h.worker()
	if err != nil {
		return err
	}
	defer con.Close()
	queue := func(i int) string { return fmt.Sprintf("queue/q%d", i) }
	have, at := 0, 0
	for _, n := range steps {
		for ; have < n; have++ {
			if err := h.work(con, queue(have)); err != nil {
				return err
			}
		}
		err := g.measure(name, n, 4*batch, func() error {
			from := h.got.Load()
			err := h.publish(pub, 4*batch, func(int) string { at++; return queue(at * 7919 % n) })
			if err != nil {
				return err
			}
			return h.wait(from, 4*batch)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// backlog is what waits in one queue.
func backlog() Curve {
	return Curve{
		Name: "backlog", Title: "A message into and out of a queue, by how many wait in it", X: "messages waiting",
		Y: "CPU ns per message", Steps: append([]int{0}, decades(1_000_000)[1:]...), Few: []int{0, 10, 100, 1000, 5000},
		Sentence: "Publishing appends at one end and consuming takes from the other; how much lies between them is not touched, " +
			"and on disk only a window of it is in memory: past that, records are read back and decoded, at the same price however many there are.",
		measure: func(ctx context.Context, g *gauge, steps []int) error {
			engines, err := g.engines()
			if err != nil {
				return err
			}
			for _, e := range engines {
				h, err := open(ctx, e.dir)
				if err != nil {
					return err
				}
				err = longQueue(h, g, steps, e.name)
				h.close()
				if err != nil {
					return err
				}
			}
			return nil
		},
	}
}

// portion is how many messages are published, and then consumed.
const portion = 2000

func longQueue(h *house, g *gauge, steps []int, name string) error {
	pub, err := h.connect()
	if err != nil {
		return err
	}
	have := 0
	for _, n := range steps {
		for ; have < n; have += min(portion, n-have) {
			if err := h.publish(pub, min(portion, n-have), always("queue/long")); err != nil {
				return err
			}
		}
		in, out := never(n), never(n)
		for range g.rounds + 1 {
			p, err := alone(n, portion, func() error { return h.publish(pub, portion, always("queue/long")) })
			if err != nil {
				return err
			}
			in = in.cheaper(p)
			if p, err = alone(n, portion, func() error { return h.take(portion) }); err != nil {
				return err
			}
			out = out.cheaper(p)
		}
		g.add("publish, "+name, in)
		g.add("consume, "+name, out)
	}
	return nil
}

// take consumes n messages and leaves the others.
func (h *house) take(n int) error {
	var s *core.Session
	ready := make(chan struct{})
	left := n
	done := make(chan error, 1)
	s, err := h.b.Connect(h.ctx, core.Login{Protocol: "growth"}, func(ds []core.Delivery) error {
		<-ready
		tags := make([]uint64, 0, len(ds))
		for i := range ds[:min(left, len(ds))] {
			tags = append(tags, ds[i].Tag)
		}
		if len(tags) == 0 {
			return nil
		}
		left -= len(tags)
		var last func(error)
		if left == 0 {
			last = func(err error) { done <- err }
		}
		return s.Settle(h.ctx, core.Accepted, last, tags...)
	})
	if err != nil {
		return err
	}
	close(ready)
	defer s.Close()
	err = s.Subscribe(h.ctx, &core.Subscription{ID: "1", Filter: "queue/long", Ack: core.AckIndividual, Credit: 200})
	if err != nil {
		return err
	}
	select {
	case err := <-done:
		return err
	case <-h.ctx.Done():
		return context.Cause(h.ctx)
	}
}

// startup is how long it takes to be there again.
func startup() Curve {
	return Curve{
		Name: "startup", Title: "Start on disk until the first message is out, by how many wait", X: "messages waiting in one queue",
		Y: "CPU ns", Steps: append([]int{0}, decades(1_000_000)[1:]...), Few: []int{0, 10, 100, 1000, 5000},
		Sentence: "A start reads where each queue begins and ends, not what is in it.",
		measure: func(ctx context.Context, g *gauge, steps []int) error {
			dir, err := g.dir()
			if err != nil {
				return err
			}
			have := 0
			for _, n := range steps {
				h, err := open(ctx, dir)
				if err != nil {
					return err
				}
				pub, err := h.connect()
				for err == nil && have < n+g.rounds { // each start takes one
					more := min(portion, n+g.rounds-have)
					err = h.publish(pub, more, always("queue/long"))
					have += more
				}
				h.close()
				if err != nil {
					return err
				}
				best := never(n)
				for range g.rounds {
					p, err := restart(ctx, dir, n)
					if err != nil {
						return err
					}
					best = best.cheaper(p)
					have--
				}
				g.add("start to first message", best)
			}
			return nil
		},
	}
}

// restart opens what is in dir, takes a message and closes it.
func restart(ctx context.Context, dir string, x int) (Point, error) {
	var h *house
	p, err := alone(x, 1, func() (err error) {
		if h, err = open(ctx, dir); err != nil {
			return err
		}
		return h.take(1)
	})
	if h != nil {
		h.close()
	}
	return p, err
}
