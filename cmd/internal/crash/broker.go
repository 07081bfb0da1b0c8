package crash

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"time"
)

// process is one process of the broker.
type process struct {
	run  int
	addr string // of the WebSocket listener
	cmd  *exec.Cmd
	down chan struct{} // closed when it has ended

	mu       sync.Mutex
	expected syscall.Signal // by which somebody has ended it; 0: nobody
}

// broker is a program of which one process runs at a time, on one directory.
type broker struct {
	path string
	args []string
	out  io.Writer // gets what the processes log
	h    *History

	watchers sync.WaitGroup
	slowest  time.Duration // of the starts; whoever starts may look

	mu   sync.Mutex
	now  *process
	next chan struct{} // closed when there is another one
	runs int
}

func newBroker(path string, args []string, out io.Writer, h *History) *broker {
	return &broker{path: path, args: args, out: out, h: h, next: make(chan struct{})}
}

var listening = regexp.MustCompile(`msg=listening listener=websocket .*?(?:address|uri)=ws://(\S+)`)

// errKilled: the broker was killed before it was ready.
var errKilled = errors.New("killed while it was starting")

// start starts a process and returns when it is ready. killAfter, if not 0, is when it is killed in any case.
func (b *broker) start(ctx context.Context, killAfter time.Duration) error {
	b.mu.Lock()
	b.runs++
	p := &process{run: b.runs, down: make(chan struct{})}
	b.mu.Unlock()
	p.cmd = exec.Command(b.path, b.args...) //nolint:gosec,noctx // what is to be tested; it is killed by hand
	stderr, err := p.cmd.StderrPipe()
	if err != nil {
		return err
	}
	begun := time.Now()
	if err := p.cmd.Start(); err != nil {
		return err
	}
	ready := make(chan string, 1)
	b.watchers.Go(func() { b.watch(p, stderr, ready) })
	if killAfter > 0 {
		kill := time.AfterFunc(killAfter, func() { p.kill() })
		defer kill.Stop()
	}
	select {
	case addr, ok := <-ready:
		if !ok {
			<-p.down
			if p.ended() != 0 {
				return errKilled
			}
			return errors.New("the broker has ended before it was ready")
		}
		p.addr = addr
	case <-time.After(patience):
		p.kill()
		return fmt.Errorf("the broker is not ready after %s", patience)
	case <-ctx.Done():
		p.kill()
		return ctx.Err()
	}
	b.mu.Lock()
	b.now = p
	close(b.next)
	b.next = make(chan struct{})
	b.mu.Unlock()
	b.slowest = max(b.slowest, time.Since(begun))
	return nil
}

// watch reads the log of a process until it has ended.
func (b *broker) watch(p *process, stderr io.Reader, ready chan<- string) {
	addr, up := "", false
	s := bufio.NewScanner(stderr)
	s.Buffer(nil, 1<<20)
	for s.Scan() {
		line := s.Text()
		_, _ = fmt.Fprintf(b.out, "%d: %s\n", p.run, line) // what is missing there, nobody misses
		if m := listening.FindStringSubmatch(line); m != nil {
			addr = m[1]
		}
		if !up && strings.Contains(line, "msg=ready") {
			up = true
			ready <- addr
		}
		if strings.Contains(line, "level=ERROR") || strings.HasPrefix(line, "panic:") || strings.HasPrefix(line, "fatal error:") ||
			strings.Contains(line, "DATA RACE") {
			b.fault(p, line)
		}
	}
	_, _ = io.Copy(io.Discard, stderr)
	err := p.cmd.Wait()
	close(ready)
	if s := p.ended(); s == 0 || s == syscall.SIGTERM && err != nil {
		b.fault(p, fmt.Sprintf("it has ended (asked to by signal %d): %v", p.ended(), err))
	}
	close(p.down)
}

func (b *broker) fault(p *process, text string) {
	b.h.Add(Event{Kind: Fault, Client: "broker", Run: p.run, Text: text})
}

// ended returns by what somebody has ended the process, or 0.
func (p *process) ended() syscall.Signal {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.expected
}

// signal ends the process and returns when it has ended, or will not.
func (p *process) signal(s syscall.Signal) error {
	p.mu.Lock()
	p.expected = s
	p.mu.Unlock()
	if err := p.cmd.Process.Signal(s); err != nil && p.isUp() {
		return err
	}
	select {
	case <-p.down:
		return nil
	case <-time.After(patience):
		return fmt.Errorf("the broker has not ended %s after %v", patience, s)
	}
}

func (p *process) kill() { _ = p.signal(syscall.SIGKILL) }

func (p *process) isUp() bool {
	select {
	case <-p.down:
		return false
	default:
		return true
	}
}

// current is the process that runs.
func (b *broker) current() *process {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.now
}

// end kills the process that runs, or asks it to stop.
func (b *broker) end(s syscall.Signal) error {
	p := b.current()
	b.h.Add(Event{Kind: Killed, Client: "broker", Run: p.run, Text: s.String()})
	return p.signal(s)
}

// close kills what is left and waits for it.
func (b *broker) close() {
	if p := b.current(); p != nil {
		p.kill()
	}
	b.watchers.Wait()
}

// await returns a process that is up.
func (b *broker) await(ctx context.Context) (*process, error) {
	for {
		b.mu.Lock()
		p, next := b.now, b.next
		b.mu.Unlock()
		if p != nil && p.isUp() {
			return p, nil
		}
		select {
		case <-next:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}
