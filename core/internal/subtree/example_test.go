package subtree_test

import (
	"fmt"
	"slices"

	"github.com/wyemq/wye/core/internal/subtree"
)

func Example() {
	t := subtree.New[string]()
	t.Add("topic/sensors/+/temperature", "dashboard")
	t.Add("topic/sensors/#", "archive")
	t.AddMember("topic/sensors/#", "workers", "w1")
	t.AddMember("topic/sensors/#", "workers", "w2")

	var r subtree.Result[string] // used again for the next message
	t.Match("topic/sensors/1/temperature", &r)
	slices.Sort(r.Direct)
	fmt.Println(r.Direct)
	for _, g := range r.Groups {
		fmt.Println(g.Name, g.Members)
	}
	// Output:
	// [archive dashboard]
	// workers [w1 w2]
}
