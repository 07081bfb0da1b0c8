package core_test

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/wyemq/wye/core"
	"github.com/wyemq/wye/core/coretest"
)

// batches is a session that notes how many deliveries it gets at a time.
func batches(t *testing.T, b *core.Broker, filter string) *[]int {
	t.Helper()
	got := new([]int)
	s, err := b.Connect(t.Context(), core.Login{Protocol: "test"}, func(ds []core.Delivery) error {
		*got = append(*got, len(ds))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	if err := s.Subscribe(t.Context(), &core.Subscription{ID: "1", Filter: filter}); err != nil {
		t.Fatal(err)
	}
	return got
}

// Hold gathers deliveries until Release, and no longer than is reasonable.
func TestHold(t *testing.T) {
	for _, c := range []struct {
		name string
		do   func(pub *core.Session, publish func(dest string))
		want []int
	}{
		{"release", func(pub *core.Session, publish func(string)) {
			publish("topic/a")
			publish("topic/a")
			publish("topic/a")
			pub.Release()
			synctest.Wait()
			publish("topic/a") // without Hold it comes at once
		}, []int{3, 1}},
		{"close", func(pub *core.Session, publish func(string)) {
			publish("topic/a")
			_ = pub.Close()
		}, []int{1}},
		{"no release", func(_ *core.Session, publish func(string)) {
			for range 300 {
				publish("topic/a")
			}
		}, []int{256}},
		{"a queue, which may have to be made", func(_ *core.Session, publish func(string)) {
			publish("topic/a")
			publish("queue/q")
			publish("topic/a")
		}, []int{1}},
		{"nothing", func(*core.Session, func(string)) {}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := coretest.Broker(t)
				got := batches(t, b, "topic/a")
				pub, err := b.Connect(t.Context(), core.Login{Protocol: "test"}, func([]core.Delivery) error { return nil })
				if err != nil {
					t.Fatal(err)
				}
				defer pub.Close()
				pub.Hold()
				c.do(pub, func(dest string) {
					if err := pub.Publish(context.Background(), &core.Message{Destination: dest, Body: body}, nil); err != nil {
						t.Fatal(err)
					}
					synctest.Wait()
				})
				synctest.Wait()
				if !slices.Equal(*got, c.want) {
					t.Errorf("deliveries at a time: %v, want %v", *got, c.want)
				}
			})
		})
	}
}

// A receiver for which one publisher holds messages gets those of all others with them, and both lose none.
func TestHoldTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := coretest.Broker(t)
		got := batches(t, b, "topic/a")
		var pubs []*core.Session
		for range 2 {
			pub, err := b.Connect(t.Context(), core.Login{Protocol: "test"}, func([]core.Delivery) error { return nil })
			if err != nil {
				t.Fatal(err)
			}
			defer pub.Close()
			pub.Hold()
			if err := pub.Publish(t.Context(), &core.Message{Destination: "topic/a", Body: body}, nil); err != nil {
				t.Fatal(err)
			}
			pubs = append(pubs, pub)
		}
		synctest.Wait()
		if len(*got) > 0 {
			t.Fatalf("got %v before Release", *got)
		}
		pubs[0].Release()
		synctest.Wait()
		pubs[1].Release()
		synctest.Wait()
		if want := []int{2}; !slices.Equal(*got, want) {
			t.Errorf("deliveries at a time: %v, want %v", *got, want)
		}
	})
}
