package wyecmd

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/wyemq/wye/core/config"
)

// arguments are those of the command line.
type arguments struct {
	command string // "" runs the broker
	config  string
	set     []string
	bare    bool // the environment does not count either
}

// commands are those there are.
var commands = []string{"run", "config print", "config check", "config schema", "plugins", "bench", "pub", "sub", "version", "help"}

// errTwice is what --config says when it is there more than once.
var errTwice = errors.New("is there twice")

// parseArgs reads flags and words in any order.
func parseArgs(args []string) (arguments, error) {
	var a arguments
	var version, help bool
	fs := flag.NewFlagSet("wye", flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	fs.Func("config", "", func(path string) error {
		if a.config != "" {
			return errTwice
		}
		if path == "" {
			return errors.New("needs a file")
		}
		a.config = path
		return nil
	})
	fs.Func("set", "", func(s string) error {
		a.set = append(a.set, s)
		return nil
	})
	fs.BoolVar(&version, "version", false, "")
	fs.BoolVar(&help, "help", false, "")
	fs.BoolVar(&help, "h", false, "")
	var words []string
	for len(args) > 0 {
		if err := fs.Parse(args); err != nil {
			return a, err
		}
		args = fs.Args()
		if len(args) > 0 {
			words = append(words, args[0])
			args = args[1:]
		}
	}
	a.command = strings.Join(words, " ")
	switch {
	case help:
		a.command = "help"
	case version:
		a.command = "version"
	case a.command == "run":
		a.command = ""
	}
	if len(words) > 0 && clients()[words[0]] != nil {
		return a, fmt.Errorf("%q has flags of its own, which follow it: wye %[1]s --help", words[0])
	}
	if a.command != "" && !slices.Contains(commands, a.command) {
		return a, unknownCommand(a.command)
	}
	return a, nil
}

// unknownCommand says what there is.
func unknownCommand(command string) error {
	if near := config.Nearest(command, commands); near != "" {
		return fmt.Errorf("unknown command %q, did you mean %q?", command, near)
	}
	var below []string
	for _, c := range commands {
		if strings.HasPrefix(c, command+" ") {
			below = append(below, "wye "+c)
		}
	}
	if len(below) > 0 {
		return fmt.Errorf("%q needs one more word: %s", command, strings.Join(below, ", "))
	}
	return fmt.Errorf("unknown command %q, there are: %s", command, strings.Join(commands, ", "))
}
