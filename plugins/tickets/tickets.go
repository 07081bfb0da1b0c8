package tickets

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/wyemq/wye/core"
)

// Prefix stands before a ticket that is given as password or token.
const Prefix = "ticket."

// maxRequest bounds what an application sends.
const maxRequest = 64 << 10

// minMany is how many tickets are not worth looking at.
const minMany = 1024

// maxSession is the longest that a session may be bounded to.
const maxSession = 365 * 24 * time.Hour

// Office gives tickets, and takes them.
type Office struct {
	cfg    atomic.Pointer[Config]
	log    *slog.Logger
	permit func(*http.Request) error // may be nil
	vhosts func() []string           // may be nil

	mu   sync.Mutex
	open map[[sha256.Size]byte]*ticket // by hash, so that time tells nothing of what is here
	many int                           // with so many it is worth looking for those that are too old
}

// ticket is one that nobody has used.
type ticket struct {
	p        core.Principal
	clientID string
	session  time.Duration
	until    time.Time
}

var (
	_ core.Authenticator = (*Office)(nil)
	_ core.Enabler       = (*Office)(nil)
	_ http.Handler       = (*Office)(nil)
)

// New returns an office without tickets.
func New(cfg Config, log *slog.Logger) (*Office, error) {
	if err := cfg.Validate("auth.tickets"); err != nil {
		return nil, err
	}
	o := &Office{log: log, open: make(map[[sha256.Size]byte]*ticket)}
	o.cfg.Store(&cfg)
	return o, nil
}

// Prepare makes the Office reloadable. Tickets that were given stay good, unless there is no key any more.
func (o *Office) Prepare(next Config) (core.Change, error) {
	return core.Change{Apply: func() { o.cfg.Store(&next) }}, nil
}

// Name returns "tickets".
func (*Office) Name() string { return "tickets" }

// Enabled reports whether there is a key.
func (o *Office) Enabled() bool { return o.cfg.Load().Key != "" }

// Permit lets those have tickets as well whom fn lets. It is called before anything is served.
func (o *Office) Permit(fn func(r *http.Request) error) { o.permit = fn }

// Among lets tickets be for the virtual hosts only that fn lists. It is called before anything is served.
func (o *Office) Among(fn func() []string) { o.vhosts = fn }

// order is what an application asks for.
type order struct {
	User     string         `json:"user"`
	Groups   []string       `json:"groups"`
	VHost    string         `json:"vhost"`
	ClientID string         `json:"client_id"` // if set, it must be that of the login
	Claims   map[string]any `json:"claims"`
	TTL      float64        `json:"ttl"`     // seconds; 0: as configured
	Session  float64        `json:"session"` // seconds after which the session ends; 0: never
}

// ServeHTTP answers POST with a ticket.
func (o *Office) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	fail := func(status int, text string) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.WriteHeader(status)
		_, _ = fmt.Fprintln(w, text)
	}
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		fail(http.StatusMethodNotAllowed, "tickets are made by POST")
		return
	}
	if !o.Enabled() {
		fail(http.StatusForbidden, "there are no tickets: auth.tickets.key is not set")
		return
	}
	if !o.knows(r) && (o.permit == nil || o.permit(r) != nil) {
		o.log.Warn("ticket refused", "remote", r.RemoteAddr, "reason", core.ErrLogin.ID())
		w.Header().Set("WWW-Authenticate", "Bearer")
		fail(http.StatusUnauthorized, "the key of auth.tickets.key is needed, as Authorization: Bearer")
		return
	}
	var in order
	dec := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxRequest))
	dec.DisallowUnknownFields()
	err := dec.Decode(&in)
	if err == nil {
		if _, more := dec.Token(); more == nil {
			err = errors.New("something follows it")
		} else if !errors.Is(more, io.EOF) {
			err = more
		}
	}
	if err != nil {
		fail(http.StatusBadRequest, "the body must be JSON such as {\"user\": \"ali\", \"groups\": [], \"ttl\": 30}: "+err.Error())
		return
	}
	ttl, text := o.check(&in)
	if text != "" {
		fail(http.StatusBadRequest, text)
		return
	}
	name, ok := o.issue(&in, ttl)
	if !ok {
		fail(http.StatusServiceUnavailable, fmt.Sprintf("there are %d tickets that nobody has used", o.cfg.Load().Max))
		return
	}
	o.log.Info("ticket made", "user", in.User, "remote", r.RemoteAddr, "ttl", ttl)
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{"ticket": name, "expires_in": ttl.Seconds()})
}

