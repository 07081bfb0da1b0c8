package wyecmd

import (
	"io"

	"go.uber.org/fx"
)

// PercentFor is GOGC for a heap in which so many bytes live.
var PercentFor = percentFor

// Graph is the shipped graph with the Invoke of a broker that is run.
func Graph(opts ...fx.Option) fx.Option {
	p := &program{stderr: io.Discard, plugins: opts}
	return fx.Options(p.graph(), invoke())
}

// NewThrift is for tests.
var NewThrift = newThrift
