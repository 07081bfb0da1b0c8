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
	command  string // "" runs the broker
	operands []string
	config   string
	set      []string
	bare     bool // the environment does not count either

	// Of single commands.
	groups                []string
	user, client, address string
	vhost                 string
	claims                []string
}

// command is one there is.
type command struct {
	name     string
	operands []string // what it is called with, each once
	flags    []string // beside those of all
}

// known lists the commands.
func known() []command {
	who := []string{"user", "group", "client", "address", "claim", "vhost"}
	return []command{
		{name: "run"},
		{name: "config print"},
		{name: "config check"},
		{name: "config schema"},
		{name: "user add", operands: []string{"NAME"}, flags: []string{"group", "vhost"}},
		{name: "user passwd", operands: []string{"NAME"}, flags: []string{"vhost"}},
		{name: "user list"},
		{name: "user rm", operands: []string{"NAME"}, flags: []string{"vhost"}},
		{name: "user import", operands: []string{"FILE"}},
		{name: "acl test", operands: []string{"OPERATION", "DESTINATION"}, flags: who},
		{name: "plugins"},
		{name: "pub"},
		{name: "sub"},
		{name: "bench"},
		{name: "version"},
		{name: "help"},
	}
}

// commandNames lists their names.
func commandNames() []string {
	var names []string
	for _, c := range known() {
		names = append(names, c.name)
	}
	return names
}

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
	a.commandFlags(fs)
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
	switch {
	case help:
		words = []string{"help"}
	case version:
		words = []string{"version"}
	}
	if len(words) > 0 && clients()[words[0]] != nil {
		return a, fmt.Errorf("%q has flags of its own, which follow it: wye %[1]s --help", words[0])
	}
	if err := a.pick(words, fs); err != nil {
		return a, err
	}
	if a.command == "run" {
		a.command = ""
	}
	return a, nil
}

// commandFlags adds the flags that belong to single commands.
func (a *arguments) commandFlags(fs *flag.FlagSet) {
	list := func(to *[]string) func(string) error {
		return func(s string) error {
			*to = append(*to, s)
			return nil
		}
	}
	fs.Func("group", "", list(&a.groups))
	fs.Func("claim", "", list(&a.claims))
	fs.StringVar(&a.user, "user", "", "")
	fs.StringVar(&a.client, "client", "", "")
	fs.StringVar(&a.vhost, "vhost", "", "")
	fs.StringVar(&a.address, "address", "", "")
}

// pick finds the command that words begin with; the others are its operands.
func (a *arguments) pick(words []string, fs *flag.FlagSet) error {
	if len(words) == 0 {
		words = []string{"run"}
	}
	all := strings.Join(words, " ")
	list := known()
	i := slices.IndexFunc(list, func(c command) bool { return all == c.name || strings.HasPrefix(all, c.name+" ") })
	if i < 0 {
		return unknownCommand(all)
	}
	c := list[i]
	a.command, a.operands = c.name, words[len(strings.Fields(c.name)):]
	if len(c.operands) == 0 && len(a.operands) > 0 {
		return unknownCommand(all)
	}
	if len(a.operands) != len(c.operands) {
		return fmt.Errorf("%q takes: wye %s %s", c.name, c.name, strings.Join(c.operands, " "))
	}
	var err error
	fs.Visit(func(f *flag.Flag) {
		switch f.Name {
		case "group", "claim", "user", "client", "address", "vhost":
			if !slices.Contains(c.flags, f.Name) {
				err = fmt.Errorf("--%s is not for %q", f.Name, c.name)
			}
		}
	})
	return err
}

// unknownCommand says what there is.
func unknownCommand(command string) error {
	commands := commandNames()
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
