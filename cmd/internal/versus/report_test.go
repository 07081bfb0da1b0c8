package versus_test

import (
	"encoding/xml"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/wyemq/wye/cmd/internal/versus"
)

var update = flag.Bool("update", false, "write the golden files")

// golden compares text with a file.
func golden(t *testing.T, name, text string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if text != string(want) {
		t.Errorf("%s is no more what it was; see go test -update and git diff:\n%s", name, text)
	}
}

func report(t *testing.T, path string) *versus.Report {
	t.Helper()
	r, err := versus.ReadReport(path)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestTables makes tables and a plot of results in which something of everything has gone wrong.
func TestTables(t *testing.T) {
	r := report(t, "testdata/results.json")
	page := r.Markdown()
	golden(t, "page.md", page)
	golden(t, "summary.md", r.Summary())
	plots := r.Plots()
	golden(t, "cost-mqtt.svg", plots["cost-mqtt.svg"])
	for i := range 9 { // one for each peer
		if class := fmt.Sprintf(".f%d{", i); strings.Count(plots["cost-mqtt.svg"], class) != 2 {
			t.Errorf("%s has no colour for light and dark backgrounds", class)
		}
	}
	for name, svg := range plots {
		if !strings.Contains(page, "("+name+")") {
			t.Errorf("%s is not on the page", name)
		}
		for d := xml.NewDecoder(strings.NewReader(svg)); ; {
			if _, err := d.Token(); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Errorf("%s: %v", name, err)
				break
			}
		}
	}
}

// TestPublished holds the published tables and the README to the results they are of.
func TestPublished(t *testing.T) {
	root := filepath.Join("..", "..", "..")
	dir := filepath.Join(root, ".github", "bench")
	r := report(t, filepath.Join(dir, "results.json"))
	for path, want := range map[string]string{filepath.Join(dir, "README.md"): r.Markdown(), filepath.Join(root, "README.md"): r.Summary()} {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(b), want) {
			t.Errorf("%s is not of %s/results.json: make bench-peers ARGS=--render", path, dir)
		}
	}
	for name, svg := range r.Plots() {
		if b, err := os.ReadFile(filepath.Join(dir, name)); err != nil || string(b) != svg {
			t.Errorf("%s is not of results.json: %v", name, err)
		}
	}
}

// TestReadBack writes a report and reads it.
func TestReadBack(t *testing.T) {
	r := report(t, "testdata/results.json")
	path := filepath.Join(t.TempDir(), "results.json")
	if err := r.WriteFile(path); err != nil {
		t.Fatal(err)
	}
	if got, want := report(t, path).Markdown(), r.Markdown(); got != want {
		t.Errorf("read back:\n%s\nwant:\n%s", got, want)
	}
	if _, err := versus.ReadReport("report_test.go"); err == nil {
		t.Error("a program is no report")
	}
}

// TestSpread takes medians.
func TestSpread(t *testing.T) {
	for _, c := range []struct {
		values []float64
		want   versus.Figure
		ok     bool
	}{
		{nil, versus.Figure{}, false},
		{[]float64{4}, versus.Figure{Median: 4, Least: 4, Most: 4}, true},
		{[]float64{9, 1, 2}, versus.Figure{Median: 2, Least: 1, Most: 9}, true},
		{[]float64{9, 1, 2, 4}, versus.Figure{Median: 3, Least: 1, Most: 9}, true},
	} {
		before := slices.Clone(c.values)
		if got, ok := versus.Spread(c.values); got != c.want || ok != c.ok {
			t.Errorf("Spread(%v) = %v, %t", c.values, got, ok)
		}
		if !slices.Equal(before, c.values) {
			t.Errorf("%v were sorted in place", before)
		}
	}
}

// TestNumbers writes numbers in three digits.
func TestNumbers(t *testing.T) {
	for v, want := range map[float64]string{0: "0", 0.0432: "0.0432", 0.5: "0.5", 2.346: "2.35", 54: "54", 99.96: "100", 653.4: "653", 1234: "1230"} {
		if got := versus.Digits(v); got != want {
			t.Errorf("Digits(%v) = %s, want %s", v, got, want)
		}
	}
	for v, want := range map[float64]string{7: "7", 940: "940", 999.7: "1k", 21_040: "21k", 999_700: "1M", 1_024_000: "1.02M"} {
		if got := versus.Short(v); got != want {
			t.Errorf("Short(%v) = %s, want %s", v, got, want)
		}
	}
}

// TestReplaceSection changes what lies between the marks and nothing else.
func TestReplaceSection(t *testing.T) {
	path := filepath.Join(t.TempDir(), "README.md")
	before, after := "# x\n\n"+versus.SectionBegin, versus.SectionEnd+"\nrest\n"
	if err := os.WriteFile(path, []byte(before+"old\n"+after), 0o600); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := versus.ReplaceSection(path, "new\n"); err != nil {
			t.Fatal(err)
		}
	}
	if b, _ := os.ReadFile(path); string(b) != before+"new\n"+after {
		t.Errorf("%s", b)
	}
	if err := os.WriteFile(path, []byte("# x\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := versus.ReplaceSection(path, "new\n"); err == nil {
		t.Error("there is no place for it")
	}
}
