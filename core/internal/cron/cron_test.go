package cron_test

import (
	"testing"
	"time"

	"github.com/wyemq/wye/core/internal/cron"
)

func TestNext(t *testing.T) {
	start := time.Date(2026, 11, 21, 10, 30, 15, 0, time.UTC) // a Saturday
	for _, c := range []struct{ line, want string }{
		{"* * * * *", "2026-11-21T10:31:00Z"},
		{"0 * * * *", "2026-11-21T11:00:00Z"},
		{"*/20 * * * *", "2026-11-21T10:40:00Z"},
		{"5,45 9-11 * * *", "2026-11-21T10:45:00Z"},
		{"0 2 * * *", "2026-11-22T02:00:00Z"},
		{"0 0 1 1 *", "2027-01-01T00:00:00Z"},
		{"0 8 * * 1-5", "2026-11-23T08:00:00Z"},
		{"0 8 * * 7", "2026-11-22T08:00:00Z"},
		{"0 8 25 * 1", "2026-11-23T08:00:00Z"},
		{"0 0 29 2 *", "2028-02-29T00:00:00Z"},
	} {
		l, err := cron.Parse(c.line)
		if err != nil {
			t.Errorf("Parse(%q): %v", c.line, err)
			continue
		}
		if got, ok := l.Next(start); !ok || got.Format(time.RFC3339) != c.want {
			t.Errorf("Next(%q) = %v, %v, want %s", c.line, got.Format(time.RFC3339), ok, c.want)
		}
	}
}

func TestNextNever(t *testing.T) {
	l, err := cron.Parse("0 0 30 2 *")
	if err != nil {
		t.Fatal(err)
	}
	if got, ok := l.Next(time.Now()); ok {
		t.Errorf("Next = %v, want none", got)
	}
}

func TestParseErrors(t *testing.T) {
	for _, s := range []string{"", "* * * *", "60 * * * *", "* 24 * * *", "* * 0 * *", "5-1 * * * *", "*/0 * * * *", "a * * * *", "1- * * * *"} {
		if _, err := cron.Parse(s); err == nil {
			t.Errorf("Parse(%q) = nil error", s)
		}
	}
}
