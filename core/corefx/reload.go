package corefx

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/wyemq/wye/core"
	"github.com/wyemq/wye/core/config"
)

// Reloadable is an optional interface of a plugin whose section of the configuration, a T that was added with [Config], may
// change while it runs, or that reads files. Fields that it cannot change have the tag restart:"true".
type Reloadable[T any] interface {
	// Prepare does everything that can fail, as reading files, and changes nothing. The change is applied when every plugin
	// has prepared its own, or never: if one refuses, nothing changes anywhere. It is called for every reload, whether the
	// section has changed or not, and not concurrently.
	Prepare(next T) (core.Change, error)
}

// Reopener is an optional interface of a plugin that appends to a file which others may move away, as logrotate does.
type Reopener interface {
	// Reopen opens the file anew. It is called for each reload, before it, and whether it succeeds or not.
	Reopen()
}

// Watcher is an optional interface of a plugin that reads files again by itself when they change.
type Watcher interface {
	// OnFile is called once, before anything runs. fn is to be called after each change that took place outside a reload, with
	// the key that names the file, and in words what is new in it: see core.Change.
	OnFile(fn func(key, change string))
}

// part is a piece of the program that settings are handed to.
type part struct {
	sections []string
	fixed    func(key string) bool // it is not taken while the program runs; nil: none is
	prepare  func(ctx context.Context, next *config.Config) (core.Change, error)
}

// reloading finds out whether a plugin is Reloadable with the section at key.
type reloading struct {
	key string
	of  func(plugin any) (part, bool)
}

func reloadable[T any](key string) reloading {
	return reloading{key, func(plugin any) (part, bool) {
		r, ok := plugin.(Reloadable[T])
		return part{[]string{key}, nil, func(_ context.Context, next *config.Config) (core.Change, error) {
			return r.Prepare(config.Get[T](next, key))
		}}, ok
	}}
}

// Reloader reads the configuration again while the program runs. Until that does, it refuses.
type Reloader struct {
	load  func() (*config.Config, error)
	ready *Readiness
	log   *slog.Logger

	mu      sync.Mutex // held while it works
	started *config.Config
	current *config.Config // what holds, but for what needs a restart
	parts   []part
	files   []Reopener
	told    []func(by string, done Reloaded, err error)
}

// newReloader returns one without parts: the plugins, which may want it, are made later.
func newReloader(in configIn, c *config.Config, ready *Readiness, log *slog.Logger) *Reloader {
	return &Reloader{
		load:  func() (*config.Config, error) { return newConfig(in) },
		ready: ready, log: log, started: c, current: c,
	}
}

// Reloaded says what a reload has changed.
type Reloaded struct {
	// Changes are the keys with other values. Those that need a restart are told again with every reload, until then.
	Changes []config.Difference `json:"changes"`
	// Files says what is new in files, by the keys that name them.
	Files map[string]string `json:"files,omitempty"`
}

// Reload reads the configuration from the sources of the start, the files that plugins read too, and makes it hold: whole,
// or not at all. The error holds everything that is wrong, as [config.Load] has it. by says in the log who wanted it.
func (r *Reloader) Reload(ctx context.Context, by string) (Reloaded, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, f := range r.files {
		f.Reopen()
	}
	done, err := r.reload(ctx)
	defer r.tell(by, done, err)
	if err != nil {
		for _, mistake := range lines(err) {
			r.log.Error("configuration refused", "by", by, "mistake", mistake)
		}
		r.log.Error("configuration not reloaded, nothing has changed", "by", by)
		return Reloaded{}, err
	}
	for _, d := range done.Changes {
		log := r.log.With("key", d.Key, "old", d.Old, "new", d.New)
		if d.Restart {
			log.Warn("configuration changed, which needs a restart")
		} else {
			log.Info("configuration changed")
		}
	}
	for _, key := range slices.Sorted(maps.Keys(done.Files)) {
		r.log.Info("file read again", "key", key, "change", done.Files[key])
	}
	r.log.Info("configuration reloaded", "by", by, "changes", len(done.Changes)+len(done.Files))
	return done, nil
}

// OnReload makes fn be told what came of every reload, and of files that plugins have read again by themselves; err: nothing has
// changed. It is called before anything runs.
func (r *Reloader) OnReload(fn func(by string, done Reloaded, err error)) {
	r.told = append(r.told, fn)
}

func (r *Reloader) tell(by string, done Reloaded, err error) {
	for _, fn := range r.told {
		fn(by, done, err)
	}
}

// itself is what by is of files that change by themselves.
const itself = "file"

