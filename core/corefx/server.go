package corefx

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/fx"

	"github.com/wyemq/wye/core"
	"github.com/wyemq/wye/core/config"
	"github.com/wyemq/wye/core/engine"
)

// Readiness says whether clients are served. It may be asked at any time, concurrently.
type Readiness struct{ state atomic.Int32 }

const (
	starting int32 = iota
	serving
	stopping
)

var (
	errStarting = errors.New("starting")
	errStopping = errors.New("shutting down")
)

// Err returns nil while clients are served, else why they are not.
func (r *Readiness) Err() error {
	switch r.state.Load() {
	case starting:
		return errStarting
	case serving:
		return nil
	default:
		return errStopping
	}
}

// Server is the life of the process: it starts runners and listeners, and ends them in order.
type Server struct {
	broker    *core.Broker
	runners   Runners
	listeners *Listeners
	ready     *Readiness
	reloader  *Reloader
	log       *slog.Logger
	anonymous core.Anonymous // guarded by the lock of the Reloader, once it runs
	users     []core.Authenticator
	timeout   atomic.Int64 // a time.Duration
	failed    chan error   // holds the first failure after the start

	serve                      func(*Listener) // from listen on
	stopRunners, stopListeners context.CancelFunc
	running, serving           sync.WaitGroup
}

type serverIn struct {
	fx.In

	Broker         *core.Broker
	Config         *config.Config
	Runners        Runners
	Listeners      *Listeners
	Ready          *Readiness
	Reloader       *Reloader
	Log            *slog.Logger
	Level          *slog.LevelVar
	Engine         engine.Engine
	Reloadables    []reloading          `group:"reloadables"`
	Protocols      []core.Protocol      `group:"protocols"`
	Authenticators []core.Authenticator `group:"authenticators"`
	Authorizers    []core.Authorizer    `group:"authorizers"`
	Interceptors   []core.Interceptor   `group:"interceptors"`
	Observers      []core.Observer      `group:"observers"`
}

// plugins lists all there are.
func (in *serverIn) plugins() []any {
	all := anys([]any{in.Engine}, in.Runners)
	all = anys(anys(anys(all, in.Protocols), in.Authenticators), in.Authorizers)
	return anys(anys(all, in.Interceptors), in.Observers)
}

func anys[T any](all []any, items []T) []any {
	for _, item := range items {
		all = append(all, item)
	}
	return all
}

// newServer joins what is to be started.
func newServer(in serverIn) (*Server, error) {
	if len(in.Listeners.All()) == 0 {
		return nil, errNone
	}
	s := &Server{
		broker: in.Broker, runners: in.Runners, listeners: in.Listeners, ready: in.Ready, reloader: in.Reloader, log: in.Log,
		anonymous: config.Get[AuthSettings](in.Config, keyAuth).Anonymous,
		users:     in.Authenticators,
		failed:    make(chan error, 1),
	}
	s.timeout.Store(int64(config.Get[time.Duration](in.Config, keyShutdown)))
	plugins := in.plugins()
	in.Reloader.parts = append(partsOf(in.Reloadables, plugins), own(in.Broker, in.Level, s)...)
	in.Reloader.connect(plugins)
	return s, nil
}

// Append makes s live and die with lc.
func (s *Server) Append(lc fx.Lifecycle) {
	lc.Append(fx.Hook{OnStart: s.start, OnStop: s.stop})
}

// Failed delivers the error of a runner or listener that has ended while it should not. The program
// should stop then. (It is not an fx.Shutdowner because waiting for that catches signals as well.)
func (s *Server) Failed() <-chan error { return s.failed }

func (s *Server) fail(err error) {
	select {
	case s.failed <- err:
	default: // the first counts; this one is most likely its consequence
		s.log.Error("one more part has failed", "error", err)
	}
}

// ShutdownTimeout bounds the stop.
func (s *Server) ShutdownTimeout() time.Duration { return time.Duration(s.timeout.Load()) }

// start runs the runners until they are ready, then binds every listener, then serves. What was started
// before a failure is stopped again: fx does not call the OnStop of a hook whose OnStart failed.
func (s *Server) start(ctx context.Context) error {
	var runners, listeners context.Context
	// They outlive ctx, which is for the start only.
	runners, s.stopRunners = context.WithCancel(context.WithoutCancel(ctx))
	listeners, s.stopListeners = context.WithCancel(context.WithoutCancel(ctx))
	err := s.startRunners(ctx, runners)
	if err == nil {
		err = s.listen(ctx, listeners)
	}
	if err != nil {
		return errors.Join(err, s.stop(ctx))
	}
	s.ready.state.Store(serving)
	s.log.Info("ready", "version", s.broker.Version())
	return nil
}

// startRunners starts all and waits until each is ready or has failed.
func (s *Server) startRunners(start, run context.Context) error {
	type report struct {
		r   core.Runner
		err error
	}
	reports := make(chan report, len(s.runners)) // each reports once
	for _, r := range s.runners {
		s.running.Go(func() {
			var once sync.Once
			err := r.Run(run, func() { once.Do(func() { reports <- report{r, nil} }) })
			early := false
			once.Do(func() { early = true })
			switch {
			case early:
				if err == nil {
					err = errors.New("ended before it was ready")
				}
				reports <- report{r, err}
			case err != nil:
				s.fail(fmt.Errorf("%T: %w", r, err))
			}
		})
	}
	var errs []error
	for range s.runners {
		select {
		case rep := <-reports:
			if rep.err != nil {
				errs = append(errs, rep.err)
			}
		case <-start.Done():
			return errors.Join(append(errs, fmt.Errorf("waiting for the plugins that run: %w", start.Err()))...)
		}
	}
	return errors.Join(errs...)
}

// stop ends everything in order: accepting, connections, runners, sessions, engine. Every step is taken
// even if ctx runs out in one before it.
func (s *Server) stop(ctx context.Context) error {
	s.ready.state.Store(stopping)
	s.reloader.wait() // nothing begins any more
	s.stopListeners()
	// Three quarters for the connections: the engine needs time too, or is left to recover at the next start.
	serving := ctx
	if deadline, ok := ctx.Deadline(); ok {
		var cancel context.CancelFunc
		serving, cancel = context.WithTimeout(ctx, time.Until(deadline)*3/4)
		defer cancel()
	}
	errs := []error{wait(serving, &s.serving, "connections")}
	s.stopRunners()
	errs = append(errs, wait(ctx, &s.running, "plugins"))
	if err := s.broker.Close(ctx); err != nil {
		errs = append(errs, fmt.Errorf("close broker: %w", err))
	}
	return errors.Join(errs...)
}

// wait waits for wg, bounded by ctx. The process is about to end, so what still hangs then is left behind.
func wait(ctx context.Context, wg *sync.WaitGroup, what string) error {
	done := make(chan struct{})
	go func() {
		wg.Wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("%s have not ended in time: %w", what, ctx.Err())
	}
}
