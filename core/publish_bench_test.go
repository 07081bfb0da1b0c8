package core_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/wyemq/wye/core"
	"github.com/wyemq/wye/core/coretest"
)

// fan is a publisher and sessions that are subscribed directly and count what they get.
type fan struct {
	broker *core.Broker
	pub    *core.Session
	got    atomic.Int64
}

func newFan(tb testing.TB, subs, unrelated int) *fan {
	tb.Helper()
	f := &fan{broker: coretest.Broker(tb)}
	f.pub = f.connect(tb)
	for i := range unrelated {
		if i%5000 == 0 {
			f.idle(tb, i, min(5000, unrelated-i))
		}
	}
	for range subs {
		s := f.connect(tb)
		if err := s.Subscribe(context.Background(), &core.Subscription{ID: "1", Filter: "topic/a/+/c"}); err != nil {
			tb.Fatal(err)
		}
	}
	return f
}

func (f *fan) connect(tb testing.TB) *core.Session {
	tb.Helper()
	s, err := f.broker.Connect(context.Background(), core.Login{Protocol: "bench"}, func(ds []core.Delivery) error {
		f.got.Add(int64(len(ds)))
		return nil
	})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = s.Close() })
	return s
}

// idle makes n subscriptions to filters that nothing is published to.
func (f *fan) idle(tb testing.TB, from, n int) {
	tb.Helper()
	s := f.connect(tb)
	for i := range n {
		filter := fmt.Sprintf("topic/other/%d/#", from+i)
		if err := s.Subscribe(context.Background(), &core.Subscription{ID: filter, Filter: filter}); err != nil {
			tb.Fatal(err)
		}
	}
}

func (f *fan) publish(tb testing.TB) {
	if err := f.pub.Publish(context.Background(), &core.Message{Destination: "topic/a/b/c", Body: body}, nil); err != nil {
		tb.Fatal(err)
	}
}

var body = []byte("0123456789abcdef")

func BenchmarkPublish(b *testing.B) {
	for _, subs := range []int{1, 100, 10_000} {
		for _, unrelated := range []int{0, 100_000} {
			b.Run(fmt.Sprintf("subs=%d/unrelated=%d", subs, unrelated), func(b *testing.B) {
				f := newFan(b, subs, unrelated)
				b.ReportAllocs()
				for b.Loop() {
					f.publish(b)
				}
				b.ReportMetric(float64(f.got.Load())/b.Elapsed().Seconds(), "deliveries/s")
			})
		}
	}
}

// BenchmarkQueue is enqueue, deliver, acknowledge, on the memory engine, one after the other.
func BenchmarkQueue(b *testing.B) {
	broker := coretest.Broker(b)
	ctx := context.Background()
	pub, err := broker.Connect(ctx, core.Login{Protocol: "bench"}, func([]core.Delivery) error { return nil })
	if err != nil {
		b.Fatal(err)
	}
	defer pub.Close()
	var con *core.Session
	var settled atomic.Int64
	wake := make(chan struct{}, 1)
	con, err = broker.Connect(ctx, core.Login{Protocol: "bench"}, func(ds []core.Delivery) error {
		tags := make([]uint64, len(ds))
		for i := range ds {
			tags[i] = ds[i].Tag
		}
		settled.Add(int64(len(ds)))
		select {
		case wake <- struct{}{}:
		default:
		}
		return con.Settle(ctx, core.Accepted, nil, tags...)
	})
	if err != nil {
		b.Fatal(err)
	}
	defer con.Close()
	if err := con.Subscribe(ctx, &core.Subscription{ID: "1", Filter: "queue/q", Ack: core.AckIndividual, Credit: 1000}); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	n := int64(0)
	for b.Loop() {
		n++
		m := &core.Message{Destination: "queue/q", Body: body, Persistent: true}
		if err := pub.Publish(ctx, m, func(core.Published, error) {}); err != nil {
			b.Fatal(err)
		}
		for n-settled.Load() > 5000 {
			<-wake
		}
	}
	for settled.Load() < n {
		<-wake
	}
}
