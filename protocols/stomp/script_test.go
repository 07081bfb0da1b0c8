package stomp_test

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wyemq/wye/core"
	"github.com/wyemq/wye/protocols/stomp"
)

// TestClauses runs the scripts of testdata, one for each clause of the specifications. testdata/README.md
// says how they are written.
func TestClauses(t *testing.T) {
	files, err := filepath.Glob("testdata/v1?/*.txt")
	if err != nil || len(files) < 60 {
		t.Fatalf("%d scripts: %v", len(files), err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(strings.TrimPrefix(file, "testdata/"), ".txt")
		t.Run(name, func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			synctest.Test(t, func(t *testing.T) { runScript(t, filepath.Base(filepath.Dir(file)), string(text)) })
		})
	}
}

// script is one run: clients by name, and what was captured of server frames.
type script struct {
	t       *testing.T
	h       *house
	version string // of the folder, for the login shorthand
	clients map[string]*scripted
	vars    map[string]string
	line    int
}

type scripted struct {
	*peer
	got []string // frames as they came, not consumed
}

func runScript(t *testing.T, version, text string) {
	s := &script{t: t, version: version[1:2] + "." + version[2:], clients: make(map[string]*scripted), vars: make(map[string]string)}
	blocks := splitBlocks(text)
	var opts []option
	for len(blocks) > 0 && blocks[0].who == "" && strings.HasPrefix(blocks[0].lines[0], "set ") {
		opts = append(opts, setting(t, blocks[0].lines[0]))
		blocks = blocks[1:]
	}
	s.h = newHouse(t, opts...)
	defer s.h.close()
	for _, b := range blocks {
		s.line = b.line
		s.run(b)
	}
	for name, c := range s.clients {
		if s.collect(c); len(c.got) > 0 {
			t.Errorf("%s: not expected at the end: %q", name, c.got)
		}
	}
}

// block is lines of one client in one direction, or one line of directions.
type block struct {
	who   string
	out   bool // from client to server
	lines []string
	line  int
}

func splitBlocks(text string) []block {
	var all []block
	fresh := true
	for i, line := range strings.Split(text, "\n") {
		if strings.HasPrefix(line, "#") || line == "" {
			fresh = true
			continue
		}
		b := block{lines: []string{line}, line: i + 1}
		if len(line) > 1 && (line[1] == '>' || line[1] == '<') {
			b = block{who: line[:1], out: line[1] == '>', lines: []string{strings.TrimPrefix(line[2:], " ")}, line: i + 1}
		}
		if n := len(all) - 1; !fresh && b.who != "" && all[n].who == b.who && all[n].out == b.out {
			all[n].lines = append(all[n].lines, b.lines[0])
			continue
		}
		word, _, _ := strings.Cut(b.lines[0], " ")
		fresh = b.out && (word == "login" || word == "leave") // stand alone
		all = append(all, b)
	}
	return all
}

func setting(t *testing.T, line string) option {
	key, value, _ := strings.Cut(strings.TrimPrefix(line, "set "), " ")
	return func(o *core.Options, c *stomp.Config) {
		switch key {
		case "dialect":
			c.Dialect = stomp.Dialect(value)
		case "user":
			o.Authenticators = append(o.Authenticators, onlyUser(value))
		case "deny":
			o.Authorizers = append(o.Authorizers, denies(value))
		case "close_on_error":
			c.CloseOnError = value == "true"
		default:
			t.Fatalf("unknown setting %q", line)
		}
	}
}

func (s *script) fatalf(format string, args ...any) {
	s.t.Helper()
	s.t.Fatalf("line %d: %s", s.line, fmt.Sprintf(format, args...))
}

func (s *script) client(name string) *scripted {
	c := s.clients[name]
	if c == nil {
		c = &scripted{peer: s.h.peer(core.ConnInfo{})}
		s.clients[name] = c
	}
	return c
}

func (s *script) run(b block) {
	s.t.Helper()
	switch word, rest, _ := strings.Cut(b.lines[0], " "); {
	case b.who == "" && word == "wait":
		d, err := time.ParseDuration(rest)
		if err != nil {
			s.fatalf("%v", err)
		}
		time.Sleep(d) // of the bubble's clock
	case b.who == "":
		s.fatalf("what is %q?", b.lines[0])
	case b.out && word == "login":
		s.login(s.client(b.who), rest)
	case b.out && word == "leave":
		s.client(b.who).leave()
	case b.out:
		text := strings.Join(b.lines, "\n")
		for name, value := range s.vars {
			text = strings.ReplaceAll(text, "$"+name, value)
		}
		s.client(b.who).raw(strings.NewReplacer("^@", "\x00", "^M", "\r", "^J", "\n").Replace(text))
	case word == "nothing":
		if c := s.client(b.who); s.collect(c) > 0 {
			s.fatalf("got %q, want nothing", c.got)
		}
	case word == "EOL":
		if got := s.next(b.who, func(text string) bool { return text == "\n" }); got != "\n" {
			s.fatalf("got %q, want a heart-beat", got)
		}
	case word == "close":
		synctest.Wait()
		c := s.client(b.who)
		select {
		case <-c.done:
		default:
			s.fatalf("the connection is still served")
		}
		if id := core.ReasonID(c.err); id != rest {
			s.fatalf("the connection ended with %q (%v), want %q", id, c.err, rest)
		}
	default:
		s.expect(b)
	}
}

