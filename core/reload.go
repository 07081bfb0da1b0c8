package core

import (
	"context"
	"errors"
	"fmt"

	"github.com/wyemq/wye/core/internal/outbox"
)

// Change is what a plugin has prepared for settings that are to hold from now on: see corefx.Reloadable.
type Change struct {
	// Apply makes them hold. It cannot fail and does not wait for clients. Nil: there is nothing to do.
	Apply func()
	// Discard lets go of what was taken to prepare them, as a socket, when they are not to hold because somebody else has
	// refused his. Nil: there is nothing to let go.
	Discard func()
	// Files says in words what is new in the files that the settings name, by the key that names the file, as in "user bea
	// added". It holds no secrets.
	Files map[string]string
}

// Prepare checks settings that are to hold instead of those of NewBroker: Anonymous, Credentials, Cookie, DisconnectDenied,
// Limits, Queues and Entrances. The other fields are not looked at. Queues behave as the new policies and limits say, those that are
// there already too; what clients have beyond a limit that is lower now they keep.
func (b *Broker) Prepare(next Options) (Change, error) {
	if err := next.complete(); err != nil {
		return Change{}, err
	}
	if err := b.checkEntrances(next.Entrances); err != nil {
		return Change{}, err
	}
	o := *b.options()
	o.Anonymous, o.Credentials, o.Cookie, o.DisconnectDenied = next.Anonymous, next.Credentials, next.Cookie, next.DisconnectDenied
	o.Limits, o.Queues, o.Entrances = next.Limits, next.Queues, next.Entrances
	return Change{Apply: func() {
		b.use(&o)
		for _, v := range b.allVHosts() {
			v.reconfigure()
		}
	}}, nil
}

// options returns what holds now.
func (b *Broker) options() *Options { return b.now.Load() }

// use makes o hold. Whatever else is made of options is made here, so that it follows a reload.
func (b *Broker) use(o *Options) {
	overflow, _ := outbox.ParsePolicy(o.Limits.OutboxOverflow) // validated
	old := b.now.Swap(o)
	b.tries.Configure(o.Limits.guessing())
	b.policy.Store(&outbox.Config[Delivery]{
		Items: o.Limits.OutboxMessages, Bytes: o.Limits.OutboxBytes, Policy: overflow,
		Size: func(d *Delivery) int64 { return int64(d.size()) },
		Key:  func(d *Delivery) any { return conflateKey{d.Sub, d.Destination} },
	})
	if old == nil {
		return
	}
	sessions := b.allSessions()
	if old.Limits.rates() != o.Limits.rates() {
		b.repace(sessions)
	}
	for _, s := range sessions {
		if old.Limits.RefusalRate != o.Limits.RefusalRate {
			s.mu.Lock()
			s.refusals = nil // made anew by the next one
			s.mu.Unlock()
		}
		s.window.Resize(o.Limits.window(s.credit))
	}
}

// complete puts defaults in the place of what is not set, and checks what may change.
func (o *Options) complete() error {
	if o.Limits == (Limits{}) {
		o.Limits = DefaultLimits()
	}
	if o.Anonymous == "" {
		o.Anonymous = AnonymousLoopback
	}
	if o.Credentials == nil {
		o.Credentials = DefaultCredentials()
	}
	errs := []error{o.Limits.Validate(), checkCredentials(o.Credentials)}
	switch o.Anonymous {
	case AnonymousAlways, AnonymousLoopback, AnonymousNever:
	default:
		errs = append(errs, fmt.Errorf("anonymous must be loopback, false or true, is %q", string(o.Anonymous)))
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("broker: %w", err)
	}
	return nil
}

// reconfigure makes every queue behave as the options say now.
func (v *vhost) reconfigure() {
	for _, bq := range v.allQueues() {
		bq.configure()
	}
}

// configure makes the queue behave as the options say now.
func (bq *boundQueue) configure() {
	if cfg := bq.v.config(&bq.spec); *bq.cfg.Swap(&cfg) != cfg {
		bq.warned.Store(false)
		bq.full.been.Store(false)
		bq.q.Configure(cfg.queue())
	}
}

// Revoker is an optional interface of an [Authenticator] whose users may go or change while the broker runs.
type Revoker interface {
	// OnRevoke is called once, before anybody is asked. fn is to be called after each change: for every client that this
	// Authenticator has let in, the broker asks again, and ends the session with ErrRevoked when the answer is an error;
	// else the client is who the answer says. again does no I/O.
	OnRevoke(fn func(again func(Principal) (Principal, error)))
}

// watch listens to plugins that change their mind.
func (b *Broker) watch() {
	for _, a := range b.o.Authorizers {
		if c, ok := a.(Changer); ok {
			c.OnChange(func() {
				b.changes.Add(1) // first: a subscription that is beginning is looked at again
				b.background(func() { b.Reauthorize(b.ctx) })
			})
		}
	}
	for _, a := range b.o.Authenticators {
		if r, ok := a.(Revoker); ok {
			r.OnRevoke(func(again func(Principal) (Principal, error)) {
				b.revocations.Add(1) // first: a login that is under way is refused
				b.background(func() { b.review(b.ctx, a, again) })
			})
		}
	}
}

// review asks again about everybody whom a has let in.
func (b *Broker) review(ctx context.Context, a Authenticator, again func(Principal) (Principal, error)) {
	for _, s := range b.allSessions() {
		s.review(ctx, a, again)
	}
}

// review asks again, until nobody else has changed who the client is meanwhile.
func (s *Session) review(ctx context.Context, a Authenticator, again func(Principal) (Principal, error)) {
	for {
		old := s.Principal()
		if old.by != a {
			return
		}
		p, err := again(*old)
		if err != nil {
			s.end(fmt.Errorf("%w: %w", ErrRevoked, err))
			return
		}
		p.Name, p.ClientID, p.VHost, p.Remote, p.Expires, p.by = old.Name, old.ClientID, old.VHost, old.Remote, old.Expires, a
		if s.who.CompareAndSwap(old, &p) {
			s.expire() // it goes by who the client is
			s.recheck(ctx)
			return
		}
	}
}
