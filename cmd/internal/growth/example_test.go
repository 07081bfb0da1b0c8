package growth_test

import (
	"context"
	"fmt"
	"io"

	"github.com/wyemq/wye/cmd/internal/growth"
)

func ExampleRun() {
	fmt.Println(growth.Run(context.Background(), []string{"-few", "-only", "retained"}, io.Discard, io.Discard))
	// Output: 0
}
