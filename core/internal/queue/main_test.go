package queue_test

import (
	"errors"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/wyemq/wye/core/engine"
	"github.com/wyemq/wye/core/engine/memory"
	"github.com/wyemq/wye/core/internal/queue"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// failing is a memory engine whose commits fail while broken.
type failing struct {
	*memory.Engine
	mu     sync.Mutex
	broken bool
}

func (f *failing) breaks(yes bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.broken = yes
}

func (f *failing) Commit(b *engine.Batch, done func(error)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.broken {
		f.Engine.Commit(b, done)
		return
	}
	f.Engine.Commit(&engine.Batch{}, func(error) { done(engine.ErrUnavailable) })
}

// bench is a queue on an engine, for one test in a bubble.
type bench struct {
	testing.TB
	eng     *failing
	q       *queue.Queue
	mu      sync.Mutex
	dropped map[string]int
	idle    int
}

const logID = engine.LogID("q/test")

// inBubble runs fn in a bubble with a queue, which is closed after it.
func inBubble(t *testing.T, cfg queue.Config, hooks queue.Hooks, fn func(b *bench)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		b := &bench{TB: t, eng: &failing{Engine: memory.New()}, dropped: make(map[string]int)}
		hooks.Dropped = func(_ *queue.Queue, reason string, n int) {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.dropped[reason] += n
		}
		hooks.Idle = func() {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.idle++
		}
		b.open(cfg, hooks)
		fn(b)
		synctest.Wait()
		if err := b.q.Close(t.Context()); err != nil {
			t.Errorf("close: %v", err)
		}
		if err := b.eng.Close(t.Context()); err != nil {
			t.Errorf("close engine: %v", err)
		}
	})
}

func (b *bench) open(cfg queue.Config, hooks queue.Hooks) {
	b.Helper()
	q, err := queue.Open(b.Context(), b.eng, logID, cfg, hooks)
	if err != nil {
		b.Fatal(err)
	}
	b.q = q
}

// publish stores messages in one batch, and waits until everything that follows from it has happened.
func (b *bench) publish(ms ...*engine.Message) {
	b.Helper()
	if err := b.tryPublish(ms...); err != nil {
		b.Fatal(err)
	}
}

func (b *bench) tryPublish(ms ...*engine.Message) error {
	b.Helper()
	var batch engine.Batch
	for _, m := range ms {
		m.Stored = time.Now()
		if err := b.q.Reserve(len(m.Body), m.Priority); err != nil {
			return err
		}
		batch.Ops = append(batch.Ops, engine.Op{Kind: engine.Append, Logs: []engine.LogID{logID}, Msg: m})
	}
	err := errors.New("done was not called")
	b.eng.Commit(&batch, func(e error) { err = e })
	synctest.Wait()
	if err != nil {
		for _, m := range ms {
			b.q.Unreserve(len(m.Body))
		}
	}
	return err
}

// messages makes one message for each word: body, body!priority.
func messages(words string) []*engine.Message {
	var ms []*engine.Message
	for w := range strings.FieldsSeq(words) {
		body, prio, ok := strings.Cut(w, "!")
		m := &engine.Message{Body: []byte(body), Priority: engine.DefaultPriority}
		if ok {
			p, _ := strconv.Atoi(prio)
			m.Priority = uint8(p)
		}
		ms = append(ms, m)
	}
	return ms
}

func (b *bench) send(words string) {
	b.Helper()
	b.publish(messages(words)...)
}

// worker is a consumer that remembers what it got.
type worker struct {
	b   *bench
	c   *queue.Consumer
	mu  sync.Mutex
	got []queue.Delivery
}

func (b *bench) attach(o queue.ConsumerOptions) *worker {
	b.Helper()
	w, err := b.tryAttach(o)
	if err != nil {
		b.Fatal(err)
	}
	synctest.Wait()
	return w
}

func (b *bench) tryAttach(o queue.ConsumerOptions) (*worker, error) {
	w := &worker{b: b}
	if o.Credit == 0 {
		o.Credit = 100
	}
	o.Deliver = func(ds []queue.Delivery) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.got = append(w.got, ds...)
	}
	var err error
	w.c, err = b.q.Attach(o)
	return w, err
}

// take returns what came since the last take.
func (w *worker) take() []queue.Delivery {
	synctest.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	got := w.got
	w.got = nil
	return got
}

// words writes deliveries: body, with * if redelivered, and with :n for an attempt after the first.
func words(ds []queue.Delivery) string {
	var out []string
	for _, d := range ds {
		if d.End {
			out = append(out, "END")
			continue
		}
		s := string(d.Record.Msg.Body)
		if d.Redelivered {
			s += "*"
		}
		if d.Attempt > 1 {
			s += ":" + strconv.Itoa(d.Attempt)
		}
		out = append(out, s)
	}
	return strings.Join(out, " ")
}

// wants takes, and compares with words.
func (w *worker) wants(want string) []queue.Delivery {
	w.b.Helper()
	ds := w.take()
	if got := words(ds); got != want {
		w.b.Errorf("got %q, want %q", got, want)
	}
	return ds
}

// settle settles deliveries and waits until that is done.
func (w *worker) settle(o queue.Outcome, ds ...queue.Delivery) {
	w.b.Helper()
	if err := w.trySettle(o, ds...); err != nil {
		w.b.Errorf("settle: %v", err)
	}
}

func (w *worker) trySettle(o queue.Outcome, ds ...queue.Delivery) error {
	var seqs []engine.Seq
	for _, d := range ds {
		seqs = append(seqs, d.Record.Seq)
	}
	x, err := w.c.Settle(o, seqs...)
	if err != nil {
		return err
	}
	w.b.eng.Commit(&engine.Batch{Ops: x.Ops()}, func(e error) {
		x.Done(e)
		err = e
	})
	synctest.Wait()
	return err
}

// idled returns how often the queue has said that it should go.
func (b *bench) idled() int {
	synctest.Wait()
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.idle
}

// stats compares ready, unacked and bytes.
func (b *bench) stats(ready, unacked int, bytes int64) {
	b.Helper()
	synctest.Wait()
	s := b.q.Stats()
	if s.Ready != ready || s.Unacked != unacked || s.Bytes != bytes {
		b.Errorf("ready %d, unacked %d, bytes %d; want %d, %d, %d", s.Ready, s.Unacked, s.Bytes, ready, unacked, bytes)
	}
}
