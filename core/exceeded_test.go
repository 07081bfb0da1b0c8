package core_test

import (
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/wyemq/wye/core"
	"github.com/wyemq/wye/core/coretest"
)

// TestLimitsThatWait: limits for which nobody is refused anything, or who is does not hear it at once, are counted and logged, once
// for whoever reaches them.
func TestLimitsThatWait(t *testing.T) {
	all := relimits()
	for key, reason := range map[string]string{
		"outbox_messages": "slow_consumer", "outbox_bytes": "slow_consumer",
		"unacked": "limit_exceeded", "unacked_publishes": "limit_exceeded",
		"session_queue": "queue_full", "session_queue_bytes": "queue_full",
	} {
		t.Run(key, func(t *testing.T) {
			var lines strings.Builder
			log := slog.New(slog.NewTextHandler(&lines, nil))
			inMemory(t, func(t *testing.T, w *world) {
				c := w.client("")
				all[key].probe(w, c, func() { w.relimit(all[key].change) })
				synctest.Wait()
				if s := w.b.Stats().Limits[key]; s.Refused+s.Slowed != 1 || len(w.b.Stats().Limits) != 1 {
					t.Errorf("counted: %+v", w.b.Stats().Limits)
				}
				if text := lines.String(); strings.Count(text, "limit reached") != 1 || !strings.Contains(text, "limit="+key+" ") || !strings.Contains(text, "reason="+reason+" ") {
					t.Errorf("the log:\n%s", text)
				}
			}, func(o *core.Options) { o.Log = log }, coretest.Limits(func(l *core.Limits) { l.OutboxOverflow = "drop_new" }))
		})
	}
}

// Who is ended because he does not read fast enough is told which limit that was.
func TestOutboxDisconnects(t *testing.T) {
	inMemory(t, func(t *testing.T, w *world) {
		c := w.client("")
		stuck(w, c, func() {})
		if err := c.Err(); core.ReasonID(err) != "slow_consumer" || !strings.Contains(err.Error(), "(limits.outbox_messages)") {
			t.Errorf("got %v", err)
		}
	}, coretest.Limits(func(l *core.Limits) { l.OutboxMessages, l.OutboxOverflow = 3, "disconnect" }))
}
