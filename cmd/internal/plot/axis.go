package plot

import (
	"math"
	"strconv"
)

// Axis is one direction of a plot.
type Axis struct {
	// Label says what is counted, and in what unit.
	Label string
	// Log makes each step a multiple of the one before. Values that are not above zero are then left out.
	Log bool
	// Format writes the numbers at the ticks. Nil: Number.
	Format func(float64) string
	// Ticks are where numbers stand, in order. None: where they come out round.
	Ticks []float64
}

func (a Axis) text(v float64) string {
	if a.Format != nil {
		return a.Format(v)
	}
	return Number(v)
}

// shows says whether v has a place on the axis.
func (a Axis) shows(v float64) bool {
	return !math.IsNaN(v) && !math.IsInf(v, 0) && (v > 0 || !a.Log)
}

// Number writes v with three digits and a suffix for thousands: 0.05, 1.5, 120, 20k, 1M.
func Number(v float64) string { return scaled(v, 1000, []string{"", "k", "M", "G", "T"}) }

// Bytes writes v in powers of 1024: 16 B, 1 KiB, 1 MiB.
func Bytes(v float64) string { return scaled(v, 1024, []string{" B", " KiB", " MiB", " GiB", " TiB"}) }

func scaled(v, base float64, suffixes []string) string {
	i := 0
	for math.Abs(rounded(v)) >= base && i < len(suffixes)-1 {
		v /= base
		i++
	}
	return strconv.FormatFloat(rounded(v), 'f', -1, 64) + suffixes[i]
}

// rounded keeps three digits, and all before the point.
func rounded(v float64) float64 {
	if math.Abs(v) >= 1000 {
		return math.Round(v)
	}
	v, _ = strconv.ParseFloat(strconv.FormatFloat(v, 'g', 3, 64), 64)
	return v
}

// scale places values between from and to, in pixels.
type scale struct {
	axis      Axis
	low, high float64
	from, to  float64
	ticks     []float64
}

// newScale makes room for all values, ending at ticks where zero or a power of ten is near.
func newScale(a Axis, values []float64, from, to float64) scale {
	s := scale{axis: a, low: math.Inf(1), high: math.Inf(-1), from: from, to: to}
	for _, v := range values {
		if a.shows(v) {
			s.low, s.high = min(s.low, v), max(s.high, v)
		}
	}
	if s.low > s.high { // nothing is shown
		s.low, s.high = 1, 10
	}
	switch {
	case len(a.Ticks) > 1:
		s.ticks = a.Ticks
		s.low, s.high = min(s.low, a.Ticks[0]), max(s.high, a.Ticks[len(a.Ticks)-1])
	case a.Log:
		s.logTicks()
	default:
		s.linearTicks()
	}
	return s
}

// logTicks are powers of ten; 2 and 5 times them when there are few.
func (s *scale) logTicks() {
	steps := []float64{1, 2, 5}
	if math.Log10(s.high/s.low) > 2.5 {
		steps = steps[:1]
	}
	low, high := s.low*(1+1e-9), s.high*(1-1e-9) // a power of ten may come out a little beside itself
	for e := math.Floor(math.Log10(low)); ; e++ {
		for _, step := range steps {
			v := step * math.Pow(10, e)
			if v <= low {
				s.ticks = s.ticks[:0] // those before are too far below
			}
			s.ticks = append(s.ticks, v)
			if v >= high && len(s.ticks) > 1 {
				s.low, s.high = s.ticks[0], v
				return
			}
		}
	}
}

// linearTicks are at most seven, from zero when no value is below.
func (s *scale) linearTicks() {
	s.low = min(s.low, 0)
	if s.high <= s.low {
		s.high = s.low + 1
	}
	rough := (s.high - s.low) / 6
	step := math.Pow(10, math.Floor(math.Log10(rough)))
	for _, times := range []float64{1, 2, 5, 10} {
		if times*step >= rough {
			step *= times
			break
		}
	}
	s.low, s.high = math.Floor(s.low/step)*step, math.Ceil(s.high/step)*step
	for i := 0; ; i++ {
		v := s.low + float64(i)*step
		if v > s.high+step/2 {
			return
		}
		s.ticks = append(s.ticks, v)
	}
}

// at returns the place of v; what lies outside is put at the edge.
func (s *scale) at(v float64) float64 {
	part := (v - s.low) / (s.high - s.low)
	if s.axis.Log {
		part = (math.Log10(max(v, s.low)) - math.Log10(s.low)) / (math.Log10(s.high) - math.Log10(s.low))
	}
	return s.from + min(max(part, 0), 1)*(s.to-s.from)
}
