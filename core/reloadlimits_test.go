package core_test

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wyemq/wye/core"
	"github.com/wyemq/wye/core/coretest"
)

// relimit makes other limits hold, as a reload does.
func (w *world) relimit(change func(*core.Limits)) {
	w.Helper()
	next := core.Options{Anonymous: core.AnonymousAlways, Limits: w.b.Limits()}
	change(&next.Limits)
	c, err := w.b.Prepare(next)
	w.ok(err)
	c.Apply()
}

// relimited is one limit that a reload changes.
type relimited struct {
	change func(*core.Limits)
	// probe does something, reloads, and says what has become of it; c was there before.
	probe func(w *world, c *coretest.Client, reload func()) string
	// What it says when the reload changes nothing, and when it does.
	before, after string
}

// reasonOf is what became of something.
func reasonOf(err error) string {
	if err == nil {
		return "ok"
	}
	return core.ReasonID(err)
}

// subscribing subscribes for the first time before the reload, and once more after it.
func subscribing(change ...func(*core.Subscription)) func(*world, *coretest.Client, func()) string {
	return func(w *world, c *coretest.Client, reload func()) string {
		w.sub(c, "topic/1", change...)
		reload()
		s := &core.Subscription{ID: "2", Filter: "topic/2"}
		for _, fn := range change {
			fn(s)
		}
		return reasonOf(c.Subscribe(w.ctx, s))
	}
}

// publishing publishes so often before the reload and after it.
func publishing(before, after int, m func(i int) *core.Message) func(*world, *coretest.Client, func()) string {
	return func(w *world, c *coretest.Client, reload func()) string {
		for i := range before {
			w.ok(c.Publish(w.ctx, m(i), nil))
		}
		synctest.Wait()
		reload()
		for i := range after {
			if err := c.Publish(w.ctx, m(before+i), func(_ core.Published, err error) { w.ok(err) }); err != nil {
				return reasonOf(err)
			}
		}
		synctest.Wait()
		return "ok"
	}
}

// numbered is a message of a topic of its own.
func numbered(i int) *core.Message { return msg(fmt.Sprint("topic/", i), "0123456789") }

func retainedNumber(i int) *core.Message {
	m := numbered(i)
	m.Retain = true
	return m
}

func withHeaders(n, bytes int) func(int) *core.Message {
	return func(i int) *core.Message {
		m := numbered(i)
		for h := range n {
			m.Header = append(m.Header, core.Field{Name: fmt.Sprint(h), Value: strings.Repeat("x", bytes)})
		}
		return m
	}
}

// connecting logs in after the reload, where somebody is logged in.
func connecting(l core.Login) func(*world, *coretest.Client, func()) string {
	return func(w *world, _ *coretest.Client, reload func()) string {
		first := l
		first.ClientID = "first"
		coretest.Connect(w.T, w.b, first)
		reload()
		_, err := coretest.TryConnect(w.T, w.b, l)
		return reasonOf(err)
	}
}

// stuck publishes ten messages to a client that does not read, and returns what it gets at last.
func stuck(w *world, c *coretest.Client, reload func()) string {
	p := w.client("")
	w.sub(c, "topic/a")
	c.Block()
	w.pub(p, "topic/a", "0")
	reload()
	w.pub(p, "topic/a", "1", "2", "3", "4", "5", "6", "7", "8", "9")
	c.Unblock()
	synctest.Wait()
	return fmt.Sprint(c.Len())
}

// overflowing is stuck with an outbox that is too small, and returns why the client has to go.
func overflowing(w *world, c *coretest.Client, reload func()) string {
	w.relimit(func(l *core.Limits) { l.OutboxMessages = 3 })
	stuck(w, c, reload)
	return reasonOf(c.Err())
}

// consuming publishes five messages to a queue, and returns how many the consumer gets, which settles none.
func consuming(early bool) func(*world, *coretest.Client, func()) string {
	return func(w *world, c *coretest.Client, reload func()) string {
		if early {
			w.sub(c, jobs, individual)
		}
		reload()
		if !early {
			w.sub(c, jobs, individual)
		}
		w.pub(w.client(""), jobs, "1", "2", "3", "4", "5")
		synctest.Wait()
		return fmt.Sprint(c.Len())
	}
}

