package core

import (
	"context"
	"crypto/rand"
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/wyemq/wye/core/internal/outbox"
	"github.com/wyemq/wye/core/internal/queue"
	"github.com/wyemq/wye/core/internal/rate"
)

// Session is a logged-in client. Its methods may be called concurrently, except where one
// goroutine decides the order: the messages of one publisher are ordered by its calls.
//
// Callbacks named done are called exactly once, in the order of the calls they belong to
// (Publish, Commit and Settle together): before the method returns, or later from the goroutine
// that also calls the session's DeliverFunc, which flushes the Conn after them. They may write to
// the Conn and must not call Close. When the session ends first they are called with ErrClosed.
type Session struct {
	b         *Broker
	v         *vhost
	st        *state
	conn      Conn
	protocol  string
	principal Principal                 // as it was at the login: name, client id and virtual host stay
	who       atomic.Pointer[Principal] // as it is now
	deliver   DeliverFunc
	resumed   []Subscription
	wasKept   bool
	window    *queue.Window
	credit    int // that the client wants at most for all its subscriptions; 0: it does not say
	counters  *protoStats
	acks      ackOrder
	out       outbox.Box[Delivery]
	number    uint64       // unique, for sorting
	directs   atomic.Int32 // direct subscriptions
	writer    writer
	waker     waker
	ways      atomic.Pointer[ways] // nil before the first publish
	pace      atomic.Pointer[pace] // nil: there is no rate

	// full says which limits were reached for which nothing is refused.
	full struct{ outbox, unacked, publishes once }

	incomplete atomic.Int64 // bytes of messages that the protocol has not read to their end

	mu         sync.Mutex
	subs       map[string]*attachment
	held       map[uint64]held
	nextTag    uint64
	temp       string // token of temporary destinations, made on first use
	err        error
	told       map[string]struct{} // limits that were logged
	refusals   *rate.Bucket        // for limits; made on first use
	fair       *rate.Bucket        // what it may publish while memory is short; made on first use
	expiry     *time.Timer         // of the credentials; nil: they do not end
	closed     atomic.Bool
	wasRefused atomic.Bool // something for a limit, since HoldBack was called

	changing sync.Mutex // held while a subscription begins or ends
	effort   int        // what the selectors cost, or more: see afford; guarded by changing
	private  int        // private queues; guarded by changing

	closing sync.Once
	leaving sync.Once
	gone    chan struct{} // closed when Close has done its work
}

// held is a delivery that waits to be settled.
type held struct {
	a      *attachment
	record uint64
}

// ID returns the client id, made up by the broker if the client gave none.
func (s *Session) ID() string { return s.principal.ClientID }

// Principal returns who the client is. The result is read-only, and another one after Refresh.
func (s *Session) Principal() *Principal { return s.who.Load() }

// Resumed lists the subscriptions of an earlier session with this client id which was found;
// ok is false when none was. Each queue among them waits, complete, until Subscribe is called with
// the same ID and Filter; other fields may have changed.
func (s *Session) Resumed() (subs []Subscription, ok bool) { return s.resumed, s.wasKept }

// Temp returns the destination of a temporary queue of this session: "temp/<token>/<name>". Anybody
// may publish to it, only this session may subscribe to it, and it goes with the session.
func (s *Session) Temp(name string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.temp == "" {
		s.temp = rand.Text()
		if s.subs != nil { // else it has ended
			s.v.mu.Lock()
			s.v.temps[s.temp] = s
			s.v.mu.Unlock()
		}
	}
	return "temp/" + s.temp + "/" + name
}

// SetExpiry changes how long the session outlives its connection (MQTT 5, DISCONNECT).
func (s *Session) SetExpiry(d time.Duration) {
	s.st.setExpiry(min(max(d, 0), s.b.options().Limits.SessionExpiry))
}

// DropWill forgets the will: the client says goodbye.
func (s *Session) DropWill() { s.st.dropWill() }

// Err returns why the broker ended the session, or nil.
func (s *Session) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// end makes the broker end the session: the protocol sees err where it reads, says goodbye
// and calls Close.
func (s *Session) end(err error) {
	s.mu.Lock()
	if s.err == nil {
		s.err = err
	}
	s.mu.Unlock()
	if s.conn != nil {
		s.conn.Close(err)
	}
}

// Close ends the session in order: the client has left, or nobody knows better. It waits for DeliverFunc, so never call it
// from there; idempotent.
func (s *Session) Close() error { return s.CloseWith(nil) }

// CloseWith is Close by a protocol that knows why: what the client has done wrong, that it was silent or that its connection
// is lost. Observers, interceptors of OpDisconnect and [Stats] are told it, unless the broker has a reason of its own: see Err.
// nil and io.EOF stand for an orderly end. The first call counts, of Close as well.
func (s *Session) CloseWith(why error) error {
	if errors.Is(why, io.EOF) {
		why = nil
	}
	s.closing.Do(func() {
		s.closed.Store(true)
		s.Release()
		s.writer.stop()
		s.acks.abandon()
		s.changing.Lock() // after the writer, which may wait for it
		defer s.changing.Unlock()
		s.mu.Lock()
		subs, temp, err := s.subs, s.temp, s.err
		if err == nil {
			err = why
		}
		if s.expiry != nil {
			s.expiry.Stop()
		}
		s.subs, s.held = nil, nil
		s.mu.Unlock()
		for _, a := range subs {
			a.detach()
		}
		if temp != "" {
			s.v.dropTemps(temp)
		}
		s.leave() // before the client id is free: who comes next finds what is kept
		s.b.offline(s)
		s.disconnect()
		s.counters.sessions.Add(-1)
		s.v.stats.disconnected(ReasonID(err))
		s.observed(&Event{Kind: EventLogout, Err: err})
		s.disconnected(err)
		close(s.gone)
	})
	<-s.gone
	return nil
}

// disconnected runs the interceptors of OpDisconnect. A panic of theirs must not keep others waiting for the end, nor
// end the process: a session that hangs is closed by a goroutine of the broker's own.
func (s *Session) disconnected(err error) {
	if s.b.chains[OpDisconnect] == nil {
		return
	}
	defer func() {
		if r := recover(); r != nil {
			s.panicked(r)
		}
	}()
	_ = s.b.intercept(s.b.ctx, &Call{Op: OpDisconnect, Principal: s.Principal(), Err: err}, lastDoesNothing)
}

// leave leaves the state behind, once.
func (s *Session) leave() {
	s.leaving.Do(func() {
		s.mu.Lock()
		st := s.st
		s.mu.Unlock()
		if st != nil { // nil: the login has not come that far
			s.recheckWill(st)
			st.leave()
		}
	})
}

func lastDoesNothing(context.Context, *Call) error { return nil }
