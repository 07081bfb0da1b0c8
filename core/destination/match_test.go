package destination_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/wyemq/wye/core/destination"
)

func TestMatch(t *testing.T) {
	for _, c := range []struct {
		filter, dest string
		want         bool
	}{
		{"topic/a/b", "topic/a/b", true},
		{"topic/a/b", "topic/a/c", false},
		{"topic/a/b", "topic/a", false},
		{"topic/a", "topic/a/b", false},
		{"topic/a", "topic/A", false},
		{"topic/a", "queue/a", false},
		{"topic//a", "topic//a", true},
		{"topic//a", "topic/a", false},
		{"topic/a/", "topic/a", false},
		{"topic/+", "topic/a", true},
		{"topic/+", "topic/a/b", false},
		{"topic/+", "topic//a", false},
		{"topic/+/+", "topic//a", true},
		{"topic/+/a", "topic//a", true},
		{"topic/a/+", "topic/a/", true},
		{"topic/a/+", "topic/a", false},
		{"topic/a/+/c", "topic/a/b/c", true},
		{"topic/a/+/c", "topic/a/c", false},
		{"topic/#", "topic/a", true},
		{"topic/#", "topic//", true},
		{"topic/a/#", "topic/a", true},
		{"topic/a/#", "topic/a/", true},
		{"topic/a/#", "topic/a/b/c", true},
		{"topic/a/#", "topic/ab", false},
		{"topic/a/#/z", "topic/a/z", true},
		{"topic/a/#/z", "topic/a/b/c/z", true},
		{"topic/a/#/z", "topic/a/z/z", true},
		{"topic/a/#/z", "topic/a/z/b", false},
		{"topic/#/a/#/b", "topic/x/a/a/b/c/b", true},
		{"topic/#/a/#/b", "topic/b/a", false},
		{"topic/#/#", "topic/a", true},
		{"topic/a/#/#/b", "topic/a/b", true},
		{"topic/#/+", "topic/a", true},
		{"topic/+/#/+", "topic/a", false},
		{"topic/+/#/+", "topic/a/b", true},
		{"topic/#", "topic/$SYS/x", false},
		{"topic/+/x", "topic/$SYS/x", false},
		{"topic/#/$SYS", "topic/$SYS", false},
		{"topic/$SYS/#", "topic/$SYS/x", true},
		{"topic/$SYS/+", "topic/$SYS/x", true},
		{"topic/+/$x", "topic/a/$x", true},
		{"topic/a/#", "topic/a/$x", true},
		{"queue/a", "queue/a", true},
		{"queue/a", "queue/b", false},
		{"queue/c#", "queue/c#", true},
		{"queue/+", "queue/a", false},
		{"temp/1/a", "temp/1/a", true},
		{"temp/1/a", "temp/2/a", false},
	} {
		if got := destination.Match(c.filter, c.dest); got != c.want {
			t.Errorf("Match(%q, %q) = %v, want %v", c.filter, c.dest, got, c.want)
		}
	}
}

func TestHasWildcard(t *testing.T) {
	for filter, want := range map[string]bool{
		"topic/a": false, "topic/a/+": true, "topic/#/b": true, "topic/#": true,
		"queue/c#": false, "queue/a+b": false, "temp/1/x": false, "": false,
	} {
		if got := destination.HasWildcard(filter); got != want {
			t.Errorf("HasWildcard(%q) = %v, want %v", filter, got, want)
		}
	}
}

// matchSlow is the definition of a match, written down without care for cost.
func matchSlow(filter, name []string) bool {
	switch {
	case len(filter) == 0:
		return len(name) == 0
	case filter[0] == "#":
		return matchSlow(filter[1:], name) || len(name) > 0 && matchSlow(filter, name[1:])
	case len(name) == 0:
		return false
	default:
		return (filter[0] == "+" || filter[0] == name[0]) && matchSlow(filter[1:], name[1:])
	}
}

