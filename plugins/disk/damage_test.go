package disk_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/wyemq/wye/core/engine"
	"github.com/wyemq/wye/plugins/disk"
)

// storeRecords is what fill stores.
const storeRecords = 500

// fill stores records in a new store, and copies it to another directory: as it is while it is open, or when it is closed.
func fill(t *testing.T, closed bool) (dir string) {
	t.Helper()
	from := filepath.Join(t.TempDir(), "store")
	e, err := disk.OpenOn(disk.Config{Dir: from}, slog.New(slog.DiscardHandler), vfs.Default, func(o *pebble.Options) {
		o.MemTableSize = 128 << 10
	})
	if err != nil {
		t.Fatal(err)
	}
	for i := range storeRecords {
		m := &engine.Message{Body: fmt.Appendf(nil, "%d %x", i, rand.Uint64()), Header: make([]byte, 500)}
		commit(t, e, engine.Op{Kind: engine.Append, Logs: []engine.LogID{"q"}, Msg: m})
	}
	if closed {
		shut(t, e)
	} else {
		defer shut(t, e)
		if err := disk.Witness(e); err != nil { // it would come within a second
			t.Fatal(err)
		}
	}
	return copyDir(t, from)
}

func copyDir(t *testing.T, from string) string {
	t.Helper()
	to := filepath.Join(t.TempDir(), "copy")
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
	return to
}

func commit(t testing.TB, e engine.Engine, ops ...engine.Op) {
	t.Helper()
	done := make(chan error, 1)
	e.Commit(&engine.Batch{Ops: ops}, func(err error) { done <- err })
	if err := <-done; err != nil {
		t.Fatalf("Commit: %v", err)
	}
}

// readAll opens a store and reads everything. It returns what was said that is wrong, or else how much there was.
func readAll(t testing.TB, dir string) (n int, err error) {
	t.Helper()
	e, err := disk.Open(disk.Config{Dir: dir}, slog.New(slog.DiscardHandler))
	if err != nil {
		return 0, err
	}
	defer func() { _ = e.Close(context.Background()) }()
	l, err := e.Open(t.Context(), "q", engine.LogOptions{})
	if err != nil {
		return 0, err
	}
	err = l.Browse(t.Context(), 0, func(r engine.Record) bool {
		if got, _, _ := strings.Cut(string(r.Msg.Body), " "); got != strconv.Itoa(n) {
			n = -1 // one is missing before
			return false
		}
		n++
		return true
	})
	return n, err
}

// TestDamage changes one byte of the store, at many places. Either that is said, or it does not matter.
func TestDamage(t *testing.T) {
	for _, closed := range []bool{true, false} {
		t.Run(fmt.Sprintf("closed=%v", closed), func(t *testing.T) {
			dir := fill(t, closed)
			files, err := os.ReadDir(dir)
			if err != nil {
				t.Fatal(err)
			}
			said, harmless := 0, 0
			for _, f := range files {
				whole, err := os.ReadFile(filepath.Join(dir, f.Name()))
				if err != nil || len(whole) == 0 {
					continue
				}
				for range 12 {
					at := rand.IntN(len(whole))
					copied := copyDir(t, dir)
					spoiled := bytes.Clone(whole)
					spoiled[at] ^= 1 << rand.IntN(8)
					if err := os.WriteFile(filepath.Join(copied, f.Name()), spoiled, 0o600); err != nil {
						t.Fatal(err)
					}
					n, err := readAll(t, copied)
					switch {
					case err != nil:
						said++
						t.Logf("%s at %d of %d: %v", f.Name(), at, len(whole), err)
					case !closed && n == storeRecords-1 && strings.HasSuffix(f.Name(), ".log"):
						harmless++ // the last to be written: a power loss in the midst of it looks the same
					case n != storeRecords:
						t.Errorf("%s at %d of %d: %d of %d records are there, and nothing is said",
							f.Name(), at, len(whole), n, storeRecords)
					default:
						harmless++
					}
				}
			}
			t.Logf("%d times it was said, %d times it did not matter", said, harmless)
			if said < 10 {
				t.Error("hardly anything was spoiled")
			}
		})
	}
}
