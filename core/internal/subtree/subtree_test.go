package subtree_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/wyemq/wye/core/destination"
	"github.com/wyemq/wye/core/internal/subtree"
)

func match(t *subtree.Tree[string], dest string) []string {
	var r subtree.Result[string]
	t.Match(dest, &r)
	slices.Sort(r.Direct)
	return r.Direct
}

func TestMatch(t *testing.T) {
	for _, c := range []struct {
		filter, dest string
		want         bool
	}{
		{"topic/a/b", "topic/a/b", true},
		{"topic/a/b", "topic/a", false},
		{"topic/a/b", "topic/a/b/c", false},
		{"topic/a/+", "topic/a/b", true},
		{"topic/a/+", "topic/a", false},
		{"topic/a/+", "topic/a/", true},
		{"topic/+/b", "topic/a/b", true},
		{"topic/a/#", "topic/a", true},
		{"topic/a/#", "topic/a/b/c/d", true},
		{"topic/#", "topic/a", true},
		{"topic/#", "topic/$SYS/x", false},
		{"topic/+/x", "topic/$SYS/x", false},
		{"topic/#/$SYS", "topic/$SYS", false},
		{"topic/$SYS/#", "topic/$SYS", true},
		{"topic/$SYS/#", "topic/$SYS/x", true},
		{"topic/$SYS", "topic/$SYS", true},
		{"topic/a/#/z", "topic/a/z", true},
		{"topic/a/#/z", "topic/a/b/c/z", true},
		{"topic/a/#/z", "topic/a/b/c", false},
		{"topic/#/b/#", "topic/b", true},
		{"topic/#/b/#", "topic/b/b/b/b", true},
		{"topic/#/#/b", "topic/x/b", true},
		{"topic/a/#/#/b", "topic/a/x/y/b", true},
		{"topic/#/+", "topic/x", true},
		{"topic/#/+/#/+", "topic/x", false},
		{"topic/#/+/#/+", "topic/x/y/z", true},
		{"topic//a", "topic//a", true},
		{"topic/+/a", "topic//a", true},
		{"topic/+", "topic/", true},
		{"queue/a", "queue/a", true},
		{"queue/a/b", "queue/a/b", true},
		{"queue/a", "topic/a", false},
		{"topic/#", "queue/a", false},
		{"queue/#", "queue/a", false},
		{"queue/+", "queue/+", true},
		{"queue/c#", "queue/c#", true},
		{"temp/1/a", "temp/1/a", true},
		{"topic", "topic", true},
		{"topic/#", "topic", false},
	} {
		tree := subtree.New[string]()
		tree.Add(c.filter, "x")
		if got := match(tree, c.dest); (len(got) == 1) != c.want || len(got) > 1 {
			t.Errorf("Match(%q, %q) = %v, want %v", c.filter, c.dest, got, c.want)
		}
		if got := destination.Match(c.filter, c.dest); got != c.want {
			t.Errorf("destination.Match(%q, %q) = %v, want %v", c.filter, c.dest, got, c.want)
		}
		if !tree.Remove(c.filter, "x") || !tree.Clean() {
			t.Errorf("after Remove(%q) something is left", c.filter)
		}
	}
}

func TestAddTwice(t *testing.T) {
	for _, others := range []int{0, 40} { // without and with a map of positions
		tree := subtree.New[string]()
		for i := range others {
			tree.Add("topic/a", fmt.Sprint("other", i))
		}
		if !tree.Add("topic/a", "x") || tree.Add("topic/a", "x") || !tree.Add("topic/+", "x") {
			t.Error("Add says the wrong thing about what is there")
		}
		if got, want := len(match(tree, "topic/a")), others+2; got != want {
			t.Errorf("found %d, want %d: once for each filter", got, want)
		}
		if !tree.Remove("topic/a", "x") || tree.Remove("topic/a", "x") {
			t.Error("Remove after adding twice must be true once")
		}
		if tree.Remove("topic/b", "x") || tree.Remove("topic/a/#", "x") || tree.Remove("queue/a", "x") {
			t.Error("Remove of what was never there = true")
		}
		if got, want := tree.Len(), others+1; got != want {
			t.Errorf("Len = %d, want %d", got, want)
		}
	}
}

