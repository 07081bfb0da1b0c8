package stomp

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"sync"
	"sync/atomic"

	"github.com/wyemq/wye/core"
	"github.com/wyemq/wye/protocols/stomp/frame"
)

const (
	// readSize is how much is read at once.
	readSize = 16 << 10
	// Before login no frame needs more.
	loginHeaders     = 100
	loginHeaderBytes = 16 << 10
	loginBody        = 64 << 10
)

// session is one connection: a state machine that turns frames into calls of core.Session. Only the
// goroutine of ServeConn touches the fields that no comment says otherwise of.
type session struct {
	p       *Protocol
	ctx     context.Context // of the connection
	conn    core.Conn
	kind    core.Kind // of messages written, unless a body is not UTF-8
	parser  *frame.Parser
	core    *core.Session // nil before login
	version frame.Version // does not change after login
	reader  reader
	subs    map[string]*subscription
	// composites are those of subs that acknowledge over several destinations, in 1.2.
	composites []*subscription
	txs        map[string]*transaction
	sent       func(core.Published, error) // done of a SEND without receipt
	holding    int                         // what the core was told
	temps      map[string]int              // temporary queues that are subscribed to, and how often
	last       cached
	acked      []uint64  // tags to be settled in one go, see settleAcked
	gathers    bool      // idle is called before each wait, so not after each message
	same       *template // of the last SEND, if the next one with this head goes to the same place
	client     string    // client-id of CONNECT
	acks       string    // what the values of ack headers begin with

	dirty atomic.Bool           // something was written and not flushed
	fatal atomic.Pointer[error] // an ERROR was sent that ends the connection
	beat  heartBeat

	delivering sync.Mutex // held while DeliverFunc writes a message

	// Of DeliverFunc, which runs in one goroutine at a time.
	parts   [5][]byte
	nul     [1]byte // ends frames
	scratch []byte
	name    []byte

	mu sync.Mutex // guards the unacked of subscriptions
}

// cached is the destination of the last SEND: publishers seldom use many.
type cached struct {
	text   string
	places [1]place
}

// errLeave ends the session in order: the client said DISCONNECT.
var errLeave = errors.New("disconnect")

func newSession(ctx context.Context, p *Protocol, c core.Conn) *session {
	s := &session{
		p: p, ctx: ctx, conn: c, kind: core.Text,
		parser: frame.NewParser(frame.Limits{
			Headers:     min(loginHeaders, p.cfg.MaxHeaders),
			HeaderBytes: min(loginHeaderBytes, p.cfg.MaxHeaderBytes),
			Body:        min(loginBody, p.cfg.MaxBody),
		}),
	}
	if c.Info().Stream {
		s.kind = core.Binary
	}
	s.reader.dialect, s.reader.defaultKind = p.cfg.on(c.Info().Listener)
	if w, ok := c.(core.Waiter); ok {
		s.gathers = true
		w.BeforeWait(s.idle)
	}
	return s
}

// run serves until the connection ends or rests, and is called again when it has rested.
func (s *session) run() (err error) {
	defer func() {
		if errors.Is(err, core.ErrResting) {
			s.rested()
		} else {
			s.end(err)
		}
	}()
	defer s.contain(&err)
	return s.serve()
}

// serve reads until the connection ends and says why.
func (s *session) serve() error {
	for {
		_, r, err := s.conn.NextReader()
		if err == nil {
			err = s.read(r)
		}
		if errors.Is(err, core.ErrResting) {
			return err
		}
		if err != nil {
			return s.leave(err)
		}
	}
}

// rested gives back what makes frames that follow each other cheaper.
func (s *session) rested() {
	s.parser.Forget()
	s.same, s.last, s.acked = nil, cached{}, nil
}

// end gives everything back; why may be nil. Nothing is written afterwards.
func (s *session) end(why error) {
	leave := errLeave
	s.fatal.CompareAndSwap(nil, &leave) // what ends with the session is no ERROR
	s.beat.stop()
	if s.core != nil {
		_ = s.core.CloseWith(why) // has no error to report
	}
}

// contain, deferred, turns a panic into the end of this connection, of which the client is told.
func (s *session) contain(err *error) {
	if r := recover(); r != nil {
		info := s.conn.Info()
		s.p.log.Error("panic while serving a connection", "conn", info.ID, "remote", info.Remote, "panic", r, "stack", string(debug.Stack()))
		*err = s.refuse(core.ErrInternal, "", true)
	}
}

