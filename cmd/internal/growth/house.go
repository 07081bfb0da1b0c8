package growth

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/wyemq/wye/core"
	"github.com/wyemq/wye/core/engine"
	"github.com/wyemq/wye/core/engine/memory"
	"github.com/wyemq/wye/plugins/disk"
)

// house is a broker and who is in it.
type house struct {
	ctx  context.Context
	b    *core.Broker
	all  []*core.Session
	got  atomic.Int64
	want atomic.Int64
	wake chan struct{}
}

// limits are out of the way: what they bound is what is measured.
func limits() core.Limits {
	l := core.DefaultLimits()
	l.Subscriptions, l.Queues, l.RetainedMessages = 10_000_000, 10_000_000, 10_000_000
	l.OutboxMessages, l.OutboxBytes, l.SessionQueue = 4_000_000, 1<<40, 10_000_000
	return l
}

// open opens a broker; with a directory on disk, else in memory.
func open(ctx context.Context, dir string) (*house, error) {
	var eng engine.Engine = memory.New()
	if dir != "" {
		cfg := disk.DefaultConfig()
		cfg.Dir, cfg.MinFree = dir, 0
		var err error
		if eng, err = disk.Open(cfg, slog.New(slog.DiscardHandler)); err != nil { //nolint:contextcheck // it takes none: close ends it
			return nil, err
		}
	}
	b, err := core.NewBroker(core.Options{Engine: eng, Anonymous: core.AnonymousAlways, Limits: limits()}) //nolint:contextcheck // as above
	if err != nil {
		return nil, err
	}
	return &house{ctx: ctx, b: b, wake: make(chan struct{}, 1)}, nil
}

// close ends everything. The engine is told to write what it has.
func (h *house) close() {
	for _, s := range h.all {
		_ = s.Close()
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(h.ctx), time.Minute)
	defer cancel()
	_ = h.b.Close(ctx)
}

// count is a DeliverFunc.
func (h *house) count(ds []core.Delivery) error {
	if h.got.Add(int64(len(ds))) >= h.want.Load() {
		select {
		case h.wake <- struct{}{}:
		default:
		}
	}
	return nil
}

// wait waits for n more to be counted than there were at from.
func (h *house) wait(from int64, n int) error {
	h.want.Store(from + int64(n))
	defer h.want.Store(1 << 62)
	for h.got.Load() < from+int64(n) {
		select {
		case <-h.wake:
		case <-h.ctx.Done():
			return context.Cause(h.ctx)
		}
	}
	return nil
}

// connect opens a session that counts what it gets.
func (h *house) connect() (*core.Session, error) {
	s, err := h.b.Connect(h.ctx, core.Login{Protocol: "growth"}, h.count)
	if err == nil {
		h.all = append(h.all, s)
	}
	return s, err
}

// subscribe subscribes; the filter is the ID.
func (h *house) subscribe(s *core.Session, filter string) error {
	return s.Subscribe(h.ctx, &core.Subscription{ID: filter, Filter: filter})
}

// worker opens a session that takes from a queue and acknowledges, and counts what is acknowledged.
func (h *house) worker(queues ...string) (*core.Session, error) {
	var s *core.Session
	ready := make(chan struct{})
	s, err := h.b.Connect(h.ctx, core.Login{Protocol: "growth"}, func(ds []core.Delivery) error {
		<-ready
		tags := make([]uint64, len(ds))
		for i := range ds {
			tags[i] = ds[i].Tag
		}
		if err := s.Settle(h.ctx, core.Accepted, nil, tags...); err != nil {
			return err
		}
		return h.count(ds)
	})
	if err != nil {
		return nil, err
	}
	close(ready)
	for _, q := range queues {
		if err := h.work(s, q); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// work makes s a consumer.
func (h *house) work(s *core.Session, queue string) error {
	return s.Subscribe(h.ctx, &core.Subscription{ID: queue, Filter: queue, Ack: core.AckIndividual, Credit: 1000})
}

var body = []byte("0123456789abcdef")

// publish sends n messages to what dest names, and waits until they are as durable as is promised.
func (h *house) publish(s *core.Session, n int, dest func(i int) string) error {
	var failed atomic.Pointer[error]
	var left atomic.Int64
	left.Store(int64(n))
	done := make(chan struct{})
	for i := range n {
		m := &core.Message{Destination: dest(i), Body: body, Persistent: true}
		err := s.Publish(h.ctx, m, func(_ core.Published, err error) {
			if err != nil {
				failed.Store(&err)
			}
			if left.Add(-1) == 0 {
				close(done)
			}
		})
		if err != nil {
			return err
		}
	}
	select {
	case <-done:
	case <-h.ctx.Done():
		return context.Cause(h.ctx)
	}
	if err := failed.Load(); err != nil {
		return *err
	}
	return nil
}

// always names the same destination.
func always(dest string) func(int) string { return func(int) string { return dest } }
