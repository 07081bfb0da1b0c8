package httpauth

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"github.com/wyemq/wye/core"
)

const (
	maxAnswer     = 256 << 10
	maxRemembered = 10_000 // past it, everything is forgotten
)

// Authenticator asks a service.
type Authenticator struct {
	secret  [32]byte // of this process: makes what is remembered worthless elsewhere
	service atomic.Pointer[service]
}

// service is who is asked, with what it has answered.
type service struct {
	cfg    Config
	client *http.Client
	slots  chan struct{} // one for each request under way

	mu         sync.Mutex
	remembered map[[sha256.Size]byte]remembered
}

// remembered is an answer.
type remembered struct {
	p     core.Principal
	err   error
	until time.Time
}

var (
	_ core.Authenticator = (*Authenticator)(nil)
	_ core.Enabler       = (*Authenticator)(nil)
	_ core.Runner        = (*Authenticator)(nil)
)

// New returns an authenticator. It asks nobody before the first login.
func New(cfg Config) (*Authenticator, error) {
	if err := cfg.Validate("auth.http"); err != nil {
		return nil, err
	}
	a := &Authenticator{}
	a.service.Store(newService(cfg))
	_, _ = rand.Read(a.secret[:]) // never fails, says its documentation
	return a, nil
}

func newService(cfg Config) *service {
	return &service{cfg: cfg, slots: make(chan struct{}, cfg.MaxRequests), remembered: make(map[[sha256.Size]byte]remembered), client: &http.Client{
		Transport:     &http.Transport{Proxy: http.ProxyFromEnvironment, MaxIdleConnsPerHost: cfg.MaxRequests, IdleConnTimeout: time.Minute, ForceAttemptHTTP2: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }, // passwords go where it was said
	}}
}

// Prepare makes the Authenticator reloadable. When something has changed, what was remembered of the service is forgotten.
func (a *Authenticator) Prepare(next Config) (core.Change, error) {
	old := a.service.Load()
	if next == old.cfg {
		return core.Change{}, nil
	}
	return core.Change{Apply: func() {
		a.service.Store(newService(next))
		old.client.CloseIdleConnections()
	}}, nil
}

// Name returns "http".
func (*Authenticator) Name() string { return "http" }

// Enabled reports whether there is somebody to ask.
func (a *Authenticator) Enabled() bool { return a.service.Load().cfg.URL != "" }

// Run lets the connections to the service go at the end.
func (a *Authenticator) Run(ctx context.Context, ready func()) error {
	ready()
	<-ctx.Done()
	a.service.Load().client.CloseIdleConnections()
	return nil
}

// question is what is asked.
type question struct {
	User     string `json:"user,omitempty"`
	Password string `json:"password,omitempty"`
	Token    string `json:"token,omitempty"`
	ClientID string `json:"client_id,omitempty"`
	Protocol string `json:"protocol,omitempty"`
	Version  string `json:"version,omitempty"`
	VHost    string `json:"vhost,omitempty"`
	Remote   string `json:"remote,omitempty"`
	Listener string `json:"listener,omitempty"`
	Source   string `json:"source,omitempty"`
}

// answer is what is read of a 200.
type answer struct {
	User      string         `json:"user"`
	Groups    []string       `json:"groups"`
	VHost     string         `json:"vhost"`
	Claims    map[string]any `json:"claims"`
	ExpiresIn float64        `json:"expires_in"`
}

// Authenticate implements core.Authenticator.
func (a *Authenticator) Authenticate(ctx context.Context, l *core.Login) (core.Principal, error) {
	service := a.service.Load()
	if service.cfg.URL == "" || l.User == "" && l.Password == "" && l.Token == "" {
		return core.Principal{}, core.ErrSkip
	}
	q := question{
		User: l.User, Password: l.Password, Token: l.Token, ClientID: l.ClientID, Protocol: l.Protocol, Version: l.Version,
		VHost: l.VHost, Source: l.Source,
	}
	if l.Conn != nil && l.Conn.Info() != nil {
		info := l.Conn.Info()
		q.Listener = info.Listener
		q.Remote = host(info)
	}
	body, err := json.Marshal(q) //nolint:gosec // to tell the password to the service is what it is for
	if err != nil {
		return core.Principal{}, fmt.Errorf("the credentials cannot be sent: %w: %w", err, core.ErrLogin)
	}
	mac := hmac.New(sha256.New, a.secret[:])
	mac.Write(body)
	var key [sha256.Size]byte
	mac.Sum(key[:0])
	if r, ok := service.recall(key); ok {
		return r.p, r.err
	}
	p, err := service.ask(ctx, &q, body)
	switch {
	case err == nil:
		service.remember(key, remembered{p: p}, service.cfg.Cache)
	case errors.Is(err, errRefused):
		service.remember(key, remembered{err: err}, service.cfg.CacheRefused)
	}
	return p, err
}