// onFile is told of a file that was read again.
func (r *Reloader) onFile(key, change string) {
	r.log.Info("file read again", "key", key, "change", change)
	r.tell(itself, Reloaded{Files: map[string]string{key: change}}, nil)
}

// connect finds what there is to be told, and who tells.
func (r *Reloader) connect(plugins []any) {
	for _, p := range plugins {
		if f, ok := p.(Reopener); ok && !slices.Contains(r.files, f) {
			r.files = append(r.files, f)
		}
		if w, ok := p.(Watcher); ok {
			w.OnFile(r.onFile)
		}
	}
}

func (r *Reloader) reload(ctx context.Context) (Reloaded, error) {
	if err := r.ready.Err(); err != nil {
		return Reloaded{}, fmt.Errorf("reload: %w: %w", core.ErrUnavailable, err)
	}
	next, err := r.load()
	if err != nil {
		return Reloaded{}, err
	}
	done := Reloaded{Changes: r.differences(next)}
	var changes []core.Change
	var errs []error
	for _, p := range r.parts {
		c, err := p.prepare(ctx, next)
		changes, errs = append(changes, c), append(errs, err)
	}
	if err := errors.Join(errs...); err != nil {
		for _, c := range changes {
			if c.Discard != nil {
				c.Discard()
			}
		}
		return Reloaded{}, err
	}
	for _, c := range changes {
		if c.Apply != nil {
			c.Apply()
		}
		for key, text := range c.Files {
			if done.Files == nil {
				done.Files = make(map[string]string)
			}
			done.Files[key] = text
		}
	}
	r.current = next
	return done, nil
}

// differences tells what next changes, and what it would if the program was started with it.
func (r *Reloader) differences(next *config.Config) []config.Difference {
	list := []config.Difference{}
	for _, d := range next.Diff(r.current) {
		if !d.Restart && r.live(next, d.Key) {
			list = append(list, d)
		}
	}
	for _, d := range next.Diff(r.started) {
		if d.Restart = d.Restart || !r.live(next, d.Key); d.Restart {
			list = append(list, d)
		}
	}
	slices.SortFunc(list, func(a, b config.Difference) int { return strings.Compare(a.Key, b.Key) })
	return list
}

// live reports whether somebody takes the key while the program runs.
func (r *Reloader) live(c *config.Config, key string) bool {
	section := c.Owner(key)
	return slices.ContainsFunc(r.parts, func(p part) bool {
		return slices.Contains(p.sections, section) && (p.fixed == nil || !p.fixed(key))
	})
}

// NeedsRestart reports whether a full key is taken at a start only.
func (r *Reloader) NeedsRestart(key string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.current.AtStart(key) || !r.live(r.current, key)
}

// wait waits for a reload that is under way.
func (r *Reloader) wait() {
	r.mu.Lock()
	defer r.mu.Unlock()
}

// own are the parts that are no plugins.
func own(b *core.Broker, level *slog.LevelVar, s *Server) []part {
	return []part{
		{[]string{keyLog}, nil, func(_ context.Context, next *config.Config) (core.Change, error) {
			return core.Change{Apply: func() { level.Set(config.Get[LogSettings](next, keyLog).level()) }}, nil
		}},
		{[]string{keyShutdown}, nil, func(_ context.Context, next *config.Config) (core.Change, error) {
			return core.Change{Apply: func() { s.timeout.Store(int64(config.Get[time.Duration](next, keyShutdown))) }}, nil
		}},
		{[]string{keyAuth, keyLimits, keyQueues}, nil, func(_ context.Context, next *config.Config) (core.Change, error) {
			return b.Prepare(brokerSettings(next)) //nolint:contextcheck // queues go on when the reload is over
		}},
		{[]string{keyListeners}, s.fixed, s.prepare}, // last: everybody else has changed when a listener opens
	}
}

// partsOf finds the plugins that are Reloadable, each once, in the order of their sections.
func partsOf(sections []reloading, plugins []any) []part {
	slices.SortFunc(sections, func(a, b reloading) int { return strings.Compare(a.key, b.key) })
	var parts []part
	for _, s := range sections {
		var seen []any
		for _, plugin := range plugins {
			if p, ok := s.of(plugin); ok && !(reflect.TypeOf(plugin).Comparable() && slices.Contains(seen, plugin)) {
				parts, seen = append(parts, p), append(seen, plugin)
			}
		}
	}
	return parts
}

// lines takes an error apart that holds several.
func lines(err error) []string { return strings.Split(err.Error(), "\n") }
