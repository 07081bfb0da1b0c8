package wyecmd_test

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

var soakTime = flag.Duration("soak", 8*time.Second, "how long the clients of TestSoak come and go")

const (
	soakClients = 8
	// soakWarmUp is how long they come and go before the broker is looked at: what it keeps then it may keep.
	soakWarmUp = 4 * time.Second
	// What there may be more in the end: of thousands of visits each would leave something. Some goroutines are about to end, or
	// are those of the store, which also opens and closes files as it likes.
	soakGoroutines = 12
	soakSockets    = 2
	soakFiles      = 40
	soakHeap       = 16 << 20
)

// TestSoak has clients of both protocols come, do whatever clients do, and go, in order or not; when all have gone, the broker has
// the goroutines, descriptors, memory, sessions and queues that it had when they began. make soak does it for half an hour.
func TestSoak(t *testing.T) {
	p := spawn(t, build(t, "./wye"), "--set", "admin.pprof=true")
	s := &soak{p: p, seed: uint64(time.Now().UnixNano())}
	t.Logf("seed %d", s.seed)
	s.churn(t, soakWarmUp)
	before := s.settled(t, nil)
	t.Logf("before: %v", before)
	for left := *soakTime; left > 0; left -= time.Minute {
		s.churn(t, min(left, time.Minute))
		if left > time.Minute {
			t.Logf("%s: %d visits, %v", *soakTime-left+time.Minute, s.visits.Load(), s.settled(t, before))
		}
	}
	after := s.settled(t, before)
	t.Logf("after %d visits: %v", s.visits.Load(), after)
	if what := before.exceeded(after); len(what) > 0 {
		_, stacks := get(t, "http://"+p.addrs["admin"]+"/debug/pprof/goroutine?debug=1")
		t.Errorf("%s\n%s", strings.Join(what, "\n"), stacks)
	}
	for name, n := range s.done() {
		if n == 0 {
			t.Errorf("nobody did %q", name)
		}
	}
	p.stop(syscall.SIGTERM)
	if code := p.exit(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	if log := p.all(); strings.Contains(log, "level=ERROR") {
		t.Errorf("in the log:\n%s", log)
	}
}

// soak is a broker with clients that come and go.
type soak struct {
	p      *program
	seed   uint64
	round  uint64
	visits atomic.Int64

	mu    sync.Mutex
	count map[string]int
}

// done returns how often everything was done.
func (s *soak) done() map[string]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make(map[string]int)
	for _, a := range soakActs() {
		all[a.name] = s.count[a.name]
	}
	return all
}

// churn lets clients come and go for a while. The first that is not served as it must be fails the test.
func (s *soak) churn(t *testing.T, d time.Duration) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	s.round++
	var work sync.WaitGroup
	for n := range soakClients {
		work.Go(func() {
			v := &visitor{s: s, n: n, r: rand.New(rand.NewPCG(s.seed+s.round, uint64(n)))}
			acts := soakActs()
			for i := 0; ctx.Err() == nil || s.round == 1 && i < len(acts); i++ {
				a := acts[v.r.IntN(len(acts))]
				if s.round == 1 && i < len(acts) { // each at least once
					a = acts[i]
				}
				s.visits.Add(1)
				if err := v.do(t.Context(), a); err != nil {
					t.Errorf("client %d: %s: %v", n, a.name, err)
					cancel()
				}
			}
		})
	}
	work.Wait()
	if t.Failed() {
		t.FailNow()
	}
}

// soaked is what a broker has.
type soaked struct {
	goroutines, sockets, files int
	heap, resident             int64
	sessions, kept, subs       int
	queues, retained           int
}

func (f *soaked) String() string {
	return fmt.Sprintf("%d goroutines, %d sockets, %d files, heap %d kB, resident %d kB, %d sessions, %d kept, %d subscriptions, %d queues, %d retained",
		f.goroutines, f.sockets, f.files, f.heap>>10, f.resident>>10, f.sessions, f.kept, f.subs, f.queues, f.retained)
}

