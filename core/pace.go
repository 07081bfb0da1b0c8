package core

import (
	"context"
	"errors"
	"math"
	"net/netip"
	"sync"
	"time"

	"github.com/wyemq/wye/core/internal/pack"
	"github.com/wyemq/wye/core/internal/rate"
	"github.com/wyemq/wye/core/internal/tries"
)

// publishBurst is for how long a publisher may save up what its rate permits, refusalBurst for how long a client saves up
// what it may be refused.
const (
	publishBurst = time.Second
	refusalBurst = 10 * time.Second
)

// accountKey names who is counted: a user of a virtual host, or the address of clients without a name.
type accountKey struct {
	vhost string
	owner
}

// owner is somebody in a virtual host.
type owner struct {
	user string
	from netip.Addr // of those without a name; of IPv6, the network
}

func (p *Principal) owner() owner {
	if p.Name != "" {
		return owner{user: p.Name}
	}
	return owner{from: tries.Network(p.Remote).Addr()}
}

func accountOf(p *Principal) accountKey { return accountKey{p.VHost, p.owner()} }

// appendTo is how an owner is stored, behind all else: earlier versions have stored a user, or nothing.
func (o *owner) appendTo(b []byte) []byte {
	b = pack.String(b, o.user)
	if o.from.IsValid() {
		b = pack.String(b, o.from.String())
	}
	return b
}

func readOwner(r *pack.Reader) (o owner) {
	if r.Len() > 0 {
		o.user = r.String()
	}
	if r.Len() > 0 {
		o.from, _ = netip.ParseAddr(r.String()) // what is none is nobody's
	}
	return o
}

// account is what a user has.
type account struct {
	messages, bytes *rate.Bucket // published

	connections, queues int
}

// limit makes rates hold. What is owed is forgotten.
func (a *account) limit(l *Limits) {
	a.messages, a.bytes = rate.New(float64(l.UserPublishRate), publishBurst), rate.New(float64(l.UserPublishBytes), publishBurst)
}

// accounts are those of all users that have something. No other lock is taken while theirs is held.
type accounts struct {
	mu  sync.Mutex
	all map[accountKey]*account
}

// account changes the account of a user by what fn does with it under the limits that hold, and forgets it when nothing is left.
// fn returns false when nothing is to be changed.
func (b *Broker) account(k accountKey, fn func(l *Limits, a *account) bool) bool {
	as := &b.accounts
	as.mu.Lock()
	defer as.mu.Unlock()
	l, a := &b.options().Limits, as.all[k]
	if a == nil {
		a = new(account)
		a.limit(l)
	}
	ok := fn(l, a)
	now := time.Now()
	switch {
	case a.connections == 0 && a.queues == 0 && a.messages.Idle(now) && a.bytes.Idle(now):
		delete(as.all, k)
	default:
		as.all[k] = a
	}
	return ok
}

// connect counts the session among those of its user.
func (s *Session) connect() error {
	most := 0
	ok := s.b.account(accountOf(&s.principal), func(l *Limits, a *account) bool {
		if most = l.UserConnections; most > 0 && a.connections >= most {
			return false
		}
		a.connections++
		s.setPace(l, a)
		return true
	})
	if !ok {
		return s.exceeded("user_connections", ErrLimit, "%d connections are the most one user may have", most)
	}
	return nil
}

// disconnect counts it out.
func (s *Session) disconnect() {
	s.b.account(accountOf(&s.principal), func(_ *Limits, a *account) bool {
		a.connections--
		return true
	})
}

// setPace makes rates hold for the session, whose account is a. The caller holds accounts.mu.
func (s *Session) setPace(l *Limits, a *account) {
	p := &pace{
		rate.New(float64(l.PublishRate), publishBurst), rate.New(float64(l.PublishBytes), publishBurst), a.messages, a.bytes,
	}
	if !p.messages.Limited() && !p.bytes.Limited() && !a.messages.Limited() && !a.bytes.Limited() {
		p = nil
	}
	s.pace.Store(p)
}

// repace makes the rates of the options hold, which are there already, for all accounts and sessions. Of a session that is not
// among them the login is not so far yet.
func (b *Broker) repace(sessions []*Session) {
	as := &b.accounts
	as.mu.Lock()
	defer as.mu.Unlock()
	l := &b.options().Limits
	for _, a := range as.all {
		a.limit(l)
	}
	for _, s := range sessions {
		if a := as.all[accountOf(&s.principal)]; a != nil {
			s.setPace(l, a)
		}
	}
}

