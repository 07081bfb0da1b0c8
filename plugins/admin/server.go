package admin

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/wyemq/wye/core"
	"github.com/wyemq/wye/core/edge"
)

// Bounds of the HTTP server. Who is slower than these is not served.
const (
	headerTimeout = 5 * time.Second
	readTimeout   = 10 * time.Second
	writeTimeout  = 30 * time.Second // profiles lengthen it for themselves
	idleTimeout   = time.Minute
	maxHeader     = 16 << 10
	drainTimeout  = 3 * time.Second
)

// Server is the admin server. It is a [core.Runner].
type Server struct {
	now     atomic.Pointer[settings]
	log     *slog.Logger
	handler http.Handler
	begin   func(context.Context) context.Context // may be nil
	told    func(r *http.Request, status int)     // may be nil
	ask     func(r *http.Request, what string) error
	foreign *http.CrossOriginProtection // a browser sends its user's credentials, and comes from his address, whatever page asks

	mu    sync.Mutex
	addr  net.Addr
	certs *edge.Certificates // once it listens; nil: without TLS
}

var _ core.Runner = (*Server)(nil)

// New checks cfg and routes. ready says why clients cannot be served now, nil that they can; it is
// called for each request to /readyz, concurrently, and must not block.
func New(cfg Config, ready func() error, routes []Route, log *slog.Logger) (*Server, error) {
	if err := cfg.Validate(section); err != nil {
		return nil, err
	}
	t, err := newTable(slices.Concat(routes, ownRoutes(cfg, ready)))
	if err != nil {
		return nil, err
	}
	if err := addIndex(t); err != nil {
		return nil, err
	}
	s := &Server{log: log.With("listener", "admin"), foreign: http.NewCrossOriginProtection()}
	s.now.Store(newSettings(cfg))
	s.handler = s.guard(t)
	return s, nil
}

// Ask makes the server ask, for each request to a Route with Manage, whether it is permitted. An error that wraps
// core.ErrLogin says that credentials may help. It is called before Run; without it there is nobody to be asked, and nobody is
// kept out.
func (s *Server) Ask(gate func(r *http.Request, what string) error) { s.ask = gate }

// Tell makes fn be told of every request that was answered, from the goroutine that has. The context of each request, for
// handlers and for fn, is what begin makes of it; nil: it stays as it is. It is called before Run.
func (s *Server) Tell(begin func(context.Context) context.Context, fn func(r *http.Request, status int)) {
	s.begin, s.told = begin, fn
}

// Handler returns what the server serves, for an application with a server of its own.
func (s *Server) Handler() http.Handler { return s.handler }

// Addr returns the bound address once Run has called ready, nil before.
func (s *Server) Addr() net.Addr {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.addr
}

// Run implements [core.Runner]: it binds, serves until ctx is done, and lets requests under way end
// within a few seconds. With an empty Listen it serves nothing and waits.
func (s *Server) Run(ctx context.Context, ready func()) error {
	cfg := s.now.Load().cfg
	if cfg.Listen == "" {
		ready()
		<-ctx.Done()
		return nil
	}
	ln, certs, err := s.listen(ctx, cfg)
	if err != nil {
		return err
	}
	s.log.Info("listening", "address", cfg.scheme()+"://"+ln.Addr().String())
	srv := &http.Server{
		Handler: s.handler, ReadHeaderTimeout: headerTimeout, ReadTimeout: readTimeout, WriteTimeout: writeTimeout,
		IdleTimeout: idleTimeout, MaxHeaderBytes: maxHeader,
		ErrorLog: slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
	}
	ended := make(chan error, 1)
	var serving sync.WaitGroup
	serving.Go(func() { ended <- srv.Serve(ln) })
	defer serving.Wait()
	if certs != nil {
		watched, over := context.WithCancel(ctx)
		defer over()
		serving.Go(func() { certs.Watch(watched) })
	}
	ready()
	select {
	case err := <-ended:
		return fmt.Errorf("admin: serve %s: %w", ln.Addr(), err)
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTimeout)
	defer cancel()
	if err := srv.Shutdown(grace); err != nil {
		// A profile can take longer than anybody wants to wait for.
		return errors.Join(srv.Close())
	}
	return nil
}
