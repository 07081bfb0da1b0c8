package crash_test

import (
	"errors"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/wyemq/wye/cmd/internal/crash"
)

var (
	cycles = flag.Int("cycles", 10, "how often TestCrash kills the broker")
	seed   = flag.Uint64("seed", 0, "what TestCrash does; 0: something new")
	keep   = flag.String("keep", "", "directory to be made for the store, the log and the history of TestCrash")
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// build compiles a program of this module.
func build(t *testing.T, pkg string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), filepath.Base(pkg))
	if out, err := exec.Command("go", "build", "-o", path, pkg).CombinedOutput(); err != nil {
		t.Fatalf("go build %s: %v\n%s", pkg, err, out)
	}
	return path
}

// TestCrash kills the broker again and again, and wants every promise kept.
func TestCrash(t *testing.T) {
	if *seed == 0 {
		*seed = uint64(time.Now().UnixNano())
	}
	dir := *keep
	if dir == "" {
		dir = directory(t)
	} else if err := os.Mkdir(dir, 0o750); err != nil {
		t.Fatal(err) // a store that is there already was not written by these clients
	}
	t.Logf("%d cycles with -seed %d", *cycles, *seed)
	h, err := crash.Run(t.Context(), crash.Config{
		Program: build(t, "github.com/wyemq/wye/cmd/wye"), Dir: dir, Cycles: *cycles, Seed: *seed, Quiet: 2 * time.Second,
		Report: t.Logf,
		Args:   []string{"--set", "engine.kind=disk", "--set", "engine.dir=" + filepath.Join(dir, "store"), "--set", "engine.min_free=0"},
	})
	if err != nil {
		t.Error(err)
	}
	if h == nil {
		return
	}
	events := h.Events()
	tally := crash.Count(events)
	t.Log(tally)
	counts := reflect.ValueOf(tally)
	for i := range counts.NumField() {
		if *cycles >= 50 && counts.Field(i).Int() == 0 {
			t.Errorf("%s: there were none, which proves nothing", counts.Type().Field(i).Name)
		}
	}
	report(t, dir, h, crash.Check(crash.Places(), events))
}

// directory makes a directory that stays if the test fails.
func directory(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "wye-crash-") //nolint:usetesting // see above
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the store, the log and the history are in %s", dir)
			return
		}
		_ = os.RemoveAll(dir)
	})
	return dir
}

// report shows the first violations of each rule in each place, and leaves the whole history in dir.
func report(t *testing.T, dir string, h *crash.History, violations []crash.Violation) {
	t.Helper()
	type kind struct {
		rule  crash.Rule
		place string
	}
	counts := make(map[kind]int)
	for _, v := range violations {
		k := kind{v.Rule, v.Place}
		if counts[k]++; counts[k] <= 3 {
			t.Error(v)
		}
	}
	for k, n := range counts {
		if n > 3 {
			t.Errorf("%s in %s: %d times", k.rule, k.place, n)
		}
	}
	if len(violations) > 0 {
		writeHistory(t, filepath.Join(dir, "history"), h)
	}
}

func writeHistory(t *testing.T, path string, h *crash.History) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	_, err = h.WriteTo(f)
	if err := errors.Join(err, f.Close()); err != nil {
		t.Error(err)
	}
}
