package disk_test

import (
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