// host is the address of the client without its port, which says nothing.
func host(info *core.ConnInfo) string {
	if info.Remote == nil {
		return ""
	}
	if a, ok := info.Remote.(*net.TCPAddr); ok {
		return a.AddrPort().Addr().Unmap().String()
	}
	return info.Remote.String()
}

func (s *service) recall(key [sha256.Size]byte) (remembered, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, ok := s.remembered[key]
	if ok && time.Now().After(r.until) {
		delete(s.remembered, key)
		return remembered{}, false
	}
	return r, ok
}

func (s *service) remember(key [sha256.Size]byte, r remembered, d time.Duration) {
	if d <= 0 {
		return
	}
	r.until = time.Now().Add(d)
	if !r.p.Expires.IsZero() && r.p.Expires.Before(r.until) {
		r.until = r.p.Expires
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.remembered) >= maxRemembered {
		clear(s.remembered)
	}
	s.remembered[key] = r
}

// errRefused is an answer, unlike that there was none.
var errRefused = fmt.Errorf("refused by the service: %w", core.ErrLogin)

// ask sends the question. Whatever is no clear answer is an error.
func (s *service) ask(ctx context.Context, q *question, body []byte) (core.Principal, error) {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.Timeout)
	defer cancel()
	select {
	case s.slots <- struct{}{}:
		defer func() { <-s.slots }()
	case <-ctx.Done():
		return core.Principal{}, unclear(ctx.Err())
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.cfg.URL, bytes.NewReader(body))
	if err != nil {
		return core.Principal{}, unclear(err)
	}
	req.Header.Set("Content-Type", "application/json")
	if s.cfg.Secret != "" {
		req.Header.Set("Authorization", "Bearer "+string(s.cfg.Secret))
	}
	resp, err := s.client.Do(req)
	if err != nil {
		return core.Principal{}, unclear(withoutURL(err))
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	switch {
	case err != nil:
		return core.Principal{}, unclear(err)
	case len(data) > maxAnswer:
		return core.Principal{}, unclear(errors.New("the answer is too large"))
	case resp.StatusCode == http.StatusUnauthorized, resp.StatusCode == http.StatusForbidden:
		return core.Principal{}, errRefused
	case resp.StatusCode != http.StatusOK:
		return core.Principal{}, unclear(fmt.Errorf("status %s", resp.Status))
	}
	return read(data, q)
}

// withoutURL is what has failed, without the URL: a query may hold a key.
func withoutURL(err error) error {
	if failed, ok := errors.AsType[*url.Error](err); ok {
		return failed.Err
	}
	return err
}

// unclear is what is no answer: nobody is let in.
func unclear(err error) error {
	return fmt.Errorf("the service did not answer: %w: %w", err, core.ErrLogin)
}

func read(data []byte, q *question) (core.Principal, error) {
	var in answer
	if len(bytes.TrimSpace(data)) > 0 {
		if err := json.Unmarshal(data, &in); err != nil {
			return core.Principal{}, unclear(err)
		}
	}
	p := core.Principal{Name: in.User, Groups: in.Groups, VHost: in.VHost}
	if p.Name == "" {
		p.Name = q.User
	}
	if p.Name == "" {
		return core.Principal{}, unclear(errors.New("it names no user"))
	}
	if in.Claims != nil {
		p.Claims = core.NewClaims(in.Claims)
	}
	if in.ExpiresIn < 0 || in.ExpiresIn > maxExpires.Seconds() {
		return core.Principal{}, unclear(errors.New("expires_in makes no sense"))
	}
	if in.ExpiresIn > 0 {
		p.Expires = time.Now().Add(time.Duration(in.ExpiresIn * float64(time.Second)))
	}
	return p, nil
}

// maxExpires is the longest that an answer may hold.
const maxExpires = 10 * 365 * 24 * time.Hour
