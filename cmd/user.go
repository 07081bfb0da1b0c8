package wyecmd

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"golang.org/x/term"

	"github.com/wyemq/wye/core"
	"github.com/wyemq/wye/core/config"
	"github.com/wyemq/wye/core/corefx"
	"github.com/wyemq/wye/plugins/audit"
	"github.com/wyemq/wye/plugins/users"
)

// user works on the users file.
func (p *program) user() error {
	c, err := p.loadConfig()
	if err != nil {
		return err
	}
	path := config.Get[users.Config](c, "auth.users").File
	if path == "" {
		return errors.New("auth.users.file: is empty, there is no place for users")
	}
	name := ""
	if len(p.args.operands) > 0 {
		name = p.args.operands[0]
	}
	rec := audit.Record{User: name, VHost: p.args.vhost}
	switch p.args.command {
	case "user add":
		p.warnVHost(c)
		rec.Event, err = "user_added", p.addUser(path, name)
	case "user passwd":
		rec.Event, err = "user_password", p.changePassword(path, name)
	case "user rm":
		rec.Event, err = "user_removed", p.removeUser(path, name)
	case "user import":
		rec.Event, rec.User, rec.Detail, err = "users_imported", "", name, p.importUsers(path, name)
	default:
		return p.listUsers(path)
	}
	if err != nil {
		return err
	}
	return auditUsers(config.Get[audit.Config](c, "audit"), rec)
}

// warnVHost says so when the virtual host of the flags is not configured, which it may be later.
func (p *program) warnVHost(c *config.Config) {
	name := cmp.Or(p.args.vhost, "/")
	vhosts := config.Get[corefx.VHostSettings](c, "vhosts")
	if name != "/" && !slices.ContainsFunc(vhosts, func(v core.VHost) bool { return v.Name == name }) {
		fmt.Fprintf(p.stderr, "wye: virtual host %q is not in the configuration (vhosts)\n", name)
	}
}

// find returns where a user is in a list; -1: nowhere.
func find(all []users.User, name, vhost string) int {
	return slices.IndexFunc(all, func(u users.User) bool { return u.Name == name && u.VHost == vhost })
}

func (p *program) addUser(path, name string) error {
	all, err := users.Load(path)
	if err != nil {
		return err
	}
	if find(all, name, p.args.vhost) >= 0 {
		return fmt.Errorf("user %q is there already; wye user passwd changes the password", name)
	}
	password, err := p.askPassword(name)
	if err != nil {
		return err
	}
	u := users.User{Name: name, Hash: users.Hash(password), Groups: p.args.groups, VHost: p.args.vhost}
	err = users.Edit(path, func(all []users.User) ([]users.User, error) {
		if find(all, name, p.args.vhost) >= 0 {
			return nil, fmt.Errorf("user %q is there already", name)
		}
		return append(all, u), nil
	})
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(p.stdout, "user %q added to %s; what it may do is in auth.acl.rules\n", name, path)
	return err
}

func (p *program) changePassword(path, name string) error {
	return p.change(path, name, "password of user %q changed\n", func(all []users.User, i int) ([]users.User, error) {
		password, err := p.askPassword(name)
		if err != nil {
			return nil, err
		}
		all[i].Hash = users.Hash(password)
		return all, nil
	})
}

func (p *program) removeUser(path, name string) error {
	return p.change(path, name, "user %q removed; a broker that runs logs it out\n", func(all []users.User, i int) ([]users.User, error) {
		return slices.Delete(all, i, i+1), nil
	})
}

// change works on a user who is there, and says so.
func (p *program) change(path, name, done string, fn func(all []users.User, i int) ([]users.User, error)) error {
	err := users.Edit(path, func(all []users.User) ([]users.User, error) {
		i := find(all, name, p.args.vhost)
		if i < 0 {
			return nil, fmt.Errorf("there is no user %q in %s", name, path)
		}
		return fn(all, i)
	})
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(p.stdout, done, name)
	return err
}

func (p *program) listUsers(path string) error {
	all, err := users.Load(path)
	if err != nil {
		return err
	}
	for _, u := range all {
		line := u.Name + "\t" + strings.Join(u.Groups, ",")
		if u.VHost != "" {
			line += "\t" + u.VHost
		}
		fmt.Fprintln(p.stdout, line)
	}
	return nil
}

// importUsers takes over the users of another broker. Those who are there already stay as they are.
func (p *program) importUsers(path, from string) error {
	data, err := os.ReadFile(from) //nolint:gosec // the operator names the file
	if err != nil {
		return err
	}
	more, notes, err := users.Import(data)
	if err != nil {
		return err
	}
	added := 0
	err = users.Edit(path, func(all []users.User) ([]users.User, error) {
		for _, u := range more {
			if find(all, u.Name, u.VHost) >= 0 {
				notes = append(notes, fmt.Sprintf("user %q: is there already, and stays", u.Name))
				continue
			}
			all = append(all, u)
			added++
		}
		return all, nil
	})
	if err != nil {
		return err
	}
	for _, note := range notes {
		fmt.Fprintln(p.stdout, "not taken over:", note)
	}
	_, err = fmt.Fprintf(p.stdout, "%d users added to %s\n", added, path)
	return err
}

// minPassword is enough against guessing over a network whose answers are slow.
const minPassword = 8

// askPassword asks on a terminal, twice and unseen; else the first line of standard input counts.
func (p *program) askPassword(name string) (string, error) {
	fd := int(os.Stdin.Fd())
	if !term.IsTerminal(fd) {
		line, err := bufio.NewReader(os.Stdin).ReadString('\n')
		if err != nil && !errors.Is(err, io.EOF) {
			return "", fmt.Errorf("password: %w", err)
		}
		return checkPassword(strings.TrimRight(line, "\r\n"))
	}
	var given [2]string
	for i, prompt := range []string{"password for %s: ", "again: "} {
		if i == 0 {
			prompt = fmt.Sprintf(prompt, name)
		}
		fmt.Fprint(p.stderr, prompt)
		line, err := term.ReadPassword(fd)
		fmt.Fprintln(p.stderr)
		if err != nil {
			return "", fmt.Errorf("password: %w", err)
		}
		given[i] = string(line)
	}
	if given[0] != given[1] {
		return "", errors.New("the two passwords are not the same")
	}
	return checkPassword(given[0])
}

func checkPassword(password string) (string, error) {
	if len(password) < minPassword {
		return "", fmt.Errorf("the password has fewer than %d bytes", minPassword)
	}
	return password, nil
}
