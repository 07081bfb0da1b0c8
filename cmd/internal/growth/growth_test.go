package growth_test

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/wyemq/wye/cmd/internal/growth"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestGrowth goes through the small steps of every curve. It counts allocations, which a busy machine does not change;
// time only where something is wrong by far.
func TestGrowth(t *testing.T) {
	for _, c := range growth.Curves() {
		t.Run(c.Name, func(t *testing.T) {
			r, err := c.Measure(t.Context(), true)
			if err != nil {
				t.Fatal(err)
			}
			if len(r.Lines) == 0 {
				t.Fatal("nothing was measured")
			}
			r.Judge(growth.Tolerance{Time: 30, Allocs: 2.5})
			for _, l := range r.Lines {
				if l.Breaks != "" && l.Allowed == "" {
					t.Errorf("%s: %s: %+v", l.Name, l.Breaks, l.Points)
				}
			}
			if len(r.Sentence) < 40 {
				t.Error("no sentence explains it")
			}
		})
	}
}

// line is a result of one line with these costs and allocations, ten times as much at each step.
func line(cpu, allocs []float64) *growth.Result {
	r := &growth.Result{Name: "test", Title: "A test", X: "things", Y: "ns", Lines: []growth.Line{{Name: "one"}}}
	x := 1
	for i := range cpu {
		r.Lines[0].Points = append(r.Lines[0].Points, growth.Point{X: x, CPU: cpu[i], Allocs: allocs[i]})
		x *= 10
	}
	return r
}

func TestJudge(t *testing.T) {
	flat := []float64{1, 1, 1, 1, 1}
	for _, c := range []struct {
		name        string
		cpu, allocs []float64
		want        string
	}{
		{"flat", flat, flat, ""},
		{"falls", []float64{9, 5, 3, 2, 1}, flat, ""},
		{"noise", []float64{1, 5, 1, 2, 2.9}, flat, ""},
		{"caches", []float64{1, 1, 1, 4, 6}, flat, ""},
		{"grows later", []float64{1, 1, 1, 1.9, 3.7}, flat, "costs 3.7 times as much at 10000 as at 100"},
		{"grows", []float64{1, 1, 10, 100, 1000}, flat, "costs 100.0 times as much at 10000 as at 100"},
		{"allocates", flat, []float64{1, 10, 20, 40, 80}, "allocates 80.0 times at 10000, 20.0 times at 100"},
		{"one point", flat[:1], flat[:1], "there are too few points"},
	} {
		r := line(c.cpu, c.allocs)
		r.Judge(growth.Tolerance{Time: 3, Allocs: 1.5})
		if got := r.Lines[0].Breaks; got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
	slow := line([]float64{1, 1, 10, 100, 1000}, flat)
	if slow.Judge(growth.Tolerance{Allocs: 1}); slow.Lines[0].Breaks != "" {
		t.Errorf("time counts although it should not: %s", slow.Lines[0].Breaks)
	}
}

// TestReport: what is written is complete, and names what is broken unless that is allowed.
func TestReport(t *testing.T) {
	bad := line([]float64{1, 1, 10, 100, 1000}, []float64{1, 1, 1, 1, 1})
	for _, allowed := range []string{"", "it has to"} {
		bad.Lines[0].Allowed = allowed
		bad.Judge(growth.Tolerance{Time: 3, Allocs: 1.5})
		r := growth.Report{Results: []growth.Result{*bad}}
		if n := len(r.Broken()); n != 1 && allowed == "" || n != 0 && allowed != "" {
			t.Errorf("allowed %q: %d broken", allowed, n)
		}
		dir := t.TempDir()
		if err := r.Write(dir); err != nil {
			t.Fatal(err)
		}
		page, err := os.ReadFile(filepath.Join(dir, "README.md"))
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{"costs 100.0 times as much", "(test.svg)", "| one |", allowed} {
			if !strings.Contains(string(page), want) {
				t.Errorf("allowed %q: the page does not say %q", allowed, want)
			}
		}
		var again growth.Report
		if b, err := os.ReadFile(filepath.Join(dir, "results.json")); err != nil || json.Unmarshal(b, &again) != nil {
			t.Errorf("results.json: %v", err)
		} else if p := again.Results[0].Lines[0].Points; p[4] != bad.Lines[0].Points[4] {
			t.Errorf("results.json has %+v", p)
		}
		if svg, err := os.ReadFile(filepath.Join(dir, "test.svg")); err != nil || !bytes.HasPrefix(svg, []byte("<svg")) {
			t.Errorf("test.svg: %v", err)
		}
	}
}

func TestRunRefuses(t *testing.T) {
	for _, args := range [][]string{{"-only", "nonsense"}, {"-unknown"}} {
		var out, errs bytes.Buffer
		if code := growth.Run(context.Background(), args, &out, &errs); code != 2 || errs.Len() == 0 {
			t.Errorf("%q: exit code %d, %q", args, code, errs.String())
		}
	}
}
