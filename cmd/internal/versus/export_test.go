package versus

import (
	"context"
	"time"
)

// What the tests of peers need that are not on the machine: how they would be configured and got.

var (
	Digits         = digits
	Short          = short
	ReplaceSection = replaceSection
)

// SectionBegin and SectionEnd are around what ReplaceSection replaces.
const (
	SectionBegin = sectionBegin
	SectionEnd   = sectionEnd
)

// Planned returns names and versions of the packages apt-get would install.
func Planned(said string) (list []string) {
	for _, p := range planned.FindAllStringSubmatch(said, -1) {
		list = append(list, p[1]+"="+p[2])
	}
	return list
}

// Configured is what a peer is started with.
type Configured struct {
	Name string
	Path string
	Args []string
	Env  []string
	URLs map[string]string
}

// Configure has every peer write its configuration into a folder of its own.
func Configure(folder func(name string) string, root string) (all []Configured, errs []error) {
	for _, b := range brokers() {
		s := &site{Dir: folder(b.name), program: program{path: "/bin/" + b.name, root: root}, cores: 2}
		c, err := b.command(s)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		urls := make(map[string]string)
		for p := range b.urls {
			urls[p] = s.url(b, p)
		}
		all = append(all, Configured{b.name, c.path, c.args, c.env, urls})
	}
	return all, errs
}

// Load runs a program in the place of wye bench.
func Load(ctx context.Context, program string, limit time.Duration, args ...string) (found, cut bool, err error) {
	l := &loader{wye: program, limit: limit}
	r, cut, err := l.run(ctx, args)
	return r != nil, cut, err
}

// Start starts a program in the place of a broker, and stops it when it is ready.
func Start(ctx context.Context, dir, path string, args ...string) error {
	b := &broker{
		urls:    map[string]string{mqtt: "ws://127.0.0.1:{mqtt}"},
		command: func(*site) (*command, error) { return &command{path: path, args: args}, nil },
	}
	p, err := start(ctx, b, program{}, dir, "", 1)
	if err == nil {
		p.stop()
	}
	return err
}

// Descendant finds a process by its name.
func Descendant(pid int, comm string) (int, error) { return descendant(pid, comm) }

// Debian gets a package.
func Debian(ctx context.Context, cache, pkg string) error {
	_, err := (&shop{cache: cache, say: func(string, ...any) {}}).debian(ctx, pkg)
	return err
}
