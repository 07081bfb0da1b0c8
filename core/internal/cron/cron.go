// Package cron evaluates crontab lines of five fields (minute, hour, day of month, month, day of
// week) with *, lists, ranges and steps. It knows no names of months or days and runs nothing.
package cron

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Line is a parsed crontab line: a bit set for each field.
type Line struct {
	minute, hour, day, month, weekday uint64
	anyDay, anyWeekday                bool
}

// Parse reads a line such as "0 */2 * * 1-5".
func Parse(s string) (Line, error) {
	f := strings.Fields(s)
	if len(f) != 5 {
		return Line{}, fmt.Errorf("cron %q: has %d fields, must have 5", s, len(f))
	}
	var l Line
	for i, field := range []struct {
		name   string
		lo, hi int
		set    *uint64
	}{
		{"minute", 0, 59, &l.minute},
		{"hour", 0, 23, &l.hour},
		{"day", 1, 31, &l.day},
		{"month", 1, 12, &l.month},
		{"weekday", 0, 7, &l.weekday},
	} {
		set, err := parseField(f[i], field.lo, field.hi)
		if err != nil {
			return Line{}, fmt.Errorf("cron %q: %s: %w", s, field.name, err)
		}
		*field.set = set
	}
	if l.weekday&(1<<7) != 0 { // 7 is Sunday, too
		l.weekday |= 1
	}
	l.anyDay, l.anyWeekday = f[2] == "*", f[4] == "*"
	return l, nil
}

func parseField(s string, lo, hi int) (set uint64, err error) {
	for part := range strings.SplitSeq(s, ",") {
		rng, stepText, stepped := strings.Cut(part, "/")
		step := 1
		if stepped {
			if step, err = strconv.Atoi(stepText); err != nil || step < 1 {
				return 0, fmt.Errorf("step %q is not a positive number", stepText)
			}
		}
		from, to := lo, hi
		if rng != "*" {
			a, b, isRange := strings.Cut(rng, "-")
			if from, err = number(a, lo, hi); err != nil {
				return 0, err
			}
			switch {
			case isRange:
				if to, err = number(b, lo, hi); err != nil {
					return 0, err
				}
			case !stepped:
				to = from
			}
		}
		if from > to {
			return 0, fmt.Errorf("range %q runs backwards", rng)
		}
		for v := from; v <= to; v += step {
			set |= 1 << v
		}
	}
	return set, nil
}

func number(s string, lo, hi int) (int, error) {
	n, err := strconv.Atoi(s)
	if err != nil || n < lo || n > hi {
		return 0, fmt.Errorf("%q is not a number from %d to %d", s, lo, hi)
	}
	return n, nil
}

// Next returns the first matching minute after t, in t's location; false when there is none within five
// years, as for 30 February.
func (l Line) Next(t time.Time) (time.Time, bool) {
	t = t.Truncate(time.Minute).Add(time.Minute)
	for end := t.AddDate(5, 0, 0); t.Before(end); {
		switch {
		case l.month&(1<<t.Month()) == 0:
			t = time.Date(t.Year(), t.Month()+1, 1, 0, 0, 0, 0, t.Location())
		case !l.onDay(t):
			t = time.Date(t.Year(), t.Month(), t.Day()+1, 0, 0, 0, 0, t.Location())
		case l.hour&(1<<t.Hour()) == 0:
			t = t.Truncate(time.Hour).Add(time.Hour)
		case l.minute&(1<<t.Minute()) == 0:
			t = t.Add(time.Minute)
		default:
			return t, true
		}
	}
	return time.Time{}, false
}

// onDay follows crontab(5): when both day fields are restricted, either may match.
func (l Line) onDay(t time.Time) bool {
	day, weekday := l.day&(1<<t.Day()) != 0, l.weekday&(1<<t.Weekday()) != 0
	if l.anyDay || l.anyWeekday {
		return day && weekday
	}
	return day || weekday
}
