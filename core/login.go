package core

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/netip"
	"time"
	"unicode/utf8"

	"github.com/wyemq/wye/core/internal/queue"
	"github.com/wyemq/wye/core/internal/tries"
)

// takeoverWait bounds how long a login waits for the session it takes over to say goodbye.
const takeoverWait = 5 * time.Second

// Connect authenticates l and opens a session. l.Conn is closed with the reason when the broker
// ends the session: takeover, slow consumer, administrator, failed delivery. A session with the
// same client id is closed with ErrTakenOver first, and waited for, bounded. The error wraps
// ErrLogin, ErrDenied, ErrLimit or ErrShutdown. Nothing is delivered before Subscribe.
func (b *Broker) Connect(ctx context.Context, l Login, deliver DeliverFunc) (s *Session, err error) {
	if info := infoOf(l.Conn); info != nil && info.Refused != nil {
		return nil, info.Refused // the transport has counted and logged it
	}
	defer func() { b.observedLogin(&l, s, err) }()
	if b.memory.tight.Load() >= tightFull {
		return nil, b.turnedAway(&l, "memory", ErrBusy, "memory is short")
	}
	revocations := b.revocations.Load()
	p, v, err := b.authenticate(ctx, &l)
	if err != nil {
		return nil, err
	}
	p.VHost, p.ClientID, p.Remote = v.name, l.ClientID, remoteOf(l.Conn)
	if p.ClientID == "" {
		p.ClientID = "wye-" + rand.Text()
	}
	if !utf8.ValidString(p.ClientID) {
		return nil, fmt.Errorf("client id is not UTF-8: %w", ErrInvalid)
	}
	s = &Session{
		b: b, v: v, conn: l.Conn, protocol: l.Protocol, principal: p, deliver: deliver,
		counters: v.stats.protocol(l.Protocol),
		subs:     make(map[string]*attachment), held: make(map[uint64]held),
		gone: make(chan struct{}),
	}
	s.who.Store(&s.principal)
	s.writer = writer{s: s, stopped: make(chan struct{})}
	s.writer.start = s.writer.run
	s.number = b.sessions.Add(1)
	s.acks.init(s.writer.kick, s.publishesWait, s.panicked)
	s.credit = l.Credit
	s.window = queue.NewWindow(b.options().Limits.window(l.Credit))
	if err := s.Authorize(ctx, OpConnect, ClientName(p.ClientID)); err != nil {
		return nil, err
	}
	err = b.intercept(ctx, &Call{Op: OpConnect, Principal: &s.principal}, lastDoesNothing)
	if err != nil {
		return nil, err
	}
	if l.Will != nil {
		if err := s.admit(ctx, l.Will, nil); err != nil { // it is the client's, and authorized now
			return nil, fmt.Errorf("will: %w", err)
		}
	}
	if err := b.register(ctx, s); err != nil {
		return nil, err
	}
	for o := (*Options)(nil); o != b.options(); { // who has changed them may not have seen this session
		o = b.options()
		s.window.Resize(o.Limits.window(s.credit))
	}
	err = s.connect() // now: whose session it takes over has gone
	if err == nil {
		if err = s.claimState(&l); err != nil {
			s.disconnect()
		}
	}
	if err != nil {
		b.offline(s)
		s.counters.sessions.Add(-1)
		close(s.gone)
		return nil, err
	}
	s.expire()
	if b.revocations.Load() != revocations { // who looked for sessions to end may not have seen this one
		_ = s.Close()
		return nil, fmt.Errorf("users have changed meanwhile, log in again: %w", ErrUnavailable)
	}
	return s, nil
}

// authenticate asks who the client is, and where it may go.
func (b *Broker) authenticate(ctx context.Context, l *Login) (Principal, *vhost, error) {
	if err := b.gather(l); err != nil {
		return Principal{}, nil, err
	}
	at := b.find(l)
	if l.VHost = at.asked; at.v != nil {
		l.VHost = at.v.name
	}
	p, err := b.identify(ctx, l)
	if err != nil {
		return Principal{}, nil, err
	}
	v, err := b.enter(ctx, l, at, &p)
	return p, v, err
}