// read works off one message, which on a stream is all that ever comes.
func (s *session) read(r io.Reader) error {
	buf, _ := s.p.reads.Get().(*[readSize]byte)
	if buf == nil {
		buf = new([readSize]byte)
	}
	defer s.p.reads.Put(buf)
	for {
		n, err := r.Read(buf[:])
		if n > 0 {
			if err := s.feed(buf[:n]); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// feed works off what one read gave.
func (s *session) feed(data []byte) error {
	s.beat.heard(s.conn)
	for {
		f, rest, err := s.parser.Next(data)
		if err != nil {
			return s.refuse(err, "", true)
		}
		if f == nil {
			break
		}
		data = rest
		if err := s.handle(f); err != nil {
			return err
		}
		if failed := s.fatal.Load(); failed != nil {
			return *failed
		}
	}
	if s.gathers {
		return s.held()
	}
	if err := s.idle(); err != nil {
		return err
	}
	return s.held()
}

// held tells the core what is held, which may have to wait for it.
func (s *session) held() error {
	if err := s.hold(); err != nil {
		return s.refuse(err, "", true)
	}
	s.beat.heard(s.conn) // a client that was held back has not been silent
	return nil
}

// mostUntold is how many bytes of incomplete frames and open transactions are not worth telling the core.
const mostUntold = 64 << 10

// hold tells the core what is held of frames that are not complete, and of open transactions.
func (s *session) hold() error {
	if s.core == nil {
		return nil
	}
	n := s.parser.Held()
	for _, t := range s.txs {
		n += int(t.bytes)
	}
	if n < mostUntold {
		n = 0
	}
	if n == s.holding {
		return nil
	}
	s.holding = n
	return s.core.Held(s.ctx, n)
}

// idle finishes what was begun with the frames that have come, before it is waited for more.
func (s *session) idle() error {
	if s.core != nil {
		s.core.Release()
	}
	if err := s.settleAcked(); err != nil {
		return err
	}
	return s.flush()
}

func (s *session) flush() error {
	if !s.dirty.Swap(false) {
		return nil
	}
	return unlessGone(s.conn.Flush())
}

// handle executes one frame. An error ends the connection; what is to be told was told.
func (s *session) handle(f *frame.Frame) error {
	receipt, _ := f.Get("receipt")
	if s.core == nil {
		if err := s.login(f); err != nil {
			return s.refuse(err, receipt, true)
		}
		return nil
	}
	if s.version != frame.V10 && f.Command != frame.Send && len(f.Body) > 0 {
		// STOMP 1.1 and 1.2, "Body".
		return s.refuse(fmt.Errorf("a %s frame must not have a body: %w", f.Command, core.ErrInvalid), receipt, true)
	}
	if f.Command != frame.Ack {
		if err := s.settleAcked(); err != nil {
			return err
		}
	}
	if f.Command == frame.Send {
		s.core.Hold() // until all that was read is worked off
	} else {
		s.core.Release() // it may have to wait for the disk
	}
	run, fatal := s.command(f.Command)
	if run == nil {
		return s.refuse(fmt.Errorf("there is no command %q in STOMP %s: %w", f.Command, s.version, core.ErrInvalid), receipt, true)
	}
	err := run(s, f, receipt)
	if err == nil || errors.Is(err, errLeave) {
		return err
	}
	return s.refuse(fmt.Errorf("%s: %w", f.Command, err), receipt, fatal)
}

// handler executes a frame and sees to its receipt.
type handler func(s *session, f *frame.Frame, receipt string) error

// command returns what executes a command after login, and whether its failure always ends the
// connection.
func (s *session) command(name string) (run handler, fatal bool) {
	switch name {
	case frame.Send:
		return (*session).send, false
	case frame.Subscribe, "SUB": // SUB and UNSUB are short forms of the first brokers
		return (*session).subscribe, false
	case frame.Unsubscribe, "UNSUB":
		return (*session).unsubscribe, false
	case frame.Ack:
		return (*session).ack, false
	case frame.Nack:
		if s.version == frame.V10 {
			return nil, true
		}
		return (*session).nack, false
	case frame.Begin:
		return (*session).begin, false
	case frame.Commit:
		return (*session).commit, false
	case frame.Abort:
		return (*session).abort, false
	case frame.Disconnect:
		return (*session).disconnect, true
	case frame.Connect, frame.Stomp:
		return (*session).again, true
	default:
		return nil, true
	}
}

func (s *session) again(*frame.Frame, string) error {
	return fmt.Errorf("the connection is logged in already: %w", core.ErrInvalid)
}

// disconnect waits for what is under way and ends the session, so that its receipt is the last and says that all
// is well: what a queue hands out from then on goes to somebody else, not into a connection that closes.
func (s *session) disconnect(_ *frame.Frame, receipt string) error {
	s.drain()
	_ = s.core.Close() // has no error to report
	if failed := s.fatal.Load(); failed != nil {
		return *failed
	}
	_ = s.core.Close() // before the receipt, which no MESSAGE follows
	if err := s.receipt(receipt); err != nil {
		return err
	}
	if err := s.flush(); err != nil {
		return err
	}
	return errLeave
}

// drain waits a bounded time for publishes and settlements under way. It outlives the connection's
// context, which is done when the broker shuts down.
func (s *session) drain() {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(s.ctx), s.p.cfg.DrainTimeout)
	defer cancel()
	_ = s.core.Drain(ctx) // what is not done by now is not acknowledged either
}

// leave says goodbye as far as err allows, and returns why the connection ended.
func (s *session) leave(err error) error {
	if s.core != nil {
		s.core.Release() // others need not wait for the end
	}
	_ = s.settleAcked() // what was received counts, whatever the end
	if failed := s.fatal.Load(); failed != nil {
		return *failed // the ERROR is out
	}
	reason := new(core.Reason)
	switch {
	case errors.Is(err, errLeave):
		return nil
	case errors.Is(err, io.EOF):
		if s.parser.Partial() {
			return fmt.Errorf("in the middle of a frame: %w", io.ErrUnexpectedEOF)
		}
		return nil
	case errors.Is(err, os.ErrDeadlineExceeded) && s.core == nil:
		err = core.ErrLoginTimeout
	case errors.Is(err, os.ErrDeadlineExceeded):
		err = fmt.Errorf("nothing received for %v: %w", s.beat.grace, core.ErrHeartbeat)
	case errors.Is(err, core.ErrShutdown):
		if s.core != nil {
			s.drain()
		}
	case !errors.As(err, &reason):
		return err // the connection is gone, there is nobody to tell
	}
	return s.refuse(err, "", true)
}
