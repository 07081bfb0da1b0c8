package enginetest

import (
	"context"
	"testing"
	"time"

	"github.com/wyemq/wye/core/engine"
)

// DurableCheck is a promise of engines whose Caps say Durable: what was committed is there when the store is opened
// again. Run calls open for that, having closed the engine before.
type DurableCheck struct {
	Name string
	Run  func(t testing.TB, open func() engine.Engine)
}

// DurableChecks returns all of them. Most callers want [TestDurable].
func DurableChecks() []DurableCheck {
	return []DurableCheck{
		{"Restart/Messages", restartMessages},
		{"Restart/Seqs", restartSeqs},
		{"Restart/Deliveries", restartDeliveries},
		{"Restart/Released", restartReleased},
		{"Restart/NotReleased", restartNotReleased},
		{"Restart/State", restartState},
		{"Restart/Retained", restartRetained},
		{"Restart/Visible", restartVisible},
		{"Restart/Gone", restartGone},
		{"Restart/Model", restartModel},
	}
}

// TestDurable runs every durable check as a subtest. store returns a function that opens one store, empty at first,
// again and again.
func TestDurable(t *testing.T, store func(t testing.TB) (open func() engine.Engine)) {
	t.Helper()
	for _, c := range DurableChecks() {
		t.Run(c.Name, func(t *testing.T) {
			open := store(t)
			var last engine.Engine
			defer func() {
				if last != nil {
					shut(t, last)
				}
			}()
			c.Run(t, func() engine.Engine {
				last = open()
				return last
			})
		})
	}
}

func shut(t testing.TB, e engine.Engine) {
	t.Helper()
	if err := e.Close(context.Background()); err != nil {
		t.Errorf("Close: %v", err)
	}
}

// restart closes e and opens its store again.
func restart(t testing.TB, e engine.Engine, open func() engine.Engine) engine.Engine {
	t.Helper()
	shut(t, e)
	return open()
}

func restartMessages(t testing.TB, open func() engine.Engine) {
	e := open()
	m := message("body")
	m.Header, m.Dest, m.Priority, m.Beside = []byte{0, 1, 2}, "topic/a/b", 7, 1500
	m.Expires = time.Now().Add(time.Hour)
	mustCommit(t, e, engine.Op{Kind: engine.Append, Logs: []engine.LogID{"q"}, Msg: m})
	mustCommit(t, e, appends("q", "a b c d")...)
	large := message(string(make([]byte, 10_000)))
	mustCommit(t, e, engine.Op{Kind: engine.Append, Logs: []engine.LogID{"x", "y", "z"}, Msg: large})
	l, _ := openLog(t, e, "q", engine.LogOptions{})
	recs := next(t, l, 9)
	mustCommit(t, e, settle(l, recs[1].Seq, recs[3].Seq))
	release(t, l)
	l, _ = openLog(t, e, "x", engine.LogOptions{})
	mustCommit(t, e, settle(l, next(t, l, 1)[0].Seq))
	release(t, l)

	e = restart(t, e, open)
	l, _ = openLog(t, e, "q", engine.LogOptions{})
	recs = next(t, l, 9)
	expect(t, "after a restart", recs, "body b d")
	if got := recs[0].Msg; got.ID != m.ID || got.Dest != m.Dest || string(got.Header) != string(m.Header) ||
		!got.Expires.Equal(m.Expires) || !got.Stored.Equal(m.Stored) || !got.Visible.IsZero() || got.Priority != 7 || got.Beside != 1500 {
		t.Errorf("got %+v, want %+v", got, m)
	}
	if s := l.Stats(); s.Depth != 3 || s.Bytes != 1506 || s.FirstSeq != recs[0].Seq || s.EndSeq <= recs[2].Seq {
		t.Errorf("Stats: %+v", s)
	}
	for id, want := range map[engine.LogID]int{"x": 0, "y": 1, "z": 1} {
		l, _ := openLog(t, e, id, engine.LogOptions{})
		recs := next(t, l, 9)
		if len(recs) != want || want > 0 && len(recs[0].Msg.Body) != 10_000 {
			t.Errorf("log %s has %d records, want %d", id, len(recs), want)
		}
	}
}

// openLog is open, whose name is that of what opens the store here.
func openLog(t testing.TB, e engine.Engine, id engine.LogID, o engine.LogOptions) (engine.Log, <-chan struct{}) {
	t.Helper()
	return open(t, e, id, o)
}

