package load

import "time"

// What the tests of measuring need: they are about arithmetic that no run shows.

type (
	Ledger   = ledger
	Pool     = pool
	Recorder = recorder
)

var (
	Grouped     = grouped
	NewRecorder = newRecorder
	Scrape      = scrape
	Process     = process
)

func (l *ledger) Record(seq int64, flagged bool) bool {
	return l.record(seq, func() bool { return flagged })
}

func (l *ledger) Counts() (received, duplicated, redelivered, reordered int64) {
	return l.received, l.duplicated, l.redelivered, l.reordered
}

func (p *pool) Record(batch ...int64) int64 { return p.record(batch) }

func (r *recorder) Note(i int, now, due time.Time) { r.note(i, now, due) }

func (r *recorder) Result() *Latency { return r.result() }

func (u usage) Values() (cpu float64, rss int64) { return u.cpu, u.rss }
