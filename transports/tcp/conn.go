package tcp

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"

	"github.com/wyemq/wye/core"
	"github.com/wyemq/wye/transports/internal/wire"
)

// conn is an accepted connection.
type conn struct {
	wire.Conn
	hub *wire.Hub
	h   core.Handler
	nc  net.Conn
	in  *wire.Reader
	err error // which reading has ended with
}

var _ core.Conn = (*conn)(nil)

// Serve implements wire.Session.
func (c *conn) Serve(ctx context.Context) error {
	info := c.Info()
	if wire.Proxied(c.nc) {
		err := wire.Open(c.nc)
		info.Local, info.Remote = c.nc.LocalAddr(), c.nc.RemoteAddr()
		if err == nil && info.Refused == nil {
			c.hub.Readdress(&c.Conn)
		}
		if info.Refused != nil {
			c.hub.Refused(slog.LevelInfo, info, info.Refused)
		}
		if why := c.Ended(); err != nil && why != nil {
			return why // which is what has ended the wait
		}
		if err != nil {
			return err
		}
	}
	if s, ok := c.nc.(*tls.Conn); ok {
		hctx, cancel := context.WithTimeout(ctx, c.hub.Settings().LoginTimeout)
		err := s.HandshakeContext(hctx)
		cancel()
		switch {
		case errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded):
			return fmt.Errorf("tls handshake: %w: %w", core.ErrLoginTimeout, err)
		case errors.Is(err, io.EOF):
			return err // who says nothing at all has just looked whether somebody is here
		case err != nil:
			return fmt.Errorf("tls handshake: %w: %w", core.ErrInvalid, err)
		}
		state := s.ConnectionState()
		info.TLS = &state
	}
	c.in = wire.NewReader(c.nc)
	return c.h.ServeConn(ctx, c)
}

// Goodbye implements wire.Session: the end of the stream is all that can be said.
func (c *conn) Goodbye(error) { c.Leave(nil) }

// NextReader implements core.Conn: there is one message, which does not end.
func (c *conn) NextReader() (core.Kind, io.Reader, error) {
	if why := c.Ended(); why != nil {
		return 0, nil, why
	}
	if c.err != nil {
		return 0, nil, c.err
	}
	return core.Binary, (*stream)(c), nil
}

// stream is what comes in.
type stream conn

// Read implements io.Reader.
func (s *stream) Read(p []byte) (int, error) {
	c := (*conn)(s)
	if why := c.Ended(); why != nil {
		return 0, why
	}
	if err := c.Await(c.in); err != nil {
		return 0, err
	}
	n, err := c.in.Read(c.Clip(p))
	c.Heard(n)
	if err != nil {
		if why := c.Ended(); why != nil {
			err = why
		}
		if !errors.Is(err, os.ErrDeadlineExceeded) { // after a new deadline there may be more
			c.err = err
		}
		return n, err
	}
	if limit := c.Received(n); limit != nil {
		return 0, limit
	}
	return n, nil
}

// WriteMessage implements core.Conn: the parts, as they are.
func (c *conn) WriteMessage(_ core.Kind, parts ...[]byte) error { return c.Append(nil, parts...) }