// waiting publishes five messages to the private queue of a subscription, and returns how many wait there.
func waiting(w *world, c *coretest.Client, reload func()) string {
	w.sub(c, "topic/a", individual, credit(1))
	w.pub(c, "topic/a", "0")
	reload()
	w.pub(c, "topic/a", "1", "2", "3", "4", "5")
	synctest.Wait()
	return fmt.Sprint(w.b.Stats().Queues[0].Ready)
}

// underWay publishes while the engine does nothing, and returns how many publishes have returned.
func underWay(w *world, c *coretest.Client, reload func()) string {
	reload()
	w.disk.Hold()
	n := make(chan int)
	go func() {
		for i := range 5 {
			if c.Publish(w.ctx, msg(jobs, "x"), func(core.Published, error) {}) != nil {
				return
			}
			n <- i
		}
		close(n)
	}()
	returned := 0
	for timeout := time.After(time.Minute); ; {
		select {
		case _, more := <-n:
			if more {
				returned++
				continue
			}
		case <-timeout:
		}
		w.disk.Release()
		for range n { // the others
		}
		return fmt.Sprint(returned)
	}
}

// guessing logs in with wrong passwords, waits, and returns what becomes of the next try, and how long that takes.
func guessing(tries int, wait time.Duration) func(*world, *coretest.Client, func()) string {
	return func(w *world, _ *coretest.Client, reload func()) string {
		try := func() error {
			_, err := w.b.Connect(w.ctx, core.Login{User: "ali", Password: "wrong", Conn: coretest.NewConn()}, nil)
			return err
		}
		for range tries {
			_ = try()
		}
		reload()
		time.Sleep(wait)
		begun := time.Now()
		err := try()
		return fmt.Sprint(reasonOf(err), " ", time.Since(begun))
	}
}

// refusing is refused twenty times, and returns how long that takes.
func refusing(w *world, c *coretest.Client, reload func()) string {
	w.relimit(func(l *core.Limits) { l.Headers = 1 })
	refuse := func() {
		if err := c.Publish(w.ctx, withHeaders(2, 1)(0), nil); reasonOf(err) != "limit_exceeded" {
			w.Error(err)
		}
	}
	refuse()
	reload()
	begun := time.Now()
	for range 20 {
		refuse()
	}
	return fmt.Sprint(time.Since(begun))
}

// watched runs the watch of the memory.
func watched(w *world, _ *coretest.Client, reload func()) string {
	ctx, cancel := context.WithCancel(w.ctx)
	ended := make(chan error, 1)
	go func() { ended <- w.b.Run(ctx, func() {}) }()
	synctest.Wait()
	reload()
	time.Sleep(time.Second)
	budget := w.b.Memory().Budget
	cancel()
	w.ok(<-ended)
	return fmt.Sprint(budget >> 30)
}

// away leaves a session behind, and returns how many are kept after a while.
func away(w *world, _ *coretest.Client, reload func()) string {
	reload()
	w.client("c").Gone()
	w.sleep(2 * time.Minute)
	return fmt.Sprint(w.b.Stats().Kept)
}

