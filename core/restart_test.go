package core_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wyemq/wye/core"
	"github.com/wyemq/wye/core/coretest"
	"github.com/wyemq/wye/core/engine"
)

// syncing is how long a commit takes on the disk of a reborn world.
const syncing = 5 * time.Millisecond

// reborn is a world on a disk, whose broker can be stopped and killed.
type reborn struct {
	*world
	disk *coretest.Disk
	opts []coretest.Option
}

func inReborn(t *testing.T, fn func(t *testing.T, w *reborn), opts ...coretest.Option) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := &reborn{world: &world{T: t, ctx: t.Context()}, disk: coretest.NewDisk(t), opts: opts}
		w.start()
		fn(t, w)
		synctest.Wait()
	})
}

func (w *reborn) start() {
	w.Helper()
	w.b = coretest.Broker(w.T, append([]coretest.Option{func(o *core.Options) { o.Engine = w.disk.Open() }}, w.opts...)...)
	synctest.Wait()
}

// restart stops the broker, and starts another one on the same disk after a while.
func (w *reborn) restart(away time.Duration) {
	w.Helper()
	w.ok(w.b.Close(context.WithoutCancel(w.ctx)))
	w.sleep(away)
	w.start()
}

// kill is restart without a goodbye.
func (w *reborn) kill(away time.Duration) {
	w.Helper()
	synctest.Wait()
	w.disk.Kill()
	w.ok(w.b.Close(context.WithoutCancel(w.ctx)))
	w.sleep(away)
	w.start()
}

// ends are the two ways in which a broker ends.
var ends = map[string]func(w *reborn, away time.Duration){"stop": (*reborn).restart, "kill": (*reborn).kill}

// inBoth runs fn for both.
func inBoth(t *testing.T, fn func(t *testing.T, w *reborn, again func(away time.Duration)), opts ...coretest.Option) {
	t.Helper()
	for name, end := range ends {
		t.Run(name, func(t *testing.T) {
			inReborn(t, func(t *testing.T, w *reborn) {
				fn(t, w, func(away time.Duration) { w.Helper(); end(w, away) })
			}, opts...)
		})
	}
}

// A message comes back with everything that its publisher has said.
func TestRestartMessage(t *testing.T) {
	inBoth(t, func(t *testing.T, w *reborn, again func(time.Duration)) {
		m := &core.Message{
			Destination: "queue/q", ContentType: "text/plain", Body: []byte("body"), ReplyTo: "queue/r", CorrelationID: "\x00c",
			Header:  []core.Field{{Name: "b", Value: "1"}, {Name: "a", Value: ""}, {Name: "b", Value: "2"}},
			Expires: time.Now().Add(time.Hour), Priority: 3, Persistent: true, ExactlyOnce: true, TextBody: true,
		}
		w.ok(w.client("pub").Publish(w.ctx, m, nil))
		again(time.Minute)
		c := w.client("")
		w.sub(c, "queue/q", individual)
		got := w.want(c, "body")[0].Message
		if diff := differences(m, got); diff != "" {
			t.Error(diff)
		}
		if got.Publisher != "pub" || got.Timestamp.IsZero() || got.Seq == 0 {
			t.Errorf("published by %q at %v, number %d", got.Publisher, got.Timestamp, got.Seq)
		}
	})
}

// A queue keeps its messages in order, and whoever is handed one again is told so: all of them after a crash that may have
// been handed out, exactly them after a stop.
func TestRestartQueue(t *testing.T) {
	inBoth(t, func(t *testing.T, w *reborn, again func(time.Duration)) {
		p, c := w.client(""), w.client("")
		w.pub(p, "queue/q", "1", "2", "3", "4", "5")
		w.sub(c, "queue/q", individual, credit(3))
		ds := w.want(c, "1 2 3")
		w.settle(c, core.Accepted, ds[1])
		w.settle(c, core.Requeue, w.want(c, "4")[0])
		d := w.want(c, "4")[0]
		if d.Attempt != 2 {
			t.Fatalf("attempt %d", d.Attempt)
		}
		w.settle(c, core.Rejected, ds[0])
		w.want(c, "5")
		again(time.Hour)
		c = w.client("")
		w.sub(c, "queue/q", individual)
		for i, d := range w.want(c, "3 4 5") {
			if want := []int{1, 2, 1}[i]; d.Attempt != want || !d.Redelivered {
				t.Errorf("%s: attempt %d, redelivered %v", d.Body, d.Attempt, d.Redelivered)
			}
		}
		w.sub(c, "queue/DLQ.q", individual)
		d = w.want(c, "1")[0]
		if d.Redelivered {
			t.Error("the dead letter was never handed out")
		}
		if v, _ := d.Get("dead-letter-reason"); v != "rejected" {
			t.Errorf("reason %q", v)
		}
	})
}

