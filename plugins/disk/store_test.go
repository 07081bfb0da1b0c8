package disk_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/wyemq/wye/core/engine"
	"github.com/wyemq/wye/plugins/disk"
)

// refused opens a store that must not open, and wants to read why.
func refused(t *testing.T, dir string, want ...string) {
	t.Helper()
	e, err := disk.Open(disk.Config{Dir: dir}, slog.New(slog.DiscardHandler))
	if err == nil {
		shut(t, e)
		t.Fatal("it opens")
	}
	for _, w := range append(want, dir) {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("%q is not in: %v", w, err)
		}
	}
}

// TestLock: one process has the directory, and others are told which.
func TestLock(t *testing.T) {
	dir := t.TempDir()
	e := open(t, dir)
	refused(t, dir, fmt.Sprintf("in use by process %d", os.Getpid()))
	shut(t, e)
	shut(t, open(t, dir))
}

func TestConfig(t *testing.T) {
	if err := disk.DefaultConfig().Validate(); err != nil {
		t.Error(err)
	}
	err := disk.Config{MinFree: -1}.Validate()
	if err == nil || !strings.Contains(err.Error(), "dir: ") || !strings.Contains(err.Error(), "min_free: ") {
		t.Errorf("got %v", err)
	}
	if _, err := disk.Open(disk.Config{}, slog.New(slog.DiscardHandler)); err == nil {
		t.Error("Open does not look at the configuration")
	}
}

// TestUnknownFormat: a store that another version has written is left alone.
func TestUnknownFormat(t *testing.T) {
	dir := fill(t, true)
	path := filepath.Join(dir, "wye.store")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	text = bytes.Replace(text, []byte("format 1"), []byte("format 7"), 1)
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	refused(t, dir, "format 7", "format 1 only")
}

// TestHalfCopy: what is not a whole copy of a store is refused.
func TestHalfCopy(t *testing.T) {
	first := func(t *testing.T, dir, pattern string) string {
		t.Helper()
		found, err := filepath.Glob(filepath.Join(dir, pattern))
		if err != nil || len(found) == 0 {
			t.Fatal(found, err)
		}
		return found[0]
	}
	remove := func(pattern string) func(t *testing.T, dir string) {
		return func(t *testing.T, dir string) {
			t.Helper()
			found, _ := filepath.Glob(filepath.Join(dir, pattern))
			for _, f := range found {
				if err := os.Remove(f); err != nil {
					t.Fatal(err)
				}
			}
			if len(found) == 0 {
				t.Fatalf("there is no %s", pattern)
			}
		}
	}
	half := func(pattern string) func(t *testing.T, dir string) {
		return func(t *testing.T, dir string) {
			t.Helper()
			f := first(t, dir, pattern)
			info, err := os.Stat(f)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.Truncate(f, info.Size()/2); err != nil {
				t.Fatal(err)
			}
		}
	}
	stores := map[bool]string{true: fill(t, true), false: fill(t, false)}
	for _, c := range []struct {
		name   string
		closed bool
		spoil  func(t *testing.T, dir string)
		want   string
	}{
		{"a table is missing", true, remove("*.sst"), ".sst is missing"},
		{"half a table", true, half("*.sst"), "it had"},
		{"half a manifest", true, half("MANIFEST-*"), "MANIFEST-"},
		{"no manifest", true, remove("MANIFEST-*"), "is missing"},
		{"no marker", true, remove("marker.manifest*"), "is missing"},
		{"no format file", true, remove("wye.store"), "no wye.store"},
		{"half a format file", true, half("wye.store"), "wye.store is damaged"},
		{"open: a table is missing", false, remove("*.sst"), "not whole"},
		{"open: half a table", false, half("*.sst"), "not whole"},
		{"open: half a manifest", false, half("MANIFEST-*"), "MANIFEST-"},
		{"open: no manifest", false, remove("MANIFEST-*"), "MANIFEST-"},
		{"open: no log", false, remove("*.log"), "half of a copy"},
		{"open: no format file", false, remove("wye.store"), "no wye.store"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := copyDir(t, stores[c.closed])
			c.spoil(t, dir)
			refused(t, dir, c.want)
		})
	}
	t.Run("a whole one", func(t *testing.T) {
		for _, closed := range []bool{true, false} {
			if n, err := readAll(t, copyDir(t, stores[closed])); err != nil || n != storeRecords {
				t.Errorf("closed %v: %d records, %v", closed, n, err)
			}
		}
	})
}

