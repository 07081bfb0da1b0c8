package wyecmd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"go.uber.org/dig"
	"go.uber.org/fx"

	"github.com/wyemq/wye/core/config"
	"github.com/wyemq/wye/core/corefx"
)

// The exit codes.
const (
	exitOK    = 0
	exitError = 1
	exitUsage = 2

	exitInterrupted = 130 // as shells have it for SIGINT
)

// startTimeout bounds the start.
const startTimeout = time.Minute

// Main runs the program with the arguments of the process and ends the process. The first SIGINT or
// SIGTERM stops the broker in order, the second ends the process at once; SIGHUP makes it read the
// configuration again. The opts are plugins beside those shipped: see package corefx.
func Main(opts ...fx.Option) {
	ctx, cancel := context.WithCancel(context.Background())
	signals := make(chan os.Signal, 2) // as many as are taken
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() { // ends with the process
		<-signals
		cancel()
		<-signals
		os.Exit(exitInterrupted)
	}()
	hangups := make(chan os.Signal, 1) // one that waits stands for all
	signal.Notify(hangups, syscall.SIGHUP)
	os.Exit(run(ctx, os.Args[1:], &program{stdout: os.Stdout, stderr: os.Stderr, plugins: opts, hangups: hangups}))
}

// Run runs the program until it is done or, for the broker, until ctx is. It returns the exit code: 0, 1
// for an error, 2 for arguments that make no sense. Log lines and errors go to stderr.
func Run(ctx context.Context, args []string, stdout, stderr io.Writer, opts ...fx.Option) int {
	return run(ctx, args, &program{stdout: stdout, stderr: stderr, plugins: opts})
}

func run(ctx context.Context, args []string, p *program) int {
	stderr := p.stderr
	if client, rest, ok := clientCommand(args); ok {
		return client(ctx, rest, p.stdout, stderr)
	}
	a, err := parseArgs(args)
	if err != nil {
		fmt.Fprintln(stderr, "wye:", err)
		fmt.Fprintln(stderr, "try: wye help")
		return exitUsage
	}
	p.args = a
	if err := p.run(ctx); err != nil {
		fmt.Fprintln(stderr, "wye:", err)
		return exitError
	}
	return exitOK
}

// program is one run.
type program struct {
	args           arguments
	stdout, stderr io.Writer
	plugins        []fx.Option
	hangups        <-chan os.Signal // nil: there are none
}

func (p *program) run(ctx context.Context) error {
	switch p.args.command {
	case "help":
		return p.help()
	case "version":
		return p.version()
	case "plugins":
		return p.listPlugins()
	case "config print":
		return p.printConfig()
	case "config check":
		return p.checkConfig()
	case "config schema":
		return p.printSchema()
	case "user add", "user passwd", "user list", "user rm", "user import":
		return p.user()
	case "acl test":
		return p.testACL()
	default:
		return p.serve(ctx)
	}
}

// graph is everything but the one fx.Invoke.
func (p *program) graph() fx.Option {
	src := config.Sources{File: p.args.config, Environ: os.Environ(), Set: p.args.set}
	if p.args.bare {
		src = config.Sources{}
	}
	return fx.Options(
		fx.Supply(corefx.Input{
			Defaults: defaults(),
			Sources:  src,
			Version:  version(),
			Log:      p.stderr,
		}),
		corefx.Module(), shipped(), fx.Options(p.plugins...),
		fx.NopLogger, // its errors are returned, and told once
		fx.StartTimeout(startTimeout),
	)
}

// invoke is the one fx.Invoke of a broker that is run.
func invoke() fx.Option {
	return fx.Invoke(func(lc fx.Lifecycle, s *corefx.Server) { s.Append(lc) })
}

// serve runs the broker.
func (p *program) serve(ctx context.Context) error {
	var tending sync.WaitGroup
	defer tending.Wait()
	tended, settle := context.WithCancel(context.WithoutCancel(ctx))
	defer settle()
	tending.Go(func() { newHeap().tend(tended) })
	var server *corefx.Server
	var log *slog.Logger
	var reloader *corefx.Reloader
	app := fx.New(p.graph(), fx.Populate(&server, &log, &reloader), invoke())
	if err := app.Err(); err != nil {
		return dig.RootCause(err)
	}
	// Not ctx itself: fx would leave a start behind that a signal interrupts. The stop follows it.
	start, cancel := context.WithTimeout(context.WithoutCancel(ctx), app.StartTimeout())
	err := app.Start(start)
	cancel()
	if err != nil {
		return fmt.Errorf("start: %w", err)
	}
	var failure error
	for running := true; running; {
		select {
		case <-p.hangups:
			_, _ = reloader.Reload(ctx, "SIGHUP") // which logs what came of it
			continue
		case <-ctx.Done():
			log.Info("shutting down", "timeout", server.ShutdownTimeout())
		case failure = <-server.Failed():
			log.Error("shutting down because a part has failed", "error", failure)
		}
		running = false
	}
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), server.ShutdownTimeout())
	defer cancel()
	if err := app.Stop(stop); err != nil {
		return fmt.Errorf("stop: %w", errors.Join(failure, err))
	}
	log.Info("stopped")
	return failure
}
