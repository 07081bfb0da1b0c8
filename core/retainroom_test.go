package core_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wyemq/wye/core"
	"github.com/wyemq/wye/core/coretest"
)

// retainable are the bytes that may be retained in these tests.
func retainable(bytes int64) coretest.Option {
	return coretest.Limits(func(l *core.Limits) { l.RetainedBytes = bytes })
}

// keep retains a message of so many bytes; 0 clears the topic.
func (w *world) keep(c *coretest.Client, topic string, bytes int, change ...func(*core.Message)) error {
	w.Helper()
	_, err := w.send(c, "topic/"+topic, strings.Repeat("x", bytes), append(change, retain)...)
	return err
}

// tooMuch wants an error that names the limit.
func tooMuch(t *testing.T, what, limit string, err error) {
	t.Helper()
	if !errors.Is(err, core.ErrLimit) || !strings.Contains(err.Error(), "("+limit+")") {
		t.Errorf("%s: %v", what, err)
	}
}

// The bytes of retained messages are bounded: what is replaced, cleared or has expired counts no longer.
func TestRetainedBytes(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		c := w.client("")
		for _, step := range []struct {
			what, topic string
			bytes       int
			ok          bool
			all         int64
		}{
			{"the first", "a", 600, true, 600},
			{"one too large", "b", 401, false, 600},
			{"one that fits", "b", 400, true, 1000},
			{"the smallest", "c", 1, false, 1000},
			{"a larger one", "a", 601, false, 1000},
			{"one as large", "a", 600, true, 1000},
			{"a smaller one", "a", 300, true, 700},
			{"a larger one where there is room", "b", 700, true, 1000},
			{"clear", "b", 0, true, 300},
			{"after that", "c", 700, true, 1000},
		} {
			switch err := w.keep(c, step.topic, step.bytes); {
			case step.ok && err != nil:
				t.Errorf("%s: %v", step.what, err)
			case !step.ok:
				tooMuch(t, step.what, "limits.retained_bytes", err)
			}
			if got := w.b.Stats().RetainedBytes; got != step.all {
				t.Errorf("%s: %d bytes are retained, want %d", step.what, got, step.all)
			}
		}
		if got := w.b.Stats().Limits["retained_bytes"].Refused; got != 3 {
			t.Errorf("%d refusals were counted", got)
		}
		w.ok(w.keep(c, "c", 700, expires(time.Minute)))
		tooMuch(t, "before it expires", "limits.retained_bytes", w.keep(c, "d", 700))
		w.sleep(2 * time.Minute)
		w.ok(w.keep(c, "d", 700))
	}, retainable(1000))
}

// What has expired makes room for new topics, though nothing is retained meanwhile.
func TestRetainedTopicsExpire(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		c := w.client("")
		w.ok(w.keep(c, "a", 1, expires(time.Minute)))
		tooMuch(t, "another topic", "limits.retained_messages", w.keep(c, "b", 1))
		w.sleep(2 * time.Minute)
		w.ok(w.keep(c, "b", 1))
	}, coretest.Limits(func(l *core.Limits) { l.RetainedMessages = 1 }))
}

// However much is under way, no more becomes retained than may be; and who replaces what is under way is not refused.
func TestRetainedUnderWay(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.disk.Hold()
		publish := func(topic string) chan error {
			c, done := w.client(""), make(chan error, 1)
			m := msg("topic/"+topic, strings.Repeat("x", 600))
			m.Retain = true
			go func() {
				if err := c.Publish(w.ctx, m, func(_ core.Published, err error) { done <- err }); err != nil {
					done <- err
				}
			}()
			synctest.Wait()
			return done
		}
		first, same, other := publish("a"), publish("a"), publish("b")
		for _, waiting := range []chan error{first, same, other} {
			if len(waiting) > 0 {
				t.Fatal("nobody waits")
			}
		}
		w.disk.Release()
		w.ok(<-first)
		w.ok(<-same)
		tooMuch(t, "another topic", "limits.retained_bytes", <-other)
	}, retainable(1000))
}

// A will, or a delayed message, for which there is no room when its time has come is published, and not retained.
func TestRetainedLater(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		watch := w.client("")
		w.sub(watch, "topic/will")
		w.sub(watch, "topic/later")
		will := msg("topic/will", "the will")
		will.Retain = true
		dying := coretest.Connect(t, w.b, core.Login{Will: will})
		_, err := w.send(watch, "topic/later", "delayed", retain, func(m *core.Message) { m.Visible = time.Now().Add(time.Minute) })
		w.ok(err)
		w.ok(w.keep(watch, "full", 10))
		dying.Gone()
		w.want(watch, "the will")
		w.sleep(2 * time.Minute)
		w.want(watch, "delayed")
		late := w.client("")
		w.sub(late, "topic/#")
		w.want(late, "xxxxxxxxxx")
		if got := w.b.Stats().Limits["retained_bytes"].Refused; got != 2 {
			t.Errorf("%d refusals were counted", got)
		}
	}, retainable(10))
}

