package core

import (
	"errors"
	"fmt"
	"io"
	"net"
	"time"
)

// Stream returns a net.Conn over c for byte-stream protocols: reads join the messages, each Write
// is one message of kind k, flushed. With kind Binary a text message is an error wrapping
// ErrUnsupported. Write deadlines do nothing: the Conn bounds its writes itself. As with
// every net.Conn one goroutine may read while another writes.
func Stream(c Conn, k Kind) net.Conn { return &stream{c: c, kind: k} }

type stream struct {
	c     Conn
	kind  Kind
	r     io.Reader
	parts [1][]byte
}

func (s *stream) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	for {
		if s.r == nil {
			k, r, err := s.c.NextReader()
			if err != nil {
				return 0, err
			}
			if k != s.kind && s.kind == Binary {
				return 0, fmt.Errorf("text message to a binary protocol: %w", ErrUnsupported)
			}
			s.r = r
		}
		n, err := s.r.Read(p)
		if errors.Is(err, io.EOF) {
			s.r, err = nil, nil
		}
		if n > 0 || err != nil {
			return n, err
		}
	}
}

func (s *stream) Write(p []byte) (int, error) {
	s.parts[0] = p
	if err := s.c.WriteMessage(s.kind, s.parts[:]...); err != nil {
		return 0, err
	}
	return len(p), s.c.Flush()
}

func (s *stream) Close() error                       { s.c.Close(nil); return nil }
func (s *stream) LocalAddr() net.Addr                { return s.c.Info().Local }
func (s *stream) RemoteAddr() net.Addr               { return s.c.Info().Remote }
func (s *stream) SetDeadline(t time.Time) error      { return s.c.SetReadDeadline(t) }
func (s *stream) SetReadDeadline(t time.Time) error  { return s.c.SetReadDeadline(t) }
func (s *stream) SetWriteDeadline(_ time.Time) error { return nil }
