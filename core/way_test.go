package core_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/wyemq/wye/core"
	"github.com/wyemq/wye/core/coretest"
)

// rules is an Authorizer that can change its mind, and counts how often it is asked.
type rules struct {
	asked   int
	deny    bool
	changed func()
}

func (*rules) Name() string         { return "rules" }
func (r *rules) OnChange(fn func()) { r.changed = fn }

func (r *rules) Authorize(_ context.Context, _ *core.Principal, op core.Op, _ string) error {
	if op != core.OpPublish {
		return nil
	}
	r.asked++
	if r.deny {
		return fmt.Errorf("rule 1: %w", core.ErrDenied)
	}
	return nil
}

// What a session has found out about a destination holds until something changes, and no longer.
func TestWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := new(rules)
		b := coretest.Broker(t, func(o *core.Options) { o.Authorizers = []core.Authorizer{r} })
		connect := func(got *int) *core.Session {
			s, err := b.Connect(t.Context(), core.Login{Protocol: "test"}, func(ds []core.Delivery) error {
				*got += len(ds)
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = s.Close() })
			return s
		}
		var got [2]int
		pub, subs := connect(new(int)), []*core.Session{connect(&got[0]), connect(&got[1])}
		publish := func() error {
			err := pub.Publish(t.Context(), &core.Message{Destination: "topic/a/b"}, nil)
			synctest.Wait()
			return err
		}
		want := func(step string, asked int, want ...int) {
			t.Helper()
			for range 3 {
				got = [2]int{}
				if err := publish(); err != nil {
					t.Fatalf("%s: %v", step, err)
				}
				if !slices.Equal(got[:], want) {
					t.Errorf("%s: got %v, want %v", step, got, want)
				}
			}
			if r.asked != asked {
				t.Errorf("%s: asked %d times in all, want %d", step, r.asked, asked)
			}
		}
		subscribe := func(i int, filter string) {
			if err := subs[i].Subscribe(t.Context(), &core.Subscription{ID: "1", Filter: filter}); err != nil {
				t.Fatal(err)
			}
		}
		want("nobody", 1, 0, 0)
		subscribe(0, "topic/a/+")
		want("one", 1, 1, 0)
		subscribe(1, "topic/#")
		want("two", 1, 1, 1)
		if err := subs[0].Unsubscribe(t.Context(), "1"); err != nil {
			t.Fatal(err)
		}
		want("unsubscribed", 1, 0, 1)
		_ = subs[1].Close()
		want("closed", 1, 0, 0)
		r.changed()
		want("changed", 2, 0, 0)
		r.deny = true
		r.changed()
		if err := publish(); !errors.Is(err, core.ErrDenied) {
			t.Errorf("got %v, want ErrDenied", err)
		}
	})
}

// An authorizer that does not tell when it changes its mind is asked for every message.
func TestWayOfOthers(t *testing.T) {
	asked := 0
	b := coretest.Broker(t, coretest.Authorize(func(_ *core.Principal, op core.Op, _ string) error {
		if op == core.OpPublish {
			asked++
		}
		return nil
	}))
	pub, err := b.Connect(t.Context(), core.Login{Protocol: "test"}, func([]core.Delivery) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	defer pub.Close()
	for range 3 {
		if err := pub.Publish(t.Context(), &core.Message{Destination: "topic/a/b"}, nil); err != nil {
			t.Fatal(err)
		}
	}
	if asked != 3 {
		t.Errorf("asked %d times, want 3", asked)
	}
}