// What was retained before a restart counts after it.
func TestRestartRetainedBytes(t *testing.T) {
	for name, end := range ends {
		t.Run(name, func(t *testing.T) {
			inReborn(t, func(t *testing.T, w *reborn) {
				c := w.client("")
				w.ok(w.keep(c, "a", 600))
				w.ok(w.keep(c, "b", 300))
				w.ok(w.keep(c, "b", 0))
				end(w, time.Second)
				c = w.client("")
				if got := w.b.Stats().RetainedBytes; got != 600 {
					t.Errorf("%d bytes are retained", got)
				}
				tooMuch(t, "another topic", "limits.retained_bytes", w.keep(c, "b", 500))
				w.ok(w.keep(c, "b", 400))
			}, retainable(1000))
		})
	}
}

// Only what is retained counts in max_retained: no will before its time, and nothing that is refused.
func TestMaxRetainedCounts(t *testing.T) {
	few := func(o *core.Options) { o.VHosts = []core.VHost{{Name: "/", MaxRetained: 10}} }
	later := func(w *world, i int) {
		_, err := w.send(w.client(""), fmt.Sprint("topic/later/", i), "x", retain, func(m *core.Message) { m.Visible = time.Now().Add(time.Hour) })
		w.ok(err)
	}
	for name, act := range map[string]func(w *world, i int){
		"wills": func(w *world, i int) {
			will := msg(fmt.Sprint("topic/will/", i), "x")
			will.Retain = true
			coretest.Connect(w.T, w.b, core.Login{Will: will})
		},
		"delayed": later,
		"expired": func(w *world, i int) {
			w.ok(w.keep(w.client(""), fmt.Sprint("expired/", i), 1, func(m *core.Message) { m.Expires = time.Now().Add(-time.Second) }))
		},
		"full": func(w *world, i int) {
			if err := w.keep(w.client(""), fmt.Sprint("full/", i), 1); !errors.Is(err, core.ErrQueueFull) {
				w.Errorf("the group has room: %v", err)
			}
		},
		"engine": func(w *world, i int) {
			w.disk.Fail(errors.New("disk"))
			defer w.disk.Fail(nil)
			if err := w.keep(w.client(""), fmt.Sprint("engine/", i), 1); err == nil {
				w.Error("the engine has failed")
			}
		},
		"transaction": func(w *world, i int) {
			m := msg(fmt.Sprint("topic/tx/", i), "x")
			m.Retain = true
			err := w.client("").Commit(w.ctx, core.Transaction{Sends: []*core.Message{m}, Settles: []core.Settlement{{Tag: 99}}}, nil)
			if !errors.Is(err, core.ErrNotFound) {
				w.Errorf("a tag that nobody knows: %v", err)
			}
		},
		"headers": func(w *world, i int) {
			m := msg(fmt.Sprint("topic/headers/", i), "x")
			m.Retain, m.Header = true, make([]core.Field, 1001)
			if err := w.client("").Publish(w.ctx, m, nil); !errors.Is(err, core.ErrLimit) {
				w.Errorf("1001 headers: %v", err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				c := w.client("")
				w.sub(c, "topic/full/+", group("g"), individual, func(s *core.Subscription) {
					s.Queue, s.Credit = &core.QueueConfig{MaxLength: 1, Overflow: "reject"}, 1
				})
				w.ok(w.keep(c, "full/first", 1))
				for i := range 20 {
					act(w, i)
				}
				for i := range 9 {
					w.ok(w.keep(c, fmt.Sprint("kept/", i), 1))
				}
				tooMuch(t, "the eleventh", "vhosts.max_retained", w.keep(c, "kept/9", 1))
			}, few)
		})
	}
}

// What becomes retained later does not get past max_retained, and neither does a transaction.
func TestMaxRetainedLater(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		c := w.client("")
		for i := range 4 {
			_, err := w.send(c, fmt.Sprint("topic/later/", i), "x", retain, delayed)
			w.ok(err)
			will := msg(fmt.Sprint("topic/will/", i), "x")
			will.Retain = true
			coretest.Connect(t, w.b, core.Login{ClientID: fmt.Sprint(i), Expiry: time.Hour, WillDelay: time.Minute, Will: will}).Gone()
		}
		var tx core.Transaction
		for i := range 4 {
			m := msg(fmt.Sprint("topic/tx/", i), "x")
			m.Retain = true
			tx.Sends = append(tx.Sends, m)
		}
		tooMuch(t, "four in one transaction", "vhosts.max_retained", c.Commit(w.ctx, tx, nil))
		w.sleep(2 * time.Minute)
		if got := w.b.Stats().Retained; got != 3 {
			t.Errorf("%d are retained", got)
		}
		if got := w.b.Stats().Limits["max_retained"].Refused; got != 6 {
			t.Errorf("%d refusals were counted", got)
		}
	}, func(o *core.Options) { o.VHosts = []core.VHost{{Name: "/", MaxRetained: 3}} })
}
