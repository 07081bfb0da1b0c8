package core

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/wyemq/wye/core/destination"
	"github.com/wyemq/wye/core/engine"
)

// The topics between a client and the broker about its credentials. What is published below authTopics reaches nobody
// else, and subscriptions there see what is meant for their session alone.
const (
	authTopics = "topic/$auth/"
	// RefreshTopic takes a new token, as body, while the old one holds.
	RefreshTopic = authTopics + "refresh"
	// ExpiringTopic tells, in JSON, when the credentials are about to end: {"expires_at": "…", "expires_in": 60}.
	ExpiringTopic = authTopics + "expiring"
	// RevokedTopic tells which subscription has ended because the client may not read it any more: {"subscription": "…"}.
	RevokedTopic = authTopics + "revoked"
)

// warnBefore is how long before the end of the credentials a client is told; those that last less than five times that
// are told of when a fifth is left.
const warnBefore = time.Minute

// Refresh puts new credentials in the place of those that the client has logged in with. They must be the same user's.
// Subscriptions that it may not have any more end. When they are refused, the old ones hold on. The error wraps ErrDenied.
func (s *Session) Refresh(ctx context.Context, l Login) error {
	if s.closed.Load() {
		return ErrClosed
	}
	revocations := s.b.revocations.Load()
	old := s.Principal()
	l.ClientID, l.VHost, l.Conn, l.Source = old.ClientID, old.VHost, s.conn, FromRefresh
	if name, user, ok := cutUser(l.User); ok && name == s.v.name {
		l.User = user
	}
	p, err := s.b.ask(ctx, &l)
	if err == nil && (p.Name != old.Name || p.VHost != "" && p.VHost != old.VHost) {
		err = s.b.refuse(&l, "", fmt.Errorf("the new credentials are not of user %q: %w", old.Name, ErrLogin))
	}
	if err == nil {
		_, err = s.b.enter(ctx, &l, place{s.v, s.v.name, FromRefresh}, &p)
	}
	if err != nil {
		l.User = old.Name // whose it is to be
		s.b.observedLogin(&l, s, err)
		return fmt.Errorf("refresh: %w: %w", ErrDenied, err)
	}
	p.ClientID, p.VHost, p.Remote = old.ClientID, old.VHost, old.Remote
	s.who.Store(&p)
	if s.b.revocations.Load() != revocations { // who looked for sessions to end may not have seen what this one is now
		err := fmt.Errorf("users have changed meanwhile: %w", ErrRevoked)
		s.end(err)
		return err
	}
	s.observed(&Event{Kind: EventRefreshed})
	s.expire()
	s.recheck(ctx)
	return nil
}

// ofBroker reports whether dest is a topic that only the broker speaks on: about credentials and about itself. What stands
// above these topics counts as well, for a filter of what is below it matches that.
func ofBroker(dest string) bool {
	rest, ok := strings.CutPrefix(dest, "topic/$")
	if !ok {
		return false
	}
	level, _, _ := strings.Cut(rest, "/")
	return level == "auth" || level == "SYS"
}

// publishToBroker works off a message to a topic of the broker's own.
func (s *Session) publishToBroker(ctx context.Context, m *Message, done func(Published, error)) error {
	if m.Destination != RefreshTopic {
		return fmt.Errorf("%s is the broker's own: %w", m.Destination, ErrDenied)
	}
	if err := s.Refresh(ctx, Login{Token: strings.TrimSpace(string(m.Body))}); err != nil {
		return err
	}
	return s.answer(ctx, done, Published{Matched: 1}, nil)
}

// expire ends the session with its credentials, and tells the client before.
func (s *Session) expire() {
	p := s.Principal()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.expiry != nil {
		s.expiry.Stop()
		s.expiry = nil
	}
	if p.Expires.IsZero() || s.subs == nil { // nil: it has ended
		return
	}
	left := time.Until(p.Expires)
	s.expiry = time.AfterFunc(left-min(warnBefore, left/5), func() { s.b.background(func() { s.expiring(p) }) })
}

// expiring tells the client that its credentials are about to end, and waits for that.
func (s *Session) expiring(p *Principal) {
	left := time.Until(p.Expires)
	s.tell(ExpiringTopic, map[string]any{"expires_at": p.Expires.UTC().Format(time.RFC3339), "expires_in": int(left.Round(time.Second).Seconds())})
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.subs == nil || s.Principal() != p {
		return
	}
	s.expiry = time.AfterFunc(left, func() {
		if s.Principal() == p {
			s.end(ErrTokenExpired)
		}
	})
}

// tell sends a message of the broker's own to the subscriptions of the session alone.
func (s *Session) tell(dest string, what map[string]any) {
	body, err := json.Marshal(what)
	if err != nil {
		return // texts and numbers always can
	}
	m := &Message{Destination: dest, Body: body, ContentType: "application/json", TextBody: true}
	s.b.stamp(m)
	s.mu.Lock()
	var to []*attachment
	for _, a := range s.subs {
		if sub := a.sub.Load(); sub.Group == "" && destination.Match(sub.Filter, dest) {
			to = append(to, a)
		}
	}
	s.mu.Unlock()
	for _, a := range to {
		a.give(m)
	}
}

// give hands a message to this subscription alone, past the index.
func (a *attachment) give(m *Message) {
	if a.entry != nil {
		a.push(m, nil)
		return
	}
	size := m.size()
	if a.bound.q.Reserve(size, uint8(m.Priority.Level())) != nil {
		return
	}
	a.s.b.eng.Commit(&engine.Batch{Relaxed: true, Ops: []engine.Op{{
		Kind: engine.Append, Logs: []engine.LogID{a.bound.id}, Msg: a.s.b.record(m, a.bound.stored()),
	}}}, func(err error) {
		if err != nil {
			a.bound.q.Unreserve(size)
		}
	})
}

// recheck ends the subscriptions that the client may not have any more.
func (s *Session) recheck(ctx context.Context) {
	s.mu.Lock()
	subs := make([]*Subscription, 0, len(s.subs))
	for _, a := range s.subs {
		subs = append(subs, a.sub.Load())
	}
	s.mu.Unlock()
	for _, sub := range subs {
		err := s.mayRead(ctx, sub)
		if err == nil || s.Unsubscribe(ctx, sub.ID) != nil {
			continue
		}
		s.b.log.Info("subscription ended", "client", s.ID(), "subscription", sub.Filter, "reason", ReasonID(err), "error", err)
		s.observedRefusal(EventRevoked, sub.Filter, err)
		s.tell(RevokedTopic, map[string]any{"subscription": sub.Filter})
	}
}

// recheckWill forgets a will that the client may not publish any more: rules and credentials may be others than at the login.
func (s *Session) recheckWill(st *state) {
	m := st.pendingWill()
	if m == nil || len(s.b.o.Authorizers) == 0 {
		return
	}
	if err := s.mayPublish(s.b.ctx, m, nil, false); err != nil {
		s.b.log.Info("will not published", "client", s.ID(), "destination", m.Destination, "reason", ReasonID(err), "error", err)
		st.dropWill()
	}
}

// Reauthorize ends every subscription that its client may not have any more. Authorizers call it, not from Authorize, when
// they have changed their mind.
func (b *Broker) Reauthorize(ctx context.Context) {
	for _, s := range b.allSessions() {
		s.recheck(ctx)
	}
}
