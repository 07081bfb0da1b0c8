package disk

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/wyemq/wye/core/engine"
)

const (
	atomicOps = 1 << 20
	maxBody   = 256 << 20
	maxBatch  = 1 << 30 // bytes
	// tailsBytes is about the most memory for what was appended last, of all logs.
	tailsBytes = 64 << 20
)

// Engine keeps everything in a directory. Make it with [Open].
type Engine struct {
	cfg   Config
	log   *slog.Logger
	fs    vfs.FS
	db    *pebble.DB
	store *store
	trims trimRule

	committer committer
	state     state
	retained  retained
	space     space
	tails     atomic.Int64 // bytes in the tails of all logs
	failing   failing

	// The committer's own: the last that were given.
	nums, bodies uint64

	// reads is held for reading while the store is read, so that it is not closed meanwhile.
	reads sync.RWMutex
	gone  bool // it is closed; reads is held for it

	mu     sync.RWMutex // of what follows
	logs   map[engine.LogID]*log
	closed bool
}

var _ engine.Engine = (*Engine)(nil)

// Open opens the store in cfg.Dir, which is made if need be. No other process can open it until Close.
func Open(cfg Config, log *slog.Logger) (*Engine, error) { return openOn(cfg, log, vfs.Default, nil) }

// openOn is Open on a file system. tune (may be nil) changes how Pebble is run.
func openOn(cfg Config, logger *slog.Logger, fs vfs.FS, tune func(*pebble.Options)) (*Engine, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	e := &Engine{cfg: cfg, log: logger, trims: defaultTrims, logs: make(map[engine.LogID]*log)}
	e.failing.ch = make(chan struct{})
	e.fs = named(fs)
	e.retained.e = e
	e.committer.init(e)
	if err := openStore(e, tune); err != nil {
		return nil, err
	}
	e.db = e.store.db
	e.space.init(e)
	if err := e.load(); err != nil {
		return nil, errors.Join(fmt.Errorf("open %s: %w", cfg.Dir, explain(err)), e.store.close(false))
	}
	if err := e.cleanAll(); err != nil {
		return nil, errors.Join(fmt.Errorf("open %s: %w", cfg.Dir, err), e.Close(context.Background()))
	}
	return e, nil
}

// load reads what is kept in memory.
func (e *Engine) load() error {
	for name, n := range map[byte]*uint64{'n': &e.nums, 's': &e.committer.state.last} {
		v, err := e.counter(name)
		if err != nil {
			return err
		}
		*n, _ = binary.Uvarint(v)
	}
	if err := e.retained.load(); err != nil {
		return err
	}
	e.committer.topics.size = *e.retained.size.Load()
	last, err := e.state.load(e.db)
	if err != nil {
		return err
	}
	e.committer.state.last = max(e.committer.state.last, last)
	if e.bodies, err = e.lastBody(); err != nil {
		return err
	}
	return e.loadLogs()
}

func (e *Engine) counter(name byte) ([]byte, error) {
	v, closer, err := e.db.Get([]byte{kindCounter, name})
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return slices.Clone(v), closer.Close()
}

func (e *Engine) lastBody() (last uint64, err error) {
	it, err := e.db.NewIter(&pebble.IterOptions{LowerBound: []byte{kindBody}, UpperBound: []byte{kindBody + 1}})
	if err != nil {
		return 0, err
	}
	if it.Last() {
		last = binary.BigEndian.Uint64(pad(it.Key()[1:]))
	}
	return last, errors.Join(it.Error(), it.Close())
}

func (e *Engine) loadLogs() (err error) {
	it, err := e.db.NewIter(&pebble.IterOptions{LowerBound: []byte{kindLog}, UpperBound: []byte{kindLog + 1}})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, it.Error(), it.Close()) }()
	for ok := it.First(); ok; ok = it.Next() {
		v, err := it.ValueAndErr()
		if err != nil {
			return err
		}
		l := &log{e: e, id: engine.LogID(it.Key()[1:])}
		if err := l.decode(v); err != nil {
			return err
		}
		e.nums = max(e.nums, l.num)
		e.logs[l.id] = l
	}
	return nil
}

