package enginetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/wyemq/wye/core/engine"
)

func logChecks() []Check {
	return []Check{
		{"Log/Roundtrip", roundtrip},
		{"Log/NextMoves", nextMoves},
		{"Log/NextLimits", nextLimits},
		{"Log/Lanes", laneOrder},
		{"Log/WithoutLanes", withoutLanes},
		{"Log/Ready", readyIsCalled},
		{"Log/SettleOutOfOrder", settleOutOfOrder},
		{"Log/SettleUnknown", settleUnknown},
		{"Log/Failed", failedCounts},
		{"Log/Browse", browseShows},
		{"Log/Purge", purge},
		{"Log/Stats", stats},
		{"Log/Visible", visible},
		{"Log/Concurrent", concurrent},
	}
}

func roundtrip(t testing.TB, e engine.Engine) {
	m := message("body")
	m.Header, m.Expires = []byte{0, 1, 2}, time.Now().Add(time.Hour)
	m.Dest, m.Priority, m.Beside = "topic/a/b", 7, 1500
	mustCommit(t, e, engine.Op{Kind: engine.Append, Logs: []engine.LogID{"a", "b"}, Msg: m})
	for _, id := range []engine.LogID{"a", "b"} {
		l, _ := open(t, e, id, engine.LogOptions{})
		recs := next(t, l, 10)
		if len(recs) != 1 {
			t.Fatalf("%d records, want 1", len(recs))
		}
		got := recs[0].Msg
		if recs[0].Seq == 0 || got.ID != m.ID || got.Dest != m.Dest || string(got.Body) != "body" ||
			string(got.Header) != string(m.Header) || !got.Expires.Equal(m.Expires) || !got.Stored.Equal(m.Stored) ||
			!got.Visible.IsZero() || got.Priority != 7 || got.Beside != 1500 {
			t.Errorf("got %+v, want %+v", got, m)
		}
		if s := l.Stats(); s.Bytes != uint64(m.Size()) {
			t.Errorf("Stats: %+v, want %d bytes", s, m.Size())
		}
	}
}

func nextMoves(t testing.TB, e engine.Engine) {
	mustCommit(t, e, appends("q", "a b c")...)
	l, _ := open(t, e, "q", engine.LogOptions{})
	expect(t, "first", next(t, l, 2), "a b")
	mustCommit(t, e, appends("q", "d")...)
	expect(t, "second", next(t, l, 9), "c d")
	expect(t, "third", next(t, l, 9), "")
}

func nextLimits(t testing.TB, e engine.Engine) {
	large := strings.Repeat("x", 1000)
	mustCommit(t, e, appends("q", large+" b "+large+" d e")...)
	l, _ := open(t, e, "q", engine.LogOptions{})
	for _, want := range []string{large, "b " + large, "d e"} {
		recs, err := l.Next(10, 100)
		if err != nil {
			t.Fatalf("Next: %v", err)
		}
		expect(t, "Next(10, 100)", recs, want)
	}
}

func laneOrder(t testing.TB, e engine.Engine) {
	l, _ := open(t, e, "q", engine.LogOptions{Lanes: true})
	mustCommit(t, e, appends("q", "a b!9 c!0 d e!5 f!9 g!0")...)
	expect(t, "lanes", next(t, l, 3), "b!9 f!9 e!5")
	mustCommit(t, e, appends("q", "h!7 i!4")...)
	expect(t, "lanes later", next(t, l, 9), "h!7 a d i!4 c!0 g!0")
	release(t, l)
	l, _ = open(t, e, "q", engine.LogOptions{Lanes: true})
	expect(t, "lanes after Open", next(t, l, 9), "b!9 f!9 h!7 e!5 a d i!4 c!0 g!0")
}

func withoutLanes(t testing.TB, e engine.Engine) {
	mustCommit(t, e, appends("q", "a!1 b!9 c!0")...)
	l, _ := open(t, e, "q", engine.LogOptions{})
	expect(t, "without lanes", next(t, l, 9), "a!1 b!9 c!0")
}

