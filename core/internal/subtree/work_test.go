package subtree_test

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/wyemq/wye/core/internal/subtree"
)

// TestWork holds the bound of doc.go: what could be reached in exponentially many ways costs no more
// than levels × nodes, and unrelated filters cost nothing.
func TestWork(t *testing.T) {
	const levels = 128
	dest := "topic" + strings.Repeat("/a", levels)
	for _, c := range []struct {
		name, filter string
		want         int
	}{
		{"many many", "topic" + strings.Repeat("/#", levels), 1},
		{"many and a", "topic" + strings.Repeat("/#/a", levels/2), 1},
		{"many and a and many", "topic" + strings.Repeat("/#/a", levels/2-1) + "/#", 1},
		{"many and one", "topic" + strings.Repeat("/#/+", levels/2), 1},
		{"no match", "topic" + strings.Repeat("/#/a", levels/2-1) + "/b", 0},
		{"three", "topic" + strings.Repeat("/#/#/a", levels/3), 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			tree := subtree.New[string]()
			tree.Add(c.filter, "x")
			nodes := strings.Count(c.filter, "/") + 1
			var r subtree.Result[string]
			tree.Match(dest, &r)
			if len(r.Direct) != c.want {
				t.Errorf("found %d, want %d", len(r.Direct), c.want)
			}
			if bound := (levels + 1) * nodes; r.Work() > bound {
				t.Errorf("visited %d nodes, bound is %d", r.Work(), bound)
			}
		})
	}
	work := func(unrelated int) int {
		var r subtree.Result[int]
		filled(10, unrelated).Match("topic/a/b/c", &r)
		return r.Work()
	}
	if few, many := work(0), work(10_000); few != many {
		t.Errorf("unrelated filters add %d visits", many-few)
	}
}

// TestWorkTogether: all filters of random shape over one alphabet, together.
func TestWorkTogether(t *testing.T) {
	rnd := rand.New(rand.NewPCG(5, 6))
	tree := subtree.New[int]()
	nodes := 1
	for i := range 500 {
		f := "topic"
		for range 20 {
			f += [...]string{"/#", "/+", "/a"}[rnd.IntN(3)]
		}
		tree.Add(f, i)
		nodes += 20
	}
	const levels = 60
	var r subtree.Result[int]
	tree.Match("topic"+strings.Repeat("/a", levels), &r)
	if len(r.Direct) < 100 {
		t.Errorf("found only %d", len(r.Direct))
	}
	slices.Sort(r.Direct)
	if len(slices.Compact(r.Direct)) != len(r.Direct) {
		t.Error("an entry was found twice for one filter")
	}
	if bound := (levels + 1) * nodes; r.Work() > bound {
		t.Errorf("visited %d, bound is %d", r.Work(), bound)
	}
}
