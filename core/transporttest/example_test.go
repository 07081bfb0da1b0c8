package transporttest_test

import (
	"fmt"

	"github.com/wyemq/wye/core/transporttest"
)

// A transport runs all checks by transporttest.Test(t, suite), with a Suite that says how to make and to dial it.
func Example() {
	for _, c := range transporttest.Checks()[:3] {
		fmt.Println(c.Name)
	}
	// Output:
	// Info
	// Order
	// Sizes
}
