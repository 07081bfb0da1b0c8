package core

import (
	"context"
	"log/slog"
)

// Mux picks the protocol of each connection: by subprotocol, then by path, then by Sniff in the given order.
type Mux struct{}

// NewMux returns a Mux of ps. A subprotocol or path claimed twice is an error.
func NewMux(log *slog.Logger, ps ...Protocol) (*Mux, error) { panic("wip") }

// Only returns a Mux of the protocols named, in that order; an unknown name is an error.
func (m *Mux) Only(names ...string) (*Mux, error) { panic("wip") }

// Subprotocols implements Handler.
func (m *Mux) Subprotocols() []string { panic("wip") }

// Select implements Handler.
func (m *Mux) Select(offered []string) (string, bool) { panic("wip") }

// ServeConn implements Handler. A panic of the protocol costs this connection only: it is logged
// with its stack and becomes an error wrapping ErrInternal.
func (m *Mux) ServeConn(ctx context.Context, c Conn) error { panic("wip") }
