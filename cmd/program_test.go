package wyecmd_test

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/fx"

	wyecmd "github.com/wyemq/wye/cmd"
)

// program is a broker as it is run from the command line, in this process or as one of its own.
type program struct {
	lines []string          // of the log, up to ready
	addrs map[string]string // host and port by listener
	exit  func() int        // waits for the end
	stop  func(syscall.Signal)
	pid   int // of one of its own

	mu   sync.Mutex
	more sync.Cond // of mu: a line was added, or over became true
	log  bytes.Buffer
	over bool
}

// ephemeral moves every listener that there is by default to a free port.
var ephemeral = []string{
	"--set", "listeners.websocket.uri=ws://127.0.0.1:0", "--set", "listeners.stomp.uri=tcp://127.0.0.1:0",
	"--set", "listeners.mqtt.uri=tcp://127.0.0.1:0", "--set", "admin.listen=127.0.0.1:0",
}

var listening = regexp.MustCompile(`msg=listening listener=(\S+) .*?(?:address|uri)=\w+://(\S+)`)

// inMemory is for tests in which nothing is to be stored: what they measure is something else.
var inMemory = []string{"--set", "engine.kind=memory"}

// scratch moves what the program stores by default into a directory of the test's own.
func scratch(t testing.TB) []string {
	return []string{"--set", "engine.dir=" + filepath.Join(t.TempDir(), "data"), "--set", "engine.min_free=0"}
}

// start runs the program within this process, on free ports, until it is ready.
func start(t *testing.T, args []string, opts ...fx.Option) *program {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	r, w := io.Pipe()
	args = slices.Concat(ephemeral, scratch(t), args)
	ended := make(chan int, 1)
	go func() {
		code := wyecmd.Run(ctx, args, io.Discard, w, opts...)
		w.Close()
		ended <- code
	}()
	p := &program{stop: func(syscall.Signal) { cancel() }}
	var read <-chan struct{}
	p.exit = sync.OnceValue(func() int {
		code := <-ended
		if read != nil {
			<-read // the last lines of the log as well
		}
		return code
	})
	read = p.watch(t, r)
	t.Cleanup(func() {
		cancel()
		p.exit()
	})
	return p
}

// spawn runs a program of its own, until it is ready.
func spawn(t *testing.T, path string, args ...string) *program {
	t.Helper()
	cmd := exec.Command(path, slices.Concat(ephemeral, scratch(t), args)...)
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p := &program{pid: cmd.Process.Pid, stop: func(s syscall.Signal) {
		if err := cmd.Process.Signal(s); err != nil {
			t.Errorf("signal: %v", err)
		}
	}}
	read := p.watch(t, stderr)
	p.exit = sync.OnceValue(func() int {
		<-read // else Wait closes the pipe before everything was read
		_ = cmd.Wait()
		return cmd.ProcessState.ExitCode()
	})
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		p.exit()
	})
	return p
}

// watch reads the log: up to ready, then in the background until it ends.
func (p *program) watch(t *testing.T, r io.Reader) (read <-chan struct{}) {
	t.Helper()
	p.addrs, p.more.L = make(map[string]string), &p.mu
	ready, done := make(chan bool, 1), make(chan struct{})
	go func() {
		defer close(done)
		up := false
		for s := bufio.NewScanner(r); s.Scan(); {
			p.mu.Lock()
			p.log.WriteString(s.Text() + "\n")
			p.mu.Unlock()
			p.more.Broadcast()
			if up {
				continue
			}
			p.lines = append(p.lines, s.Text())
			if m := listening.FindStringSubmatch(s.Text()); m != nil {
				p.addrs[m[1]] = m[2]
			}
			if strings.Contains(s.Text(), "msg=ready") {
				up = true
				ready <- true
			}
		}
		p.mu.Lock()
		p.over = true
		p.mu.Unlock()
		p.more.Broadcast()
		if !up {
			ready <- false
		}
	}()
	select {
	case up := <-ready:
		if !up {
			t.Fatalf("the program has ended before it was ready:\n%s", p.all())
		}
	case <-time.After(30 * time.Second):
		t.Fatalf("not ready after 30 s:\n%s", p.all())
	}
	return done
}

// await waits until text is in the log.
func (p *program) await(t *testing.T, text string) {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	for !strings.Contains(p.log.String(), text) {
		if p.over {
			t.Fatalf("%q is not in the log:\n%s", text, p.log.String())
		}
		p.more.Wait()
	}
}

// all returns the log so far.
func (p *program) all() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.log.String()
}

// built are the programs of this module that tests run; each is linked once, which takes seconds.
var built = struct {
	mu   sync.Mutex
	dir  string
	path map[string]string
}{path: make(map[string]string)}

// build compiles a program of this module.
func build(t *testing.T, pkg string) string {
	t.Helper()
	built.mu.Lock()
	defer built.mu.Unlock()
	if path, ok := built.path[pkg]; ok {
		return path
	}
	if built.dir == "" {
		dir, err := os.MkdirTemp("", "wye-test-") //nolint:usetesting // it is for all tests
		if err != nil {
			t.Fatal(err)
		}
		built.dir = dir
	}
	path := filepath.Join(built.dir, filepath.Base(pkg))
	if out, err := exec.Command("go", "build", "-o", path, pkg).CombinedOutput(); err != nil {
		t.Fatalf("go build %s: %v\n%s", pkg, err, out)
	}
	built.path[pkg] = path
	return path
}
