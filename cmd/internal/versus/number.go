package versus

import (
	"math"
	"strconv"
	"strings"
)

// These write numbers for people, in three digits.

// digits writes v with three significant digits, and no more than it takes.
func digits(v float64) string {
	if v == 0 || math.IsNaN(v) || math.IsInf(v, 0) {
		return "0"
	}
	after := 2 - int(math.Floor(math.Log10(math.Abs(v))))
	if after <= 0 {
		scale := math.Pow10(-after)
		return strconv.FormatFloat(math.Round(v/scale)*scale, 'f', 0, 64)
	}
	s := strconv.FormatFloat(v, 'f', after, 64)
	return strings.TrimSuffix(strings.TrimRight(s, "0"), ".")
}

// short writes a count as 940, 21k, 1.02M.
func short(v float64) string {
	switch {
	case v >= 999_500:
		return digits(v/1e6) + "M"
	case v >= 999.5:
		return digits(v/1e3) + "k"
	default:
		return digits(v)
	}
}

// bytesOf writes a number of bytes.
func bytesOf(v float64) string {
	switch {
	case v >= 999_500:
		return digits(v/1e6) + " MB"
	case v >= 999.5:
		return digits(v/1e3) + " kB"
	default:
		return digits(v) + " B"
	}
}

// with writes a figure: the median, and what it lies between if there is more than one round.
func (f Figure) with(write func(float64) string) string {
	m, least, most := write(f.Median), write(f.Least), write(f.Most)
	if least == most {
		return m
	}
	return m + " (" + least + "–" + most + ")"
}
