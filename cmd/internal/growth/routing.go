package growth

import (
	"context"
	"fmt"
	"strings"

	"github.com/wyemq/wye/core"
)

// batch is how many messages are published before their deliveries are waited for.
const batch = 64

// decades are the steps from one to most.
func decades(most int) []int {
	var steps []int
	for n := 1; n <= most; n *= 10 {
		steps = append(steps, n)
	}
	return steps
}

// grown opens a broker in memory and, at every step, has more added up to it and measured.
func grown(ctx context.Context, steps []int, more func(h *house, i int) error, measured func(h *house, n int) error) error {
	h, err := open(ctx, "")
	if err != nil {
		return err
	}
	defer h.close()
	have := 0
	for _, n := range steps {
		for ; have < n; have++ {
			if err := more(h, have); err != nil {
				return err
			}
		}
		if err := measured(h, n); err != nil {
			return err
		}
	}
	return nil
}

// publishes measures publishes to n destinations, each with so many deliveries.
func (g *gauge) publishes(name string, x int, h *house, deliveries int, per float64, dest func(i int) string) error {
	s, err := h.connect()
	if err != nil {
		return err
	}
	n := max(1, batch/deliveries)
	at := 0
	return g.measure(name, x, float64(n)*per, func() error {
		from := h.got.Load()
		for range n {
			if err := s.Publish(h.ctx, &core.Message{Destination: dest(at), Body: body}, nil); err != nil {
				return err
			}
			at++
		}
		return h.wait(from, n*deliveries)
	})
}

// subscribers grow in number.
func subscribers() Curve {
	return Curve{
		Name: "subscribers", Title: "A delivery, by how many subscribers there are", X: "subscribers", Y: "CPU ns per delivery",
		Steps: decades(100_000), Few: decades(1000),
		Sentence: "Subscribers of one topic share the lookup and the message, so that a delivery becomes cheaper at first; from some " +
			"thousands on their sessions and goroutines no longer fit into the caches, which a profile shows as loads from memory, and " +
			"it stays at that price. Subscribers of other topics are not met on the way, but a session that was not used lately has to " +
			"be fetched from memory, too.",
		measure: func(ctx context.Context, g *gauge, steps []int) error {
			join := func(filter func(i int) string) func(*house, int) error {
				return func(h *house, i int) error {
					s, err := h.connect()
					if err != nil {
						return err
					}
					return h.subscribe(s, filter(i))
				}
			}
			err := grown(ctx, steps, join(always("topic/a/b/c")), func(h *house, n int) error {
				return g.publishes("all of one topic", n, h, n, float64(n), always("topic/a/b/c"))
			})
			if err != nil {
				return err
			}
			own := func(i int) string { return fmt.Sprintf("topic/own/%d", i) }
			return grown(ctx, steps, join(own), func(h *house, n int) error {
				return g.publishes("each of its own topic", n, h, 1, 1, func(i int) string { return own(i * 7919 % n) })
			})
		},
	}
}

// filters grow in number.
func filters() Curve {
	return Curve{
		Name: "filters", Title: "A delivery, by how many filters there are", X: "filters", Y: "CPU ns per delivery",
		Steps: decades(100_000), Few: decades(1000),
		Sentence: "Filters that do not match are never looked at, since the index is walked level by level and only along what matches; " +
			"where all match, each delivery pays for its own part of the walk and, from some thousands on, for a session that is in no cache.",
		measure: func(ctx context.Context, g *gauge, steps []int) error {
			for _, c := range []struct{ name, format string }{
				{"exact, unrelated", "topic/other/%d"},
				{"a/n/#, unrelated", "topic/other/%d/#"},
				{"+/b/n, unrelated", "topic/+/b/%d"},
				{"#/n, unrelated", "topic/#/%d"},
			} {
				err := grown(ctx, steps, func(h *house, i int) error {
					if i == 0 {
						s, err := h.connect()
						if err != nil {
							return err
						}
						if err := h.subscribe(s, "topic/a/b/c"); err != nil {
							return err
						}
					}
					return h.subscribe(h.all[0], fmt.Sprintf(c.format, i))
				}, func(h *house, n int) error {
					return g.publishes(c.name, n, h, 1, 1, always("topic/a/b/c"))
				})
				if err != nil {
					return err
				}
			}
			return allMatch(ctx, g, steps)
		},
	}
}

// allMatch is filters of seventeen levels, each of which is a name or +, all of which match.
func allMatch(ctx context.Context, g *gauge, steps []int) error {
	const levels = 17
	filter := func(i int) string {
		all := make([]string, levels)
		for l := range all {
			if all[l] = "x"; i>>l&1 == 1 {
				all[l] = "+"
			}
		}
		return "topic/" + strings.Join(all, "/")
	}
	return grown(ctx, steps, func(h *house, i int) error {
		s, err := h.connect()
		if err != nil {
			return err
		}
		return h.subscribe(s, filter(i))
	}, func(h *house, n int) error {
		return g.publishes("wildcards, all matching", n, h, n, float64(n), always(filter(0)))
	})
}

// depth is the number of levels.
func depth() Curve {
	const many = "# at every second level"
	return Curve{
		Name: "depth", Title: "A publish, by how many levels its topic has", X: "levels", Y: "CPU ns per level and delivery",
		Steps: []int{1, 2, 5, 10, 20, 50, 100}, Few: []int{1, 3, 10, 30, 100},
		Sentence: "Each level is looked up once, and the fixed part of a publish is shared by more and more levels; a filter with " +
			"many '#' between names may go on at each level from each of them, which is the product of the two and no more.",
		Allowed: map[string]string{many: "the walk meets each of fifty '#' at each of a hundred levels once, which bounds it: without " +
			"a memory of where it was, it would double with each '#'"},
		measure: func(ctx context.Context, g *gauge, steps []int) error {
			for _, c := range []struct {
				name  string
				level func(i int) string
			}{
				{"names", func(int) string { return "a" }},
				{"+ at every second level", func(i int) string { return []string{"+", "a"}[i%2] }},
				{many, func(i int) string { return []string{"#", "a"}[i%2] }},
			} {
				for _, n := range steps {
					all, names := make([]string, n), strings.Repeat("/a", n)
					for i := range all {
						all[i] = c.level(i)
					}
					err := grown(ctx, []int{1}, func(h *house, _ int) error {
						s, err := h.connect()
						if err != nil {
							return err
						}
						return h.subscribe(s, "topic/"+strings.Join(all, "/"))
					}, func(h *house, _ int) error {
						return g.publishes(c.name, n, h, 1, float64(n), always("topic"+names))
					})
					if err != nil {
						return err
					}
				}
			}
			return nil
		},
	}
}
