package versus

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// startLimit is how long a broker may take to start; RabbitMQ and Java take some seconds.
const startLimit = 90 * time.Second

// process is a broker that runs.
type process struct {
	broker *broker
	site   *site
	cmd    *exec.Cmd
	log    string
	ended  chan struct{} // closed when it has
	pid    int           // of what is measured
	warm   bool
}

// start starts b on an empty folder and returns when all its ports answer. cpus is what it is pinned to, "" for
// nothing.
func start(ctx context.Context, b *broker, p program, dir, cpus string, cores int) (_ *process, err error) {
	if err := os.RemoveAll(dir); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	s := &site{Dir: dir, program: p, cores: cores}
	c, err := b.command(s)
	if err != nil {
		return nil, err
	}
	path, args := pinned(cpus, c.path, c.args)
	run := &process{broker: b, site: s, log: dir + ".log", ended: make(chan struct{})}
	log, err := os.Create(run.log)
	if err != nil {
		return nil, err
	}
	defer log.Close()                     // the process has its own
	run.cmd = exec.Command(path, args...) //nolint:gosec,noctx // what is to be compared; it is killed with all it has started
	run.cmd.Dir, run.cmd.Env, run.cmd.Stdout, run.cmd.Stderr = dir, append(os.Environ(), c.env...), log, log
	inGroup(run.cmd)
	if err := run.cmd.Start(); err != nil {
		return nil, err
	}
	go func() { // observed by stop
		_ = run.cmd.Wait() // how it ended, its log says
		close(run.ended)
	}()
	if err := run.ready(ctx); err != nil {
		run.stop()
		return nil, err
	}
	return run, nil
}

// pinned puts a program on some cores.
func pinned(cpus, path string, args []string) (string, []string) {
	if cpus == "" {
		return path, args
	}
	return "taskset", append([]string{"-c", cpus, path}, args...)
}

// ready waits until every port answers.
func (p *process) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	var dialer net.Dialer
	for protocol := range p.broker.urls {
		u, err := url.Parse(p.site.url(p.broker, protocol))
		if err != nil {
			return err
		}
		for {
			c, err := dialer.DialContext(ctx, "tcp", u.Host)
			if err == nil {
				c.Close()
				break
			}
			select {
			case <-ctx.Done():
				return fmt.Errorf("it does not listen on %s after %s%s", u.Host, startLimit, p.said())
			case <-p.ended:
				return fmt.Errorf("it has ended%s", p.said())
			case <-time.After(50 * time.Millisecond): // nobody tells us
			}
		}
	}
	pid, err := descendant(p.cmd.Process.Pid, p.broker.comm)
	p.pid = pid
	return err
}

// settle waits until it has little left to do after a run, like closing connections and dropping queues, which would
// take its cores from the next one.
func (p *process) settle(ctx context.Context) {
	const most, step = 15 * time.Second, 50 * time.Millisecond // of which a tick of /proc is a fifth
	tick := time.NewTicker(step)
	defer tick.Stop()
	end := time.Now().Add(most)
	for before := ticks(p.pid); time.Now().Before(end) && ctx.Err() == nil; {
		<-tick.C
		now := ticks(p.pid)
		if now == before {
			return
		}
		before = now
	}
}

// said is the end of its log.
func (p *process) said() string {
	b, err := os.ReadFile(p.log)
	if err != nil {
		return ""
	}
	return tail(b)
}

func (p *process) alive() bool {
	select {
	case <-p.ended:
		return false
	default:
		return true
	}
}

// stop kills it, and everything it has started: its folder is of no use any more.
func (p *process) stop() {
	killGroup(p.cmd)
	<-p.ended
	_ = os.RemoveAll(p.site.Dir) // some of its children may still be on their way out; the next start removes the rest
}

// stat is what /proc says about a process: see proc_pid_stat(5).
type stat struct {
	comm   string
	parent int
	ticks  int // of CPU, of 10 ms each
}

func readStat(pid int) (st stat, ok bool) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return st, false
	}
	_, rest, _ := strings.Cut(string(b), " (")
	i := strings.LastIndex(rest, ") ") // the name may hold anything
	if i < 0 {
		return st, false
	}
	fields := strings.Fields(rest[i+2:])
	if len(fields) < 13 {
		return st, false
	}
	number := func(i int) int {
		n, err := strconv.Atoi(fields[i])
		ok = ok && err == nil
		return n
	}
	ok = true
	st = stat{comm: rest[:i], parent: number(1), ticks: number(11) + number(12)}
	return st, ok
}

// ticks is the CPU a process has used, 0 if it is not there.
func ticks(pid int) int {
	st, _ := readStat(pid)
	return st.ticks
}

// descendant finds the process named comm below pid. Without a name it is pid itself.
func descendant(pid int, comm string) (int, error) {
	if comm == "" {
		return pid, nil
	}
	dirs, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return 0, err
	}
	all := make(map[int]stat)
	for _, dir := range dirs {
		n, _ := strconv.Atoi(filepath.Base(dir)) // the pattern is almost one of numbers
		if st, ok := readStat(n); ok {
			all[n] = st
		}
	}
	for n, st := range all {
		for up := n; st.comm == comm && up > 1; up = all[up].parent {
			if up == pid {
				return n, nil
			}
		}
	}
	return 0, errors.New("it has no process named " + comm)
}
