package growth

import (
	"context"
	"fmt"
	"time"
)

// Curve is one picture: what is made more of, and what it does to a few operations.
type Curve struct {
	Name     string // of its files
	Title    string
	X        string            // what there is more of
	Y        string            // what is paid for, as in "CPU ns per delivery"
	Bytes    bool              // X counts bytes
	Sentence string            // explains it
	Steps    []int             // of a whole run
	Few      []int             // of a run that takes seconds
	Allowed  map[string]string // lines that may grow faster than their output, and why

	measure func(ctx context.Context, g *gauge, steps []int) error
}

// Point is what one operation costs at one step, for each output: a delivery, a message, a byte.
type Point struct {
	X      int
	CPU    float64 `json:"cpu_ns"`
	Clock  float64 `json:"clock_ns"`
	Allocs float64 `json:"allocs"`
	Bytes  float64 `json:"alloc_bytes"`
	Value  float64 `json:"value,omitempty"` // of a curve that does not count time
}

// Line is one operation.
type Line struct {
	Name   string
	Points []Point
	// Breaks says how it grows faster than its output; empty: it does not.
	Breaks string `json:",omitempty"`
	// Allowed is why it may.
	Allowed string `json:",omitempty"`
}

// Result is a curve that was measured.
type Result struct {
	Name, Title, X, Y, Sentence string
	Bytes                       bool
	Lines                       []Line
	Took                        time.Duration `json:"took_ns"`
}

// Tolerance is how much more an output may cost at the end of a line than two steps before.
type Tolerance struct {
	Time   float64 // as a factor; 0: time is not looked at
	Allocs float64 // as a factor, and one allocation beside it
}

// Judge notes in r what grows faster than its output.
func (r *Result) Judge(t Tolerance) {
	for i := range r.Lines {
		l := &r.Lines[i]
		l.Breaks = l.breaks(t)
	}
}

func (l *Line) breaks(t Tolerance) string {
	if len(l.Points) < 2 {
		return "there are too few points"
	}
	mid, end := l.ends()
	if t.Time > 0 && end.cost() > t.Time*mid.cost() && !l.levelsOff(Point.cost) {
		return fmt.Sprintf("costs %.1f times as much at %d as at %d", end.cost()/mid.cost(), end.X, mid.X)
	}
	if end.Allocs > t.Allocs*mid.Allocs+1 && !l.levelsOff(func(p Point) float64 { return p.Allocs }) {
		return fmt.Sprintf("allocates %.1f times at %d, %.1f times at %d", end.Allocs, end.X, mid.Allocs, mid.X)
	}
	return ""
}

// ends are what is compared: the last point and the one two steps before it, where what is used no longer fits into the
// nearest caches.
func (l *Line) ends() (mid, end Point) {
	return l.Points[max(0, len(l.Points)-3)], l.Points[len(l.Points)-1]
}

// levelsOff says whether the last step adds little after one that added more: what is used has moved from a near cache
// to a far one, to memory or to disk, and stays there. What really grows adds as much with each step.
func (l *Line) levelsOff(of func(Point) float64) bool {
	if len(l.Points) < 3 {
		return false
	}
	mid, end := l.ends()
	last := of(l.Points[len(l.Points)-2])
	return of(end) <= 2*last && of(end)*of(mid) < last*last
}

// cost is what the plot shows.
func (p Point) cost() float64 {
	if p.Value > 0 {
		return p.Value
	}
	return p.CPU
}

// Curves are all there are.
func Curves() []Curve {
	return []Curve{
		subscribers(), filters(), depth(), queues(), backlog(), startup(), retained(), sessions(), bodies(), connections(), footprint(),
	}
}