// identify asks who the client is.
func (b *Broker) identify(ctx context.Context, l *Login) (Principal, error) {
	if p, err := b.ask(ctx, l); !errors.Is(err, ErrSkip) {
		return p, err
	}
	switch {
	case b.options().Anonymous == AnonymousAlways:
		return Principal{}, nil
	case b.options().Anonymous == AnonymousLoopback && l.Conn != nil && l.Conn.Info().Loopback():
		return Principal{}, nil
	case b.options().Anonymous == AnonymousLoopback:
		return Principal{}, fmt.Errorf("anonymous clients are served on loopback addresses only (auth.anonymous): %w", ErrLogin)
	default:
		return Principal{}, fmt.Errorf("anonymous clients are not served (auth.anonymous): %w", ErrLogin)
	}
}

// ask asks the authenticators about the credentials in l. ErrSkip: there are none, or nobody who could know any.
func (b *Broker) ask(ctx context.Context, l *Login) (Principal, error) {
	if l.guessable() {
		if err := b.mayTry(ctx, l); err != nil {
			return Principal{}, err
		}
	}
	for _, a := range b.o.Authenticators {
		p, err := a.Authenticate(ctx, l)
		if err == nil {
			p.by, p.source = a, l.Source
			b.log.Debug("login", "user", p.Name, "client", l.ClientID, "authenticator", a.Name(), "credentials", l.Source)
			b.tries.Passed(remoteOf(l.Conn), l.User)
			return p, nil
		}
		if errors.Is(err, ErrSkip) {
			continue
		}
		if errors.Is(err, ErrLogin) && l.guessable() {
			b.tries.Failed(remoteOf(l.Conn), l.User)
		} else if !errors.Is(err, ErrLogin) {
			err = fmt.Errorf("%w: %w", ErrLogin, err)
		}
		return Principal{}, b.refuse(l, a.Name(), err)
	}
	if l.Source != "" && Guarded(b.o.Authenticators) {
		if l.guessable() {
			b.tries.Failed(remoteOf(l.Conn), l.User)
		}
		return Principal{}, b.refuse(l, "", fmt.Errorf("no authenticator knows them: %w", ErrLogin))
	}
	return Principal{}, ErrSkip
}

// guessable reports whether trying many times might help: tokens and tickets are too long for that, and a page that comes
// again and again with one that has expired must not keep its neighbours out.
func (l *Login) guessable() bool { return l.User != "" || l.Password != "" }

// mayTry lets credentials be looked at, perhaps after a while, unless there were too many that were wrong.
func (b *Broker) mayTry(ctx context.Context, l *Login) error {
	held, err := b.tries.Wait(ctx, remoteOf(l.Conn), l.User)
	if err == nil {
		if held {
			b.note("login_tries", true, false, whom{}, nil)
		}
		return nil
	}
	if many := new(tries.TooManyError); errors.As(err, &many) {
		return b.turnedAway(l, "login_tries", ErrTries, many.Error())
	}
	return fmt.Errorf("login: %w", err)
}

// Try is for those who look at credentials past Connect, as over HTTP: it lets them be looked at, perhaps after a while. The
// error wraps ErrTries; after says when there may be another try. tried says how it has ended.
func (b *Broker) Try(ctx context.Context, from netip.Addr, user string) (tried func(ok bool), after time.Duration, err error) {
	if held, err := b.tries.Wait(ctx, from, user); err != nil {
		many := new(tries.TooManyError)
		if !errors.As(err, &many) {
			return nil, 0, err
		}
		refused := &limitError{ofAll, "login_tries", many.Error(), ErrTries}
		b.note("login_tries", false, true, whom{user: user, remote: from}, refused)
		return nil, many.After, refused
	} else if held {
		b.note("login_tries", true, false, whom{}, nil)
	}
	return func(ok bool) {
		if ok {
			b.tries.Passed(from, user)
		} else {
			b.tries.Failed(from, user)
		}
	}, 0, nil
}

// refusal is all that a client is told of why its credentials are not accepted, so that nobody finds out which names
// there are.
type refusal struct {
	source, authenticator string
	err                   error
}

func (r *refusal) Error() string {
	reason := ErrLogin
	_ = errors.As(r.err, &reason)
	if r.source == "" {
		return reason.Error()
	}
	return "credentials from " + r.source + ": " + reason.Error()
}

// Unwrap keeps the reason.
func (r *refusal) Unwrap() error { return r.err }

