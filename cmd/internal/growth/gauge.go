package growth

import (
	"math"
	"runtime"
	"slices"
	"time"
)

// gauge measures, and gathers the lines of one curve.
type gauge struct {
	round  time.Duration // how long one round takes, at least
	rounds int
	dir    func() (string, error) // a fresh directory
	lines  []Line
}

// add appends a point to the line called name.
func (g *gauge) add(name string, p Point) {
	i := slices.IndexFunc(g.lines, func(l Line) bool { return l.Name == name })
	if i < 0 {
		i = len(g.lines)
		g.lines = append(g.lines, Line{Name: name})
	}
	g.lines[i].Points = append(g.lines[i].Points, p)
}

// measure repeats op, which has so many outputs, and adds what it costs at its cheapest.
func (g *gauge) measure(name string, x int, outputs float64, op func() error) error {
	start := time.Now()
	for n := 0; n < 3 || time.Since(start) < g.round/2; n++ { // warm
		if err := op(); err != nil {
			return err
		}
		if time.Since(start) > g.round {
			break
		}
	}
	best := never(x)
	for range g.rounds {
		p, err := g.once(x, outputs, op)
		if err != nil {
			return err
		}
		best = best.cheaper(p)
	}
	g.add(name, best)
	return nil
}

// never costs more than anything.
func never(x int) Point {
	return Point{X: x, CPU: math.Inf(1), Clock: math.Inf(1), Allocs: math.Inf(1), Bytes: math.Inf(1)}
}

func (p Point) cheaper(q Point) Point {
	return Point{
		X: p.X, CPU: min(p.CPU, q.CPU), Clock: min(p.Clock, q.Clock), Allocs: min(p.Allocs, q.Allocs), Bytes: min(p.Bytes, q.Bytes),
	}
}

// once is a round of measure.
func (g *gauge) once(x int, outputs float64, op func() error) (Point, error) {
	n := 0
	m := begin()
	for time.Since(m.clock) < g.round {
		if err := op(); err != nil {
			return Point{}, err
		}
		n++
	}
	return m.end(x, outputs*float64(n)), nil
}

// alone is one operation between others that do not count.
func alone(x int, outputs float64, op func() error) (Point, error) {
	m := begin()
	err := op()
	return m.end(x, outputs), err
}

// mark is a moment.
type mark struct {
	clock time.Time
	cpu   time.Duration
	mem   runtime.MemStats
}

// begin notes a moment in which nothing is left to be collected.
func begin() *mark {
	m := &mark{}
	runtime.GC()
	runtime.ReadMemStats(&m.mem)
	m.cpu, m.clock = cpuTime(), time.Now()
	return m
}

func (m *mark) end(x int, outputs float64) Point {
	clock, cpu := time.Since(m.clock), cpuTime()-m.cpu
	var now runtime.MemStats
	runtime.ReadMemStats(&now)
	return Point{
		X: x, CPU: float64(cpu) / outputs, Clock: float64(clock) / outputs,
		Allocs: float64(now.Mallocs-m.mem.Mallocs) / outputs, Bytes: float64(now.TotalAlloc-m.mem.TotalAlloc) / outputs,
	}
}
