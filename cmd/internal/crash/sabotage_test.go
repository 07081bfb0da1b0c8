package crash_test

import (
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/wyemq/wye/cmd/internal/crash"
)

// TestSabotage breaks promises one by one, in engines that are otherwise as good as the real one, and wants that to be
// noticed.
func TestSabotage(t *testing.T) {
	path := build(t, "github.com/wyemq/wye/cmd/internal/crash/testdata/sabotage")
	for _, c := range []struct {
		mode string
		want []crash.Rule // one of them
	}{
		{"unsynced", []crash.Rule{crash.Lost}},
		{"append", []crash.Rule{crash.Lost}},
		{"settle", []crash.Rule{crash.AfterAck}},
		{"flag", []crash.Rule{crash.Unflagged}},
		{"failed", []crash.Rule{crash.Overdone}},
		{"order", []crash.Rule{crash.Disordered}},
		{"torn", []crash.Rule{crash.Torn}},
		{"acks", []crash.Rule{crash.AfterAck}},
		{"retained", []crash.Rule{crash.Stale}},
		{"values", []crash.Rule{crash.Twice}},
		{"memory", []crash.Rule{crash.Lost}},
		{"none", nil},
	} {
		t.Run(c.mode, func(t *testing.T) {
			t.Parallel()
			dir := directory(t)
			args := []string{"--set", "engine.kind=memory"}
			if c.mode != "memory" {
				args = []string{"--set", "engine.kind=sabotage", "--set", "engine.dir=" + filepath.Join(dir, "store"), "--set", "engine.mode=" + c.mode}
			}
			h, err := crash.Run(t.Context(), crash.Config{
				Program: path, Args: args, Dir: dir, Cycles: 3, Seed: 1, Quiet: 500 * time.Millisecond, Report: t.Logf,
			})
			if err != nil {
				t.Fatal(err)
			}
			violations := crash.Check(crash.Places(), h.Events())
			counts := make(map[crash.Rule]int)
			for _, v := range violations {
				counts[v.Rule]++
			}
			t.Logf("%d events, violations: %v", h.Len(), counts)
			if len(c.want) == 0 {
				report(t, dir, h, violations)
			} else if !slices.ContainsFunc(c.want, func(r crash.Rule) bool { return counts[r] > 0 }) {
				t.Errorf("nobody has noticed: want %q", c.want)
			}
		})
	}
}
