package cli_test

import (
	"errors"
	"flag"
	"fmt"
	"os"

	"github.com/wyemq/wye/cmd/internal/cli"
)

func Example() {
	c := cli.Command{Name: "greet", Usage: "usage: greet name\n", Help: "greet --help", Stdout: os.Stdout, Stderr: os.Stdout}
	greet := func(args ...string) int {
		return c.Run(func() error {
			switch {
			case len(args) != 1:
				return errors.New("whom?")
			case args[0] == "--help":
				return flag.ErrHelp
			}
			return nil
		}, func() error {
			if args[0] == "nobody" {
				return errors.New("there is nobody")
			}
			fmt.Println("hello", args[0])
			return nil
		})
	}
	fmt.Println(greet("you"), greet("--help"), greet("nobody"), greet())
	// Output:
	// hello you
	// usage: greet name
	// greet: there is nobody
	// greet: whom?
	// try: greet --help
	// 0 0 1 2
}
