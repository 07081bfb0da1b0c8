package hostile_test

import (
	"fmt"

	"github.com/wyemq/wye/cmd/internal/hostile"
)

// A result in which nothing has happened proves nothing, and says so.
func ExampleResult_Violations() {
	r := &hostile.Result{Sent: 100, Received: 99}
	for _, v := range r.Violations()[:2] {
		fmt.Println(v)
	}
	// Output:
	// 1 of 100 messages were lost
	// nobody got to "never logs in"
}
