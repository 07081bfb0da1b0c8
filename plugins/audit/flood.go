package audit

import (
	"cmp"
	"maps"
	"slices"
	"time"
)

const (
	alike     = 10   // refusals of a kind that have lines of their own, in a second
	mostKinds = 1000 // kinds that are told apart in a second
)

// kind is what refusals have in common that are added up.
type kind struct{ event, user, remote, rule, reason, operation string }

// flood counts refusals of the present second.
type flood struct {
	second int64
	kinds  map[kind]*tally
}

// tally is how many there were, and the first of those that were not written.
type tally struct {
	n     int
	first time.Time
}

// pass reports whether r is to have a line of its own.
func (f *flood) pass(r *Record) bool {
	k := kind{r.Event, r.User, r.Remote, r.Rule, r.Reason, r.Operation}
	if f.kinds == nil {
		f.kinds = make(map[kind]*tally)
	}
	t := f.kinds[k]
	if t == nil && len(f.kinds) >= mostKinds {
		k = kind{event: r.Event, reason: r.Reason} // all the others together: there are few of these
		t = f.kinds[k]
		if t == nil {
			t = &tally{n: alike}
			f.kinds[k] = t
		}
	}
	if t == nil {
		t = new(tally)
		f.kinds[k] = t
	}
	if t.n++; t.n <= alike {
		return true
	}
	if t.first.IsZero() {
		t.first = r.Time
	}
	return false
}

// over returns the sums of a second that has passed, in the order of time; none while it is the present one.
func (f *flood) over(now time.Time) []Record {
	second := now.Unix()
	if second == f.second || len(f.kinds) == 0 {
		f.second = second
		return nil
	}
	return f.end(second)
}

// end returns the sums, and begins another second.
func (f *flood) end(second int64) []Record {
	var sums []Record
	for _, k := range slices.Collect(maps.Keys(f.kinds)) {
		if t := f.kinds[k]; t.n > alike {
			sums = append(sums, Record{
				Time: t.first, Event: k.event, User: k.user, Remote: k.remote, Rule: k.rule, Reason: k.reason,
				Operation: k.operation, Count: t.n - alike,
			})
		}
	}
	slices.SortStableFunc(sums, func(a, b Record) int { return cmp.Or(a.Time.Compare(b.Time), cmp.Compare(a.User, b.User)) })
	f.second = second
	clear(f.kinds)
	return sums
}
