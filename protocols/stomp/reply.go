package stomp

import (
	"errors"
	"strings"

	"github.com/wyemq/wye/core"
	"github.com/wyemq/wye/protocols/stomp/frame"
)

// reply is a frame, as the parts of a message.
type reply [1][]byte

// write sends one frame that build appends to a buffer. Any goroutine may call it.
func (s *session) write(build func(b []byte) []byte) error {
	r, _ := s.p.replies.Get().(*reply)
	if r == nil {
		r = new(reply)
	}
	r[0] = build(r[0][:0])
	err := s.conn.WriteMessage(s.kind, r[:]...)
	s.dirty.Store(true)
	s.beat.wrote()
	s.p.replies.Put(r)
	return unlessGone(err)
}

// unlessGone returns the error of a write, but for a peer that has gone: what it has sent before counts, its
// DISCONNECT above all.
func unlessGone(err error) error {
	if errors.Is(err, core.ErrGone) {
		return nil
	}
	return err
}

// receipt tells the client that a frame was processed; "": it did not ask.
func (s *session) receipt(id string) error {
	if id == "" || s.fatal.Load() != nil {
		return nil
	}
	return s.write(func(b []byte) []byte {
		b = frame.AppendCommand(b, frame.Receipt)
		b = frame.AppendHeader(b, s.version, "receipt-id", id)
		return frame.AppendBody(b, nil)
	})
}

// refuse sends an ERROR and returns err if that ends the connection. Nothing follows an ERROR that
// does; the first one counts. The reader calls it.
func (s *session) refuse(err error, receipt string, fatal bool) error {
	fatal, err = s.ending(err, fatal)
	if fatal && s.core != nil {
		_ = s.settleAcked()       // what came before counts; an ERROR of its own is the first
		_ = s.core.CloseWith(err) // when it returns no MESSAGE is under way
	}
	return s.tell(err, receipt, fatal)
}

// ending returns whether err ends the connection, and what to say for it.
func (s *session) ending(err error, fatal bool) (ends bool, why error) {
	if errors.Is(err, core.ErrClosed) && s.core != nil && s.core.Err() != nil {
		err = s.core.Err() // the session was ended: say why
	}
	if s.ctx.Err() != nil && errors.Is(err, s.ctx.Err()) {
		err = core.ErrShutdown
	}
	return fatal || s.p.cfg.CloseOnError || errors.Is(err, core.ErrClosed) || errors.Is(err, core.ErrShutdown), err
}

func (s *session) tell(err error, receipt string, fatal bool) error {
	if fatal && !s.fatal.CompareAndSwap(nil, &err) {
		return *s.fatal.Load()
	}
	werr := s.write(func(b []byte) []byte { return s.appendError(b, err, receipt) })
	if !fatal {
		return werr
	}
	_ = s.conn.Flush() // on the way out: err is what counts
	s.dirty.Store(false)
	return err
}

// refuseLater is refuse for a frame whose outcome came when the reader had gone on. The goroutine of DeliverFunc calls it.
func (s *session) refuseLater(err error, receipt string) {
	fatal, err := s.ending(err, false)
	if err := s.tell(err, receipt, fatal); err != nil {
		s.conn.Close(err) // wakes the reader
	}
}

// shortest is the longest value of a message header; the body tells the rest.
const shortest = 120

func (s *session) appendError(b []byte, err error, receipt string) []byte {
	reason := new(core.Reason)
	if !errors.As(err, &reason) {
		reason = core.ErrInternal
		err = core.ErrInternal // nothing of the inside goes out
	}
	text := err.Error()
	short := strings.TrimSuffix(text, ": "+reason.Error())
	if len(short) > shortest {
		short = strings.ToValidUTF8(short[:shortest], "") + "..."
	}
	b = frame.AppendCommand(b, frame.Error)
	b = frame.AppendHeader(b, s.version, "message", short)
	b = frame.AppendHeader(b, s.version, "reason", reason.ID())
	if receipt != "" {
		b = frame.AppendHeader(b, s.version, "receipt-id", receipt)
	}
	if errors.As(err, new(*versionError)) {
		b = append(b, "version:"+versionList+"\n"...)
	}
	if !strings.HasPrefix(text, reason.Error()) {
		text = reason.Error() + ": " + strings.TrimSuffix(text, ": "+reason.Error())
	}
	body := []byte(text + "\n")
	b = append(b, "content-type:text/plain\n"...)
	b = frame.AppendInt(b, "content-length", int64(len(body)))
	return frame.AppendBody(b, body)
}