// After a stop only what clients have had is marked, not what was read ahead.
func TestRestartRedeliveredIsExact(t *testing.T) {
	inReborn(t, func(t *testing.T, w *reborn) {
		p, c := w.client(""), w.client("")
		w.pub(p, "queue/q", "1", "2", "3")
		w.sub(c, "queue/q", individual, credit(1))
		w.want(c, "1")
		w.restart(0)
		c = w.client("")
		w.sub(c, "queue/q", individual)
		for i, d := range w.want(c, "1 2 3") {
			if d.Redelivered != (i == 0) {
				t.Errorf("%s: redelivered %v", d.Body, d.Redelivered)
			}
		}
	})
}

// DESIGN §2: a durable subscription waits for its client, also when the broker does not.
func TestRestartSession(t *testing.T) {
	inBoth(t, func(t *testing.T, w *reborn, again func(time.Duration)) {
		p, c := w.client(""), w.client("a/client")
		w.sub(c, "topic/a/#", durable, credit(2), func(s *core.Subscription) {
			s.Meta, s.Selector, s.NoLocal, s.Priority = []byte("meta"), "x IS NULL", true, 3
		})
		w.sub(c, "topic/direct", func(s *core.Subscription) { s.Meta = []byte("direct") })
		w.sub(c, "topic/gone", durable)
		w.ok(c.Unsubscribe(w.ctx, "topic/gone"))
		w.pub(p, "topic/a/1", "1", "2")
		w.settle(c, core.Accepted, w.want(c, "1 2")[1])
		w.pub(p, "topic/a/1", "3")
		again(time.Minute)
		w.pub(w.client(""), "topic/a/2", "4")
		w.pub(w.client(""), "topic/gone", "no")
		c = w.client("a/client")
		subs, ok := c.Resumed()
		if !ok || len(subs) != 2 {
			t.Fatalf("resumed %+v, %v", subs, ok)
		}
		if subs[0].ID != "topic/a/#" {
			subs[0], subs[1] = subs[1], subs[0]
		}
		s := subs[0]
		if s.Filter != "topic/a/#" || !s.Durable || s.Ack != core.AckIndividual || string(s.Meta) != "meta" ||
			s.Selector != "x IS NULL" || !s.NoLocal || s.Priority != 3 || s.Credit != 2 || string(subs[1].Meta) != "direct" {
			t.Errorf("resumed %+v", subs)
		}
		s.Credit = 10
		w.ok(c.Subscribe(w.ctx, &s))
		for i, d := range w.want(c, "1 3 4") {
			if d.Redelivered != (i < 2) {
				t.Errorf("%s: redelivered %v", d.Body, d.Redelivered)
			}
		}
		if w.hasQueue("a/client:topic/gone") {
			t.Error("a queue is there that nobody has subscribed")
		}
	})
}

// A session that has expired while nobody was there is gone, with its queue; time goes on while the broker does not run.
func TestRestartExpiry(t *testing.T) {
	for name, x := range map[string]struct {
		leave bool
		away  time.Duration
		wait  time.Duration
		stop  bool // is it there after a stop
		kill  bool // after a crash, in which clients that were connected leave when the broker is back
	}{
		"in time":            {true, 20 * time.Minute, 20 * time.Minute, true, true},
		"expired meanwhile":  {true, time.Hour, 0, false, false},
		"expired afterwards": {true, 30 * time.Minute, 40 * time.Minute, false, false},
		"was connected":      {false, 2 * time.Hour, 0, false, true},
		"and does not come":  {false, time.Minute, 2 * time.Hour, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			for end, want := range map[string]bool{"stop": x.stop, "kill": x.kill} {
				t.Run(end, func(t *testing.T) {
					inReborn(t, func(t *testing.T, w *reborn) {
						c := w.client("c")
						w.sub(c, "topic/a", durable)
						if x.leave {
							c.Gone()
							w.sleep(time.Minute)
						}
						ends[end](w, x.away)
						w.sleep(x.wait)
						if got := w.hasQueue("c:topic/a"); got != want {
							t.Errorf("the queue is there: %v, want %v", got, want)
						}
						if _, ok := w.client("c").Resumed(); ok != want {
							t.Errorf("resumed: %v, want %v", ok, want)
						}
					})
				})
			}
		})
	}
}