func restartSeqs(t testing.TB, open func() engine.Engine) {
	e := open()
	var last engine.Seq
	for i := range 4 {
		mustCommit(t, e, appends("q", "a b c")...)
		l, _ := openLog(t, e, "q", engine.LogOptions{})
		recs := next(t, l, 9)
		if len(recs) != 3 || recs[0].Seq <= last {
			t.Fatalf("restart %d: %d records from Seq %d on, the last before was %d", i, len(recs), recs[0].Seq, last)
		}
		last = recs[2].Seq
		mustCommit(t, e, settle(l, recs[0].Seq, recs[1].Seq, recs[2].Seq))
		if i%2 == 0 {
			release(t, l)
		}
		e = restart(t, e, open)
	}
}

func restartDeliveries(t testing.TB, open func() engine.Engine) {
	e := open()
	mustCommit(t, e, appends("q", "a b c")...)
	l, _ := openLog(t, e, "q", engine.LogOptions{})
	recs := next(t, l, 2)
	mustCommit(t, e, engine.Op{Kind: engine.Failed, Log: l, Seqs: []engine.Seq{recs[0].Seq}})
	mustCommit(t, e, engine.Op{Kind: engine.Failed, Log: l, Seqs: []engine.Seq{recs[0].Seq, browse(t, l, 0)[2].Seq}})
	release(t, l)
	e = restart(t, e, open)
	l, _ = openLog(t, e, "q", engine.LogOptions{})
	expect(t, "after a restart", next(t, l, 9), "a:2 b c:1")
	expect(t, "Browse", browse(t, l, 0), "a:2 b c:1")
}

func restartReleased(t testing.TB, open func() engine.Engine) {
	e := open()
	mustCommit(t, e, appends("q", "a b c d")...)
	l, _ := openLog(t, e, "q", engine.LogOptions{})
	recs := next(t, l, 3)
	release(t, l, recs[1].Seq)
	e = restart(t, e, open)
	l, _ = openLog(t, e, "q", engine.LogOptions{})
	recs = next(t, l, 9)
	expect(t, "one was handed out", recs, "a b* c d")
	release(t, l, recs[0].Seq)
	e = restart(t, e, open)
	l, _ = openLog(t, e, "q", engine.LogOptions{})
	expect(t, "then another", next(t, l, 9), "a* b* c d")
}

// restartNotReleased: what Next has given may have been handed out, if nobody says what was.
func restartNotReleased(t testing.TB, open func() engine.Engine) {
	e := open()
	mustCommit(t, e, appends("q", "a b!9 c d!0 e")...)
	mustCommit(t, e, appends("never", "a")...)
	l, _ := openLog(t, e, "q", engine.LogOptions{Lanes: true})
	given := next(t, l, 3)
	mustCommit(t, e, settle(l, given[1].Seq))
	for range 2 {
		e = restart(t, e, open)
	}
	l, _ = openLog(t, e, "q", engine.LogOptions{})
	got := make(map[engine.Seq]bool)
	for _, r := range next(t, l, 9) {
		got[r.Seq] = r.Redelivered
	}
	if len(got) != 4 || !got[given[0].Seq] || !got[given[2].Seq] {
		t.Errorf("Redelivered: %v; given were %d and %d", got, given[0].Seq, given[2].Seq)
	}
	mustCommit(t, e, appends("q", "new")...)
	expect(t, "appended after", next(t, l, 9), "new")
	l, _ = openLog(t, e, "never", engine.LogOptions{})
	expect(t, "a log that nobody has read", next(t, l, 9), "a")
}

func restartState(t testing.TB, open func() engine.Engine) {
	e := open()
	mustCommit(t, e, put("a", "1"), put("b", "2"), put("", "empty"), engine.Op{Kind: engine.Put, Bucket: "b2", Key: "k"})
	mustCommit(t, e, put("a", "3"), put("c", "4"))
	mustCommit(t, e, engine.Op{Kind: engine.Delete, Bucket: "b", Key: "c"})
	_, rev, _ := e.State().Get("b", "a")
	e = restart(t, e, open)
	var got []string
	cancel := e.State().Watch("b", func(key string, val []byte, _ uint64) { got = append(got, key+"="+string(val)) })
	cancel()
	if len(got) != 3 {
		t.Errorf("replay: %q", got)
	}
	for key, want := range map[string]string{"a": "3", "b": "2", "": "empty"} {
		if v, _, ok := e.State().Get("b", key); !ok || string(v) != want {
			t.Errorf("Get(%q): %q %v, want %q", key, v, ok, want)
		}
	}
	if v, _, ok := e.State().Get("b2", "k"); !ok || v == nil || len(v) != 0 {
		t.Errorf("an empty value: %q %v", v, ok)
	}
	if _, _, ok := e.State().Get("b", "c"); ok {
		t.Error("a deleted key is there")
	}
	if _, again, _ := e.State().Get("b", "a"); again != rev {
		t.Errorf("revision %d, it was %d", again, rev)
	}
	mustCommit(t, e, put("c", "5"))
	if _, last, _ := e.State().Get("b", "c"); last <= rev+1 { // the deletion had one, too
		t.Errorf("revision %d was given before", last)
	}
}

