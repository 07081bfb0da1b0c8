package core

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/wyemq/wye/core/engine"
	"github.com/wyemq/wye/core/engine/memory"
	"github.com/wyemq/wye/core/internal/outbox"
	"github.com/wyemq/wye/core/internal/rate"
	"github.com/wyemq/wye/core/internal/tandem"
	"github.com/wyemq/wye/core/internal/tries"
)

// Options is what a [Broker] is made of.
type Options struct {
	// Engine stores and spreads; the broker closes it. Required. When it is durable, the broker keeps what
	// needs no durability in an engine of its own, in memory: see the package documentation.
	Engine engine.Engine
	// Authenticators, Authorizers and Interceptors, in the order they are asked.
	Authenticators []Authenticator
	Authorizers    []Authorizer
	Interceptors   []Interceptor
	// Observers are told of logins and refusals.
	Observers []Observer
	// Credentials says where those of a client are looked for, in order: the first place that has some is the only one that
	// counts. Nil: DefaultCredentials. Cookie is the name of the cookie that holds a token; empty: none is looked at.
	Credentials []string
	Cookie      string
	// DisconnectDenied ends a session that was refused a publish or a subscription; else it is told, and goes on.
	DisconnectDenied bool
	// Anonymous says who may log in without credentials when no Authenticator decides. Empty: loopback.
	Anonymous Anonymous
	// Limits bound what clients may use. The zero value means DefaultLimits.
	Limits Limits
	// Queues are the policies of queues; the first whose Match fits the queue's name counts.
	Queues []QueuePolicy
	// VHosts are the virtual hosts beside "/", which may be among them to be configured. Entrances say which of them listeners
	// lead to, by the name of the listener; one that is not there leads to all, and to "/" when a client names none.
	VHosts    []VHost
	Entrances map[string]Entrance
	// Version is what protocols tell their clients.
	Version string
	// Log takes what an operator should know. Nil: nothing is logged.
	Log *slog.Logger
}

// Broker routes messages between sessions. All methods may be called concurrently. It has no
// goroutine of its own while nothing happens.
type Broker struct {
	o        Options                          // what holds as long as the broker: see options
	eng      engine.Engine                    // Options.Engine, or that and one in memory
	spread   func(*engine.Batch, func(error)) // eng.Commit for batches of one message
	durable  bool
	log      *slog.Logger
	started  time.Time
	nonce    [8]byte // makes message ids unique over restarts
	seq      atomic.Uint64
	sessions atomic.Uint64 // there ever were
	effort   atomic.Int64  // operations of all selectors
	changes  atomic.Uint64 // of what authorizers answer
	mind     mind
	now      atomic.Pointer[Options]
	policy   atomic.Pointer[outbox.Config[Delivery]]
	chains   map[Op]chain
	limited  limitLog
	memory   memoryWatch
	accounts accounts
	tries    *tries.Guard
	delayed  *delayed

	// In all virtual hosts.
	retaining underway     // what becomes retained just now
	lasting   atomic.Int64 // sessions that outlive, or have outlived, their connection
	queues    atomic.Int64 // there are

	revocations atomic.Uint64 // how often authenticators have changed their mind

	ctx  context.Context // ends with Close
	stop context.CancelFunc
	work sync.WaitGroup // goroutines the broker started beside those of sessions

	served map[string]*vhost // those configured
	hosts  map[string]*vhost // by the Hosts of those

	mu     sync.Mutex
	closed bool
	vhosts map[string]*vhost // those served, and others that the engine knows
	online map[clientKey]*Session
}

// clientKey names a session.
type clientKey struct{ vhost, client string }

// NewBroker checks o and makes a broker.
func NewBroker(o Options) (*Broker, error) {
	if o.Engine == nil {
		return nil, errors.New("broker: no engine")
	}
	if err := o.complete(); err != nil {
		return nil, err
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	b := &Broker{
		o: o, log: o.Log, started: time.Now(),
		vhosts: make(map[string]*vhost), online: make(map[clientKey]*Session),
		chains: makeChains(o.Interceptors), mind: newMind(&o),
	}
	b.tries = tries.New(o.Limits.guessing())
	b.use(&o)
	_, _ = rand.Read(b.nonce[:]) // never fails, says its documentation
	b.ctx, b.stop = context.WithCancel(context.Background())
	b.limited.lines, b.limited.stats = rate.New(limitLines, limitBurst), make(map[string]*LimitStats)
	b.accounts.all = make(map[accountKey]*account)
	b.watch()
	b.eng, b.spread = o.Engine, o.Engine.Commit
	if b.durable = o.Engine.Caps().Durable; b.durable {
		both := tandem.New(o.Engine, memory.New())
		b.eng, b.spread = both, both.Spread
	}
	err := b.configureVHosts()
	if err == nil {
		err = b.restore()
	}
	if err != nil {
		b.stop()
		b.work.Wait()
		for _, v := range b.allVHosts() {
			v.close(context.Background())
		}
		return nil, fmt.Errorf("broker: %w", err)
	}
	return b, nil
}

// conflateKey is what the overflow policy "conflate" keeps one delivery of.
type conflateKey struct {
	sub         *Subscription
	destination string
}

// Limits returns the limits that hold now.
func (b *Broker) Limits() Limits { return b.options().Limits }

// Version returns the version that protocols tell their clients.
func (b *Broker) Version() string { return b.o.Version }

// Uptime returns how long the broker has been there.
func (b *Broker) Uptime() time.Duration { return time.Since(b.started) }

// Close ends all sessions with ErrShutdown, waits for their protocols to close them, bounded by ctx,
// and closes the engine.
func (b *Broker) Close(ctx context.Context) error {
	b.mu.Lock()
	if b.closed {
		b.mu.Unlock()
		return nil
	}
	b.closed = true
	b.mu.Unlock()
	sessions := b.allSessions() // nobody comes any more
	for _, s := range sessions {
		s.end(ErrShutdown)
	}
	for _, s := range sessions {
		select {
		case <-s.gone:
		case <-ctx.Done():
		}
	}
	b.delayed.close()
	b.stop()
	b.work.Wait()
	for _, v := range b.allVHosts() {
		v.close(ctx)
	}
	return b.eng.Close(ctx)
}

// VHosts lists the virtual hosts that are served.
func (b *Broker) VHosts() []string { return slices.Sorted(maps.Keys(b.served)) }

// known returns the namespace called name, or nil.
func (b *Broker) known(name string) *vhost {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.vhosts[cmp.Or(name, defaultVHost)]
}

// vhost returns the namespace called name, made on first use.
func (b *Broker) vhost(name string) *vhost {
	b.mu.Lock()
	defer b.mu.Unlock()
	v := b.vhosts[name]
	if v == nil {
		v = newVHost(b, name)
		b.vhosts[name] = v
	}
	return v
}

func (b *Broker) allVHosts() []*vhost {
	b.mu.Lock()
	defer b.mu.Unlock()
	all := make([]*vhost, 0, len(b.vhosts))
	for _, v := range b.vhosts {
		all = append(all, v)
	}
	return all
}

// allSessions lists the sessions that are online, for what is done without mu.
func (b *Broker) allSessions() []*Session {
	b.mu.Lock()
	defer b.mu.Unlock()
	all := make([]*Session, 0, len(b.online))
	for _, s := range b.online {
		all = append(all, s)
	}
	return all
}

// stamp makes m the broker's: it gets its number and time.
func (b *Broker) stamp(m *Message) {
	m.Seq = b.seq.Add(1)
	m.beside = m.Size() - len(m.Body)
	if m.Timestamp.IsZero() {
		m.Timestamp = time.Now()
	}
}
