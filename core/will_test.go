package core_test

import (
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/wyemq/wye/core"
	"github.com/wyemq/wye/core/coretest"
)

func willing(t *testing.T, w *world, delay, expiry time.Duration) *coretest.Client {
	t.Helper()
	return coretest.Connect(t, w.b, core.Login{
		ClientID: "c", Expiry: expiry, Will: msg("topic/will", "will"), WillDelay: delay,
	})
}

// A will is published when the session ends without a goodbye, with its publisher's name.
func TestWill(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		watch := w.client("")
		w.sub(watch, "topic/will")
		willing(t, w, 0, 0).Gone()
		if d := w.want(watch, "will")[0]; d.Publisher != "c" || d.Timestamp.IsZero() {
			t.Errorf("published by %q at %v", d.Publisher, d.Timestamp)
		}
		c := willing(t, w, 0, 0)
		c.DropWill()
		c.Gone()
		w.nothing(watch)
	})
}

// A delayed will waits for its delay, or for the end of the session, whichever is first.
func TestWillDelay(t *testing.T) {
	for name, c := range map[string]struct{ delay, expiry, after time.Duration }{
		"delay":            {time.Minute, time.Hour, time.Minute},
		"session expires":  {time.Hour, time.Minute, time.Minute},
		"no expiry at all": {time.Hour, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				watch := w.client("")
				w.sub(watch, "topic/will")
				willing(t, w, c.delay, c.expiry).Gone()
				if c.after > 0 {
					w.sleep(c.after - time.Millisecond)
					w.nothing(watch)
					w.sleep(time.Millisecond)
				}
				w.want(watch, "will")
				w.sleep(2 * time.Hour)
				w.nothing(watch) // once
			})
		})
	}
}

// A client that comes back in time cancels its will [MQTT-3.1.3-9].
func TestWillOfClientThatComesBack(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		watch := w.client("")
		w.sub(watch, "topic/will")
		willing(t, w, time.Minute, time.Hour).Gone()
		w.sleep(30 * time.Second)
		c := w.client("c")
		w.sleep(time.Hour)
		c.Gone() // without a will of its own
		w.nothing(watch)
	})
}

// CleanStart ends the session before, and with it the wait of its will [MQTT-3.1.3-9].
func TestWillOfSessionThatIsThrownAway(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		watch := w.client("")
		w.sub(watch, "topic/will")
		willing(t, w, time.Minute, time.Hour).Gone()
		w.nothing(watch)
		coretest.Connect(t, w.b, core.Login{ClientID: "c", CleanStart: true})
		w.want(watch, "will")
	})
}

// A take-over ends a connection without a goodbye: the will of the one before is published.
func TestWillAndTakeover(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		watch := w.client("")
		w.sub(watch, "topic/will")
		willing(t, w, 0, 0)
		w.client("c")
		w.want(watch, "will")
	})
}

// Wills obey the same rules as every publish: names, authorizers; and they can be retained.
func TestWillRules(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		for dest, want := range map[string]error{"topic/no": core.ErrDenied, "topic/+": core.ErrInvalid} {
			_, err := coretest.TryConnect(t, w.b, core.Login{ClientID: "c", Will: msg(dest, "x"), Expiry: time.Hour})
			if !errors.Is(err, want) {
				t.Errorf("login with a will for %s: %v", dest, err)
			}
			if s := w.b.Stats(); s.Sessions+s.Kept > 0 {
				t.Errorf("there are %d sessions, %d kept, after the login was refused", s.Sessions, s.Kept)
			}
		}
		m := msg("topic/will", "will")
		m.Retain = true
		coretest.Connect(t, w.b, core.Login{Will: m}).Gone()
		c := w.client("")
		w.sub(c, "topic/will")
		if d := w.want(c, "will")[0]; !d.FromRetained {
			t.Error("the will was not retained")
		}
	}, coretest.Authorize(coretest.DenyOn(core.OpPublish, "topic/no")))
}

// A will is not published when its client may not do that any more at the time of its end.
func TestWillDenied(t *testing.T) {
	var denied atomic.Bool
	inWorld(t, func(t *testing.T, w *world) {
		denied.Store(false)
		watch := w.client("")
		w.sub(watch, "topic/will")
		c := willing(t, w, 0, time.Hour)
		denied.Store(true)
		c.Gone()
		w.nothing(watch)
		denied.Store(false)
		willing(t, w, time.Minute, time.Hour).Gone()
		w.sleep(time.Minute)
		w.want(watch, "will")
	}, coretest.Authorize(func(_ *core.Principal, op core.Op, _ string) error {
		if op == core.OpPublish && denied.Load() {
			return core.ErrDenied
		}
		return nil
	}))
}
