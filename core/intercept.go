package core

import (
	"context"
	"slices"
)

// chain is the interceptors of one operation, around what is done last.
type chain func(ctx context.Context, c *Call, last func(context.Context, *Call) error) error

// makeChains builds the chain of every operation that is intercepted; an operation without one costs a
// look into a map that is nil.
func makeChains(is []Interceptor) map[Op]chain {
	var chains map[Op]chain
	for op := OpConnect; op <= OpDisconnect; op++ {
		var list []Interceptor
		for _, i := range is {
			if slices.Contains(i.Ops(), op) {
				list = append(list, i)
			}
		}
		if len(list) == 0 {
			continue
		}
		if chains == nil {
			chains = make(map[Op]chain)
		}
		chains[op] = func(ctx context.Context, c *Call, last func(context.Context, *Call) error) error {
			return runChain(ctx, c, list, last)
		}
	}
	return chains
}

func runChain(ctx context.Context, c *Call, list []Interceptor, last func(context.Context, *Call) error) error {
	if len(list) == 0 {
		return last(ctx, c)
	}
	return list[0].Intercept(ctx, c, func(ctx context.Context, c *Call) error {
		return runChain(ctx, c, list[1:], last)
	})
}

// intercept runs the chain of c.Op, or last at once.
func (b *Broker) intercept(ctx context.Context, c *Call, last func(context.Context, *Call) error) error {
	if ch := b.chains[c.Op]; ch != nil {
		return ch(ctx, c, last)
	}
	return last(ctx, c)
}
