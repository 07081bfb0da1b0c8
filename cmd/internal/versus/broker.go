package versus

import (
	"bytes"
	"context"
	"embed"
	"fmt"
	"maps"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"text/template"
)

// program is a broker that can be started.
type program struct {
	path    string // of what is started, or what is needed to start it
	root    string // where its package is unpacked: / when it is installed
	version string
}

// broker is one of those that are compared.
type broker struct {
	name  string // as in PEERS=
	title string
	about string // how it is configured, for those who doubt
	of    string // the name of the one it is a variant of
	floor bool   // no broker at all: what it costs, all have to pay
	jit   bool   // its code becomes fast by being run
	comm  string // the name of the process that is measured, if it is not the one that is started

	// urls are those of the protocols; {stomp} and {mqtt} are ports.
	urls map[string]string
	// skips says whether it takes no part in a row of which it speaks the protocols, and why, if that is to be told.
	skips func(r *row) (why string, skip bool)
	// extra returns more arguments of wye bench, and what the reader should know about that.
	extra func(r *row, protocol string) (args []string, note string)
	// install gets it ready to be started. An error says what is missing.
	install func(ctx context.Context, s *shop) (program, error)
	// command returns what starts it, in a folder that is empty but for what it has written there itself.
	command func(s *site) (*command, error)
}

// command is a program with its arguments.
type command struct {
	path string
	args []string
	env  []string // beside that of this process
}

// brokers are all there are, in the order of the tables.
func brokers() []*broker {
	return []*broker{
		wye(), rabbitMQ(), activeMQ(), mosquitto(false), mosquitto(true), nats(false), nats(true), mochi(), null(),
	}
}

// takes says whether b takes part in a row.
func (b *broker) takes(r *row, protocol string) bool {
	needs := []string{protocol}
	if protocol == cross {
		needs = both()
	}
	for _, p := range needs {
		if b.urls[p] == "" {
			return false
		}
	}
	return !b.skipped(r)
}

func (b *broker) skipped(r *row) bool {
	if b.skips == nil {
		return false
	}
	_, skip := b.skips(r)
	return skip
}

// without says why it takes no part in rows, by their id.
func (b *broker) without() map[string]string {
	reasons := make(map[string]string)
	for _, r := range rows() {
		if b.skipped(&r) {
			if why, _ := b.skips(&r); why != "" {
				reasons[r.id] = why
			}
		}
	}
	return reasons
}

// transport is what a protocol is spoken over.
func (b *broker) transport(protocol string) string {
	scheme, _, _ := strings.Cut(b.urls[protocol], "://")
	if scheme == "ws" {
		return scheme
	}
	return "tcp"
}

// site is where a broker runs: a folder and ports.
type site struct {
	Dir     string
	program program
	cores   int // that it may use

	ports map[string]int
	err   error // of the first port that there was not
}

// Port returns the port of that name, a free one the first time.
func (s *site) Port(name string) int {
	if port, ok := s.ports[name]; ok || s.err != nil {
		return port
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		s.err = err
		return 0
	}
	defer func() { _ = l.Close() }() // the broker is to have it
	if s.ports == nil {
		s.ports = make(map[string]int)
	}
	s.ports[name] = l.Addr().(*net.TCPAddr).Port
	return s.ports[name]
}

// url returns where b speaks the protocol.
func (s *site) url(b *broker, protocol string) string {
	u := b.urls[protocol]
	for _, name := range both() {
		if hole := "{" + name + "}"; strings.Contains(u, hole) {
			u = strings.ReplaceAll(u, hole, strconv.Itoa(s.Port(name)))
		}
	}
	return u
}

//go:embed templates
var templates embed.FS

// config writes a configuration into the folder and returns its path. What the site does not know is in more.
func (s *site) config(name string, more map[string]any) (string, error) {
	text, err := s.render(name, more)
	if err != nil {
		return "", err
	}
	path := filepath.Join(s.Dir, name)
	return path, os.WriteFile(path, text, 0o644)
}

// render fills in a configuration.
func (s *site) render(name string, more map[string]any) ([]byte, error) {
	t, err := template.New(name).Option("missingkey=error").Funcs(template.FuncMap{"port": s.Port}).ParseFS(templates, "templates/"+name)
	if err != nil {
		return nil, err
	}
	data := map[string]any{"Dir": s.Dir}
	maps.Copy(data, more)
	var b bytes.Buffer
	if err := t.Execute(&b, data); err != nil {
		return nil, err
	}
	if s.err != nil {
		return nil, fmt.Errorf("a port for %s: %w", name, s.err)
	}
	return b.Bytes(), nil
}

// goEnv keeps a program in Go to its cores.
func (s *site) goEnv() []string { return []string{"GOMAXPROCS=" + strconv.Itoa(s.cores)} }