// relimits has every limit, by its key.
func relimits() map[string]relimited {
	many := strings.Repeat("a = 1 OR ", 20) + "a = 1"
	durables := subscribing(durable)
	return map[string]relimited{
		"subscriptions":       {func(l *core.Limits) { l.Subscriptions = 1 }, subscribing(), "ok", "limit_exceeded"},
		"private_queues":      {func(l *core.Limits) { l.PrivateQueues = 1 }, subscribing(individual), "ok", "limit_exceeded"},
		"selectors":           {func(l *core.Limits) { l.Selectors = 50 }, subscribing(selector(many)), "ok", "limit_exceeded"},
		"selectors_in_all":    {func(l *core.Limits) { l.SelectorsInAll = 50 }, subscribing(selector(many)), "ok", "limit_exceeded"},
		"outbox_messages":     {func(l *core.Limits) { l.OutboxMessages = 3 }, stuck, "10", "4"},
		"outbox_bytes":        {func(l *core.Limits) { l.OutboxBytes = 3 }, stuck, "10", "4"},
		"outbox_overflow":     {func(l *core.Limits) { l.OutboxOverflow = "disconnect" }, overflowing, "ok", "slow_consumer"},
		"credit":              {func(l *core.Limits) { l.Credit = 2 }, consuming(false), "5", "2"},
		"unacked":             {func(l *core.Limits) { l.Unacked = 3 }, consuming(true), "5", "3"},
		"unacked_publishes":   {func(l *core.Limits) { l.UnackedPublishes = 2 }, underWay, "5", "2"},
		"session_expiry":      {func(l *core.Limits) { l.SessionExpiry = time.Minute }, away, "1", "0"},
		"publish_rate":        {func(l *core.Limits) { l.PublishRate, l.PublishWait = 1, 1 }, publishing(1, 5, numbered), "ok", "rate_exceeded"},
		"publish_bytes":       {func(l *core.Limits) { l.PublishBytes, l.PublishWait = 1, 1 }, publishing(1, 5, numbered), "ok", "rate_exceeded"},
		"user_publish_rate":   {func(l *core.Limits) { l.UserPublishRate, l.PublishWait = 1, 1 }, publishing(1, 5, numbered), "ok", "rate_exceeded"},
		"user_publish_bytes":  {func(l *core.Limits) { l.UserPublishBytes, l.PublishWait = 1, 1 }, publishing(1, 5, numbered), "ok", "rate_exceeded"},
		"refusal_rate":        {func(l *core.Limits) { l.RefusalRate = 1 }, refusing, "0s", "9s"},
		"headers":             {func(l *core.Limits) { l.Headers = 4 }, publishing(1, 1, withHeaders(5, 1)), "ok", "limit_exceeded"},
		"header_bytes":        {func(l *core.Limits) { l.HeaderBytes = 2000 }, publishing(1, 1, withHeaders(3, 1000)), "ok", "limit_exceeded"},
		"retained_messages":   {func(l *core.Limits) { l.RetainedMessages = 1 }, publishing(1, 1, retainedNumber), "ok", "limit_exceeded"},
		"retained_bytes":      {func(l *core.Limits) { l.RetainedBytes = 19 }, publishing(1, 1, retainedNumber), "ok", "limit_exceeded"},
		"user_connections":    {func(l *core.Limits) { l.UserConnections = 2 }, connecting(core.Login{}), "ok", "limit_exceeded"},
		"vhost_connections":   {func(l *core.Limits) { l.VHostConnections = 2 }, connecting(core.Login{}), "ok", "limit_exceeded"},
		"kept_sessions":       {func(l *core.Limits) { l.KeptSessions = 1 }, connecting(core.Login{ClientID: "c", Expiry: time.Hour}), "ok", "limit_exceeded"},
		"user_durable_queues": {func(l *core.Limits) { l.UserDurableQueues = 1 }, durables, "ok", "limit_exceeded"},
		"queues":              {func(l *core.Limits) { l.Queues = 1 }, durables, "ok", "limit_exceeded"},
		"session_queue":       {func(l *core.Limits) { l.SessionQueue = 3 }, waiting, "5", "2"},
		"session_queue_bytes": {func(l *core.Limits) { l.SessionQueueBytes = 3 }, waiting, "5", "2"},
		"login_tries":         {func(l *core.Limits) { l.LoginTries = 100 }, guessing(3, 0), "bad_credentials 2s", "bad_credentials 0s"},
		"login_delay":         {func(l *core.Limits) { l.LoginDelay = 0 }, guessing(5, 0), "too_many_logins 0s", "bad_credentials 0s"},
		"login_delay_most":    {func(l *core.Limits) { l.LoginDelayMost = time.Second }, guessing(5, 0), "too_many_logins 0s", "bad_credentials 1s"},
		"login_forget":        {func(l *core.Limits) { l.LoginForget = time.Second }, guessing(4, 3*time.Second), "bad_credentials 1s", "bad_credentials 0s"},
		"memory":              {func(l *core.Limits) { l.Memory = 3 << 30 }, watched, "2", "3"},
		"publish_wait": {
			func(l *core.Limits) { l.PublishWait = time.Minute },
			func(w *world, c *coretest.Client, reload func()) string {
				w.relimit(func(l *core.Limits) { l.PublishRate, l.PublishWait = 1, 1 })
				return publishing(1, 5, numbered)(w, c, reload)
			},
			"rate_exceeded", "ok",
		},
	}
}

