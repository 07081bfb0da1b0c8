package audit

import (
	"cmp"
	"maps"
	"slices"
	"time"
)

// kind is what refusals have in common that are added up.
type kind struct {
	event, user, by, remote, listener, rule, reason, operation string

	status int
}

// flood counts refusals of the present time span.
type flood struct {
	seconds int64 // of a span
	alike   int   // refusals of a kind that have lines of their own, in a span
	most    int   // kinds that are told apart in a span

	span  int64
	kinds map[kind]*tally
}

// tally is how many there were, and the first of those that were not written.
type tally struct {
	n     int
	first time.Time
}

// pass reports whether r is to have a line of its own.
func (f *flood) pass(r *Record) bool {
	k := kind{r.Event, r.User, r.By, r.Remote, r.Listener, r.Rule, r.Reason, r.Operation, r.Status}
	if f.kinds == nil {
		f.kinds = make(map[kind]*tally)
	}
	t := f.kinds[k]
	if t == nil && len(f.kinds) >= f.most {
		k = kind{event: r.Event, reason: r.Reason, status: r.Status} // all the others together: there are few of these
		t = f.kinds[k]
		if t == nil {
			t = &tally{n: f.alike}
			f.kinds[k] = t
		}
	}
	if t == nil {
		t = new(tally)
		f.kinds[k] = t
	}
	if t.n++; t.n <= f.alike {
		return true
	}
	if t.first.IsZero() {
		t.first = r.Time
	}
	return false
}

// over returns the sums of a span that has passed, in the order of time; none while it is the present one.
func (f *flood) over(now time.Time) []Record {
	span := now.Unix() / f.seconds
	if span == f.span || len(f.kinds) == 0 {
		f.span = span
		return nil
	}
	return f.end(span)
}

// end returns the sums, and begins another span.
func (f *flood) end(span int64) []Record {
	var sums []Record
	for _, k := range slices.Collect(maps.Keys(f.kinds)) {
		if t := f.kinds[k]; t.n > f.alike {
			sums = append(sums, Record{
				Time: t.first, Event: k.event, User: k.user, By: k.by, Remote: k.remote, Listener: k.listener, Rule: k.rule,
				Reason: k.reason, Operation: k.operation, Status: k.status, Count: t.n - f.alike,
			})
		}
	}
	slices.SortStableFunc(sums, func(a, b Record) int { return cmp.Or(a.Time.Compare(b.Time), cmp.Compare(a.User, b.User)) })
	f.span = span
	clear(f.kinds)
	return sums
}