func TestGroups(t *testing.T) {
	tree := subtree.New[string]()
	tree.Add("topic/a/b", "direct")
	tree.AddMember("topic/a/#", "g", "1")
	tree.AddMember("topic/a/#", "g", "2")
	tree.AddMember("topic/a/+", "g", "1") // another group
	tree.AddMember("topic/a/#", "h", "1")
	tree.AddMember("topic/b", "g", "3")
	tree.AddMember("queue/q", "g", "4")
	if tree.AddMember("topic/a/#", "g", "2") {
		t.Error("AddMember of a member = true")
	}
	found := func(dest string) []string {
		var r subtree.Result[string]
		tree.Match(dest, &r)
		out := slices.Clone(r.Direct)
		for _, g := range r.Groups {
			slices.Sort(g.Members)
			out = append(out, g.Name+"@"+g.Filter+"="+strings.Join(g.Members, ","))
		}
		slices.Sort(out)
		return out
	}
	for dest, want := range map[string][]string{
		"topic/a/b": {"direct", "g@topic/a/#=1,2", "g@topic/a/+=1", "h@topic/a/#=1"},
		"topic/a":   {"g@topic/a/#=1,2", "h@topic/a/#=1"},
		"queue/q":   {"g@queue/q=4"},
		"topic/c":   nil,
	} {
		if got := found(dest); !slices.Equal(got, want) {
			t.Errorf("Match(%q) = %q, want %q", dest, got, want)
		}
	}
	if tree.Remove("topic/a/#", "1") || tree.RemoveMember("topic/a/#", "x", "1") || tree.RemoveMember("topic/a/b", "g", "1") {
		t.Error("a member is no direct entry, and not of another group")
	}
	tree.RemoveMember("topic/a/#", "g", "1")
	tree.RemoveMember("topic/a/#", "h", "1")
	if got, want := found("topic/a"), []string{"g@topic/a/#=2"}; !slices.Equal(got, want) {
		t.Errorf("after members left: %q, want %q", got, want)
	}
	for _, c := range [][3]string{
		{"topic/a/#", "g", "2"},
		{"topic/a/+", "g", "1"},
		{"topic/b", "g", "3"},
		{"queue/q", "g", "4"},
	} {
		if !tree.RemoveMember(c[0], c[1], c[2]) {
			t.Errorf("RemoveMember(%q) = false", c)
		}
	}
	tree.Remove("topic/a/b", "direct")
	if tree.Len() != 0 || !tree.Clean() {
		t.Errorf("Len = %d, Clean = %v at the end", tree.Len(), tree.Clean())
	}
}

func TestManyGroups(t *testing.T) {
	tree := subtree.New[int]()
	const n = 5000
	for i := range n {
		tree.AddMember("topic/a", fmt.Sprint("g", i), i)
	}
	var r subtree.Result[int]
	tree.Match("topic/a", &r)
	seen := map[int]bool{}
	for _, g := range r.Groups {
		if len(g.Members) != 1 || g.Name != fmt.Sprint("g", g.Members[0]) {
			t.Fatalf("group %q has %v", g.Name, g.Members)
		}
		seen[g.Members[0]] = true
	}
	if len(seen) != n {
		t.Errorf("found %d groups, want %d", len(seen), n)
	}
	r.Reset()
	if len(r.Direct) != 0 || len(r.Groups) != 0 {
		t.Error("Reset left something")
	}
	for i := range n {
		tree.RemoveMember("topic/a", fmt.Sprint("g", i), i)
	}
	if !tree.Clean() {
		t.Error("something is left")
	}
}