// TestReloadOfLimits changes every limit while clients are connected, for which it holds at once.
func TestReloadOfLimits(t *testing.T) {
	wrong := coretest.Authenticate(func(_ context.Context, l *core.Login) (core.Principal, error) {
		if l.Password != "" {
			return core.Principal{}, core.ErrLogin
		}
		return core.Principal{}, core.ErrSkip
	})
	kept := []string{"transactions", "transaction_ops", "transaction_bytes"} // by the protocols: see TestLimits of stomp
	all := relimits()
	limits := reflect.TypeFor[core.Limits]()
	for f := range limits.Fields() {
		key := f.Tag.Get("koanf")
		if f.Tag.Get("restart") != "" {
			t.Errorf("%s needs a restart", key)
		}
		if _, tested := all[key]; !tested && !slices.Contains(kept, key) {
			t.Errorf("%s: nobody tests that a reload changes it", key)
		}
	}
	if len(all)+len(kept) != limits.NumField() {
		t.Errorf("%d of %d limits", len(all)+len(kept), limits.NumField())
	}
	for key, c := range all {
		t.Run(key, func(t *testing.T) {
			run := func(name, want string, change func(*core.Limits)) {
				t.Run(name, func(t *testing.T) {
					inMemory(t, func(t *testing.T, w *world) {
						client := w.client("")
						if got := c.probe(w, client, func() { w.relimit(change) }); got != want {
							t.Errorf("got %s, want %s", got, want)
						}
					}, wrong, coretest.Limits(func(l *core.Limits) { l.Memory = 2 << 30 }))
				})
			}
			run("before", c.before, func(*core.Limits) {})
			run("after", c.after, c.change)
		})
	}
}

// What is raised, or lowered and raised again, is there for who waits already.
func TestRaised(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		c, p := w.client(""), w.client("")
		unacked := func(n int) { w.relimit(func(l *core.Limits) { l.Unacked = n }) }
		w.sub(c, "queue/a", individual, credit(1000))
		w.sub(c, "queue/b", individual, credit(1000))
		w.pub(p, "queue/a", "1", "2")
		w.pub(p, "queue/b", "3", "4", "5", "6")
		got := w.want(c, "1 2 3")
		unacked(1)
		w.settle(c, core.Accepted, got[0], got[1])
		w.nothing(c) // there is one
		unacked(2)
		w.want(c, "4")
		unacked(4)
		w.want(c, "5 6")
	}, coretest.Limits(func(l *core.Limits) { l.Unacked = 3 }))
}

// Rates change for who is connected, those of a user for all connections together, and are gone when nobody wants them.
func TestReloadOfRates(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		a, b := w.client("a"), w.client("b")
		took := func() time.Duration {
			begun := time.Now()
			for range 11 {
				w.pub(a, "topic/a", "x")
				w.pub(b, "topic/a", "x")
			}
			return time.Since(begun)
		}
		for _, step := range []struct {
			rate int
			want time.Duration
		}{{0, 0}, {10, 1100 * time.Millisecond}, {2, 9500 * time.Millisecond}, {0, 0}} {
			w.relimit(func(l *core.Limits) { l.UserPublishRate = step.rate })
			if d := took(); d != step.want {
				t.Errorf("%d a second: 22 publishes took %v, want %v", step.rate, d, step.want)
			}
		}
	})
}
