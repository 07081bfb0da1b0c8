package subtree_test

import (
	"fmt"
	"testing"

	"github.com/wyemq/wye/core/internal/subtree"
)

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
					tree.Match("topic/a/b/c", &r)
				}
			})
		}
	}
}

// BenchmarkMatchParallel: run it with -cpu 1,2,4; the time should fall.
func BenchmarkMatchParallel(b *testing.B) {
	tree := filled(1, 1000)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		var own struct { // keeps the Results of two goroutines off one cache line
			_ [128]byte
			r subtree.Result[int]
			_ [128]byte
		}
		for pb.Next() {
			tree.Match("topic/a/b/c", &own.r)
		}
	})
}

func BenchmarkMatchGroups(b *testing.B) {
	tree := subtree.New[int]()
	for i := range 100 {
		tree.AddMember("topic/a/#", fmt.Sprint("g", i%10), i)
	}
	var r subtree.Result[int]
	b.ReportAllocs()
	for b.Loop() {
		tree.Match("topic/a/b/c", &r)
	}
}

func BenchmarkAddRemove(b *testing.B) {
	for _, subs := range []int{0, 100_000} {
		b.Run(fmt.Sprintf("subs=%d", subs), func(b *testing.B) {
			tree := filled(subs, 0)
			b.ReportAllocs()
			for b.Loop() {
				tree.Add("topic/a/+/c", -1)
				tree.Remove("topic/a/+/c", -1)
			}
		})
	}
}
