package wyecmd

import (
	"context"
	"io"

	"go.uber.org/fx"
)

// Graph is the shipped graph with the Invoke of a broker that is run.
func Graph(opts ...fx.Option) fx.Option {
	p := &program{stderr: io.Discard, plugins: opts}
	return fx.Options(p.graph(), invoke())
}

// TendHeap does what a broker does for its heap.
func TendHeap(ctx context.Context) { newHeap().tend(ctx) }
