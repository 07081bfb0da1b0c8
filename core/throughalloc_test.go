//go:build !race

package core_test

import (
	"context"
	"runtime"
	"sync/atomic"
	"testing"

	"github.com/wyemq/wye/core"
	"github.com/wyemq/wye/core/coretest"
)

// allocsEach returns what each of the n things that fn does allocates.
func allocsEach(n int, fn func()) float64 {
	fn() // fills the pools
	return testing.AllocsPerRun(50, fn) / float64(n)
}

// TestFanAllocs: a message to a topic allocates itself and next to nothing else, whoever gets it.
func TestFanAllocs(t *testing.T) {
	for _, subs := range []int{0, 1, 100} {
		const n = 100
		f := newFan(t, subs, 0)
		per := allocsEach(n, func() {
			before := f.got.Load()
			for range n {
				f.publish(t)
			}
			for f.got.Load() < before+int64(n*subs) {
				runtime.Gosched() // AllocsPerRun has one processor
			}
		})
		t.Logf("%d subscribers: %.2f allocations", subs, per)
		if per > 1.5 {
			t.Errorf("a publish to %d subscribers costs %.2f allocations, want the message and half of one more", subs, per)
		}
	}
}

// TestQueueAllocs: what a message costs on its way into a queue, to a consumer, and out by its acknowledgement.
func TestQueueAllocs(t *testing.T) {
	ctx := context.Background()
	broker := coretest.Broker(t)
	pub, err := broker.Connect(ctx, core.Login{Protocol: "test"}, func([]core.Delivery) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	defer pub.Close()
	const n = 200
	settled := make(chan struct{}, 1)
	var count atomic.Int64
	var con *core.Session
	tags := make([]uint64, 0, n)
	con, err = broker.Connect(ctx, core.Login{Protocol: "test"}, func(ds []core.Delivery) error {
		tags = tags[:0]
		for i := range ds {
			tags = append(tags, ds[i].Tag)
		}
		if count.Add(int64(len(ds)))%n == 0 {
			settled <- struct{}{}
		}
		return con.Settle(ctx, core.Accepted, nil, tags...)
	})
	if err != nil {
		t.Fatal(err)
	}
	defer con.Close()
	if err := con.Subscribe(ctx, &core.Subscription{ID: "1", Filter: "queue/q", Ack: core.AckIndividual, Credit: 2 * n}); err != nil {
		t.Fatal(err)
	}
	done := func(core.Published, error) {}
	per := allocsEach(n, func() {
		for range n {
			if err := pub.Publish(ctx, &core.Message{Destination: "queue/q", Body: body, Persistent: true}, done); err != nil {
				t.Fatal(err)
			}
		}
		<-settled
	})
	t.Logf("%.2f allocations", per)
	if per > 11 {
		t.Errorf("a message through a queue costs %.2f allocations, want 11 at most", per)
	}
}
