package load_test

import (
	"context"
	"fmt"
	"os"

	"github.com/wyemq/wye/cmd/internal/load"
)

// The arguments are those of the command line; what makes no sense is said on standard error.
func ExampleRun() {
	code := load.Run(context.Background(), []string{"fan", "--mqtt", "--subs", "0"}, os.Stdout, os.Stdout)
	fmt.Println("exit code", code)
	// Output:
	// wye bench: --subs must be positive, is 0
	// try: wye bench --help
	// exit code 2
}
