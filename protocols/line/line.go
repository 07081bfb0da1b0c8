package line

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/wyemq/wye/core"
)

// Protocol is the line protocol. Make it with [New].
type Protocol struct{ broker *core.Broker }

var _ core.Protocol = (*Protocol)(nil)

// New returns the line protocol of b.
func New(b *core.Broker) *Protocol { return &Protocol{broker: b} }

// Name implements [core.Protocol].
func (*Protocol) Name() string { return "line" }

// Subprotocols implements [core.Protocol].
func (*Protocol) Subprotocols() []string { return []string{"line"} }

// ServeConn implements [core.Protocol].
func (p *Protocol) ServeConn(ctx context.Context, c core.Conn) error {
	err := p.serve(ctx, c)
	if err != nil { // the peer learns why; should it be gone already, there is nobody to tell
		_ = c.WriteMessage(core.Text, []byte("ERR "+core.ReasonID(err)+" "+err.Error()))
		_ = c.Flush()
	}
	return err
}

func (p *Protocol) serve(ctx context.Context, c core.Conn) error {
	s, err := p.broker.Connect(ctx, core.Login{Protocol: "line", Conn: c}, func(ds []core.Delivery) error {
		for _, d := range ds {
			if err := c.WriteMessage(core.Text, []byte(d.Destination), []byte(" "), d.Body); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	defer s.Close()
	c.LoggedIn()
	for {
		_, r, err := c.NextReader()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		msg, err := io.ReadAll(r)
		if err != nil {
			return err
		}
		verb, rest, _ := strings.Cut(string(msg), " ")
		dest, body, _ := strings.Cut(rest, " ")
		switch verb {
		case "SUB":
			err = s.Subscribe(ctx, &core.Subscription{ID: dest, Filter: dest})
		case "PUB":
			err = s.Publish(ctx, &core.Message{Destination: dest, Body: []byte(body)}, nil)
		default:
			err = fmt.Errorf("verb %.20q: %w", verb, core.ErrInvalid)
		}
		if err != nil {
			return err
		}
	}
}
