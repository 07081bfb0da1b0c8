package audit

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/wyemq/wye/core"
)

// maxPending bounds what waits to be written.
const maxPending = 4 << 20

// tick is how often sums are looked at, and a disk that was full is tried again.
const tick = time.Second

// Log is the audit log. Its methods may be called concurrently.
type Log struct {
	log  *slog.Logger
	kick chan struct{} // something waits

	written, lost atomic.Uint64

	mu      sync.Mutex
	cfg     Config  // without a File nothing is kept
	out     *output // what lines are to be written to from now on
	using   *output // what Run writes to
	torn    bool    // it ends within a line, of which pending has the rest
	pending []byte
	lines   int // in pending
	missing int // lost since the last line
	flood   flood
	door    flood // of those who have not logged in: anybody can make any number, from any number of addresses
}

var (
	_ core.Observer = (*Log)(nil)
	_ core.Runner   = (*Log)(nil)
)

// New returns a log. The file is opened by Run; what happens before is kept.
func New(cfg Config, log *slog.Logger) *Log {
	return &Log{
		log: log, kick: make(chan struct{}, 1), cfg: cfg,
		flood: flood{seconds: 1, alike: 10, most: 1000}, door: flood{seconds: 10, alike: 2, most: 20},
	}
}

// Name returns "audit".
func (*Log) Name() string { return "audit" }

// Stats returns how many lines were written, and how many were lost because they could not be.
func (l *Log) Stats() (written, lost uint64) { return l.written.Load(), l.lost.Load() }

// Observe implements core.Observer.
func (l *Log) Observe(e *core.Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.cfg.File == "" {
		return
	}
	r := recordOf(e)
	l.sums(e.Time)
	if f := l.floodOf(&r); f != nil && !f.pass(&r) {
		return
	}
	l.add(&r)
}

// floodOf returns what bounds the number of such lines; nil: nothing does.
func (l *Log) floodOf(r *Record) *flood {
	switch r.Event {
	case string(core.EventRefused), string(core.EventLoginRefused):
		return &l.flood
	case string(core.EventConnRefused):
		return &l.door
	case "admin":
		switch {
		case r.Status < http.StatusBadRequest: // something was done
		case r.By == "":
			return &l.door
		default:
			return &l.flood
		}
	}
	return nil
}

// Add takes a record of somebody else's. Its Time is set if it is zero. Of event admin, those that have failed are added up
// as refusals are; with nobody in By, as those of connections.
func (l *Log) Add(r Record) {
	if r.Time.IsZero() {
		r.Time = time.Now()
	}
	r.Time = r.Time.UTC()
	r.User, r.VHost, r.Client, r.By, r.Action = clip(r.User), clip(r.VHost), clip(r.Client), clip(r.By), clip(r.Action)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.cfg.File == "" {
		return
	}
	l.sums(r.Time)
	if f := l.floodOf(&r); f != nil && !f.pass(&r) {
		return
	}
	l.add(&r)
}

// add keeps a line until it is written; l.mu is held.
func (l *Log) add(r *Record) {
	if l.missing > 0 && len(l.pending) < maxPending/2 {
		note := Record{Time: r.Time, Event: "audit_lost", Count: l.missing}
		l.pending = append(l.pending, note.line()...)
		l.lines, l.missing = l.lines+1, 0
	}
	line := r.line()
	if len(l.pending)+len(line) > maxPending || l.missing > 0 {
		l.missing++
		l.lost.Add(1)
		return
	}
	l.pending = append(l.pending, line...)
	l.lines++
	select {
	case l.kick <- struct{}{}:
	default: // Run has not seen the one before yet
	}
}

// sums adds what has added up in time that is over; l.mu is held.
func (l *Log) sums(now time.Time) {
	for _, r := range append(l.flood.over(now), l.door.over(now)...) {
		l.add(&r)
	}
}

// Prepare makes the Log reloadable.
func (l *Log) Prepare(next Config) (core.Change, error) {
	l.mu.Lock()
	same := next == l.cfg
	l.mu.Unlock()
	if same {
		return core.Change{}, nil // see Reopen
	}
	out, err := open(next.File)
	if err != nil {
		return core.Change{}, err
	}
	return core.Change{Discard: out.close, Apply: func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.cfg = next
		l.use(out)
	}}, nil
}

