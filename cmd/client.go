package wyecmd

import (
	"context"
	"io"

	"github.com/wyemq/wye/cmd/internal/load"
	"github.com/wyemq/wye/cmd/internal/pubsub"
)

// client is a command that speaks to a broker instead of being one. It has flags of its own.
type client func(ctx context.Context, args []string, stdout, stderr io.Writer) int

// clients are those there are.
func clients() map[string]client {
	return map[string]client{"bench": load.Run, "pub": pubsub.Pub, "sub": pubsub.Sub}
}

// clientCommand looks for one; its name comes before all flags.
func clientCommand(args []string) (c client, rest []string, ok bool) {
	if len(args) == 0 {
		return nil, nil, false
	}
	c, ok = clients()[args[0]]
	return c, args[1:], ok
}