// Values of the protocol are kept with the session: those that a Sync or PutNow has covered after a crash.
func TestRestartValues(t *testing.T) {
	inBoth(t, func(t *testing.T, w *reborn, again func(time.Duration)) {
		w.disk.Sync(syncing)
		c := w.client("c")
		c.Put("a/1", []byte("one"))
		c.Put("a/2", []byte("two"))
		var synced atomic.Bool
		w.ok(c.Sync(w.ctx, func(err error) { synced.Store(err == nil) }))
		synctest.Wait()
		if synced.Load() {
			t.Error("synced before the disk was")
		}
		w.sleep(syncing)
		if !synced.Load() {
			t.Error("not synced")
		}
		w.ok(c.PutNow(w.ctx, core.Value{Key: "a/2"}, core.Value{Key: "b", Data: []byte{}}))
		again(0)
		c = w.client("c")
		found := map[string]string{}
		c.Keys("", func(k string, v []byte) bool { found[k] = string(v); return true })
		if v, ok := c.Get("b"); len(found) != 2 || found["a/1"] != "one" || !ok || len(v) != 0 {
			t.Errorf("kept %q", found)
		}
	})
}

// What is put before a publish is there after a crash if and only if the message is.
func TestRestartValueAndMessage(t *testing.T) {
	for name, wait := range map[string]time.Duration{"before": 0, "after": syncing} {
		t.Run(name, func(t *testing.T) {
			inReborn(t, func(t *testing.T, w *reborn) {
				c := w.client("c")
				w.sub(c, "queue/q")
				synctest.Wait()
				w.disk.Sync(syncing)
				before, _ := w.disk.Commits()
				c.Put("id", []byte("1"))
				m := &core.Message{Destination: "queue/q", Body: []byte("m"), Persistent: true}
				w.ok(c.Publish(w.ctx, m, func(core.Published, error) {}))
				if after, _ := w.disk.Commits(); after != before+1 {
					t.Errorf("%d commits, want one", after-before)
				}
				w.sleep(wait)
				w.kill(0)
				c = w.client("c")
				_, has := c.Get("id")
				w.sub(c, "queue/q")
				if got := c.Len() == 1; got != has || has != (wait > 0) {
					t.Errorf("the value is there: %v, the message: %v", has, got)
				}
			})
		})
	}
}

// A durable group is there again with what waits in it, its limits and its filter; one that is not durable has gone.
func TestRestartGroup(t *testing.T) {
	inBoth(t, func(t *testing.T, w *reborn, again func(time.Duration)) {
		p, a := w.client(""), w.client("")
		two := func(s *core.Subscription) { s.Queue = &core.QueueConfig{MaxLength: 2, Overflow: "drop_head"} }
		w.sub(a, "topic/a/+", durable, group("g/1"), two)
		w.sub(a, "topic/b", individual, group("h"))
		w.pub(p, "topic/a/1", "1")
		w.want(a, "1")
		again(time.Hour)
		p = w.client("")
		w.pub(p, "topic/a/2", "2", "3")
		b := w.client("")
		if w.hasQueue("h:topic/b") {
			t.Error("a group that is not durable is there")
		}
		w.sub(b, "topic/a/+", durable, group("g/1"))
		w.want(b, "2 3")
		w.ok(b.Unsubscribe(w.ctx, "topic/a/+"))
		w.ok(b.DeleteGroup(w.ctx, "g/1", "topic/a/+"))
		again(0)
		if w.hasQueue("g/1:topic/a/+") {
			t.Error("the group is there after it was deleted")
		}
	})
}

// Retained messages, and delayed ones with their repetitions, are the engine's to keep.
func TestRestartRetainedAndDelayed(t *testing.T) {
	inBoth(t, func(t *testing.T, w *reborn, again func(time.Duration)) {
		p := w.client("")
		_, err := w.send(p, "topic/r", "kept", retain, header("h", "v"))
		w.ok(err)
		_, err = w.send(p, "topic/r2", "cleared", retain)
		w.ok(err)
		_, err = w.send(p, "topic/r2", "", retain)
		w.ok(err)
		_, err = w.send(p, "queue/d", "later", func(m *core.Message) { m.Visible = time.Now().Add(time.Hour) })
		w.ok(err)
		_, err = w.send(p, "queue/d", "again", func(m *core.Message) {
			m.Visible, m.Repeat = time.Now().Add(time.Minute), &core.Repeat{Period: 2 * time.Hour, Count: 1}
			m.Expires = time.Now().Add(5 * time.Hour)
		})
		w.ok(err)
		again(30 * time.Minute)
		c := w.client("")
		w.sub(c, "topic/#")
		if d := w.want(c, "kept")[0]; !d.FromRetained {
			t.Error("not from the retained messages")
		} else if v, _ := d.Get("h"); v != "v" {
			t.Errorf("header %q", v)
		}
		w.sub(c, "queue/d", individual)
		w.settle(c, core.Accepted, w.want(c, "again")...)
		w.sleep(30 * time.Minute)
		w.settle(c, core.Accepted, w.want(c, "later")...)
		again(10 * time.Minute)
		c = w.client("")
		w.sub(c, "queue/d")
		w.sleep(80 * time.Minute)
		w.want(c, "again")
		w.sleep(24 * time.Hour)
		w.nothing(c)
	})
}

