package subtree_test

import (
	"strings"
	"testing"

	"github.com/wyemq/wye/core/destination"
	"github.com/wyemq/wye/core/internal/subtree"
)

// FuzzMatch holds the tree to destination.Match for several filters, one a line, at once.
func FuzzMatch(f *testing.F) {
	f.Add("topic/a/#/b\ntopic/#\ntopic/+/b", "topic/a/b")
	f.Add("topic/#/#/#/+\ntopic/#/a/#/a\ntopic/a/#/#", "topic/a/a/a/a")
	f.Add("queue/c#\ntemp/1/x\ntopic//", "queue/c#")
	f.Add("topic/#/$x\ntopic/$x/#\ntopic/+", "topic/$x")
	f.Fuzz(func(t *testing.T, text, dest string) {
		tree := subtree.New[string]()
		filters := map[string]bool{}
		for filter := range strings.SplitSeq(text, "\n") {
			if destination.CheckFilter(filter) == nil && tree.Add(filter, filter) {
				filters[filter] = true
			}
		}
		var r subtree.Result[string]
		tree.Match(dest, &r) // whatever it is, this ends
		if destination.Check(dest) == nil {
			found := map[string]bool{}
			for _, filter := range r.Direct {
				if found[filter] {
					t.Fatalf("%q was found twice", filter)
				}
				found[filter] = true
			}
			for filter := range filters {
				if want := destination.Match(filter, dest); found[filter] != want {
					t.Fatalf("%q found for %q: %v, want %v", filter, dest, found[filter], want)
				}
			}
		}
		for filter := range filters {
			if !tree.Remove(filter, filter) {
				t.Fatalf("Remove(%q) = false", filter)
			}
		}
		if !tree.Clean() {
			t.Fatal("something is left")
		}
	})
}
