package disk

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"strings"
	"sync"
	"syscall"

	"github.com/cockroachdb/pebble/v2"
)

// failing is the end of an engine whose store cannot be written or read.
type failing struct {
	ch    chan struct{} // closed when err is set
	mu    sync.Mutex    // of what follows
	err   error
	hangs bool // Pebble has failed in the midst of something, and cannot be closed
}

// failure returns why the engine has failed, or nil.
func (e *Engine) failure() error {
	e.failing.mu.Lock()
	defer e.failing.mu.Unlock()
	return e.failing.err
}

// hang says that Pebble cannot be closed any more.
func (e *Engine) hang() {
	e.failing.mu.Lock()
	defer e.failing.mu.Unlock()
	e.failing.hangs = true
}

// hung reports whether Pebble cannot be closed.
func (e *Engine) hung() bool {
	e.failing.mu.Lock()
	defer e.failing.mu.Unlock()
	return e.failing.hangs
}

// fail ends the engine: nothing that is undecided is confirmed, whatever comes is refused, and Run returns. Only the
// first reason counts.
func (e *Engine) fail(err error) {
	e.failing.mu.Lock()
	first := e.failing.err == nil
	if first {
		e.failing.err = err
		close(e.failing.ch)
	}
	e.failing.mu.Unlock()
	if !first {
		return
	}
	args := []any{"error", err, "dir", e.cfg.Dir}
	path, ok := errors.AsType[*fs.PathError](err)
	if ok {
		args = append(args, "path", path.Path)
	}
	if errno, ok := errors.AsType[syscall.Errno](err); ok {
		args = append(args, "errno", int(errno))
	}
	if p, panicked := errors.AsType[*panicError](err); panicked && !ok {
		args = append(args, "stack", string(p.stack))
	}
	e.log.Error("the store has failed; what was not confirmed is undecided", args...)
	e.committer.abandon(err)
}

// Run waits until the engine fails, and returns why, or until ctx is done. A program that uses the engine runs it and
// ends when it returns an error: nothing but a new start helps then.
func (e *Engine) Run(ctx context.Context, ready func()) error {
	ready()
	select {
	case <-ctx.Done():
		return nil
	case <-e.failing.ch:
		return fmt.Errorf("the store in %s has failed: %w", e.cfg.Dir, e.failure())
	}
}

// storeError marks an error of a step that means that the store is broken.
type storeError struct{ error }

func (e *storeError) Unwrap() error { return e.error }

// explain adds to errors of Pebble what an operator can make of them.
func explain(err error) error {
	switch {
	case pebble.IsCorruptionError(err):
		return fmt.Errorf("the store is damaged, restore it from a copy: %w", err)
	case errors.Is(err, os.ErrNotExist), strings.Contains(err.Error(), "size mismatch"):
		return fmt.Errorf("the store is not whole, is it half of a copy? %w", err)
	case strings.Contains(err.Error(), "format major version"):
		return fmt.Errorf("the store was written by a newer version of wye: %w", err)
	default:
		return err
	}
}

// logger takes what Pebble has to say. Little of it is of interest to an operator.
type logger struct{ e *Engine }

var _ pebble.Logger = logger{}

// Infof implements pebble.Logger.
func (l logger) Infof(format string, args ...any) {
	if l.e.log.Enabled(context.Background(), slog.LevelDebug) {
		l.e.log.Debug("store", "message", fmt.Sprintf(format, args...))
	}
}

// Errorf implements pebble.Logger.
func (l logger) Errorf(format string, args ...any) {
	l.e.log.Warn("store", "message", fmt.Sprintf(format, args...))
}

// Fatalf implements pebble.Logger. It never returns, not even after Close: Pebble would go on as if nothing had
// happened, and delete what it believes to have written elsewhere. The process is about to end.
func (l logger) Fatalf(format string, args ...any) {
	err := &fatalError{text: strings.TrimPrefix(fmt.Sprintf(format, args...), "pebble: ")}
	for _, a := range args {
		if cause, ok := a.(error); ok {
			err.cause = cause
		}
	}
	l.e.hang()
	l.e.fail(err)
	select {}
}

// listener makes the engine fail when Pebble's own goroutines do.
func (e *Engine) listener() *pebble.EventListener {
	return &pebble.EventListener{
		FlushEnd:      func(pebble.FlushInfo) { e.store.changed() },
		CompactionEnd: func(pebble.CompactionInfo) { e.store.changed() },
		BackgroundError: func(err error) {
			e.hang()
			e.fail(fmt.Errorf("write: %w", err))
		},
		DataCorruption: func(info pebble.DataCorruptionInfo) {
			e.fail(fmt.Errorf("%s is damaged, restore the store from a copy: %w", info.Path, info.Details))
		},
		DiskSlow: func(info pebble.DiskSlowInfo) {
			e.log.Warn("the disk is slow", "path", info.Path, "operation", info.OpType.String(), "duration", info.Duration)
		},
		WriteStallBegin: func(info pebble.WriteStallBeginInfo) {
			e.log.Warn("writes wait for compaction", "reason", info.Reason)
		},
	}
}

// fatalError is what Pebble gives up with.
type fatalError struct {
	text  string
	cause error
}

func (e *fatalError) Error() string { return e.text }

// Unwrap returns the error that is part of the text, if there is one.
func (e *fatalError) Unwrap() error { return e.cause }
