package coretest_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wyemq/wye/core"
	"github.com/wyemq/wye/core/coretest"
	"github.com/wyemq/wye/core/engine"
	"github.com/wyemq/wye/core/engine/memory"
)

// A sink can be given to any session.
func ExampleSink() {
	ctx := context.Background()
	b, err := core.NewBroker(core.Options{Engine: memory.New(), Anonymous: core.AnonymousAlways})
	if err != nil {
		fmt.Println(err)
		return
	}
	sink := coretest.NewSink()
	s, err := b.Connect(ctx, core.Login{Conn: coretest.NewConn()}, sink.Deliver)
	if err != nil {
		fmt.Println(err)
		return
	}
	_ = s.Subscribe(ctx, &core.Subscription{ID: "1", Filter: "topic/a"})
	_ = s.Publish(ctx, &core.Message{Destination: "topic/a", Body: []byte("hello")}, nil)
	d, _ := sink.Wait(time.Second)
	fmt.Printf("%s: %s\n", d.Destination, d.Body)
	_ = s.Close()
	_ = b.Close(ctx)
	// Output: topic/a: hello
}

func TestBroker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := coretest.Broker(t, coretest.Users(map[string]string{"ann": "secret"}),
			coretest.Authorize(coretest.DenyOn(core.OpPublish, "topic/no")))
		if _, err := coretest.TryConnect(t, b, core.Login{}); !errors.Is(err, core.ErrLogin) {
			t.Errorf("anonymous login: %v", err)
		}
		if _, err := coretest.TryConnect(t, b, core.Login{User: "ann", Password: "x"}); !errors.Is(err, core.ErrLogin) {
			t.Errorf("wrong password: %v", err)
		}
		c := coretest.Connect(t, b, core.Login{User: "ann", Password: "secret"})
		if err := c.Subscribe(t.Context(), &core.Subscription{ID: "1", Filter: "topic/+"}); err != nil {
			t.Fatal(err)
		}
		for _, body := range []string{"one", "two"} {
			if err := c.Publish(t.Context(), &core.Message{Destination: "topic/a", Body: []byte(body)}, nil); err != nil {
				t.Fatal(err)
			}
		}
		c.Want(t, "one two")
		if err := c.Publish(t.Context(), &core.Message{Destination: "topic/no"}, nil); !errors.Is(err, core.ErrDenied) {
			t.Errorf("publish denied: %v", err)
		}
		c.Fail(errors.New("gone"))
		if err := c.Publish(t.Context(), &core.Message{Destination: "topic/a"}, nil); err != nil {
			t.Fatal(err)
		}
		if err := c.Conn.Closed(t); err == nil || err.Error() != "gone" {
			t.Errorf("after a failed delivery the connection was closed with %v", err)
		}
	})
}

func TestEngine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := coretest.NewEngine(memory.New())
		b := coretest.Broker(t, func(o *core.Options) { o.Engine = e })
		c := coretest.Connect(t, b, core.Login{})
		var mu sync.Mutex
		var errs []error
		called := func() []error {
			mu.Lock()
			defer mu.Unlock()
			return slices.Clone(errs)
		}
		publish := func() {
			t.Helper()
			err := c.Publish(t.Context(), &core.Message{Destination: "queue/a", Persistent: true}, func(_ core.Published, err error) {
				mu.Lock()
				defer mu.Unlock()
				errs = append(errs, err)
			})
			if err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
		}
		e.Hold()
		publish()
		if done := called(); len(done) != 0 || e.Held() != 1 {
			t.Fatalf("done was called for a commit that is held back: %v", done)
		}
		e.Release()
		synctest.Wait()
		if done := called(); len(done) != 1 || done[0] != nil {
			t.Fatalf("released: %v", done)
		}
		e.Delay(time.Minute)
		publish()
		if done := called(); len(done) != 1 {
			t.Fatalf("done was called at once: %v", done)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if done := called(); len(done) != 2 || done[1] != nil {
			t.Fatalf("delayed: %v", done)
		}
		e.Delay(0)
		e.Fail(engine.ErrUnavailable)
		publish()
		if done := called(); len(done) != 3 || !errors.Is(done[2], core.ErrUnavailable) {
			t.Fatalf("failed: %v", done)
		}
		e.Fail(nil)
		e.Lose()
		publish()
		time.Sleep(time.Hour)
		if done := called(); len(done) != 3 {
			t.Fatalf("done was called for a commit that was lost: %v", done)
		}
		c.Gone()
		if done := called(); len(done) != 4 || !errors.Is(done[3], core.ErrClosed) {
			t.Fatalf("closed: %v", done)
		}
	})
}
