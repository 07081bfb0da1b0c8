package disk_test

import (
	"cmp"
	"context"
	"encoding/binary"
	"flag"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/wyemq/wye/core/engine"
	"github.com/wyemq/wye/plugins/disk"
)

var cuts = flag.Int("cuts", 15, "how often TestPowerLoss cuts the power")

const writers = 8

// TestPowerLoss cuts the power at random moments: what was not synced is there in part, or not at all. What was
// confirmed must be there, transactions as a whole, what was handed out must be flagged, and no number comes again.
func TestPowerLoss(t *testing.T) {
	c := cutter{t: t, rnd: rand.New(rand.NewPCG(1, uint64(*cuts)))}
	for n := 0; n < *cuts; n += 5 {
		c.run(vfs.NewCrashableMem(), min(5, *cuts-n), func(fs vfs.FS) vfs.FS { return fs })
	}
	for _, v := range c.violations {
		t.Error(v)
	}
	t.Logf("%d cuts: %d batches confirmed before, %d more found after; %d records looked at, %d of them flagged",
		*cuts, c.confirmed, c.more, c.records, c.flagged)
	if c.confirmed == 0 || c.records == 0 {
		t.Error("nothing was proved")
	}
}

// TestPowerLossIsFound shows that the check finds losses: with a disk that only says that it syncs, there must be some.
func TestPowerLossIsFound(t *testing.T) {
	c := cutter{t: t, rnd: rand.New(rand.NewPCG(2, 2))}
	for range 10 {
		c.run(vfs.NewCrashableMem(), 1, func(fs vfs.FS) vfs.FS { return liar{fs} })
	}
	if len(c.violations) == 0 {
		t.Error("nothing was lost on a disk that does not sync")
	}
}

// liar does not sync.
type liar struct{ vfs.FS }

func (l liar) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := l.FS.Create(name, c)
	return liarFile{f}, err
}

func (l liar) ReuseForWrite(old, name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := l.FS.ReuseForWrite(old, name, c)
	return liarFile{f}, err
}

type liarFile struct{ vfs.File }

func (f liarFile) Sync() error {
	if strings.HasSuffix(fmt.Sprint(f.File), ".log") {
		return nil
	}
	return f.File.Sync()
}

func (liarFile) SyncData() error { return nil }

// cutter cuts the power and looks what is left.
type cutter struct {
	t          *testing.T
	rnd        *rand.Rand
	violations []string

	confirmed, more, records, flagged int
}

func (c *cutter) violation(format string, args ...any) {
	c.violations = append(c.violations, fmt.Sprintf(format, args...))
}

// run lets writers work and cuts the power n times, each time going on with what was left.
func (c *cutter) run(fs *vfs.MemFS, n int, wrap func(vfs.FS) vfs.FS) {
	var ws []*writer
	for i := range writers {
		ws = append(ws, newWriter(c, i))
	}
	for range n {
		fs = c.cut(fs, ws, wrap)
		if fs == nil {
			return
		}
	}
	c.check(fs, ws)
}

// cut lets the writers work for a while, and returns what a power loss leaves.
func (c *cutter) cut(fs *vfs.MemFS, ws []*writer, wrap func(vfs.FS) vfs.FS) *vfs.MemFS {
	e := c.open(wrap(fs), ws)
	if e == nil {
		return nil
	}
	calm := c.rnd.IntN(4) == 0 // nobody waits for the disk
	ctx, cancel := context.WithCancel(c.t.Context())
	var wg sync.WaitGroup
	enough := make(chan struct{}, 1)
	left := 20 + c.rnd.IntN(400)
	if calm {
		left *= 10
	}
	var mu sync.Mutex
	tick := func() {
		mu.Lock()
		defer mu.Unlock()
		if left--; left == 0 {
			enough <- struct{}{}
		}
	}
	for _, w := range ws {
		wg.Go(func() { w.work(ctx, e, calm, tick) })
	}
	<-enough
	for _, w := range ws {
		w.freeze()
	}
	after := fs.CrashClone(vfs.CrashCloneCfg{
		UnsyncedDataPercent: []int{0, 0, 30, 70, 100}[c.rnd.IntN(5)], RNG: c.rnd,
	})
	cancel()
	wg.Wait()
	if err := e.Close(context.Background()); err != nil {
		c.t.Errorf("Close: %v", err)
	}
	return after
}

func (c *cutter) check(fs vfs.FS, ws []*writer) {
	if e := c.open(fs, ws); e != nil {
		if err := e.Close(context.Background()); err != nil {
			c.t.Errorf("Close: %v", err)
		}
	}
}