// login is short for a CONNECT of the folder's version, with more headers separated by blanks.
func (s *script) login(c *scripted, headers string) {
	s.t.Helper()
	text := "CONNECT\naccept-version:" + s.version + "\nhost:/\n"
	if s.version == "1.0" {
		text = "CONNECT\n"
	}
	for h := range strings.FieldsSeq(headers) {
		text += h + "\n"
	}
	c.raw(text + "\n\x00")
	if s.collect(c); len(c.got) != 1 || !strings.HasPrefix(c.got[0], "CONNECTED\n") {
		s.fatalf("login: got %q", c.got)
	}
	c.got = nil
}

func (s *script) collect(c *scripted) int {
	synctest.Wait()
	for {
		m, ok := c.conn.take()
		if !ok {
			return len(c.got)
		}
		c.got = append(c.got, string(m.data))
	}
}

// next consumes the first frame that fits. Receipts and messages come in no order that is promised.
func (s *script) next(who string, fits func(string) bool) string {
	s.t.Helper()
	c := s.client(who)
	s.collect(c)
	for i, text := range c.got {
		if fits(text) {
			c.got = slices.Delete(c.got, i, i+1)
			return text
		}
	}
	s.fatalf("no such frame, there are: %q", c.got)
	return ""
}

// expect consumes the first frame that a block describes.
func (s *script) expect(b block) {
	s.t.Helper()
	var why []string
	for i, c := 0, s.client(b.who); i < s.collect(c); i++ {
		err := s.match(b, c.got[i])
		if err == nil {
			c.got = slices.Delete(c.got, i, i+1)
			return
		}
		why = append(why, fmt.Sprintf("%q: %v", c.got[i], err))
	}
	s.fatalf("no such frame among %d:\n%s", len(why), strings.Join(why, "\n"))
}

// match compares a frame with its description and captures what it names.
func (s *script) match(b block, got string) error {
	head, body, ok := strings.Cut(got, "\n\n")
	headers := strings.Split(head, "\n")
	if headers[0] != b.lines[0] || !ok || !strings.HasSuffix(body, "\x00") {
		return errors.New("another frame")
	}
	captured := make(map[string]string)
	for i, line := range b.lines[1:] {
		if line != "" {
			if err := s.header(line, headers[1:], captured); err != nil {
				return err
			}
			continue
		}
		want := strings.NewReplacer("^@", "\x00", "^M", "\r", "^J", "\n").Replace(strings.Join(b.lines[i+2:], "\n"))
		part, partly := strings.CutPrefix(want, "~")
		if partly && !strings.Contains(body, strings.TrimSuffix(part, "\x00")) || !partly && body != want {
			return fmt.Errorf("the body is not %q", want)
		}
		maps.Copy(s.vars, captured)
		return nil
	}
	return errors.New("the description has no body")
}

// header checks one expected header line: name:value, name:*, name:~part, name:$capture or !name.
func (s *script) header(line string, headers []string, captured map[string]string) error {
	name, want, _ := strings.Cut(line, ":")
	absent := strings.HasPrefix(name, "!")
	name = strings.TrimPrefix(name, "!")
	i := slices.IndexFunc(headers, func(h string) bool { return strings.HasPrefix(h, name+":") })
	if (i < 0) != absent {
		return fmt.Errorf("header %s: there is %v", name, i >= 0)
	}
	if absent {
		return nil
	}
	value := strings.TrimPrefix(headers[i], name+":")
	switch {
	case want == "*":
	case strings.HasPrefix(want, "~"):
		if !strings.Contains(value, want[1:]) {
			return fmt.Errorf("header %s does not contain %q", name, want[1:])
		}
	case strings.HasPrefix(want, "$"):
		if known, ok := s.vars[want[1:]]; ok && known != value {
			return fmt.Errorf("header %s is not %q again", name, known)
		}
		captured[want[1:]] = value
	case value != want:
		return fmt.Errorf("header %s is not %q", name, want)
	}
	return nil
}
