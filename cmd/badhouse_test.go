package wyecmd_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"runtime/metrics"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/fx"

	wyecmd "github.com/wyemq/wye/cmd"
)

// What every test of bad input holds the broker to, beside the answer it wants.
const (
	// badLatency is how late a message of clients that do nothing wrong may be. It is shorter than the timeouts that
	// misbehaving clients run into, so that nobody can be waiting for one.
	badLatency = 1500 * time.Millisecond
	// badPeak is how much the heap may grow at most, clients of the test included, unless a test says
	// otherwise, and badLeft how much of that may be there after it.
	badPeak = 48 << 20
	badLeft = 8 << 20
	// badPatience is how long is waited for what must come.
	badPatience = time.Minute
)

// badTimes are the timeouts that bad input runs into.
var badTimes = []string{
	"--set", "log.level=debug", "--set", "protocols.mqtt.connect_timeout=1500ms",
	"--set", "listeners.websocket.login_timeout=1500ms", "--set", "listeners.websocket.write_timeout=2s",
	"--set", "listeners.stomp.login_timeout=1500ms", "--set", "listeners.stomp.write_timeout=2s",
	"--set", "listeners.mqtt.login_timeout=1500ms", "--set", "listeners.mqtt.write_timeout=2s",
	"--set", "protocols.stomp.heart_beat.receive=500ms", "--set", "protocols.stomp.heart_beat.floor=1s",
	"--set", "listeners.any.uri=tcp://127.0.0.1:0", "--set", "listeners.any.login_timeout=1500ms",
}

// badHouse is a broker with clients that do nothing wrong, and nothing may happen to.
type badHouse struct {
	log       *badLedger
	addrs     map[string]string
	pid       int // of a process of its own, else 0
	witnesses []*badWitness
	exit      func()         // ends the broker
	base      int64          // heap in use at the beginning
	logged    map[string]int // lines about a client there must be in the end
	peak      atomic.Int64
	sampling  sync.WaitGroup
}

// openBadHouse runs the program within this process, with opts beside what is shipped, and two pairs of clients that
// send each other numbered messages all the time. What it has counted is checked when the test ends.
func openBadHouse(t *testing.T, args []string, opts ...fx.Option) *badHouse {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	h := &badHouse{log: newBadLedger()}
	ended := make(chan int, 1)
	all := slices.Concat(ephemeral, inMemory, badTimes, args)
	go func() { ended <- wyecmd.Run(ctx, all, io.Discard, h.log, opts...) }()
	h.exit = sync.OnceFunc(func() {
		cancel()
		if code := <-ended; code != 0 {
			t.Errorf("exit code %d", code)
		}
	})
	h.live(t)
	return h
}

// spawnBadHouse is openBadHouse for a process of its own.
func spawnBadHouse(t *testing.T, path string, args ...string) *badHouse {
	t.Helper()
	h := &badHouse{log: newBadLedger()}
	cmd := exec.Command(path, slices.Concat(ephemeral, inMemory, badTimes, args)...)
	cmd.Stderr = h.log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	h.pid = cmd.Process.Pid
	h.exit = sync.OnceFunc(func() {
		_ = cmd.Process.Signal(os.Interrupt)
		if err := cmd.Wait(); err != nil {
			t.Errorf("the broker: %v", err)
		}
	})
	h.live(t)
	return h
}

// live waits for the broker and lets the witnesses in.
func (h *badHouse) live(t *testing.T) {
	t.Helper()
	t.Cleanup(func() {
		h.exit()
		for name, want := range h.logged {
			if lines := h.log.lines[name]; len(lines) != want {
				t.Errorf("want %d lines in the log, there are\n%s", want, strings.Join(lines, "\n"))
			}
		}
	})
	h.addrs, h.logged = h.log.ready(t), make(map[string]int)
	stop := make(chan struct{})
	h.witnesses = []*badWitness{
		newBadWitness(t, h, "stomp", "tcp", "ws"), newBadWitness(t, h, "mqtt", "ws", "tcp"),
	}
	if h.pid == 0 {
		runtime.GC()
		h.base = heapInUse()
		h.sampling.Go(func() { h.sample(stop) })
	}
	t.Cleanup(func() {
		close(stop)
		h.sampling.Wait()
		for _, w := range h.witnesses {
			w.end(t)
		}
	})
}

// sample looks at the heap, now and then.
func (h *badHouse) sample(stop <-chan struct{}) {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-stop:
			return
		case <-tick.C:
			if n := heapInUse(); n > h.peak.Load() {
				h.peak.Store(n)
			}
		}
	}
}

// heapInUse returns the bytes of stacks, and of the objects that the last collection has found in use: how much garbage lies
// beside them depends on how busy the machine is.
func heapInUse() int64 {
	s := []metrics.Sample{{Name: "/gc/heap/live:bytes"}, {Name: "/memory/classes/heap/stacks:bytes"}}
	metrics.Read(s)
	return int64(s[0].Value.Uint64() + s[1].Value.Uint64())
}

// resident returns VmRSS and VmHWM of a process of its own; 0 where the system does not tell.
func (h *badHouse) resident(t *testing.T) (now, peak int64) {
	t.Helper()
	text, err := os.ReadFile("/proc/" + strconv.Itoa(h.pid) + "/status")
	if runtime.GOOS != "linux" {
		return 0, 0
	}
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		var kb int64
		if _, err := fmt.Sscanf(line, "VmRSS: %d kB", &kb); err == nil {
			now = kb << 10
		}
		if _, err := fmt.Sscanf(line, "VmHWM: %d kB", &kb); err == nil {
			peak = kb << 10
		}
	}
	return now, peak
}

