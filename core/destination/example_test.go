package destination_test

import (
	"fmt"

	"github.com/wyemq/wye/core/destination"
)

func Example() {
	kind, name, _ := destination.Split("topic/sensors/eu/1")
	fmt.Println(kind)
	for level := range destination.Levels(name) {
		fmt.Println(" ", level)
	}
	fmt.Println(destination.Match("topic/sensors/+/1", "topic/sensors/eu/1"))
	fmt.Println(destination.Match("topic/#/1", "topic/sensors/eu/1"))
	fmt.Println(destination.Match("topic/#", "topic/$SYS/uptime"))
	// Output:
	// topic
	//   sensors
	//   eu
	//   1
	// true
	// true
	// false
}

func ExampleCheckFilter() {
	fmt.Println(destination.CheckFilter("topic/sensors/+/temperature"))
	fmt.Println(destination.CheckFilter("topic/sensors/eu+us"))
	fmt.Println(destination.CheckFilter("queue/jobs/#"))
	// Output:
	// <nil>
	// invalid destination "topic/sensors/eu+us": a wildcard stands alone in its level, not as in "eu+us"
	// invalid destination "queue/jobs/#": a queue has no wildcards
}
