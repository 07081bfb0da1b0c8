package users

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
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
	cfg    Config
	log    *slog.Logger
	secret [32]byte      // of this process: makes what is remembered worthless elsewhere
	slots  chan struct{} // one for each hash that is worked out: as many as there are processors
	nobody func() scheme // worked out for names that are not there, so that they take as long
	some   atomic.Bool   // there are users

	mu         sync.RWMutex
	users      map[[2]string]*User // by virtual host and name
	named      map[string][]*User  // by name
	looked     time.Time
	stamp      stamp
	remembered map[[sha256.Size]byte]time.Time
}

// stamp tells a version of the file from others.
type stamp struct {
	size int64
	time time.Time
}

var (
	_ core.Authenticator = (*Authenticator)(nil)
	_ core.Enabler       = (*Authenticator)(nil)
)

// New reads the file. It must be right, if it is there.
func New(cfg Config, log *slog.Logger) (*Authenticator, error) {
	a := &Authenticator{
		cfg: cfg, log: log, slots: make(chan struct{}, runtime.GOMAXPROCS(0)),
		remembered: make(map[[sha256.Size]byte]time.Time),
	}
	_, _ = rand.Read(a.secret[:])                                             // never fails, says its documentation
	a.nobody = sync.OnceValue(func() scheme { return newArgon(rand.Text()) }) // it costs memory, and mostly there are no users
	if err := a.Reload(); err != nil {
		return nil, fmt.Errorf("auth.users.file: %w", err)
	}
	return a, nil
}

// Name returns "users".
func (*Authenticator) Name() string { return "users" }

// Enabled reports whether there are users.
func (a *Authenticator) Enabled() bool { return a.some.Load() }

// Reload reads the file now. When it is wrong, the users stay as they were.
func (a *Authenticator) Reload() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.load()
}

// load reads the file; a.mu is held.
func (a *Authenticator) load() error {
	a.looked, a.stamp = time.Now(), stampOf(a.cfg.File)
	if a.cfg.File == "" {
		return nil
	}
	all, err := Load(a.cfg.File)
	if err != nil {
		return err
	}
	users, named := make(map[[2]string]*User, len(all)), make(map[string][]*User, len(all))
	for i := range all {
		u := &all[i]
		users[u.id()] = u
		named[u.Name] = append(named[u.Name], u)
	}
	a.users, a.named = users, named
	a.some.Store(len(users) > 0)
	return nil
}

// look reads the file again when it has changed.
func (a *Authenticator) look() {
	a.mu.RLock()
	fresh := time.Since(a.looked) < lookAgain
	a.mu.RUnlock()
	if fresh || a.cfg.File == "" {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if time.Since(a.looked) < lookAgain {
		return
	}
	a.looked = time.Now()
	if stampOf(a.cfg.File) == a.stamp {
		return
	}
	if err := a.load(); err != nil {
		a.log.Error("users file not read again, the users stay as they were", "error", err)
		return
	}
	a.log.Info("users file read again", "file", a.cfg.File, "users", len(a.users))
}

func stampOf(path string) stamp {
	var info fs.FileInfo
	info, err := os.Stat(path)
	if err != nil {
		return stamp{}
	}
	return stamp{info.Size(), info.ModTime()}
}

// Authenticate implements core.Authenticator. It skips names that it does not know: another one may.
func (a *Authenticator) Authenticate(ctx context.Context, l *core.Login) (core.Principal, error) {
	a.look()
	if !a.Enabled() || l.User == "" || l.Password == "" && l.Token != "" {
		return core.Principal{}, core.ErrSkip
	}
	u := a.find(l.VHost, l.User)
	right, err := a.verify(ctx, u, l.Password)
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

// find returns who has this name: in the virtual host that the login leads to, else in none, else the only one that has it,
// whose virtual host then is where the login leads.
func (a *Authenticator) find(vhost, name string) *User {
	a.mu.RLock()
	defer a.mu.RUnlock()
	for _, v := range []string{vhost, ""} {
		if u := a.users[[2]string{v, name}]; u != nil {
			return u
		}
	}
	if all := a.named[name]; len(all) == 1 {
		return all[0]
	}
	return nil
}

// verify works the password out, or remembers that it was right.
func (a *Authenticator) verify(ctx context.Context, u *User, password string) (bool, error) {
	var key [sha256.Size]byte
	if u != nil && a.cfg.Remember > 0 {
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
	if right && a.cfg.Remember > 0 {
		a.mu.Lock()
		if len(a.remembered) >= maxRemembered {
			clear(a.remembered)
		}
		a.remembered[key] = time.Now().Add(a.cfg.Remember)
		a.mu.Unlock()
	}
	return right, nil
}