// use makes lines go to out from now on; l.mu is held. Run closes what it has written to.
func (l *Log) use(out *output) {
	if l.out != l.using {
		l.out.close()
	}
	l.out = out
}

// Reopen opens the file again, which somebody may have moved away. It is called for every reload, whether that succeeds or
// not.
func (l *Log) Reopen() {
	l.mu.Lock()
	file := l.cfg.File
	l.mu.Unlock()
	out, err := open(file)
	if err != nil {
		l.log.Error("audit log not opened again, the old file is written to", "error", err)
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.cfg.File != file || l.using == nil { // there is another one by now, or it has ended
		out.close()
		return
	}
	l.use(out)
}

// Run opens the file and writes. What is pending when ctx is done is written first, if it can be.
func (l *Log) Run(ctx context.Context, ready func()) error {
	l.mu.Lock()
	out, err := open(l.cfg.File)
	l.out = out
	l.mu.Unlock()
	if err != nil {
		return err
	}
	ready()
	t := time.NewTicker(tick)
	defer t.Stop()
	failed := false // to write, and it was said
	for {
		select {
		case <-ctx.Done():
			l.mu.Lock()
			for _, r := range append(l.flood.end(0), l.door.end(0)...) {
				l.add(&r)
			}
			l.mu.Unlock()
			l.write(failed)
			l.end()
			return nil
		case <-t.C:
			l.mu.Lock()
			l.sums(time.Now())
			l.mu.Unlock()
		case <-l.kick:
			if failed {
				continue // the clock tries again
			}
		}
		failed = l.write(failed)
	}
}

// write writes what is pending, and reports whether that has failed, as it had before or not.
func (l *Log) write(before bool) (failed bool) {
	l.mu.Lock()
	out, data, lines := l.out, l.pending, l.lines
	l.pending, l.lines = nil, 0
	if out != l.using {
		l.using.close()
		l.using = out
		if l.torn { // half a line in one file is enough
			data = data[bytes.IndexByte(data, '\n')+1:]
			l.torn, lines = false, lines-1
			l.lost.Add(1)
		}
	}
	l.mu.Unlock()
	if out == nil || len(data) == 0 {
		return false
	}
	n, err := out.Write(data)
	if err == nil {
		l.torn = false
		l.written.Add(uint64(lines))
		if before {
			l.log.Info("audit log is written again", "file", out.name)
		}
		return false
	}
	if !before {
		l.log.Error("audit log cannot be written: what happens is kept in memory for a while, then lost", "file", out.name, "error", err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.torn = n > 0 && data[n-1] != '\n' || n == 0 && l.torn
	l.pending = append(data[n:len(data):len(data)], l.pending...) // a line that was begun is finished first
	l.lines += lines
	return true
}

// end keeps nothing more.
func (l *Log) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cfg = Config{}
	l.use(nil)
	l.using.close()
	l.using = nil
}

// Append writes one record to the file of cfg at once: for a program that is not the broker.
func Append(cfg Config, r Record) error {
	out, err := open(cfg.File)
	if err != nil || out == nil {
		return err
	}
	defer out.close()
	r.Time = time.Now().UTC()
	if _, err := out.Write(r.line()); err != nil {
		return fmt.Errorf("audit.file: %w", err)
	}
	return nil
}

// output is where lines go.
type output struct {
	name string
	*os.File
}

// open opens what is called name; nil: nothing is.
func open(name string) (*output, error) {
	switch name {
	case "":
		return nil, nil
	case "stdout":
		return &output{name, os.Stdout}, nil
	case "stderr":
		return &output{name, os.Stderr}, nil
	}
	f, err := os.OpenFile(name, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600) //nolint:gosec // the operator names the file
	if err != nil {
		return nil, fmt.Errorf("audit.file: %w", err)
	}
	return &output{name, f}, nil
}

// close closes a file.
func (o *output) close() {
	if o != nil && o.File != os.Stdout && o.File != os.Stderr {
		_ = o.Close()
	}
}
