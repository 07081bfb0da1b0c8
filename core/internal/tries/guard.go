package tries

import (
	"context"
	"fmt"
	"net/netip"
	"sync"
	"time"
)

// Config says how slow guessing is made.
type Config struct {
	// Free is how many failures cost nothing; First the wait after the next one, doubled at each, and Most the longest.
	Free        int
	First, Most time.Duration
	// Hold is for how long a try is held at most; one that has to wait longer is turned away.
	Hold time.Duration
	// Forget is how long failures count.
	Forget time.Duration
}

const (
	mostEntries = 1 << 16        // of each table
	mostHeld    = 1000           // tries at a time; more are not held
	goodFor     = 24 * time.Hour // who has got in is known for so long
)

// Guard counts. All methods may be called concurrently. Without First in its Config it does nothing.
type Guard struct {
	mu        sync.Mutex
	cfg       Config
	addresses table[netip.Prefix]
	users     table[string]
	good      table[pair]
	held      int
}

// pair is a user and from where.
type pair struct {
	user string
	from netip.Prefix
}

// Configure changes how slow guessing is made from now on. What was counted stays, but nobody has to wait for longer than he
// would have to now.
func (g *Guard) Configure(cfg Config) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if cfg == g.cfg {
		return
	}
	g.cfg = cfg
	now := time.Now()
	for _, e := range g.addresses.entries {
		g.shorten(e, now)
	}
	for _, e := range g.users.entries {
		g.shorten(e, now)
	}
}

func (g *Guard) shorten(e *entry, now time.Time) {
	if until := now.Add(g.after(e.fails)); until.Before(e.until) {
		e.until = until
	}
}

// New returns a guard.
func New(cfg Config) *Guard {
	return &Guard{
		cfg: cfg, addresses: table[netip.Prefix]{most: mostEntries},
		users: table[string]{most: mostEntries}, good: table[pair]{most: mostEntries},
	}
}

// TooManyError turns a try away.
type TooManyError struct {
	// After is when there may be another one.
	After time.Duration
}

func (e *TooManyError) Error() string {
	return fmt.Sprintf("too many failed logins from this address, try again in %v", max(e.After.Round(time.Second), time.Second))
}

// Network is what counts as one address: of IPv6, whoever has one has 2^64.
func Network(a netip.Addr) netip.Prefix {
	a = a.Unmap().WithZone("")
	bits := a.BitLen()
	if a.Is6() {
		bits = 64
	}
	p, _ := a.Prefix(bits) // fails for the zero Addr, as the zero Prefix
	return p
}

// Wait is called before the credentials of a try are looked at. It returns when they may be, or a TooManyError, or the
// error of ctx. user and from may be unknown. waited says that the try was held.
func (g *Guard) Wait(ctx context.Context, from netip.Addr, user string) (waited bool, err error) {
	g.mu.Lock()
	off, end := g.cfg.First <= 0, time.Now().Add(g.cfg.Hold)
	g.mu.Unlock()
	if off {
		return false, nil
	}
	for {
		wait, turn := g.delay(Network(from), user, time.Now(), end)
		if turn {
			return waited, &TooManyError{wait}
		}
		if wait <= 0 {
			return waited, nil
		}
		waited = true
		err := pause(ctx, wait)
		g.mu.Lock()
		g.held--
		g.mu.Unlock()
		if err != nil {
			return waited, err
		}
	}
}

func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// delay returns how long a try has to wait, or that it is turned away. One that has not to wait takes the turn of its
// address and user: the next has to wait, though it is not known yet how this one ends. One that is held is counted.
func (g *Guard) delay(from netip.Prefix, user string, now, end time.Time) (wait time.Duration, turnedAway bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if user != "" && g.good.find(pair{user, from}, now, goodFor) != nil {
		return 0, false
	}
	var a *entry
	if from.IsValid() {
		a = g.addresses.find(from, now, g.cfg.Forget)
	}
	if a != nil && a.until.After(now) {
		if a.until.After(end) || g.held >= mostHeld {
			return a.until.Sub(now), true
		}
		g.held++
		return a.until.Sub(now), false
	}
	u := g.users.find(user, now, g.cfg.Forget)
	if u != nil && u.until.After(now) && now.Before(end) && g.held < mostHeld {
		g.held++
		return min(u.until.Sub(now), end.Sub(now)), false
	}
	for _, e := range []*entry{a, u} {
		if e != nil {
			e.until = now.Add(g.after(e.fails))
		}
	}
	return 0, false
}

// after returns how long the next try has to wait after so many failures.
func (g *Guard) after(fails int) time.Duration {
	more := fails - g.cfg.Free
	switch {
	case more < 0:
		return 0
	case more > 30 || g.cfg.First<<more > g.cfg.Most:
		return g.cfg.Most
	default:
		return g.cfg.First << more
	}
}

// Failed notes that the credentials of a try were wrong.
func (g *Guard) Failed(from netip.Addr, user string) {
	now, where := time.Now(), Network(from)
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.cfg.First <= 0 {
		return
	}
	if where.IsValid() {
		g.fail(g.addresses.note(where, now, g.cfg.Forget), now)
	}
	if user != "" {
		g.fail(g.users.note(user, now, g.cfg.Forget), now)
		delete(g.good.entries, pair{user, where})
	}
}

func (g *Guard) fail(e *entry, now time.Time) {
	e.fails++
	e.until = now.Add(g.after(e.fails))
}

// Passed notes that they were right. What others have done wrong at the same address, or for the same user, still counts:
// else an account of one's own would make guessing free.
func (g *Guard) Passed(from netip.Addr, user string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.cfg.First <= 0 || user == "" {
		return
	}
	g.good.note(pair{user, Network(from)}, time.Now(), goodFor)
}
