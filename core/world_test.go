package core_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wyemq/wye/core"
	"github.com/wyemq/wye/core/coretest"
	"github.com/wyemq/wye/core/engine"
	"github.com/wyemq/wye/core/engine/memory"
)

// world is a broker in a synctest bubble, where time is fake and no goroutine may be left behind.
type world struct {
	*testing.T
	b    *core.Broker
	disk *coretest.Engine
	ctx  context.Context
}

// inWorld runs fn twice: on the engine in memory, and on a durable one that hands back no message as it was.
func inWorld(t *testing.T, fn func(t *testing.T, w *world), opts ...coretest.Option) {
	t.Helper()
	t.Run("memory", func(t *testing.T) { inMemory(t, fn, opts...) })
	t.Run("disk", func(t *testing.T) {
		on(t, func(t *testing.T) engine.Engine { t.Helper(); return coretest.NewDisk(t).Open() }, fn, opts...)
	})
}

// inMemory is for tests that count what the engine is told, or are told once.
func inMemory(t *testing.T, fn func(t *testing.T, w *world), opts ...coretest.Option) {
	t.Helper()
	on(t, func(*testing.T) engine.Engine { return memory.New() }, fn, opts...)
}

func on(t *testing.T, open func(t *testing.T) engine.Engine, fn func(t *testing.T, w *world), opts ...coretest.Option) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := &world{T: t, disk: coretest.NewEngine(open(t)), ctx: t.Context()}
		opts := append([]coretest.Option{func(o *core.Options) { o.Engine = w.disk }}, opts...)
		w.b = coretest.Broker(t, opts...)
		t.Cleanup(w.disk.Release)
		fn(t, w)
	})
}

func (w *world) ok(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

// client opens a session that is kept for an hour; "": one that is not kept.
func (w *world) client(id string) *coretest.Client {
	w.Helper()
	l := core.Login{ClientID: id}
	if id != "" {
		l.Expiry = time.Hour
	}
	return coretest.Connect(w.T, w.b, l)
}

// sub subscribes c to filter, with changes to the subscription; its ID is the filter.
func (w *world) sub(c *coretest.Client, filter string, change ...func(*core.Subscription)) *core.Subscription {
	w.Helper()
	s := &core.Subscription{ID: filter, Filter: filter}
	for _, fn := range change {
		fn(s)
	}
	w.ok(c.Subscribe(w.ctx, s))
	synctest.Wait()
	return s
}

func individual(s *core.Subscription) { s.Ack = core.AckIndividual }
func cumulative(s *core.Subscription) { s.Ack = core.AckCumulative }
func durable(s *core.Subscription)    { s.Ack, s.Durable = core.AckIndividual, true }

func credit(n int) func(*core.Subscription) { return func(s *core.Subscription) { s.Credit = n } }
func selector(text string) func(*core.Subscription) {
	return func(s *core.Subscription) { s.Selector = text }
}

func group(name string) func(*core.Subscription) {
	return func(s *core.Subscription) { s.Group = name }
}

// send publishes a persistent message and returns what done was called with.
func (w *world) send(c *coretest.Client, dest, body string, change ...func(*core.Message)) (core.Published, error) {
	w.Helper()
	m := &core.Message{Destination: dest, Body: []byte(body), Persistent: true}
	for _, fn := range change {
		fn(m)
	}
	var result core.Published
	var outcome error
	called := 0
	err := c.Publish(w.ctx, m, func(r core.Published, err error) { result, outcome = r, err; called++ })
	synctest.Wait()
	switch {
	case err != nil && called == 0:
		return core.Published{}, err
	case err != nil || called != 1:
		w.Fatalf("publish to %s: done was called %d times, Publish returned %v", dest, called, err)
	}
	return result, outcome
}

// pub publishes each body, which must succeed.
func (w *world) pub(c *coretest.Client, dest string, bodies ...string) {
	w.Helper()
	for _, body := range bodies {
		if _, err := w.send(c, dest, body); err != nil {
			w.Fatalf("publish %s to %s: %v", body, dest, err)
		}
	}
}

func transient(m *core.Message) { m.Persistent = false }
func retain(m *core.Message)    { m.Retain = true }

func header(name, value string) func(*core.Message) {
	return func(m *core.Message) { m.Header = append(m.Header, core.Field{Name: name, Value: value}) }
}

func level(n int) func(*core.Message) {
	return func(m *core.Message) { m.Priority = core.PriorityOf(n) }
}

func expires(d time.Duration) func(*core.Message) {
	return func(m *core.Message) { m.Expires = time.Now().Add(d) }
}

// settle settles the deliveries and waits for done.
func (w *world) settle(c *coretest.Client, o core.Outcome, ds ...core.Delivery) {
	w.Helper()
	tags := make([]uint64, len(ds))
	for i, d := range ds {
		tags[i] = d.Tag
	}
	called, outcome := 0, error(nil)
	w.ok(c.Settle(w.ctx, o, func(err error) { called++; outcome = err }, tags...))
	synctest.Wait()
	if called != 1 || outcome != nil {
		w.Fatalf("settle: done was called %d times, with %v", called, outcome)
	}
}

// want fails the test unless exactly these deliveries come.
func (w *world) want(c *coretest.Client, bodies string) []core.Delivery {
	w.Helper()
	synctest.Wait()
	return c.Want(w.T, bodies)
}

// nothing fails the test when something is delivered.
func (w *world) nothing(c *coretest.Client) {
	w.Helper()
	synctest.Wait()
	c.Nothing(w.T)
}

// queue fails the test unless the queue holds this.
func (w *world) queue(name string, ready, unacked int) {
	w.Helper()
	synctest.Wait()
	for _, q := range w.b.Stats().Queues {
		if q.Name == name {
			if q.Ready != ready || q.Unacked != unacked {
				w.Fatalf("%s has %d ready and %d unacknowledged, want %d and %d", name, q.Ready, q.Unacked, ready, unacked)
			}
			return
		}
	}
	if ready+unacked != 0 {
		w.Fatalf("there is no queue %s", name)
	}
}

// hasQueue reports whether there is such a queue.
func (w *world) hasQueue(name string) bool {
	synctest.Wait()
	for _, q := range w.b.Stats().Queues {
		if q.Name == name {
			return true
		}
	}
	return false
}

// sleep lets fake time pass and everything settle that is due.
func (w *world) sleep(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// numbers returns "from … to-1".
func numbers(from, to int) string {
	all := make([]string, 0, to-from)
	for i := from; i < to; i++ {
		all = append(all, fmt.Sprint(i))
	}
	return strings.Join(all, " ")
}