// knows reports whether r shows the key.
func (o *Office) knows(r *http.Request) bool {
	scheme, key, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	given, want := sha256.Sum256([]byte(key)), sha256.Sum256([]byte(o.cfg.Load().Key))
	return strings.EqualFold(scheme, "Bearer") && subtle.ConstantTimeCompare(given[:], want[:]) == 1
}

// check returns how long the ticket is good for, or what is wrong.
func (o *Office) check(in *order) (time.Duration, string) {
	switch {
	case in.User == "":
		return 0, "user: must not be empty"
	case in.VHost != "" && o.vhosts != nil && !slices.Contains(o.vhosts(), in.VHost):
		return 0, fmt.Sprintf("vhost: there is no virtual host %q", in.VHost)
	case in.TTL < 0 || in.TTL > o.cfg.Load().TTL.Seconds():
		return 0, fmt.Sprintf("ttl: must be between 0 and %v seconds", o.cfg.Load().TTL.Seconds())
	case in.Session < 0 || in.Session > maxSession.Seconds():
		return 0, fmt.Sprintf("session: must be between 0 and %v seconds", maxSession.Seconds())
	case in.TTL > 0:
		return time.Duration(in.TTL * float64(time.Second)), ""
	default:
		return o.cfg.Load().TTL, ""
	}
}

// issue makes a ticket; false when there are too many.
func (o *Office) issue(in *order, ttl time.Duration) (string, bool) {
	now := time.Now()
	t := &ticket{
		p: core.Principal{Name: in.User, Groups: in.Groups, VHost: in.VHost}, clientID: in.ClientID,
		session: time.Duration(in.Session * float64(time.Second)), until: now.Add(ttl),
	}
	if in.Claims != nil {
		t.p.Claims = core.NewClaims(in.Claims)
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.open) >= min(o.many, o.cfg.Load().Max) {
		for key, old := range o.open {
			if now.After(old.until) {
				delete(o.open, key)
			}
		}
		o.many = max(minMany, 2*len(o.open))
	}
	if len(o.open) >= o.cfg.Load().Max {
		return "", false
	}
	name := rand.Text()
	o.open[sha256.Sum256([]byte(name))] = t
	return name, true
}

// Authenticate implements core.Authenticator. A ticket is used up, whatever becomes of the login.
func (o *Office) Authenticate(_ context.Context, l *core.Login) (core.Principal, error) {
	name := l.Ticket
	for _, given := range []string{l.Token, l.Password} {
		if text, ok := strings.CutPrefix(given, Prefix); ok && name == "" {
			name = text
		}
	}
	if name == "" || !o.Enabled() {
		return core.Principal{}, core.ErrSkip
	}
	key := sha256.Sum256([]byte(name))
	o.mu.Lock()
	t := o.open[key]
	delete(o.open, key)
	o.mu.Unlock()
	switch {
	case t == nil || time.Now().After(t.until):
		return core.Principal{}, fmt.Errorf("the ticket is not known, was used or is too old: %w", core.ErrLogin)
	case t.clientID != "" && t.clientID != l.ClientID:
		return core.Principal{}, fmt.Errorf("the ticket is for another client id: %w", core.ErrLogin)
	}
	if t.session > 0 {
		t.p.Expires = time.Now().Add(t.session)
	}
	return t.p, nil
}