func readyIsCalled(t testing.TB, e engine.Engine) {
	l, ready := open(t, e, "q", engine.LogOptions{})
	for i := range 50 {
		e.Commit(&engine.Batch{Ops: appends("q", strconv.Itoa(i))}, nil)
		for {
			wait(t, "Ready", ready)
			if recs := next(t, l, 10); len(recs) > 0 {
				expect(t, "after Ready", recs, strconv.Itoa(i))
				break
			}
		}
	}
}

func settleOutOfOrder(t testing.TB, e engine.Engine) {
	l, _ := open(t, e, "q", engine.LogOptions{Lanes: true})
	mustCommit(t, e, appends("q", "a b c d e f")...)
	recs := next(t, l, 4)
	mustCommit(t, e, settle(l, recs[2].Seq, recs[0].Seq))
	unread := browse(t, l, 0)[3].Seq // f
	mustCommit(t, e, settle(l, unread))
	expect(t, "settled before it was read", next(t, l, 9), "e")
	expect(t, "left", browse(t, l, 0), "b d e")
	release(t, l)
	l, _ = open(t, e, "q", engine.LogOptions{Lanes: true})
	expect(t, "after Open", next(t, l, 9), "b d e")
	last := browse(t, l, 0)[2].Seq
	for _, r := range browse(t, l, 0) {
		mustCommit(t, e, settle(l, r.Seq))
	}
	mustCommit(t, e, appends("q", "g")...)
	recs = next(t, l, 9)
	expect(t, "after a drain", recs, "g")
	if len(recs) == 1 && (recs[0].Seq <= last || recs[0].Seq <= unread) {
		t.Errorf("Seq %d was used before", recs[0].Seq)
	}
}

func settleUnknown(t testing.TB, e engine.Engine) {
	l, _ := open(t, e, "q", engine.LogOptions{})
	mustCommit(t, e, appends("q", "a b")...)
	seq := browse(t, l, 0)[0].Seq
	for range 2 {
		mustCommit(t, e, settle(l, seq, seq, 1<<40),
			engine.Op{Kind: engine.Failed, Log: l, Seqs: []engine.Seq{seq, 1 << 40}})
	}
	expect(t, "left", next(t, l, 9), "b")
	if s := l.Stats(); s.Depth != 1 || s.Bytes != 1 {
		t.Errorf("Stats: %+v", s)
	}
}

func failedCounts(t testing.TB, e engine.Engine) {
	l, _ := open(t, e, "q", engine.LogOptions{})
	mustCommit(t, e, appends("q", "a b")...)
	recs := next(t, l, 9)
	for range 2 {
		mustCommit(t, e, engine.Op{Kind: engine.Failed, Log: l, Seqs: []engine.Seq{recs[0].Seq}})
	}
	expect(t, "Browse", browse(t, l, 0), "a:2 b")
	release(t, l)
	l, _ = open(t, e, "q", engine.LogOptions{})
	expect(t, "after Open", next(t, l, 9), "a:2 b")
}

func browseShows(t testing.TB, e engine.Engine) {
	l, _ := open(t, e, "q", engine.LogOptions{Lanes: true})
	var want []string
	for i := range 300 {
		want = append(want, fmt.Sprintf("%d!%d", i, i%10))
	}
	mustCommit(t, e, appends("q", strings.Join(want, " "))...)
	next(t, l, 5)
	recs := browse(t, l, 0)
	expect(t, "all, in order of Seq", recs, strings.Join(want, " "))
	expect(t, "from", browse(t, l, recs[200].Seq), strings.Join(want[200:], " "))
	n := 0
	err := l.Browse(t.Context(), 0, func(r engine.Record) bool {
		mustCommit(t, e, settle(l, r.Seq)) // fn may call anything
		n++
		return n < 10
	})
	if err != nil || n != 10 {
		t.Errorf("Browse stopped after %d: %v", n, err)
	}
	expect(t, "after that", browse(t, l, 0), strings.Join(want[10:], " "))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err = l.Browse(ctx, 0, func(engine.Record) bool { return true })
	isErr(t, "Browse with a ctx that is done", err, context.Canceled)
	if got := len(next(t, l, 1000)); got < 285 {
		t.Errorf("Browse moved the position: %d left", got)
	}
}

