package disk_test

import (
	"errors"
	"testing"

	"github.com/wyemq/wye/core/engine"
	"github.com/wyemq/wye/plugins/disk"
)

// TestSharedBodies: a body that several logs share is stored once, and goes with the last of them, however that goes.
func TestSharedBodies(t *testing.T) {
	dir := t.TempDir()
	e := open(t, dir)
	bodies := func(want int) {
		t.Helper()
		if n, err := disk.Bodies(e); err != nil || n != want {
			t.Errorf("%d bodies are stored, want %d: %v", n, want, err)
		}
	}
	logs := []engine.LogID{"settled", "purged", "dropped"}
	for range 3 {
		commit(t, e, engine.Op{Kind: engine.Append, Logs: logs, Msg: message(make([]byte, 1000))})
	}
	bodies(3)
	commit(t, e, engine.Op{Kind: engine.Append, Logs: logs, Msg: message([]byte("small"))})
	bodies(3)
	l, err := e.Open(t.Context(), "settled", engine.LogOptions{})
	if err != nil {
		t.Fatal(err)
	}
	recs, err := l.Next(10, 1<<20)
	if err != nil || len(recs) != 4 {
		t.Fatal(recs, err)
	}
	commit(t, e, settleAll(l, recs))
	bodies(3)
	if l, err = e.Open(t.Context(), "purged", engine.LogOptions{}); err != nil {
		t.Fatal(err)
	}
	if recs, err = l.Next(1, 1<<20); err != nil || len(recs) != 1 {
		t.Fatal(recs, err)
	}
	if n, _, err := l.Purge(t.Context(), recs[0].Seq); err != nil || n != 3 {
		t.Errorf("Purge: %d, %v", n, err)
	}
	shut(t, e)
	e = open(t, dir)
	defer func() { shut(t, e) }()
	bodies(3)
	if err := e.Drop(t.Context(), "dropped"); err != nil {
		t.Error(err)
	}
	bodies(1)
	if err := e.Drop(t.Context(), "purged"); err != nil {
		t.Error(err)
	}
	bodies(0)
}

// TestLargeBatch: what is larger than what Pebble keeps in memory goes through; what is too large is refused alone.
func TestLargeBatch(t *testing.T) {
	e := open(t, t.TempDir())
	defer shut(t, e)
	body := noise(40 << 20)
	commit(t, e, engine.Op{Kind: engine.Append, Logs: []engine.LogID{"q"}, Msg: message(body)},
		engine.Op{Kind: engine.Append, Logs: []engine.LogID{"q"}, Msg: message(body[1:])})
	l, err := e.Open(t.Context(), "q", engine.LogOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []int{len(body), len(body) - 1} {
		recs, err := l.Next(10, 1)
		if err != nil || len(recs) != 1 || len(recs[0].Msg.Body) != want {
			t.Fatal(len(recs), err)
		}
	}
	var ops []engine.Op
	for range 30 {
		ops = append(ops, engine.Op{Kind: engine.Append, Logs: []engine.LogID{"q"}, Msg: message(body)})
	}
	ops = append(ops, engine.Op{Kind: engine.Append, Logs: []engine.LogID{"q"}})
	for _, bad := range [][]engine.Op{ops[:30], ops[30:]} {
		done := make(chan error, 1)
		e.Commit(&engine.Batch{Ops: bad}, func(err error) { done <- err })
		if err := <-done; !errors.Is(err, engine.ErrScope) {
			t.Errorf("%d ops: %v", len(bad), err)
		}
	}
	commit(t, e, engine.Op{Kind: engine.Append, Logs: []engine.LogID{"q"}, Msg: message(nil)})
}