// open opens the store and compares it with what the writers know.
func (c *cutter) open(fs vfs.FS, ws []*writer) *disk.Engine {
	e, err := disk.OpenOn(disk.Config{Dir: "store"}, slog.New(slog.DiscardHandler), fs, func(o *pebble.Options) {
		o.MemTableSize, o.L0CompactionThreshold = 32<<10, 2 // so that there is much of flushing and compacting
		if c.rnd.IntN(3) == 0 {
			o.MemTableSize = 4 << 20 // or so that much is in the log only
		}
		o.LBaseMaxBytes = 64 << 10
		for i := range o.TargetFileSizes {
			o.TargetFileSizes[i] = 16 << 10
		}
	})
	if err != nil {
		c.violation("open after a power loss: %v", err)
		return nil
	}
	disk.TrimOften(e)
	for _, w := range ws {
		w.check(e)
	}
	return e
}

// step is a batch, a purge or a drop of a writer.
type step struct {
	appends map[engine.LogID][]string
	settled map[engine.LogID][]string
	retain  string // "": nothing; "-": cleared
	purged  engine.LogID
	dropped engine.LogID
	waits   bool // not a batch: only one is under way
}

// writer works in logs, keys and topics of its own, so that what is left must be what it had after some step: not
// before the last that was confirmed, and not after the last that was begun.
type writer struct {
	c    *cutter
	name string
	rnd  *rand.Rand
	logs []engine.LogID

	calm   bool     // all batches are relaxed
	life   int      // power losses so far; what is made after one has other names
	base   contents // after step number first
	first  int
	open   map[engine.LogID]engine.Log
	issued contents // after all steps; the worker's own

	mu        sync.Mutex // of what follows
	steps     []step
	confirmed int // steps, in all
	given     map[string]bool
	numbered  map[engine.Seq]string // what the first log, which is not dropped, has given
	frozen    *snapshot
}

// snapshot is what a writer knew at the moment of the power loss.
type snapshot struct {
	confirmed int
	given     map[string]bool
	numbered  map[engine.Seq]string
}

// contents of the store, as far as one writer has made them.
type contents struct {
	logs   map[engine.LogID][]string
	retain string
}

func (s contents) clone() contents {
	logs := make(map[engine.LogID][]string)
	for id, l := range s.logs {
		logs[id] = slices.Clone(l)
	}
	return contents{logs, s.retain}
}

func (s *contents) apply(x *step) {
	for id, settled := range x.settled {
		s.logs[id] = slices.DeleteFunc(s.logs[id], func(b string) bool { return slices.Contains(settled, b) })
	}
	for id, bodies := range x.appends {
		s.logs[id] = append(s.logs[id], bodies...)
	}
	if x.retain != "" {
		s.retain = strings.TrimPrefix(x.retain, "-")
	}
	if x.purged != "" {
		s.logs[x.purged] = nil
	}
	delete(s.logs, x.dropped)
}

func newWriter(c *cutter, i int) *writer {
	name := string('a' + rune(i))
	return &writer{
		c: c, name: name, rnd: rand.New(rand.NewPCG(c.rnd.Uint64(), uint64(i))),
		logs: []engine.LogID{engine.LogID(name + "/1"), engine.LogID(name + "/2"), engine.LogID(name + "/3")},
		base: contents{logs: make(map[engine.LogID][]string)}, given: make(map[string]bool), numbered: make(map[engine.Seq]string),
	}
}

// freeze takes note of what is known now.
func (w *writer) freeze() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.frozen = &snapshot{w.confirmed, maps.Clone(w.given), maps.Clone(w.numbered)}
}

// work commits random batches, with many under way.
func (w *writer) work(ctx context.Context, e *disk.Engine, calm bool, tick func()) {
	w.calm = calm
	w.open = make(map[engine.LogID]engine.Log)
	w.issued = w.base.clone()
	limit := make(chan struct{}, 16)
	for ctx.Err() == nil {
		switch n := w.rnd.IntN(100); {
		case calm && n < 5: // those are synced
		case n < 3:
			w.wait(limit, func() { w.purge(e) })
		case n < 5:
			w.wait(limit, func() { w.drop(e) })
		default:
			limit <- struct{}{}
			w.batch(e, func() {
				<-limit
				tick()
			})
		}
	}
	w.wait(limit, func() {})
}

// wait calls fn when nothing is under way.
func (*writer) wait(limit chan struct{}, fn func()) {
	for range cap(limit) {
		limit <- struct{}{}
	}
	fn()
	for range cap(limit) {
		<-limit
	}
}