func purge(t testing.TB, e engine.Engine) {
	l, _ := open(t, e, "q", engine.LogOptions{Lanes: true})
	mustCommit(t, e, appends("q", "aa b!9 c ddd e")...)
	recs := next(t, l, 2) // b, aa
	n, bytes, err := l.Purge(t.Context(), recs[1].Seq, recs[0].Seq)
	if err != nil || n != 3 || bytes != 5 {
		t.Errorf("Purge: %d records, %d bytes, %v", n, bytes, err)
	}
	mustCommit(t, e, appends("q", "f")...)
	expect(t, "Next", next(t, l, 9), "f")
	expect(t, "Browse", browse(t, l, 0), "aa b!9 f")
	if n, bytes, err = l.Purge(t.Context()); err != nil || n != 3 || bytes != 6 {
		t.Errorf("Purge of all: %d records, %d bytes, %v", n, bytes, err)
	}
	mustCommit(t, e, appends("q", "g")...)
	expect(t, "after Purge of all", next(t, l, 9), "g")
}

func stats(t testing.TB, e engine.Engine) {
	l, _ := open(t, e, "q", engine.LogOptions{})
	if s := l.Stats(); s.Depth != 0 || s.Bytes != 0 || s.FirstSeq != s.EndSeq {
		t.Errorf("of an empty log: %+v", s)
	}
	mustCommit(t, e, appends("q", "a bb ccc")...)
	recs := browse(t, l, 0)
	mustCommit(t, e, settle(l, recs[0].Seq))
	s := l.Stats()
	if s.Depth != 2 || s.Bytes != 5 || s.FirstSeq != recs[1].Seq || s.EndSeq <= recs[2].Seq {
		t.Errorf("got %+v", s)
	}
	mustCommit(t, e, settle(l, recs[1].Seq, recs[2].Seq))
	if end := l.Stats(); end.Depth != 0 || end.Bytes != 0 || end.FirstSeq != end.EndSeq || end.EndSeq < s.EndSeq {
		t.Errorf("after all are settled: %+v", end)
	}
}

func visible(t testing.TB, e engine.Engine) {
	l, ready := open(t, e, "q", engine.LogOptions{})
	tick := max(e.Caps().VisibleTick, 30*time.Millisecond)
	start := time.Now()
	var ops []engine.Op
	for body, after := range map[string]int{"3": 3, "1": 1, "2": 2, "0": 0} {
		m := message(body)
		if after > 0 {
			m.Visible = start.Add(time.Duration(after) * tick)
		}
		ops = append(ops, engine.Op{Kind: engine.Append, Logs: []engine.LogID{"q"}, Msg: m})
	}
	far := message("far")
	far.Visible = start.Add(time.Hour)
	mustCommit(t, e, append(ops, engine.Op{Kind: engine.Append, Logs: []engine.LogID{"q"}, Msg: far})...)
	var got []string
	for len(got) < 4 {
		for _, r := range next(t, l, 9) {
			if r.Msg.Visible.After(time.Now()) {
				t.Errorf("%s came %v early", r.Msg.Body, time.Until(r.Msg.Visible))
			}
			got = append(got, string(r.Msg.Body))
		}
		if len(got) < 4 {
			wait(t, "Ready", ready)
		}
	}
	if !slices.Equal(got, []string{"0", "1", "2", "3"}) {
		t.Errorf("order %v", got)
	}
	if n := len(browse(t, l, 0)); n != 5 {
		t.Errorf("Browse shows %d, want 5", n)
	}
	first := browse(t, l, 0)[0]
	mustCommit(t, e, engine.Op{Kind: engine.Failed, Log: l, Seqs: []engine.Seq{first.Seq}})
	release(t, l, first.Seq)
	l, _ = open(t, e, "q", engine.LogOptions{})
	recs := next(t, l, 9)
	if len(recs) != 4 {
		t.Errorf("after Open %d are readable, want 4", len(recs))
	}
	for _, r := range recs {
		if was := r.Seq == first.Seq; r.Redelivered != was || (r.Deliveries == 1) != was {
			t.Errorf("after Open %s is %+v; failed and handed out was %d", r.Msg.Body, r, first.Seq)
		}
	}
	if _, _, err := l.Purge(t.Context()); err != nil || l.Stats().Depth != 0 {
		t.Errorf("Purge leaves %+v: %v", l.Stats(), err)
	}
}

