package enginetest

import (
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/wyemq/wye/core/engine"
)

func stateChecks() []Check {
	return []Check{
		{"State/GetPutDelete", getPutDelete},
		{"State/CompareAndSet", compareAndSet},
		{"State/Watch", watch},
		{"State/Barrier", barrier},
	}
}

func put(key, val string) engine.Op {
	return engine.Op{Kind: engine.Put, Bucket: "b", Key: key, Value: []byte(val)}
}

func getPutDelete(t testing.TB, e engine.Engine) {
	s := e.State()
	if v, rev, ok := s.Get("b", "k"); ok || v != nil || rev != 0 {
		t.Errorf("of an empty bucket: %q %d %v", v, rev, ok)
	}
	mustCommit(t, e, put("k", "1"), put("", "empty"), engine.Op{Kind: engine.Put, Bucket: "b2", Key: "k"})
	v, first, ok := s.Get("b", "k")
	if !ok || string(v) != "1" || first == 0 {
		t.Errorf("after Put: %q %d %v", v, first, ok)
	}
	if v, _, ok := s.Get("b2", "k"); !ok || len(v) != 0 {
		t.Errorf("an empty value: %q %v", v, ok)
	}
	if v, _, _ := s.Get("b", ""); string(v) != "empty" {
		t.Errorf("an empty key: %q", v)
	}
	mustCommit(t, e, put("k", "2"))
	if v, rev, _ := s.Get("b", "k"); string(v) != "2" || rev <= first {
		t.Errorf("after the second Put: %q, revision %d after %d", v, rev, first)
	}
	mustCommit(t, e, engine.Op{Kind: engine.Delete, Bucket: "b", Key: "k"}, engine.Op{Kind: engine.Delete, Bucket: "none"})
	if _, _, ok := s.Get("b", "k"); ok {
		t.Error("after Delete it is there")
	}
	mustCommit(t, e, put("k", "3"))
	if _, rev, _ := s.Get("b", "k"); rev <= first {
		t.Errorf("revision %d after %d", rev, first)
	}
}

func compareAndSet(t testing.TB, e engine.Engine) {
	with := func(op engine.Op, rev uint64) engine.Op {
		op.Rev = rev
		return op
	}
	rev := func() uint64 {
		_, rev, _ := e.State().Get("b", "k")
		return rev
	}
	mustCommit(t, e, with(put("k", "1"), engine.Absent))
	isErr(t, "Absent, but it is there", commit(t, e, with(put("k", "2"), engine.Absent)), engine.ErrConflict)
	old := rev()
	mustCommit(t, e, with(put("k", "2"), old))
	isErr(t, "an old revision", commit(t, e, with(put("k", "3"), old)), engine.ErrConflict)
	del := engine.Op{Kind: engine.Delete, Bucket: "b", Key: "k"}
	isErr(t, "Delete of an old revision", commit(t, e, with(del, old)), engine.ErrConflict)
	mustCommit(t, e, with(del, rev()))
	isErr(t, "a revision of what is gone", commit(t, e, with(put("k", "4"), old)), engine.ErrConflict)
	mustCommit(t, e, with(put("k", "5"), engine.Absent))

	const n = 20 // one of many wins
	results := make(chan error, n)
	at := rev()
	for i := range n {
		go e.Commit(&engine.Batch{Ops: []engine.Op{with(put("k", strconv.Itoa(i)), at)}}, func(err error) { results <- err })
	}
	won := 0
	for range n {
		select {
		case err := <-results:
			if err == nil {
				won++
			}
		case <-time.After(patience):
			t.Fatal("done was not called")
		}
	}
	if won != 1 {
		t.Errorf("%d of %d won", won, n)
	}
}

func watch(t testing.TB, e engine.Engine) {
	mustCommit(t, e, put("a", "1"), put("b", "2"), engine.Op{Kind: engine.Put, Bucket: "other", Key: "c", Value: []byte("3")})
	var mu sync.Mutex
	var got []string
	var last uint64
	cancel := e.State().Watch("b", func(key string, val []byte, rev uint64) {
		mu.Lock()
		defer mu.Unlock()
		s := key + "=" + string(val)
		if val == nil {
			s = key + " gone"
		}
		if got = append(got, s); len(got) > 2 && rev <= last {
			t.Errorf("revision %d after %d", rev, last)
		}
		last = max(last, rev)
	})
	take := func() string {
		mu.Lock()
		defer mu.Unlock()
		s := strings.Join(got, ", ")
		return s
	}
	mu.Lock()
	slices.Sort(got)
	mu.Unlock()
	if s := take(); s != "a=1, b=2" {
		t.Fatalf("replay: %s", s)
	}
	mustCommit(t, e, put("a", "4"), put("a", ""))
	mustCommit(t, e, engine.Op{Kind: engine.Delete, Bucket: "b", Key: "b"}, engine.Op{Kind: engine.Put, Bucket: "other", Key: "a"})
	mustCommit(t, e, put("c", "5"))
	if s := take(); s != "a=1, b=2, a=4, a=, b gone, c=5" {
		t.Errorf("changes: %s", s)
	}
	cancel()
	mustCommit(t, e, put("d", "6"))
	if s := take(); strings.Contains(s, "d=") {
		t.Errorf("after cancel: %s", s)
	}
}

func barrier(t testing.TB, e engine.Engine) {
	mustCommit(t, e, put("k", "v"))
	_, rev, _ := e.State().Get("b", "k")
	if err := e.State().Barrier(t.Context(), "b", rev); err != nil {
		t.Errorf("Barrier: %v", err)
	}
}