// A will of a client that was connected is published when the broker is stopped or, after a crash, when it is back; one that
// waits goes on waiting.
func TestRestartWill(t *testing.T) {
	login := func(id string, expiry, delay time.Duration) core.Login {
		m := msg("topic/will", id)
		m.Persistent, m.Header = true, []core.Field{{Name: "h", Value: id}}
		return core.Login{ClientID: id, Expiry: expiry, Will: m, WillDelay: delay}
	}
	inBoth(t, func(t *testing.T, w *reborn, again func(time.Duration)) {
		watch := w.client("watch")
		w.sub(watch, "topic/will", durable, credit(100))
		connect := func(l core.Login) *coretest.Client { t.Helper(); return coretest.Connect(t, w.b, l) }
		connect(login("clean", 0, time.Hour))
		connect(login("kept", time.Hour, 0))
		connect(login("polite", 0, 0)).DropWill()
		waits := connect(login("waits", 2*time.Hour, time.Hour))
		waits.Gone()
		connect(login("back", time.Hour, 50*time.Minute)).Gone()
		connect(login("fired", 2*time.Hour, time.Minute)).Gone()
		w.sleep(2 * time.Minute)
		again(30 * time.Minute)
		got := map[string]bool{}
		watch = w.back("watch")
		synctest.Wait()
		for _, d := range watch.NextN(t, 3) {
			if h, _ := d.Get("h"); h != string(d.Body) || d.Publisher != h {
				t.Errorf("%s: header %q, publisher %q", d.Body, h, d.Publisher)
			}
			got[string(d.Body)] = true
		}
		if !got["fired"] || !got["clean"] || !got["kept"] {
			t.Errorf("wills of %v", got)
		}
		w.nothing(watch)
		w.client("back")
		again(0)
		watch = w.back("watch")
		synctest.Wait()
		for range watch.Len() {
			if d := watch.Next(t); !d.Redelivered {
				t.Errorf("will of %s, twice", d.Body)
			}
		}
		w.sleep(28*time.Minute - time.Second)
		w.nothing(watch)
		w.sleep(time.Second)
		w.want(watch, "waits")
		w.sleep(24 * time.Hour)
		w.nothing(watch)
	})
}

// DESIGN §4: after a crash all of a transaction has happened, or nothing.
func TestRestartTransaction(t *testing.T) {
	for name, wait := range map[string]time.Duration{"before": 0, "after": syncing} {
		t.Run(name, func(t *testing.T) {
			inReborn(t, func(t *testing.T, w *reborn) {
				p, c := w.client(""), w.client("")
				w.pub(p, "queue/q", "1", "2")
				w.sub(c, "queue/q", individual)
				ds := w.want(c, "1 2")
				w.disk.Sync(syncing)
				var done atomic.Int32
				w.ok(c.Commit(w.ctx, core.Transaction{
					Sends:   []*core.Message{persistent("queue/q", "3"), persistent("queue/r", "4")},
					Settles: []core.Settlement{{Outcome: core.Accepted, Tag: ds[0].Tag}, {Outcome: core.Rejected, Tag: ds[1].Tag}},
				}, func(err error) {
					if err == nil {
						done.Add(1)
					}
				}))
				w.sleep(wait)
				if n := done.Load(); int(n) != int(wait/syncing) {
					t.Errorf("done was called %d times", n)
				}
				w.kill(0)
				w.disk.Sync(0)
				c = w.client("")
				w.sub(c, "queue/q")
				w.sub(c, "queue/r")
				w.sub(c, "queue/DLQ.q")
				if wait == 0 {
					w.want(c, "1 2")
				} else {
					w.want(c, "3 4 2")
				}
			})
		})
	}
}

func persistent(dest, body string) *core.Message {
	return &core.Message{Destination: dest, Body: []byte(body), Persistent: true}
}