// undisturbed is called at the beginning of a case. When the case ends, the witnesses must have lost nothing, must go on,
// and must not have been late, and the heap must not have grown by more than most in between, or by badLeft in the end.
func (h *badHouse) undisturbed(t *testing.T, most int64) {
	t.Helper()
	runtime.GC()
	before := heapInUse()
	h.peak.Store(before)
	for _, w := range h.witnesses {
		w.worst.Store(0)
	}
	t.Cleanup(func() {
		for _, w := range h.witnesses {
			w.goesOn(t)
		}
		peak := h.peak.Load() - before
		left := h.settled()
		if peak > most {
			t.Errorf("the heap has grown by %d kB at the peak, want %d at most", peak>>10, most>>10)
		}
		if left > badLeft {
			t.Errorf("%d kB are left on the heap, want %d at most", left>>10, badLeft>>10)
		}
		if testing.Verbose() {
			t.Logf("peak %d kB, left %d kB, latency %v and %v", peak>>10, left>>10,
				time.Duration(h.witnesses[0].worst.Load()), time.Duration(h.witnesses[1].worst.Load()))
		}
	})
}

// settled returns how much the heap has grown since the beginning, when what has ended was collected. Pools keep what they
// have for one collection, and some goroutines end after the line in the log.
func (h *badHouse) settled() (left int64) {
	for range 100 {
		runtime.GC()
		if left = heapInUse() - h.base; left <= badLeft {
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	return left
}

// badLedger is the log, by the address of the client.
type badLedger struct {
	mu    sync.Mutex
	more  sync.Cond
	part  []byte
	lines map[string][]string // about a client, by listener and address: see foe.name
	early map[string][]string // by connection
	addrs map[string]string
	count map[string]int // lines by reason
	last  []string       // of any kind: the latest
	begun bool
}

func newBadLedger() *badLedger {
	l := &badLedger{lines: make(map[string][]string), early: make(map[string][]string), addrs: make(map[string]string), count: make(map[string]int)}
	l.more.L = &l.mu
	return l
}

var (
	badConn     = regexp.MustCompile(` conn=(\S+)`)
	badListener = regexp.MustCompile(` listener=(\S+)`)
	badRemote   = regexp.MustCompile(` remote=(\S+)`)
	badReason   = regexp.MustCompile(` reason=(\S+)`)
)

// Write takes what the broker logs.
func (l *badLedger) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.part = append(l.part, p...)
	for {
		i := bytes.IndexByte(l.part, '\n')
		if i < 0 {
			break
		}
		l.line(string(l.part[:i]))
		l.part = l.part[i+1:]
	}
	l.more.Broadcast()
	return len(p), nil
}

// line is called with mu held.
func (l *badLedger) line(s string) {
	if strings.Contains(s, `msg="limit reached"`) { // what is looked for is how the connection ends
		return
	}
	if m := listening.FindStringSubmatch(s); m != nil {
		l.addrs[m[1]] = m[2]
	}
	l.begun = l.begun || strings.Contains(s, "msg=ready")
	if m := badRemote.FindStringSubmatch(s); m != nil {
		conn, listener := badConn.FindString(s), badListener.FindString(s)
		if listener == "" { // the core knows none: it is in the last line about the connection
			l.early[conn] = append(l.early[conn], s)
			return
		}
		key := listener + m[0] // ports are used again
		l.lines[key] = append(append(l.lines[key], l.early[conn]...), s)
		delete(l.early, conn)
	}
	if m := badReason.FindStringSubmatch(s); m != nil {
		l.count[m[1]]++
	}
	if l.last = append(l.last, s); len(l.last) > 200 {
		l.last = append(l.last[:0], l.last[100:]...)
	}
}

// wait waits until ok says so.
func (l *badLedger) wait(t testing.TB, what string, ok func() bool) {
	t.Helper()
	late := false
	timer := time.AfterFunc(badPatience, func() {
		l.mu.Lock()
		late = true
		l.mu.Unlock()
		l.more.Broadcast()
	})
	defer timer.Stop()
	l.mu.Lock()
	defer l.mu.Unlock()
	for !ok() {
		if late {
			t.Fatalf("%s: not in the log, which ends with\n%s", what, strings.Join(l.last[max(0, len(l.last)-20):], "\n"))
		}
		l.more.Wait()
	}
}

func (l *badLedger) ready(t testing.TB) map[string]string {
	t.Helper()
	l.wait(t, "ready", func() bool { return l.begun })
	l.mu.Lock()
	defer l.mu.Unlock()
	return maps.Clone(l.addrs)
}

// of waits until there are n lines about a client, and returns all there are; in the end there must be no more.
func (h *badHouse) of(f *foe, n int) []string {
	f.t.Helper()
	l := h.log
	l.wait(f.t, fmt.Sprintf("%d lines with%s", n, f.name), func() bool { return len(l.lines[f.name]) >= f.before+n })
	l.mu.Lock()
	defer l.mu.Unlock()
	h.logged[f.name] = f.before + n
	return l.lines[f.name][f.before:]
}

// known returns how many lines there are about each client.
func (l *badLedger) known() map[string]int {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := make(map[string]int, len(l.lines))
	for name, lines := range l.lines {
		n[name] = len(lines)
	}
	return n
}

// reasons returns how many lines give each reason.
func (l *badLedger) reasons() map[string]int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return maps.Clone(l.count)
}