// exceeded says what there is more of after than before.
func (f *soaked) exceeded(after *soaked) (what []string) {
	for _, c := range []struct {
		name                string
		before, after, more int64
	}{
		{"goroutines", int64(f.goroutines), int64(after.goroutines), soakGoroutines},
		{"sockets", int64(f.sockets), int64(after.sockets), soakSockets},
		{"files", int64(f.files), int64(after.files), soakFiles},
		{"bytes of heap", f.heap, after.heap, soakHeap},
		{"sessions", int64(f.sessions), int64(after.sessions), 0},
		{"kept sessions", int64(f.kept), int64(after.kept), 0},
		{"subscriptions", int64(f.subs), int64(after.subs), 0},
		{"queues", int64(f.queues), int64(after.queues), 0},
		{"retained messages", int64(f.retained), int64(after.retained), 0},
	} {
		if c.after > c.before+c.more {
			what = append(what, fmt.Sprintf("%s: %d, there were %d", c.name, c.after, c.before))
		}
	}
	return what
}

// settled waits until the broker has nothing more than before, or has had time enough, and returns what it has.
func (s *soak) settled(t *testing.T, before *soaked) *soaked {
	t.Helper()
	var f *soaked
	for range 50 {
		last := f
		f = s.look(t)
		if before != nil && len(before.exceeded(f)) == 0 {
			break
		}
		if before == nil && f.sessions+f.kept+f.subs == 0 && last != nil && last.sockets == f.sockets && last.goroutines == f.goroutines {
			break
		}
		time.Sleep(200 * time.Millisecond) // nobody tells when a collection or a compaction is over
	}
	return f
}

// look collects garbage and counts.
func (s *soak) look(t *testing.T) *soaked {
	t.Helper()
	url := "http://" + s.p.addrs["admin"]
	for range 2 { // what was in pools goes with the second
		if code, _ := get(t, url+"/debug/pprof/heap?gc=1"); code != http.StatusOK {
			t.Fatalf("pprof: %d", code)
		}
	}
	http.DefaultClient.CloseIdleConnections()
	f := &soaked{}
	_, text := get(t, url+"/metrics")
	for line := range strings.Lines(text) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		n, err := strconv.ParseFloat(value, 64)
		if err != nil {
			continue
		}
		name, _, _ = strings.Cut(name, "{")
		switch name {
		case "go_goroutines":
			f.goroutines = int(n)
		case "go_memstats_heap_alloc_bytes":
			f.heap = int64(n)
		case "process_resident_memory_bytes":
			f.resident = int64(n)
		case "wye_sessions":
			f.sessions += int(n)
		case "wye_sessions_kept":
			f.kept += int(n)
		case "wye_subscriptions":
			f.subs += int(n)
		case "wye_queues":
			f.queues += int(n)
		case "wye_retained_messages":
			f.retained += int(n)
		}
	}
	http.DefaultClient.CloseIdleConnections()
	f.sockets, f.files = descriptors(s.p.pid)
	return f
}

// descriptors counts those of a process; none where the system does not tell.
func descriptors(pid int) (sockets, files int) {
	dir := filepath.Join("/proc", strconv.Itoa(pid), "fd")
	entries, err := os.ReadDir(dir)
	if err != nil && runtime.GOOS == "linux" {
		return -1, -1
	}
	for _, e := range entries {
		if to, err := os.Readlink(filepath.Join(dir, e.Name())); err == nil && strings.HasPrefix(to, "socket:") {
			sockets++
		} else if err == nil {
			files++
		}
	}
	return sockets, files
}

// TestSoakNotices: what adds up is noticed.
func TestSoakNotices(t *testing.T) {
	before := &soaked{goroutines: 50, sockets: 4, files: 20, heap: 10 << 20}
	after := *before
	if what := before.exceeded(&after); len(what) > 0 {
		t.Errorf("the same: %q", what)
	}
	after.goroutines, after.sockets, after.heap, after.kept = 70, 7, 40<<20, 1
	if what := before.exceeded(&after); len(what) != 4 {
		t.Errorf("four things: %q", what)
	}
	nc := dial(t, start(t, nil).addrs["stomp"])
	login(t, nc)
	sockets, _ := descriptors(os.Getpid())
	_ = nc.Close()
	if fewer, _ := descriptors(os.Getpid()); runtime.GOOS == "linux" && fewer >= sockets {
		t.Errorf("%d sockets, after one was closed %d", sockets, fewer)
	}
}

// vandalize says what is no protocol, and goes.
func (v *visitor) vandalize(context.Context) error {
	for _, listener := range []string{"websocket", "stomp", "mqtt"} {
		nc, err := v.raw(listener)
		if err != nil {
			return err
		}
		garbage := make([]byte, v.r.IntN(300))
		for i := range garbage {
			garbage[i] = byte(v.r.Uint32())
		}
		_, _ = nc.Write(garbage)
		_ = nc.Close()
	}
	return nil
}