// claimQueue counts a durable queue of a user, and reports whether one more was permitted.
func (b *Broker) claimQueue(k accountKey) (permitted bool) {
	return b.account(k, func(l *Limits, a *account) bool {
		a.queues++
		return l.UserDurableQueues == 0 || a.queues <= l.UserDurableQueues
	})
}

// freeQueue counts it out.
func (b *Broker) freeQueue(k accountKey) {
	b.account(k, func(_ *Limits, a *account) bool {
		a.queues--
		return true
	})
}

// pace is how fast a session may publish.
type pace struct{ messages, bytes, userMessages, userBytes *rate.Bucket }

// take takes what is to be published from all rates, and returns the longest wait and the limit that it is for. When one
// of them would take too long, nothing is taken.
func (p *pace) take(messages, size int, most time.Duration) (wait time.Duration, limit string, ok bool) {
	now := time.Now()
	all := [...]struct {
		*rate.Bucket
		n     int
		limit string
	}{
		{p.messages, messages, "publish_rate"},
		{p.bytes, size, "publish_bytes"},
		{p.userMessages, messages, "user_publish_rate"},
		{p.userBytes, size, "user_publish_bytes"},
	}
	for i, r := range all {
		w, ok := r.Take(r.n, now, most)
		if w > wait || !ok {
			wait, limit = w, r.limit
		}
		if !ok {
			for _, taken := range all[:i] {
				taken.Return(taken.n)
			}
			return wait, limit, false
		}
	}
	return wait, limit, true
}

// brake holds a publish back that is too fast, or for which there is no memory; what would have to wait too long is refused.
func (s *Session) brake(ctx context.Context, messages, size int) error {
	if err := s.HoldBack(ctx); err != nil {
		return err
	}
	most := s.b.options().Limits.PublishWait
	if p := s.pace.Load(); p != nil {
		wait, limit, ok := p.take(messages, size, most)
		if !ok {
			return s.exceeded(limit, ErrRate, "%v would have to be waited", wait.Round(time.Millisecond))
		}
		if wait > 0 {
			s.slowed(limit, ErrRate)
			if err := s.pause(ctx, wait); err != nil {
				return err
			}
		}
	}
	return s.spare(ctx, size, most)
}

// HoldBack makes a client wait that is refused again and again for a limit: that costs the broker as much as to serve it.
// Protocols call it before they work off a packet or frame that subscribes, however many subscriptions are in it, or for which
// they keep a limit themselves (see Exceeded); Publish and Commit do so themselves. The error is that of ctx or of the session when it ends meanwhile.
func (s *Session) HoldBack(ctx context.Context) error {
	if !s.wasRefused.Load() || !s.wasRefused.Swap(false) {
		return nil
	}
	s.mu.Lock()
	if s.refusals == nil {
		s.refusals = rate.New(float64(s.b.options().Limits.RefusalRate), refusalBurst)
	}
	owed := s.refusals
	s.mu.Unlock()
	wait, _ := owed.Take(1, time.Now(), math.MaxInt64)
	if wait == 0 {
		return nil
	}
	s.slowed("refusal_rate", ErrRate)
	return s.pause(ctx, wait)
}

// refused remembers an error that is for a limit, and returns it. Those of the session itself are remembered already.
func (s *Session) refused(err error) error {
	if err == nil {
		return nil
	}
	if _, limited := errors.AsType[*limitError](err); limited {
		s.wasRefused.Store(true)
	}
	return err
}

// glance is how often somebody who waits looks whether the session has ended.
const glance = 50 * time.Millisecond

// pause waits, while the session lives. What was answered before is not held back with what comes.
func (s *Session) pause(ctx context.Context, d time.Duration) error {
	s.wake() // nobody waits with it
	if s.conn != nil {
		_ = s.conn.Flush() // who reads notices when the connection is lost
	}
	for end := time.Now().Add(d); ; {
		left := time.Until(end)
		if left <= 0 {
			return nil
		}
		t := time.NewTimer(min(left, glance))
		select {
		case <-t.C:
			if w, ok := s.conn.(Holder); ok {
				w.HeldBack()
			}
		case <-ctx.Done():
			t.Stop()
			return ctx.Err()
		}
		if s.closed.Load() {
			return ErrClosed
		}
		if err := s.Err(); err != nil {
			return err
		}
	}
}