// Caps implements engine.Engine.
func (*Engine) Caps() engine.Caps {
	return engine.Caps{Durable: true, AtomicOps: atomicOps, AtomicLogs: true, AtomicAcks: true, MaxBody: maxBody}
}

// Commit implements engine.Engine. A relaxed batch waits for no sync of its own, only for that of batches that came
// with it or before.
func (e *Engine) Commit(b *engine.Batch, done func(error)) {
	e.committer.add(commit{batch: b, done: done})
}

// Open implements engine.Engine. A new log may be lost in a crash until something is stored in it.
func (e *Engine) Open(ctx context.Context, id engine.LogID, o engine.LogOptions) (engine.Log, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	own := &owned{o: o, lost: make(chan struct{})}
	err := e.committer.do(false, func(g *group) error {
		l := e.lookup(id)
		if l == nil {
			var err error
			if l, err = e.committer.log(g, id); err != nil {
				return &storeError{err}
			}
		}
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.owner != nil {
			return fmt.Errorf("it is open: %w", engine.ErrNotOwner)
		}
		own.l = l
		l.own(own)
		if a := l.find(laterArea); a != nil && a.count > 0 {
			var err error
			if _, own.later.next, err = e.dueRecords(l.num, own.later.after, 0, l.end); err != nil {
				return &storeError{err}
			}
			own.schedule()
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", id, err)
	}
	return own, nil
}

// lookup returns a log, or nil.
func (e *Engine) lookup(id engine.LogID) *log {
	e.mu.RLock()
	defer e.mu.RUnlock()
	return e.logs[id]
}

// Logs implements engine.Engine.
func (e *Engine) Logs(ctx context.Context, prefix string, fn func(engine.LogID, engine.Stats) bool) error {
	var found []*log
	e.mu.RLock()
	closed := e.closed
	for id, l := range e.logs {
		if strings.HasPrefix(string(id), prefix) {
			found = append(found, l)
		}
	}
	e.mu.RUnlock()
	if closed {
		return fmt.Errorf("list logs: %w: %w", errClosed, engine.ErrUnavailable)
	}
	slices.SortFunc(found, func(a, b *log) int { return cmp.Compare(a.id, b.id) })
	for _, l := range found {
		if err := ctx.Err(); err != nil {
			return err
		}
		if !fn(l.id, l.stats()) {
			return nil
		}
	}
	return nil
}

// SameScope implements engine.Engine: one batch may span everything.
func (*Engine) SameScope(...engine.LogID) bool { return true }

// State implements engine.Engine.
func (e *Engine) State() engine.State { return &e.state }

// Retained implements engine.Engine.
func (e *Engine) Retained() engine.Retained { return &e.retained }

// Cluster implements engine.Engine: there is none.
func (*Engine) Cluster() engine.Cluster { return nil }

// use begins to read the store. Without an error, e.reads.RUnlock ends it.
func (e *Engine) use() error {
	e.reads.RLock()
	if e.gone {
		e.reads.RUnlock()
		return fmt.Errorf("read: %w: %w", errClosed, engine.ErrUnavailable)
	}
	return nil
}

// Close implements engine.Engine. An engine that has failed leaves the store as it is, for the next start.
func (e *Engine) Close(context.Context) error {
	e.committer.close()
	e.mu.Lock()
	if e.closed {
		e.mu.Unlock()
		return nil
	}
	e.closed = true
	for _, l := range e.logs {
		l.lose()
	}
	clear(e.logs)
	e.mu.Unlock()
	err := e.failure()
	if e.hung() { // so may those who read
		e.store.leave()
		return fmt.Errorf("close: %w", err)
	}
	e.reads.Lock()
	e.gone = true
	e.reads.Unlock()
	if err == nil {
		return e.store.close(true)
	}
	return errors.Join(fmt.Errorf("close: %w", err), e.store.close(false))
}

// lose takes the log from its owner.
func (l *log) lose() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.owner != nil {
		close(l.owner.lost)
		l.disown()
	}
}