// refuse tells the operator why.
func (b *Broker) refuse(l *Login, authenticator string, err error) error {
	b.log.Info("login refused", "user", l.User, "client", l.ClientID, "remote", remoteOf(l.Conn),
		"authenticator", authenticator, "credentials", l.Source, "error", err)
	return &refusal{l.Source, authenticator, err}
}

// register makes s the session of its client id, after the one before it has gone.
func (b *Broker) register(ctx context.Context, s *Session) error {
	key := clientKey{s.v.name, s.principal.ClientID}
	for {
		b.mu.Lock()
		if b.closed {
			b.mu.Unlock()
			return ErrShutdown
		}
		old := b.online[key]
		if old == nil {
			if err := s.v.full(); err != nil {
				b.mu.Unlock()
				return s.exceeds(err)
			}
			b.online[key] = s
			s.v.online++
			b.mu.Unlock()
			s.counters.sessions.Add(1)
			return nil
		}
		b.mu.Unlock()
		if owner := old.principal.Name; owner != "" && owner != s.principal.Name {
			return fmt.Errorf("client id %q is another user's: %w", s.principal.ClientID, ErrDenied)
		}
		old.end(ErrTakenOver)
		gone, err := old.wait(ctx)
		if err != nil {
			return fmt.Errorf("take over client id %q: %w", s.principal.ClientID, err)
		}
		if !gone {
			// Its protocol hangs: take what it keeps, so that it cannot take that away later. What it holds of
			// queues comes back when it ends.
			old.closed.Store(true)
			b.background(func() { _ = old.Close() })
			old.leave()
			b.offline(old)
		}
	}
}

// full says why nobody else may come, or nil. The caller holds Broker.mu.
func (v *vhost) full() *limitError {
	if most := v.settings.MaxSessions; most > 0 {
		if v.online >= most {
			return &limitError{ofVHost, "max_sessions", fmt.Sprintf("%d clients are the most that virtual host %q may have", most, v.name), ErrLimit}
		}
		return nil
	}
	if most := v.b.options().Limits.VHostConnections; most > 0 && v.online >= most {
		return &limitError{ofAll, "vhost_connections", fmt.Sprintf("%d connections are the most that a virtual host may have", most), ErrLimit}
	}
	return nil
}

// wait waits until the session has gone, for takeoverWait at most.
func (s *Session) wait(ctx context.Context) (gone bool, err error) {
	timeout := time.NewTimer(takeoverWait)
	defer timeout.Stop()
	select {
	case <-s.gone:
		return true, nil
	case <-timeout.C:
		return false, nil
	case <-ctx.Done():
		return false, ctx.Err()
	}
}

// offline frees the client id of s, unless another session has it.
func (b *Broker) offline(s *Session) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if key := (clientKey{s.v.name, s.principal.ClientID}); b.online[key] == s {
		delete(b.online, key)
		s.v.online--
	}
}

// claimState finds what an earlier session left, or begins anew. What another user has left is neither taken nor
// thrown away; that of a client without a name is nobody's, and goes.
func (s *Session) claimState(l *Login) error {
	expiry := min(l.Expiry, s.b.options().Limits.SessionExpiry)
	s.v.mu.Lock()
	old := s.v.kept[s.principal.ClientID]
	if old != nil && old.by.user != "" && old.by.user != s.principal.Name {
		s.v.mu.Unlock()
		return fmt.Errorf("the session of client id %q is another user's: %w", s.principal.ClientID, ErrDenied)
	}
	delete(s.v.kept, s.principal.ClientID)
	s.v.mu.Unlock()
	if old != nil && !l.CleanStart && old.by.user == s.principal.Name {
		if subs, ok := old.begin(s, l, expiry); ok {
			s.resumed, s.wasKept = subs, true
			s.hold(old)
			return nil
		}
	}
	if old != nil {
		old.end()
	}
	st := newState(s.v, s.principal.ClientID, s.principal.owner())
	if st.lasting = expiry > 0; st.lasting { // counted at once: others log in meanwhile
		if most := s.b.options().Limits.KeptSessions; s.b.lasting.Add(1) > int64(most) {
			s.b.lasting.Add(-1)
			return s.exceeded("kept_sessions", ErrLimit, "%d sessions are kept, the most there may be", most)
		}
	}
	_, _ = st.begin(s, l, expiry)
	s.hold(st)
	return nil
}

// hold makes st the session's.
func (s *Session) hold(st *state) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.st = st
}