// begin notes a step before it is asked for, and returns its number.
func (w *writer) begin(x step) int {
	w.issued.apply(&x)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.steps = append(w.steps, x)
	return w.first + len(w.steps)
}

func (w *writer) confirm(n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.confirmed = max(w.confirmed, n)
}

func (w *writer) log(e *disk.Engine) (engine.Log, engine.LogID) {
	id := w.logs[w.rnd.IntN(len(w.logs))]
	if w.open[id] == nil {
		l, err := e.Open(context.Background(), id, engine.LogOptions{Lanes: true})
		if err != nil {
			w.c.t.Errorf("Open: %v", err)
			return nil, id
		}
		w.open[id] = l
	}
	return w.open[id], id
}

func (w *writer) batch(e *disk.Engine, done func()) {
	x := step{appends: make(map[engine.LogID][]string), settled: make(map[engine.LogID][]string)}
	b := &engine.Batch{Relaxed: w.calm || w.rnd.IntN(4) == 0}
	number := w.first + len(w.steps) + 1 // only this goroutine adds
	for i := range w.rnd.IntN(4) {
		body := fmt.Sprintf("%s%d.%d.%d", w.name, w.life, number, i)
		m := &engine.Message{Body: []byte(body), Dest: "d", Priority: engine.DefaultPriority}
		if w.rnd.IntN(5) == 0 {
			m.Priority = 9
		}
		if w.rnd.IntN(8) == 0 {
			m.Visible = time.Now().Add(time.Hour)
		}
		if w.rnd.IntN(3) == 0 {
			m.Header = make([]byte, w.rnd.IntN(2000))
		}
		logs := w.logs[w.rnd.IntN(3):]
		for _, id := range logs {
			x.appends[id] = append(x.appends[id], body)
		}
		b.Ops = append(b.Ops, engine.Op{Kind: engine.Append, Logs: logs, Msg: m})
	}
	if w.rnd.IntN(2) == 0 {
		if l, id := w.log(e); l != nil {
			b.Ops = append(b.Ops, w.consume(l, id, &x)...)
		}
	}
	switch w.rnd.IntN(8) {
	case 0:
		x.retain = fmt.Sprintf("%s%d.%d", w.name, w.life, number)
		b.Ops = append(b.Ops, engine.Op{Kind: engine.Retain, Topic: w.name, Msg: &engine.Message{Body: []byte(x.retain)}})
	case 1:
		x.retain = "-"
		b.Ops = append(b.Ops, engine.Op{Kind: engine.Retain, Topic: w.name})
	}
	b.Ops = append(b.Ops, engine.Op{
		Kind: engine.Put, Bucket: "step", Key: w.name, Value: binary.AppendUvarint(nil, uint64(number)),
	})
	n := w.begin(x)
	relaxed := b.Relaxed
	e.Commit(b, func(err error) {
		if err != nil {
			w.c.t.Errorf("Commit: %v", err)
		}
		if !relaxed {
			w.confirm(n)
		}
		done()
	})
}

// consume reads some, and settles a part of it.
func (w *writer) consume(l engine.Log, id engine.LogID, x *step) []engine.Op {
	recs, err := l.Next(1+w.rnd.IntN(8), 1<<20)
	if err != nil {
		w.c.t.Errorf("Next: %v", err)
		return nil
	}
	op := engine.Op{Kind: engine.Settle, Log: l}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, r := range recs {
		w.given[string(id)+string(r.Msg.Body)] = true
		if id == w.logs[0] {
			w.numbered[r.Seq] = string(r.Msg.Body)
		}
		if w.rnd.IntN(4) > 0 {
			op.Seqs = append(op.Seqs, r.Seq)
			x.settled[id] = append(x.settled[id], string(r.Msg.Body))
		}
	}
	return []engine.Op{op}
}

func (w *writer) purge(e *disk.Engine) {
	l, id := w.log(e)
	if l == nil {
		return
	}
	n := w.begin(step{purged: id, waits: true})
	if _, _, err := l.Purge(context.Background()); err != nil {
		w.c.t.Errorf("Purge: %v", err)
		return
	}
	w.confirm(n)
}

func (w *writer) drop(e *disk.Engine) {
	id := w.logs[1+w.rnd.IntN(len(w.logs)-1)]
	n := w.begin(step{dropped: id, waits: true})
	if err := e.Drop(context.Background(), id); err != nil {
		w.c.t.Errorf("Drop: %v", err)
		return
	}
	delete(w.open, id)
	w.confirm(n)
}

