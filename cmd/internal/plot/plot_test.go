package plot_test

import (
	"encoding/xml"
	"errors"
	"flag"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/wyemq/wye/cmd/internal/plot"
)

var update = flag.Bool("update", false, "write the golden files")

func lines() *plot.Lines {
	return &plot.Lines{
		Title: "One publish to n subscribers <of one topic>", Note: strings.Repeat("What the curve says. ", 10),
		X: plot.Axis{Label: "subscribers", Log: true}, Y: plot.Axis{Label: "ns per delivery", Log: true},
		Series: []plot.Series{
			{Name: "same topic", Points: []plot.Point{{X: 1, Y: 900, Low: 800, High: 1200}, {X: 10, Y: 300}, {X: 1000, Y: 210}}},
			{Name: "left out", Points: []plot.Point{{X: 0, Y: 1}, {X: 5, Y: math.NaN()}, {X: 5, Y: math.Inf(1)}}},
			{Name: "twice the middle", Dashed: true, Points: []plot.Point{{X: 1, Y: 600}, {X: 1000, Y: 600}}},
		},
	}
}

func dots() *plot.Dots {
	return &plot.Dots{
		Title: "CPU seconds per million deliveries", Value: plot.Axis{Label: "s", Log: true},
		Names: []string{"wye", "another", "nobody"},
		Rows: []plot.Row{
			{Name: "fan 1→10", Dots: []plot.Dot{{Value: 0.7, Low: 0.6, High: 0.9, Title: "wye: <0.7>"}, {Value: 54, Low: 54, High: 54}, {}}},
			{Name: "queue", Dots: []plot.Dot{{Value: 6, Low: 5, High: 7}, {Value: math.NaN()}, {}}},
		},
	}
}

// TestGolden compares pictures with those that somebody has looked at.
func TestGolden(t *testing.T) {
	linear := lines()
	linear.X.Log, linear.Y.Log, linear.X.Format = false, false, plot.Bytes
	own := lines()
	own.X.Ticks = []float64{1, 4, 64, 2000}
	linearDots := dots()
	linearDots.Value.Log = false
	for name, got := range map[string][]byte{
		"lines-log.svg": lines().SVG(), "lines-linear.svg": linear.SVG(), "lines-ticks.svg": own.SVG(),
		"dots-log.svg": dots().SVG(), "dots-linear.svg": linearDots.SVG(),
		"empty.svg": (&plot.Lines{X: plot.Axis{Log: true}}).SVG(),
	} {
		wellFormed(t, name, string(got))
		path := filepath.Join("testdata", name)
		if *update {
			if err := os.WriteFile(path, got, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if string(got) != string(want) {
			t.Errorf("%s differs from what is drawn; look at it after go test -update", path)
		}
	}
}

// wellFormed fails the test when a browser would refuse the picture, or a number has no place in it.
func wellFormed(t *testing.T, name, svg string) {
	t.Helper()
	if strings.Contains(svg, "NaN") || strings.Contains(svg, "Inf") {
		t.Errorf("%s: a coordinate is no number", name)
	}
	for dec := xml.NewDecoder(strings.NewReader(svg)); ; {
		if _, err := dec.Token(); errors.Is(err, io.EOF) {
			return
		} else if err != nil {
			t.Errorf("%s: %v", name, err)
			return
		}
	}
}

// TestLeftOut: what has no place on an axis is not drawn, and does not stretch it.
func TestLeftOut(t *testing.T) {
	with, without := lines(), lines()
	without.Series[1].Points = nil
	if string(with.SVG()) != string(without.SVG()) {
		t.Error("points without a place change the picture")
	}
	if n := strings.Count(string(with.SVG()), "<circle"); n != 4 {
		t.Errorf("%d marks of the first series, want 3 points and 1 in the legend", n)
	}
}

func TestNumber(t *testing.T) {
	for v, want := range map[float64]string{
		0: "0", 0.05: "0.05", 0.123456: "0.123", 1: "1", 1.5: "1.5", 12.34: "12.3", 999: "999", 999.9: "1k",
		1000: "1k", 1234: "1.23k", 20_000: "20k", 1e6: "1M", 2.5e9: "2.5G", -3: "-3",
	} {
		if got := plot.Number(v); got != want {
			t.Errorf("Number(%v) = %q, want %q", v, got, want)
		}
	}
	for v, want := range map[float64]string{16: "16 B", 1024: "1 KiB", 1536: "1.5 KiB", 1 << 20: "1 MiB"} {
		if got := plot.Bytes(v); got != want {
			t.Errorf("Bytes(%v) = %q, want %q", v, got, want)
		}
	}
}
