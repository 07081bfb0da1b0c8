package crash_test

import (
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/wyemq/wye/cmd/internal/crash"
)

// attempts is how often a sabotage may go unnoticed before that is a failure: what harms only what is under way when the
// broker is killed needs luck, the more of it the less a busy machine gets done before that.
const attempts = 10

// TestSabotage breaks promises one by one, in engines that are otherwise as good as the real one, and wants that to be
// noticed.
func TestSabotage(t *testing.T) {
	path := build(t, "github.com/wyemq/wye/cmd/internal/crash/testdata/sabotage")
	for mode, want := range map[string]crash.Rule{
		"unsynced": crash.Lost,
		"append":   crash.Lost,
		"memory":   crash.Lost,
		"settle":   crash.AfterAck,
		"flag":     crash.Unflagged,
		"failed":   crash.Overdone,
		"order":    crash.Disordered,
		"torn":     crash.Torn,
		"acks":     crash.AfterAck,
		"retained": crash.Stale,
		"values":   crash.Twice,
	} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			for seed := range uint64(attempts) {
				_, h := sabotage(t, path, mode, seed)
				if slices.ContainsFunc(crash.Check(crash.Places(), h.Events()), func(v crash.Violation) bool { return v.Rule == want }) {
					return
				}
			}
			t.Errorf("nobody has noticed, want %q", want)
		})
	}
	t.Run("none", func(t *testing.T) {
		t.Parallel()
		dir, h := sabotage(t, path, "none", 1)
		report(t, dir, h, crash.Check(crash.Places(), h.Events()))
	})
}

// sabotage runs a few cycles on an engine with one thing wrong.
func sabotage(t *testing.T, path, mode string, seed uint64) (dir string, h *crash.History) {
	t.Helper()
	dir = directory(t)
	args := []string{"--set", "engine.kind=memory"}
	if mode != "memory" {
		args = []string{"--set", "engine.kind=sabotage", "--set", "engine.dir=" + filepath.Join(dir, "store"), "--set", "engine.mode=" + mode}
	}
	h, err := crash.Run(t.Context(), crash.Config{
		Program: path, Args: args, Dir: dir, Cycles: 3, Seed: seed, Quiet: 500 * time.Millisecond, Report: t.Logf,
	})
	if err != nil {
		t.Fatal(err)
	}
	return dir, h
}