// readOnlyFS permits no change.
type readOnlyFS struct{ vfs.FS }

func (readOnlyFS) Create(name string, _ vfs.DiskWriteCategory) (vfs.File, error) {
	return nil, &os.PathError{Op: "open", Path: name, Err: syscall.EROFS}
}

// TestReadOnly: a directory that cannot be written is no store.
func TestReadOnly(t *testing.T) {
	dir := t.TempDir()
	_, err := disk.OpenOn(disk.Config{Dir: dir}, slog.New(slog.DiscardHandler), readOnlyFS{vfs.Default}, nil)
	if !errors.Is(err, syscall.EROFS) || !strings.Contains(err.Error(), dir) || strings.Contains(err.Error(), "in use") {
		t.Errorf("got %v", err)
	}
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	refused(t, file, "not a directory")
}

// smallFS says how much room there is.
type smallFS struct {
	vfs.FS
	free *atomic.Uint64
}

func (f smallFS) GetDiskUsage(string) (vfs.DiskUsage, error) {
	return vfs.DiskUsage{AvailBytes: f.free.Load()}, nil
}

// TestMinFree: when the disk is almost full, what is to be stored is refused, and what is stored can be consumed.
func TestMinFree(t *testing.T) {
	var said bytes.Buffer
	free := new(atomic.Uint64)
	free.Store(1000)
	e, err := disk.OpenOn(disk.Config{Dir: t.TempDir(), MinFree: 1000}, slog.New(slog.NewTextHandler(&said, nil)),
		smallFS{vfs.Default, free}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer shut(t, e)
	add := appendTo("q", message([]byte("m"))).Ops[0]
	try := func(relaxed bool, ops ...engine.Op) error {
		done := make(chan error, 1)
		e.Commit(&engine.Batch{Ops: ops, Relaxed: relaxed}, func(err error) { done <- err })
		return <-done
	}
	commit(t, e, add, add)
	l, err := e.Open(context.Background(), "q", engine.LogOptions{})
	if err != nil {
		t.Fatal(err)
	}
	recs, err := l.Next(2, 1000)
	if err != nil || len(recs) != 2 {
		t.Fatal(recs, err)
	}
	settle := func(i int) engine.Op {
		return engine.Op{Kind: engine.Settle, Log: l, Seqs: []engine.Seq{recs[i].Seq}}
	}
	free.Store(999)
	retained := engine.Op{Kind: engine.Retain, Topic: "t", Msg: message(nil)}
	for name, ops := range map[string][]engine.Op{"append": {add}, "retain": {retained}, "transaction": {add, settle(0)}} {
		err := try(false, ops...)
		if !errors.Is(err, engine.ErrFull) || !strings.Contains(err.Error(), "min_free") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := try(true, add); !errors.Is(err, engine.ErrFull) {
		t.Errorf("a relaxed append: %v", err)
	}
	if err := try(true, engine.Op{Kind: engine.Append, Logs: []engine.LogID{"dlq"}, Msg: message(nil)}, settle(0)); err != nil {
		t.Errorf("a dead letter: %v", err)
	}
	if err := try(false, settle(1), engine.Op{Kind: engine.Retain, Topic: "t"},
		engine.Op{Kind: engine.Put, Bucket: "b", Key: "k"}); err != nil {
		t.Errorf("a settlement: %v", err)
	}
	if s := l.Stats(); s.Depth != 0 {
		t.Errorf("Stats: %+v", s)
	}
	free.Store(1000)
	if err := try(false, add); err != nil {
		t.Errorf("with room again: %v", err)
	}
	for _, want := range []string{"level=ERROR", "almost full", "free=999", "has room again"} {
		if !strings.Contains(said.String(), want) {
			t.Errorf("%q is not in the log: %s", want, &said)
		}
	}
	if u := e.Usage(); u.Free != 1000 || u.Bytes == 0 {
		t.Errorf("Usage: %+v", u)
	}
}
