package destination_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/wyemq/wye/core/destination"
)

func TestCheck(t *testing.T) {
	long := strings.Repeat("x", destination.MaxBytes)
	deep := strings.Repeat("/", destination.MaxLevels-1)
	for _, c := range []struct {
		name, dest    string
		check, filter string // what the error says; "" for none
	}{
		{"topic", "topic/a/b", "", ""},
		{"empty first level", "topic//a", "", ""},
		{"empty levels", "topic//", "", ""},
		{"dollar", "topic/$SYS/x", "", ""},
		{"queue", "queue/jobs/eu", "", ""},
		{"queue with literal signs", "queue/c#/a+b", "", ""},
		{"temporary", "temp/a1/x", "", ""},
		{"longest", "topic/" + long, "", ""},
		{"deepest", "topic/a" + deep, "", ""},
		{"one level wildcard", "topic/a/+/c", `wildcard, this one has '+'`, ""},
		{"many level wildcard", "topic/a/#", `wildcard, this one has '#'`, ""},
		{"many in the middle", "topic/a/#/z", "wildcard", ""},
		{"only wildcards", "topic/#/+/#", "wildcard", ""},
		{"wildcard beside text", "topic/a/b+", "wildcard", `not as in "b+"`},
		{"two wildcards in a level", "topic/##", "wildcard", `not as in "##"`},
		{"queue wildcard", "queue/a/#", "a queue has no wildcards", "a queue has no wildcards"},
		{"temporary wildcard", "temp/+/a", "a temp has no wildcards", "a temp has no wildcards"},
		{"nothing", "", "must begin with", "must begin with"},
		{"no kind", "a/b", "must begin with topic/, queue/ or temp/", "must begin with"},
		{"unknown kind", "exchange/b", "must begin with", "must begin with"},
		{"kind alone", "topic", "must begin with", "must begin with"},
		{"leading slash", "/topic/a", "must begin with", "must begin with"},
		{"capital kind", "Topic/a", "must begin with", "must begin with"},
		{"empty topic", "topic/", "the name is empty", "the name is empty"},
		{"empty queue", "queue/", "the name is empty", "the name is empty"},
		{"NUL", "queue/a\x00b", "NUL", "NUL"},
		{"not UTF-8", "topic/\xff", "not UTF-8", "not UTF-8"},
		{"surrogate", "topic/\xed\xa0\x80", "not UTF-8", "not UTF-8"},
		{"too long", "topic/x" + long, "65536 bytes are more than 65535", "more than"},
		{"too deep", "topic/a/" + deep, "129 levels are more than 128", "129 levels"},
	} {
		t.Run(c.name, func(t *testing.T) {
			expect(t, "Check", destination.Check(c.dest), c.check)
			expect(t, "CheckFilter", destination.CheckFilter(c.dest), c.filter)
		})
	}
}

func expect(t *testing.T, what string, err error, want string) {
	t.Helper()
	switch {
	case want == "" && err != nil:
		t.Errorf("%s = %v, want nil", what, err)
	case want != "" && err == nil:
		t.Errorf("%s = nil, want an error with %q", what, want)
	case want != "" && (!strings.Contains(err.Error(), want) || !errors.Is(err, destination.ErrInvalid)):
		t.Errorf("%s = %v, want an ErrInvalid with %q", what, err, want)
	case err != nil && len(err.Error()) > 400:
		t.Errorf("%s: the error has %d bytes", what, len(err.Error()))
	}
}

func TestSplit(t *testing.T) {
	for _, c := range []struct {
		dest string
		kind destination.Kind
		name string
	}{
		{"topic/a/b", destination.Topic, "a/b"},
		{"topic//a", destination.Topic, "/a"},
		{"queue/jobs", destination.Queue, "jobs"},
		{"temp/1/x", destination.Temp, "1/x"},
		{"nothing", 0, ""},
	} {
		k, name, err := destination.Split(c.dest)
		if k != c.kind || name != c.name || (err != nil) != (c.kind == 0) {
			t.Errorf("Split(%q) = %v, %q, %v", c.dest, k, name, err)
		}
		if err == nil {
			levels := slices.Collect(destination.Levels(name))
			if back := destination.Join(k, levels...); back != c.dest {
				t.Errorf("Join(%v, %q) = %q, want %q", k, levels, back, c.dest)
			}
		}
	}
}

func TestKindString(t *testing.T) {
	for k, want := range map[destination.Kind]string{
		destination.Topic: "topic", destination.Queue: "queue", destination.Temp: "temp", 0: "unknown",
	} {
		if got := k.String(); got != want {
			t.Errorf("Kind(%d).String() = %q, want %q", k, got, want)
		}
	}
}

func TestLevels(t *testing.T) {
	for name, want := range map[string][]string{
		"":      {""},
		"a":     {"a"},
		"a/b":   {"a", "b"},
		"/a":    {"", "a"},
		"a//b/": {"a", "", "b", ""},
	} {
		if got := slices.Collect(destination.Levels(name)); !slices.Equal(got, want) {
			t.Errorf("Levels(%q) = %q, want %q", name, got, want)
		}
	}
	for range destination.Levels("a/b/c") { // stopping early is allowed
		break
	}
}

func TestAllocs(t *testing.T) {
	n := 0
	if a := testing.AllocsPerRun(100, func() {
		if destination.Match("topic/a/#/b/+", "topic/a/x/b/b/c") {
			n++
		}
		if destination.Check("topic/a/x/b") != nil || destination.CheckFilter("topic/a/+/b") != nil {
			n++
		}
		for level := range destination.Levels("a/b/c") {
			n += len(level)
		}
	}); a != 0 {
		t.Errorf("%v allocations, want 0", a)
	}
}
