package core

import "errors"

// Rester is what a [Conn] may be besides: one that costs no goroutine while its peer says nothing.
type Rester interface {
	// Rest says that the protocol can stop reading and go on later. It is called at most once, by ServeConn before
	// it reads. From then on NextReader, and on stream transports Read, may return ErrResting when the peer has
	// been silent for a while. ServeConn then leaves everything as it is and returns that error. As soon as there
	// is something to read, a read deadline has passed or the connection was closed, resume is called on another
	// goroutine, never before ServeConn has returned: it goes on reading, and its error counts as that of
	// ServeConn, ErrResting included. Meanwhile the rest of the Conn works as ever.
	Rest(resume func() error)
}

// ErrResting is no failure: see [Rester].
var ErrResting = errors.New("the connection is at rest")

// MayRest calls [Rester.Rest] if c has it.
func MayRest(c Conn, resume func() error) {
	if r, ok := c.(Rester); ok {
		r.Rest(resume)
	}
}

// Rest implements [Rester].
func (s *sniffed) Rest(resume func() error) { MayRest(s.Conn, resume) }