// check compares the store with what the writer knows, and goes on from what is there.
func (w *writer) check(e *disk.Engine) {
	s := w.frozen
	if s == nil {
		s = &snapshot{given: w.given, numbered: w.numbered}
	}
	v, _, _ := e.State().Get("step", w.name)
	number, _ := binary.Uvarint(v)
	n := int(number)
	got := w.found(e, s)
	// A purge or drop after the batch whose number is there may have happened.
	state := w.base.clone()
	at := w.first
	for ; at < n && at-w.first < len(w.steps); at++ {
		state.apply(&w.steps[at-w.first])
	}
	ok := same(got, state)
	for !ok && at-w.first < len(w.steps) && w.steps[at-w.first].waits {
		x := &w.steps[at-w.first]
		before := state.logs[x.purged]
		state.apply(x)
		at++
		if ok = same(got, state); !ok && x.purged != "" && at > s.confirmed {
			// It was under way, and takes several batches when bodies are shared.
			half := state.clone()
			half.logs[x.purged] = slices.DeleteFunc(slices.Clone(before), func(b string) bool { return !slices.Contains(got.logs[x.purged], b) })
			ok = same(got, half)
		}
	}
	for ok && at < s.confirmed && at-w.first < len(w.steps) && w.steps[at-w.first].waits { // one that changed nothing
		state.apply(&w.steps[at-w.first])
		at++
		ok = same(got, state)
	}
	switch {
	case at < s.confirmed:
		w.c.violation("%s: step %d was confirmed, the store has %d", w.name, s.confirmed, at)
	case !ok:
		w.c.violation("%s: the store is not as after step %d: %v, want %v", w.name, at, got, state)
	}
	w.c.confirmed += s.confirmed - w.first
	w.c.more += max(at-s.confirmed, 0)
	w.base, w.first, w.steps, w.confirmed = got, max(at, n), nil, max(at, n)
	w.given, w.numbered, w.frozen = s.given, s.numbered, nil // what happened after the power loss did not
	w.life++
}

func same(a, b contents) bool {
	if a.retain != b.retain {
		return false
	}
	for _, x := range []contents{a, b} {
		for id := range x.logs {
			if !slices.Equal(a.logs[id], b.logs[id]) {
				return false
			}
		}
	}
	return true
}

// found reads what is in the store, and looks at the flags.
func (w *writer) found(e *disk.Engine, s *snapshot) contents {
	got := contents{logs: make(map[engine.LogID][]string)}
	for _, id := range w.logs {
		l, err := e.Open(context.Background(), id, engine.LogOptions{Lanes: true})
		if err != nil {
			w.c.violation("Open %s: %v", id, err)
			continue
		}
		var depth, waits uint64
		err = l.Browse(context.Background(), 0, func(r engine.Record) bool {
			body := string(r.Msg.Body)
			got.logs[id] = append(got.logs[id], body)
			depth++
			if !r.Msg.Visible.IsZero() {
				waits++
			}
			if s.given[string(id)+body] && !r.Redelivered {
				w.c.violation("%s: %s was handed out and is not flagged", id, body)
			}
			if was, ok := s.numbered[r.Seq]; ok && id == w.logs[0] && was != body {
				w.c.violation("%s: number %d was that of %s and is that of %s", id, r.Seq, was, body)
			}
			w.c.records++
			if r.Redelivered {
				w.c.flagged++
			}
			return true
		})
		if st := l.Stats(); err != nil || st.Depth != depth {
			w.c.violation("%s: %d records, Stats say %d: %v", id, depth, st.Depth, err)
		}
		w.numbers(l, id, depth-waits)
		if err := l.Release(context.Background()); err != nil {
			w.c.t.Errorf("Release: %v", err)
		}
	}
	err := e.Retained().Match(context.Background(), w.name, func(m *engine.Message) bool {
		got.retain = string(m.Body)
		return true
	})
	if err != nil {
		w.c.violation("Match: %v", err)
	}
	return got
}

// numbers wants Next to give all that Browse has shown and that is to be read now.
func (w *writer) numbers(l engine.Log, id engine.LogID, depth uint64) {
	var seqs []engine.Seq
	for {
		recs, err := l.Next(100, 1<<20)
		if err != nil {
			w.c.violation("Next in %s: %v", id, err)
		}
		if len(recs) == 0 {
			break
		}
		for _, r := range recs {
			seqs = append(seqs, r.Seq)
		}
	}
	slices.SortFunc(seqs, cmp.Compare[engine.Seq])
	if n := len(slices.Compact(seqs)); uint64(n) != depth {
		w.c.violation("%s: Next gives %d records of %d", id, n, depth)
	}
}