// TestModel holds the tree to destination.Match over random filters and names.
func TestModel(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	word := func(kind string, words ...string) string {
		levels := make([]string, 1+rnd.IntN(6))
		for i := range levels {
			levels[i] = words[rnd.IntN(len(words))]
		}
		return kind + strings.Join(levels, "/")
	}
	kind := func() string {
		if rnd.IntN(8) == 0 {
			return "queue/"
		}
		return "topic/"
	}
	tree := subtree.New[string]()
	filters := map[string]bool{}
	var r subtree.Result[string]
	for i := range 20_000 {
		f := word(kind(), "a", "b", "", "$x", "+", "#")
		grouped := len(f)%2 == 0
		switch {
		case filters[f] && grouped && !tree.RemoveMember(f, "g", f),
			filters[f] && !grouped && !tree.Remove(f, f),
			!filters[f] && grouped && !tree.AddMember(f, "g", f),
			!filters[f] && !grouped && !tree.Add(f, f):
			t.Fatalf("changing %q (there: %v) = false", f, filters[f])
		case filters[f]:
			delete(filters, f)
		default:
			filters[f] = true
		}
		if i%20 != 0 {
			continue
		}
		dest := word(kind(), "a", "b", "", "$x", "c")
		var want []string
		for f := range filters {
			if destination.Match(f, dest) {
				want = append(want, f)
			}
		}
		slices.Sort(want)
		tree.Match(dest, &r)
		got := slices.Clone(r.Direct)
		for _, g := range r.Groups {
			got = append(got, g.Members...)
		}
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Fatalf("Match(%q) = %q, want %q", dest, got, want)
		}
	}
	for f := range filters {
		if !tree.Remove(f, f) && !tree.RemoveMember(f, "g", f) {
			t.Errorf("%q cannot be removed", f)
		}
	}
	if tree.Len() != 0 || !tree.Clean() {
		t.Errorf("Len = %d, Clean = %v after everything was removed", tree.Len(), tree.Clean())
	}
}

func TestManyOnOneFilter(t *testing.T) {
	tree := subtree.New[int]()
	const n = 100_000
	for i := range n {
		tree.Add("topic/a", i)
	}
	for i := range n {
		if i%10 != 0 && !tree.Remove("topic/a", i) {
			t.Fatalf("Remove(%d) = false", i)
		}
	}
	if tree.Remove("topic/a", 1) {
		t.Error("Remove of what is not there = true")
	}
	var r subtree.Result[int]
	tree.Match("topic/a", &r)
	slices.Sort(r.Direct)
	if len(r.Direct) != n/10 || r.Direct[0] != 0 || r.Direct[n/10-1] != n-10 {
		t.Errorf("found %d, want %d", len(r.Direct), n/10)
	}
	if c := tree.Cap("topic/a"); c > 4*n/10 {
		t.Errorf("room for %d is kept for %d entries", c, n/10)
	}
}

func TestConcurrent(t *testing.T) {
	tree := subtree.New[int]()
	tree.Add("topic/+/x", -1)
	tree.AddMember("topic/#", "g", -2)
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			for i := range 2000 {
				f := fmt.Sprintf("topic/%d/x", i%7)
				tree.Add(f, g)
				tree.AddMember(f, "g", g)
				tree.Remove(f, g)
				tree.RemoveMember(f, "g", g)
			}
		})
		wg.Go(func() {
			var r subtree.Result[int]
			for range 2000 {
				tree.Match("topic/3/x", &r)
				if !slices.Contains(r.Direct, -1) || len(r.Groups) == 0 || tree.Len() < 2 {
					t.Error("an entry that was always there was not found")
					return
				}
			}
		})
	}
	wg.Wait()
	if got := tree.Len(); got != 2 {
		t.Errorf("Len = %d, want 2", got)
	}
}

func TestMatchAllocs(t *testing.T) {
	tree := filled(100, 1000)
	tree.Add("topic/#/b/#", 1)
	tree.Add("topic/a/#/#/c", 1)
	for i := range 20 {
		tree.AddMember("topic/a/#", "g", i)
		tree.AddMember("topic/+/b/c", fmt.Sprint(i), i)
	}
	tree.Add("queue/q", 1)
	var r subtree.Result[int]
	for range 2 {
		tree.Match("topic/a/b/c", &r)
	}
	if n := testing.AllocsPerRun(100, func() {
		tree.Match("topic/a/b/c", &r)
		tree.Match("queue/q", &r)
		r.Reset()
	}); n != 0 {
		t.Errorf("Match allocates %v times", n)
	}
}