func ownerChecks() []Check {
	return []Check{
		{"Owner/One", oneOwner},
		{"Owner/Release", releaseRemembers},
		{"Owner/Drop", drop},
		{"Owner/Logs", logs},
	}
}

func oneOwner(t testing.TB, e engine.Engine) {
	l, _ := open(t, e, "q", engine.LogOptions{})
	_, err := e.Open(t.Context(), "q", engine.LogOptions{})
	isErr(t, "second Open", err, engine.ErrNotOwner)
	mustCommit(t, e, appends("q", "a b")...)
	recs := next(t, l, 1)
	release(t, l)
	release(t, l)
	isErr(t, "Settle after Release", commit(t, e, settle(l, recs[0].Seq)), engine.ErrNotOwner)
	if _, err := l.Next(1, 1); !errors.Is(err, engine.ErrNotOwner) {
		t.Errorf("Next after Release: %v", err)
	}
	anew, _ := open(t, e, "q", engine.LogOptions{})
	isErr(t, "Settle by the old owner", commit(t, e, settle(l, recs[0].Seq)), engine.ErrNotOwner)
	release(t, l) // must not take it from the new one
	expect(t, "the new owner reads", next(t, anew, 9), "a b")
}

func releaseRemembers(t testing.TB, e engine.Engine) {
	l, _ := open(t, e, "q", engine.LogOptions{})
	mustCommit(t, e, appends("q", "a b c d")...)
	recs := next(t, l, 3)
	expect(t, "at first", recs, "a b c")
	release(t, l, recs[1].Seq)
	l, _ = open(t, e, "q", engine.LogOptions{})
	recs = next(t, l, 9)
	expect(t, "one was handed out", recs, "a b* c d")
	release(t, l, recs[0].Seq)
	l, _ = open(t, e, "q", engine.LogOptions{})
	expect(t, "then another", next(t, l, 9), "a* b* c d")
}

func drop(t testing.TB, e engine.Engine) {
	l, _ := open(t, e, "q", engine.LogOptions{})
	mustCommit(t, e, appends("q", "a")...)
	if err := e.Drop(t.Context(), "q"); err != nil {
		t.Fatalf("Drop: %v", err)
	}
	wait(t, "Lost", l.Lost())
	isErr(t, "Settle after Drop", commit(t, e, settle(l, 1)), engine.ErrNotOwner)
	release(t, l)
	if err := e.Drop(t.Context(), "never was"); err != nil {
		t.Errorf("Drop of nothing: %v", err)
	}
	mustCommit(t, e, appends("q", "b")...)
	l, _ = open(t, e, "q", engine.LogOptions{})
	expect(t, "made anew", next(t, l, 9), "b")
}

func logs(t testing.TB, e engine.Engine) {
	mustCommit(t, e, append(append(appends("q/b", "x y"), appends("q/a", "x")...), appends("r/a", "x")...)...)
	open(t, e, "q/c", engine.LogOptions{})
	list := func(prefix string, most int) (got []string) {
		err := e.Logs(t.Context(), prefix, func(id engine.LogID, s engine.Stats) bool {
			got = append(got, fmt.Sprintf("%s=%d", id, s.Depth))
			return len(got) < most
		})
		if err != nil {
			t.Errorf("Logs: %v", err)
		}
		return got
	}
	for _, c := range []struct {
		prefix string
		most   int
		want   string
	}{{"q/", 9, "q/a=1 q/b=2 q/c=0"}, {"", 2, "q/a=1 q/b=2"}, {"r", 9, "r/a=1"}, {"none", 9, ""}} {
		if got := strings.Join(list(c.prefix, c.most), " "); got != c.want {
			t.Errorf("Logs(%q): %s, want %s", c.prefix, got, c.want)
		}
	}
}
