package cli

import (
	"errors"
	"flag"
	"fmt"
	"io"
)

// The exit codes.
const (
	OK    = 0
	Error = 1 // it went wrong
	Usage = 2 // the arguments make no sense
)

// Command is a command as its user sees it.
type Command struct {
	// Name begins what is said on Stderr: "wye bench".
	Name string
	// Usage is the help, Help how to ask for it.
	Usage, Help string

	Stdout, Stderr io.Writer
}

// Run calls parse, which reads the arguments, and then run, and returns the exit code. An error of parse that is
// flag.ErrHelp asks for help.
func (c Command) Run(parse, run func() error) int {
	err := parse()
	if errors.Is(err, flag.ErrHelp) {
		fmt.Fprint(c.Stdout, c.Usage)
		return OK
	}
	if err != nil {
		fmt.Fprintf(c.Stderr, "%s: %v\ntry: %s\n", c.Name, err, c.Help)
		return Usage
	}
	if err := run(); err != nil {
		fmt.Fprintf(c.Stderr, "%s: %v\n", c.Name, err)
		return Error
	}
	return OK
}