// What needs no durability does not come near the disk.
func TestVolatile(t *testing.T) {
	inReborn(t, func(t *testing.T, w *reborn) {
		p := w.client("")
		w.disk.Fail(engine.ErrFull)
		before, _ := w.disk.Commits()
		c := coretest.Connect(t, w.b, core.Login{})
		w.sub(c, c.Temp("x"), individual)
		w.sub(c, "topic/a", individual)
		w.sub(c, "topic/a", individual, group("g"), func(s *core.Subscription) { s.ID = "g" })
		w.sub(c, "topic/a", func(s *core.Subscription) { s.ID = "direct" })
		c.Put("k", []byte("v"))
		w.ok(c.Sync(w.ctx, func(err error) {
			if err != nil {
				t.Error(err)
			}
		}))
		w.ok(c.PutNow(w.ctx, core.Value{Key: "l", Data: []byte("v")}))
		w.pub(p, c.Temp("x"), "1")
		w.settle(c, core.Accepted, w.want(c, "1")...)
		w.pub(p, "topic/a", "2")
		for _, d := range w.want(c, "2 2 2") {
			if d.Tag != 0 {
				w.settle(c, core.Requeue, d)
				w.settle(c, core.Accepted, w.want(c, "2")...)
			}
		}
		w.ok(c.Unsubscribe(w.ctx, "g"))
		c.Gone()
		if after, _ := w.disk.Commits(); after != before {
			t.Errorf("%d commits", after-before)
		}
	})
}

// What is not persistent does not wait for the disk, and loses no place in its queue.
func TestTransientDoesNotWait(t *testing.T) {
	inReborn(t, func(t *testing.T, w *reborn) {
		p := w.client("")
		w.pub(p, "queue/q", "0")
		w.disk.Sync(syncing)
		_, strict := w.disk.Commits()
		_, err := w.send(p, "queue/q", "1", transient)
		w.ok(err)
		if _, now := w.disk.Commits(); now != strict {
			t.Error("it was synced")
		}
		var done atomic.Int32
		w.ok(p.Publish(w.ctx, persistent("queue/q", "2"), func(core.Published, error) { done.Add(1) }))
		m := persistent("queue/q", "3")
		m.Persistent = false
		w.ok(p.Publish(w.ctx, m, func(core.Published, error) { done.Add(1) }))
		synctest.Wait()
		if n := done.Load(); n != 0 {
			t.Errorf("%d are done before the sync, in whatever order", n)
		}
		w.sleep(syncing)
		if n := done.Load(); n != 2 {
			t.Errorf("%d are done after the sync", n)
		}
		c := w.client("")
		w.sub(c, "queue/q")
		w.want(c, "0 1 2 3")
	})
}

// A group whose members needed no durability gets it with the first member that does; what the others hold stays with them.
func TestRestartGroupThatBecomesDurable(t *testing.T) {
	inBoth(t, func(t *testing.T, w *reborn, again func(time.Duration)) {
		p, a, b := w.client(""), w.client(""), w.client("b")
		w.sub(a, "topic/a", individual, group("g"), credit(1))
		w.pub(p, "topic/a", "1", "2")
		one := w.want(a, "1")
		w.sub(b, "topic/a", durable, group("g"), credit(2))
		w.want(b, "2")
		w.pub(p, "topic/a", "3", "4")
		w.settle(a, core.Accepted, one...)
		w.settle(a, core.Accepted, w.want(a, "4")...)
		w.want(b, "3")
		w.pub(p, "topic/a", "5")
		w.want(a, "5")
		again(time.Minute)
		p = w.client("")
		_, err := w.send(p, "topic/a", "6", header("h", "v"))
		w.ok(err)
		b = w.back("b")
		for _, d := range w.want(b, "3 5") { // 2 was promised to nobody
			w.settle(b, core.Accepted, d)
		}
		w.want(b, "6")
	})
}

// A session that is kept is still its user's.
func TestRestartOwner(t *testing.T) {
	inBoth(t, func(t *testing.T, w *reborn, again func(time.Duration)) {
		login := func(user string) core.Login {
			return core.Login{User: user, Password: user, ClientID: "phone", Expiry: time.Hour}
		}
		c := coretest.Connect(t, w.b, login("ann"))
		w.sub(c, "topic/a", durable)
		w.pub(coretest.Connect(t, w.b, core.Login{User: "bob", Password: "bob"}), "topic/a", "1")
		again(time.Minute)
		if _, err := coretest.TryConnect(t, w.b, login("bob")); !errors.Is(err, core.ErrDenied) {
			t.Errorf("taken over: %v", err)
		}
		back := coretest.Connect(t, w.b, login("ann"))
		if _, ok := back.Resumed(); !ok {
			t.Fatal("the session has gone")
		}
		w.sub(back, "topic/a", durable)
		w.want(back, "1")
	}, coretest.Users(map[string]string{"ann": "ann", "bob": "bob"}))
}
