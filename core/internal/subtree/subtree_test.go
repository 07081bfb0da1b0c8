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
		{"topic/$SYS/#", "topic/$SYS/x", true},
		{"topic/a/#/z", "topic/a/z", true},
		{"topic/a/#/z", "topic/a/b/c/z", true},
		{"topic/a/#/z", "topic/a/b/c", false},
		{"topic/#/b/#", "topic/b", true},
		{"topic/#/b/#", "topic/b/b/b/b", true},
		{"topic/#/#/b", "topic/x/b", true},
		{"topic/#/+", "topic/x", true},
		{"topic//a", "topic//a", true},
		{"topic/+/a", "topic//a", true},
		{"queue/a", "queue/a", true},
		{"queue/a", "topic/a", false},
	} {
		tree := subtree.New[string]()
		tree.Add(c.filter, "x")
		if got := match(tree, c.dest); (len(got) == 1) != c.want || len(got) > 1 {
			t.Errorf("Match(%q, %q) = %v, want %v", c.filter, c.dest, got, c.want)
		}
		if got := destination.Match(c.filter, c.dest); got != c.want {
			t.Errorf("destination.Match(%q, %q) = %v, want %v", c.filter, c.dest, got, c.want)
		}
	}
}

// TestModel holds the tree to destination.Match over random filters and names.
func TestModel(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	word := func(words ...string) string {
		levels := make([]string, 1+rnd.IntN(6))
		for i := range levels {
			levels[i] = words[rnd.IntN(len(words))]
		}
		return "topic/" + strings.Join(levels, "/")
	}
	tree := subtree.New[string]()
	filters := map[string]bool{}
	for i := range 20_000 {
		f := word("a", "b", "$x", "+", "#")
		switch {
		case filters[f]:
			if !tree.Remove(f, f) {
				t.Fatalf("Remove(%q) = false", f)
			}
			delete(filters, f)
		default:
			tree.Add(f, f)
			filters[f] = true
		}
		if i%20 != 0 {
			continue
		}
		dest := word("a", "b", "$x", "c")
		var want []string
		for f := range filters {
			if destination.Match(f, dest) {
				want = append(want, f)
			}
		}
		slices.Sort(want)
		if got := match(tree, dest); !slices.Equal(got, want) {
			t.Fatalf("Match(%q) = %q, want %q", dest, got, want)
		}
	}
	for f := range filters {
		tree.Remove(f, f)
	}
	if tree.Len() != 0 {
		t.Errorf("Len = %d after everything was removed", tree.Len())
	}
}

func TestManyOnOneFilter(t *testing.T) {
	tree := subtree.New[int]()
	const n = 100_000
	for i := range n {
		tree.Add("topic/a", i)
	}
	for i := 0; i < n; i += 2 {
		if !tree.Remove("topic/a", i) {
			t.Fatalf("Remove(%d) = false", i)
		}
	}
	if tree.Remove("topic/a", 0) {
		t.Error("Remove of what is not there = true")
	}
	var r subtree.Result[int]
	tree.Match("topic/a", &r)
	if len(r.Direct) != n/2 {
		t.Errorf("found %d, want %d", len(r.Direct), n/2)
	}
}

func TestConcurrent(t *testing.T) {
	tree := subtree.New[int]()
	tree.Add("topic/+/x", -1)
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			for i := range 2000 {
				f := fmt.Sprintf("topic/%d/x", i%7)
				tree.Add(f, g)
				tree.Remove(f, g)
			}
		})
		wg.Go(func() {
			var r subtree.Result[int]
			for range 2000 {
				r.Direct = r.Direct[:0]
				tree.Match("topic/3/x", &r)
				if !slices.Contains(r.Direct, -1) {
					t.Error("an entry that was always there was not found")
					return
				}
			}
		})
	}
	wg.Wait()
}

// TestPathological: what could be reached in exponentially many ways is visited once.
func TestPathological(t *testing.T) {
	tree := subtree.New[string]()
	filter := "topic" + strings.Repeat("/#/a", 20) + "/#"
	tree.Add(filter, filter)
	if got := match(tree, "topic"+strings.Repeat("/a", 100)); len(got) != 1 {
		t.Errorf("found %d, want 1", len(got))
	}
}

func TestMatchAllocs(t *testing.T) {
	tree := filled(100, 1000)
	var r subtree.Result[int]
	tree.Match("topic/a/b/c", &r)
	if n := testing.AllocsPerRun(100, func() {
		r.Direct = r.Direct[:0]
		tree.Match("topic/a/b/c", &r)
	}); n != 0 {
		t.Errorf("Match allocates %v times", n)
	}
}

func filled(subs, unrelated int) *subtree.Tree[int] {
	tree := subtree.New[int]()
	for i := range unrelated {
		tree.Add(fmt.Sprintf("topic/other/%d/#", i), i)
	}
	for i := range subs {
		tree.Add("topic/a/+/c", i)
	}
	return tree
}

func BenchmarkMatch(b *testing.B) {
	for _, subs := range []int{1, 100, 10_000} {
		for _, unrelated := range []int{0, 100_000} {
			b.Run(fmt.Sprintf("subs=%d/unrelated=%d", subs, unrelated), func(b *testing.B) {
				tree := filled(subs, unrelated)
				var r subtree.Result[int]
				b.ReportAllocs()
				for b.Loop() {
					r.Direct = r.Direct[:0]
					tree.Match("topic/a/b/c", &r)
				}
			})
		}
	}
}