func TestMatchModel(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 4))
	levels := func(words ...string) []string {
		out := make([]string, 1+rnd.IntN(7))
		for i := range out {
			out[i] = words[rnd.IntN(len(words))]
		}
		return out
	}
	matched := 0
	for range 200_000 {
		f, n := levels("a", "b", "", "+", "#"), levels("a", "b", "", "c")
		want := matchSlow(f, n)
		if want {
			matched++
		}
		filter, dest := destination.Join(destination.Topic, f...), destination.Join(destination.Topic, n...)
		if got := destination.Match(filter, dest); got != want {
			t.Fatalf("Match(%q, %q) = %v, want %v", filter, dest, got, want)
		}
	}
	if matched < 1000 {
		t.Errorf("only %d matches: the test tests little", matched)
	}
}

func FuzzCheck(f *testing.F) {
	for _, s := range []string{
		"topic/a/b", "topic//a", "topic/a/+/c", "topic/a/#/z", "topic/a+", "queue/jobs", "queue/c#", "queue/#",
		"temp/a1/x", "topic/", "topic", "", "/topic/a", "topic/\xff", "queue/\x00", "topic/$SYS/#", "topic/é/世界",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		asName, asFilter := destination.Check(s), destination.CheckFilter(s)
		if asName == nil && asFilter != nil {
			t.Fatalf("%q can be sent to, not subscribed to: %v", s, asFilter)
		}
		if asFilter != nil {
			return
		}
		if (asName != nil) != destination.HasWildcard(s) {
			t.Fatalf("HasWildcard(%q) = %v, and Check says %v", s, destination.HasWildcard(s), asName)
		}
		k, name, err := destination.Split(s)
		if err != nil {
			t.Fatalf("Split(%q): %v", s, err)
		}
		if back := destination.Join(k, slices.Collect(destination.Levels(name))...); back != s {
			t.Fatalf("Join of the levels of %q = %q", s, back)
		}
		if asName == nil && !destination.Match(s, s) {
			t.Fatalf("%q does not match itself", s)
		}
	})
}

func FuzzMatch(f *testing.F) {
	for _, s := range [][2]string{
		{"topic/a/b", "topic/a/b"},
		{"topic/a/#", "topic/a"},
		{"topic/#/a/#/b", "topic/x/a/a/b/c/b"},
		{"topic/+/x", "topic/$SYS/x"},
		{"queue/a", "queue/a"},
		{"topic/#/#/#", "topic/a"},
		{"topic/+/#/+", "topic//"},
	} {
		f.Add(s[0], s[1])
	}
	f.Fuzz(func(t *testing.T, filter, dest string) {
		got := destination.Match(filter, dest) // whatever they are, there is an answer
		if destination.CheckFilter(filter) != nil || destination.Check(dest) != nil || strings.Count(filter, "#") > 4 {
			return
		}
		want := filter == dest
		if fn, ok := strings.CutPrefix(filter, "topic/"); ok {
			dn, ok := strings.CutPrefix(dest, "topic/")
			want = ok && matchSlow(strings.Split(fn, "/"), strings.Split(dn, "/"))
			if first := fn[:1]; dn != "" && dn[0] == '$' && (first == "+" || first == "#") {
				want = false
			}
		}
		if got != want {
			t.Fatalf("Match(%q, %q) = %v, want %v", filter, dest, got, want)
		}
	})
}

func BenchmarkMatch(b *testing.B) {
	for _, c := range []struct{ name, filter, dest string }{
		{"exact", "topic/sensors/eu/1/temperature", "topic/sensors/eu/1/temperature"},
		{"one", "topic/sensors/+/1/+", "topic/sensors/eu/1/temperature"},
		{"many", "topic/sensors/#/temperature", "topic/sensors/eu/1/temperature"},
		{"worst", "topic" + strings.Repeat("/#/a", 60) + "/b", "topic" + strings.Repeat("/a", 128)},
	} {
		b.Run(fmt.Sprintf("filter=%s", c.name), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				destination.Match(c.filter, c.dest)
			}
		})
	}
}
