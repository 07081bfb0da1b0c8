package users

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/wyemq/wye/core"
)

// lookAgain is how often the file is looked at, at most.
const lookAgain = time.Second

// maxRemembered bounds what is remembered; past it, everything is forgotten.
const maxRemembered = 10_000

// Authenticator knows the users of a file.
type Authenticator struct {
	log     *slog.Logger
	secret  [32]byte      // of this process: makes what is remembered worthless elsewhere
	slots   chan struct{} // one for each hash that is worked out: as many as there are processors
	nobody  func() scheme // worked out for names that are not there, so that they take as long
	book    atomic.Pointer[book]
	told    atomic.Pointer[func(key, change string)]
	revoked atomic.Pointer[func(again func(core.Principal) (core.Principal, error))]

	mu         sync.RWMutex
	looked     time.Time
	refused    stamp // a version of the file that was wrong
	remembered map[[sha256.Size]byte]time.Time
}

// fileKey names the file in the configuration.
const fileKey = "auth.users.file"

// stamp tells a version of the file from others.
type stamp struct {
	size int64
	time time.Time
}

var (
	_ core.Authenticator = (*Authenticator)(nil)
	_ core.Enabler       = (*Authenticator)(nil)
	_ core.Revoker       = (*Authenticator)(nil)
	_ core.Runner        = (*Authenticator)(nil)
)

// New reads the file. It must be right, if it is there.
func New(cfg Config, log *slog.Logger) (*Authenticator, error) {
	a := &Authenticator{
		log: log, slots: make(chan struct{}, runtime.GOMAXPROCS(0)), looked: time.Now(),
		remembered: make(map[[sha256.Size]byte]time.Time),
	}
	_, _ = rand.Read(a.secret[:])                                             // never fails, says its documentation
	a.nobody = sync.OnceValue(func() scheme { return newArgon(rand.Text()) }) // it costs memory, and mostly there are no users
	b, err := open(cfg)
	if err != nil {
		return nil, err
	}
	a.book.Store(b)
	return a, nil
}

// Name returns "users".
func (*Authenticator) Name() string { return "users" }

// Enabled reports whether there are users.
func (a *Authenticator) Enabled() bool { return len(a.book.Load().users) > 0 }

// OnRevoke implements core.Revoker: who is in the file no more, or has another password there, is logged out; who is in
// other groups there is so at once.
func (a *Authenticator) OnRevoke(fn func(again func(core.Principal) (core.Principal, error))) {
	a.revoked.Store(&fn)
}

// OnFile makes fn be told of changes of the file that were found here.
func (a *Authenticator) OnFile(fn func(key, change string)) { a.told.Store(&fn) }

// Prepare reads the file, which must be right, if it is there. It makes the Authenticator reloadable.
func (a *Authenticator) Prepare(next Config) (core.Change, error) {
	b, err := open(next)
	if err != nil {
		return core.Change{}, err
	}
	c := core.Change{Apply: func() { a.use(b) }}
	if d := b.differences(a.book.Load()); d != "" {
		c.Files = map[string]string{fileKey: d}
	}
	return c, nil
}

// use makes b hold.
func (a *Authenticator) use(b *book) {
	old := a.book.Swap(b)
	fn := a.revoked.Load()
	if fn == nil || b.differences(old) == "" {
		return
	}
	(*fn)(func(p core.Principal) (core.Principal, error) {
		was, is := old.find(p.VHost, p.Name), b.find(p.VHost, p.Name)
		switch {
		case is == nil:
			return p, errors.New("the user was removed")
		case was == nil || was.Hash != is.Hash:
			return p, errors.New("the password was changed")
		case was.VHost != is.VHost:
			return p, errors.New("the user is of another virtual host")
		}
		p.Groups = is.Groups
		return p, nil
	})
}

// Run looks after the file.
func (a *Authenticator) Run(ctx context.Context, ready func()) error {
	ready()
	t := time.NewTicker(lookAgain)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-t.C:
			a.look()
		}
	}
}

// look reads the file again when it has changed. A file that is away or empty is about to be
// written: to be without users is nothing that happens by itself.
func (a *Authenticator) look() {
	a.mu.RLock()
	fresh := time.Since(a.looked) < lookAgain
	a.mu.RUnlock()
	if fresh {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if time.Since(a.looked) < lookAgain {
		return
	}
	a.looked = time.Now()
	old := a.book.Load()
	now := stampOf(old.cfg.File)
	if now == old.stamp || now == a.refused || now.size == 0 {
		return
	}
	b, err := open(old.cfg)
	if err != nil {
		a.refused = now
		a.log.Error("users file not read again, the users stay as they were", "error", err)
		return
	}
	change := b.differences(old)
	a.use(b)
	if fn := a.told.Load(); fn != nil && change != "" {
		(*fn)(fileKey, change)
	}
}

// Authenticate implements core.Authenticator. It skips names that it does not know: another one may.
func (a *Authenticator) Authenticate(ctx context.Context, l *core.Login) (core.Principal, error) {
	a.look()
	if !a.Enabled() || l.User == "" || l.Password == "" && l.Token != "" {
		return core.Principal{}, core.ErrSkip
	}
	b := a.book.Load()
	u := b.find(l.VHost, l.User)
	right, err := a.verify(ctx, u, l.Password, b.cfg.Remember)
	switch {
	case err != nil:
		return core.Principal{}, err
	case u == nil:
		return core.Principal{}, core.ErrSkip
	case !right:
		return core.Principal{}, fmt.Errorf("wrong user or password: %w", core.ErrLogin)
	}
	return core.Principal{Name: u.Name, Groups: u.Groups, VHost: u.VHost}, nil
}

// verify works the password out, or remembers that it was right.
func (a *Authenticator) verify(ctx context.Context, u *User, password string, remember time.Duration) (bool, error) {
	var key [sha256.Size]byte
	if u != nil && remember > 0 {
		mac := hmac.New(sha256.New, a.secret[:])
		fmt.Fprintf(mac, "%s\x00%s\x00%s\x00%s", u.VHost, u.Name, u.Hash, password)
		mac.Sum(key[:0])
		a.mu.RLock()
		until, ok := a.remembered[key]
		a.mu.RUnlock()
		if ok && time.Now().Before(until) {
			return true, nil
		}
	}
	select {
	case a.slots <- struct{}{}:
	case <-ctx.Done():
		return false, ctx.Err()
	}
	defer func() { <-a.slots }()
	if u == nil {
		a.nobody().matches(password)
		return false, nil
	}
	right := u.scheme.matches(password)
	if right && remember > 0 {
		a.mu.Lock()
		if len(a.remembered) >= maxRemembered {
			clear(a.remembered)
		}
		a.remembered[key] = time.Now().Add(remember)
		a.mu.Unlock()
	}
	return right, nil
}
