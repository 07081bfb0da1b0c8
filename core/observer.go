package core

import (
	"errors"
	"sync/atomic"
	"time"
)

// Observer is told who logs in and who is refused what, for those who want to look that up later.
type Observer interface {
	Name() string
	// Observe is called where it happens, from many goroutines, and must not block. e is read-only, and may be kept.
	Observe(e *Event)
}

// EventKind says what an [Event] is about. The names do not change.
type EventKind string

// The kinds.
const (
	EventLogin        EventKind = "login"              // a session has begun
	EventConnRefused  EventKind = "connection_refused" // a connection has ended before anybody could log in; Err says why
	EventLoginRefused EventKind = "login_refused"      // Err says why; also for credentials that were to replace others
	EventRefreshed    EventKind = "refreshed"          // a client has given new credentials, see Session.Refresh
	EventRefused      EventKind = "refused"            // Op on Destination was not authorized
	EventRevoked      EventKind = "revoked"            // a subscription to Destination has ended, because it is not authorized any more
	EventLogout       EventKind = "logout"             // a session has ended; Err says why, nil that the client has left
)

// Event is something that has happened to a client. It holds no secrets.
type Event struct {
	Kind EventKind
	Time time.Time
	// User, ClientID and VHost are those of the session. Of a login that was refused they are what the client says, as far as
	// that is known.
	User, ClientID, VHost string
	// Protocol, Conn and Source are those of the login: see Login. Conn is nil without a connection.
	Protocol, Source string
	Conn             *ConnInfo
	// Authenticator has let the client in, or not; empty: none was asked, or none knows the credentials.
	Authenticator string
	// Op and Destination are what was refused.
	Op          Op
	Destination string
	// Err says why. See ReasonID and RuleOf.
	Err error
}

// Deny returns the error of an [Authorizer] whose rule refuses. It wraps ErrDenied.
func Deny(rule string) error { return denial(rule) }

type denial string

func (d denial) Error() string { return "rule " + string(d) + ": " + ErrDenied.Error() }

// Unwrap keeps the reason.
func (denial) Unwrap() error { return ErrDenied }

// RuleOf returns the id of the rule that has refused, as [Deny] was told it; empty: none has.
func RuleOf(err error) string {
	d := denial("")
	_ = errors.As(err, &d)
	return string(d)
}

// refusedOp is that an operation is not authorized.
type refusedOp struct {
	op   Op
	dest string
	err  error
}

func (r *refusedOp) Error() string { return r.op.String() + " " + r.dest + ": " + r.err.Error() }

// Unwrap keeps the reason.
func (r *refusedOp) Unwrap() error { return r.err }

// observe tells the observers.
func (b *Broker) observe(e *Event) {
	e.Time = time.Now()
	for _, o := range b.o.Observers {
		o.Observe(e)
	}
}

// observed tells of a session.
func (s *Session) observed(e *Event) {
	if len(s.b.o.Observers) == 0 {
		return
	}
	p := s.Principal()
	e.User, e.ClientID, e.VHost, e.Protocol, e.Source, e.Conn = p.Name, p.ClientID, p.VHost, s.protocol, p.source, infoOf(s.conn)
	if p.by != nil {
		e.Authenticator = p.by.Name()
	}
	s.b.observe(e)
}

// observedRefusal tells that something was not authorized, or is not any more.
func (s *Session) observedRefusal(kind EventKind, dest string, err error) {
	e := &Event{Kind: kind, Destination: dest, Err: err}
	if r := new(refusedOp); errors.As(err, &r) {
		e.Op, e.Destination, e.Err = r.op, r.dest, r.err
	}
	s.observed(e)
}

// observedLogin tells what became of a login.
func (b *Broker) observedLogin(l *Login, s *Session, err error) {
	if info := infoOf(l.Conn); info != nil {
		atomic.StoreUint32(&info.observed, 1)
	}
	switch {
	case len(b.o.Observers) == 0:
	case err == nil:
		s.observed(&Event{Kind: EventLogin})
	default:
		e := &Event{
			Kind: EventLoginRefused, User: l.User, ClientID: l.ClientID, VHost: l.VHost, Protocol: l.Protocol, Source: l.Source,
			Conn: infoOf(l.Conn), Err: err,
		}
		if r := new(refusal); errors.As(err, &r) {
			e.Authenticator, e.Err = r.authenticator, r.err
		}
		b.observe(e)
	}
}

var _ Doorkeeper = (*Broker)(nil)

// Refused implements [Doorkeeper]: the observers are told, unless they know what has become of the login.
func (b *Broker) Refused(info *ConnInfo, err error) {
	if len(b.o.Observers) > 0 && atomic.LoadUint32(&info.observed) == 0 {
		b.observe(&Event{Kind: EventConnRefused, Conn: info, Err: err})
	}
}

// infoOf describes a connection, if there is one.
func infoOf(c Conn) *ConnInfo {
	if c == nil {
		return nil
	}
	return c.Info()
}