func restartRetained(t testing.TB, open func() engine.Engine) {
	e := open()
	mustCommit(t, e, retain("a/b"), retain("a/c"), retain("b"))
	gone := retain("a/gone")
	gone.Msg.Expires = time.Now().Add(-time.Second)
	mustCommit(t, e, gone, engine.Op{Kind: engine.Retain, Topic: "b"},
		engine.Op{Kind: engine.Retain, Topic: "a/c", Msg: message("new")})
	e = restart(t, e, open)
	if got := match(t, e, "#"); got != "a/b new" {
		t.Errorf("after a restart: %s", got)
	}
	bytes := int64(len("a/b" + "new"))
	n, size := e.Retained().Size()
	if n == 3 { // what has expired may count for a while
		bytes += int64(gone.Msg.Size())
	}
	if n < 2 || n > 3 || size != bytes {
		t.Errorf("%d topics with %d bytes", n, size)
	}
}

func restartVisible(t testing.TB, open func() engine.Engine) {
	e := open()
	at := time.Now().Add(max(e.Caps().VisibleTick, 300*time.Millisecond))
	var ops []engine.Op
	for body, after := range map[string]time.Duration{"2": time.Millisecond, "1": 0, "far": time.Hour} {
		op := appends("q", body)[0]
		op.Msg.Visible = at.Add(after)
		ops = append(ops, op)
	}
	mustCommit(t, e, ops...)
	e = restart(t, e, open)
	l, ready := openLog(t, e, "q", engine.LogOptions{Lanes: true})
	early := next(t, l, 9)
	if len(early) > 0 && time.Now().Before(at) {
		t.Errorf("%s came early", words(early))
	}
	got := early
	for len(got) < 2 {
		wait(t, "Ready", ready)
		got = append(got, next(t, l, 9)...)
	}
	expect(t, "when they are due", got, "1 2")
	if n := len(browse(t, l, 0)); n != 3 {
		t.Errorf("Browse shows %d, want 3", n)
	}
}

func restartGone(t testing.TB, open func() engine.Engine) {
	e := open()
	mustCommit(t, e, append(appends("dropped", "a b"), appends("purged", "c d e")...)...)
	mustCommit(t, e, engine.Op{
		Kind: engine.Append, Logs: []engine.LogID{"dropped", "purged", "kept"}, Msg: message(string(make([]byte, 5000))),
	})
	if err := e.Drop(t.Context(), "dropped"); err != nil {
		t.Errorf("Drop: %v", err)
	}
	l, _ := openLog(t, e, "purged", engine.LogOptions{})
	if n, _, err := l.Purge(t.Context(), next(t, l, 1)[0].Seq); err != nil || n != 3 {
		t.Errorf("Purge: %d, %v", n, err)
	}
	release(t, l)
	e = restart(t, e, open)
	var got []string
	err := e.Logs(t.Context(), "", func(id engine.LogID, s engine.Stats) bool {
		got = append(got, string(id))
		if s.Depth != 1 {
			t.Errorf("log %s has %d records", id, s.Depth)
		}
		return true
	})
	if err != nil || len(got) != 2 {
		t.Errorf("Logs: %v, %v", got, err)
	}
	l, _ = openLog(t, e, "purged", engine.LogOptions{})
	expect(t, "purged, but one", next(t, l, 9), "c")
	l, _ = openLog(t, e, "kept", engine.LogOptions{})
	if recs := next(t, l, 9); len(recs) != 1 || len(recs[0].Msg.Body) != 5000 {
		t.Errorf("the body that others had too: %d records", len(recs))
	}
}

// restartModel is Model/Random with restarts.
func restartModel(t testing.TB, open func() engine.Engine) {
	e := open()
	for seed := range uint64(modelSeeds) {
		m := newModel(t, e, 1000+seed)
		for i := range modelSteps {
			m.step()
			if i%40 == 39 {
				m.restart(open)
			}
		}
		m.compare()
		m.end()
		e = m.e
	}
}

// restart opens the store again. Half of the logs are released before.
func (m *model) restart(open func() engine.Engine) {
	for _, l := range m.logs {
		if l.log == nil {
			continue
		}
		clean := m.rnd.IntN(2) == 0
		var handed []engine.Seq
		for _, r := range l.recs {
			switch {
			case !clean:
				r.handed, r.maybe = r.handed || r.given, true
			case r.given && m.rnd.IntN(2) == 0:
				handed, r.handed = append(handed, r.seq), true
			}
			r.given = false
		}
		if clean {
			release(m.t, l.log, handed...)
		}
		l.log = nil
	}
	m.e = restart(m.t, m.e, open)
}
