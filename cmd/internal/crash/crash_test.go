package crash_test

import (
	"bufio"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/wyemq/wye/cmd/internal/crash"
)

var (
	cycles = flag.Int("cycles", 10, "how often TestCrash kills the broker")
	seed   = flag.Uint64("seed", 0, "what TestCrash does; 0: something new")
	keep   = flag.String("keep", "", "directory for the store, the log and the history of TestCrash")
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
		dir = t.TempDir()
	}
	t.Logf("%d cycles with -seed %d", *cycles, *seed)
	events, err := crash.Run(t.Context(), crash.Config{
		Program: build(t, "github.com/wyemq/wye/cmd/wye"), Dir: dir, Cycles: *cycles, Seed: *seed, Quiet: 2 * time.Second, Report: t.Logf,
		Args: []string{"--set", "engine.kind=disk", "--set", "engine.dir=" + filepath.Join(dir, "store"), "--set", "engine.min_free=0"},
	})
	report(t, dir, events, crash.Check(crash.Places(), events))
	if err != nil {
		t.Error(err)
	}
}

// report shows the first violations of each rule in each place, and leaves the whole history in dir.
func report(t *testing.T, dir string, events []crash.Event, violations []crash.Violation) {
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
		writeHistory(t, filepath.Join(dir, "history"), events)
	}
}

func writeHistory(t *testing.T, path string, events []crash.Event) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	w := bufio.NewWriter(f)
	for i := range events {
		_, _ = fmt.Fprintln(w, events[i].String()) // Flush tells
	}
	if err := w.Flush(); err != nil {
		t.Error(err)
	}
	t.Logf("the history is in %s", path)
}
