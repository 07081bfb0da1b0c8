package disk_test

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/wyemq/wye/core/engine"
	"github.com/wyemq/wye/plugins/disk"
)

var scale = flag.Float64("scale", 0.02, "size of the stores of TestScale; 1: a million messages, ten thousand logs, "+
	"a hundred thousand topics")

// scaleEnv tells a child process what to do, with which size, and where.
const scaleEnv = "WYE_TEST_SCALE"

// figures are what a child process reports.
type figures struct {
	First time.Duration // from the start of Open to the first record, or to all that was asked for
	RSS   int64         // resident memory then
	Peak  int64
	Drain float64 // records per second
	Disk  [3]uint64
	Stall time.Duration // longest commit beside
	N     int
}

// TestScale opens large stores that were not closed, in processes of their own, and holds start and memory to what is
// promised.
func TestScale(t *testing.T) {
	if raceEnabled {
		t.Skip("it measures time and memory")
	}
	for _, c := range []struct {
		name  string
		n     int
		first time.Duration
		check func(t *testing.T, n int, f figures)
	}{
		{"backlog", 1_000_000, time.Second, func(t *testing.T, n int, f figures) {
			t.Helper()
			if f.RSS > 200<<20 {
				t.Errorf("resident are %d MiB", f.RSS>>20)
			}
			if f.Disk[2] > f.Disk[0]/10+64<<20 {
				t.Errorf("on disk were %d MiB, are %d MiB after the drain", f.Disk[0]>>20, f.Disk[2]>>20)
			}
		}},
		{"logs", 10_000, 3 * time.Second, func(*testing.T, int, figures) {}},
		{"topics", 100_000, 3 * time.Second, func(t *testing.T, n int, f figures) {
			t.Helper()
			if f.N != n {
				t.Errorf("%d of %d matched", f.N, n)
			}
			if f.Stall > 500*time.Millisecond*slack() {
				t.Errorf("a commit took %v meanwhile", f.Stall)
			}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			n := int(float64(c.n) * *scale)
			dir := filepath.Join(t.TempDir(), "store")
			child(t, c.name+"-fill", n, dir, nil)
			var f figures
			child(t, c.name+"-read", n, dir, &f)
			t.Logf("%d: %v to the first, %d MiB resident (at most %d), drained at %.0f/s; on disk %d MiB, %d when drained, %d later; stall %v",
				n, f.First.Round(time.Millisecond), f.RSS>>20, f.Peak>>20, f.Drain, f.Disk[0]>>20, f.Disk[1]>>20, f.Disk[2]>>20, f.Stall)
			if first := c.first * slack(); f.First > first {
				t.Errorf("it took %v, %v is permitted", f.First, first)
			}
			c.check(t, n, f)
		})
	}
}

// slack is for a small store, which is looked at on machines that have other things to do.
func slack() time.Duration {
	if *scale < 1 {
		return 10
	}
	return 1
}

// child runs TestScaleChild in a process, which kills itself at the end.
func child(t *testing.T, what string, n int, dir string, f *figures) {
	t.Helper()
	c := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestScaleChild$")
	c.Env = append(os.Environ(), fmt.Sprintf("%s=%s %d %s", scaleEnv, what, n, dir))
	c.Stderr = os.Stderr
	out, err := c.Output()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != -1 {
		t.Fatalf("%s ended with %v: %s", what, err, out)
	}
	if f == nil {
		return
	}
	if err := json.Unmarshal(out, f); err != nil {
		t.Fatalf("%s: %v: %s", what, err, out)
	}
}

// TestScaleChild is the process that TestScale starts.
func TestScaleChild(t *testing.T) {
	var what, dir string
	var n int
	if got, _ := fmt.Sscanf(os.Getenv(scaleEnv), "%s %d %s", &what, &n, &dir); got != 3 {
		t.Skip("TestScale starts it")
	}
	var f figures
	start := time.Now()
	e := open(t, dir)
	switch what {
	case "backlog-fill":
		load(t, e, n, 1024, func(int) engine.LogID { return "q" })
	case "logs-fill":
		load(t, e, 100*n, 100, func(i int) engine.LogID { return engine.LogID(fmt.Sprintf("q/%d", i%n)) })
	case "topics-fill":
		retain(t, e, n)
	case "backlog-read":
		f = readBacklog(t, e, start)
	case "logs-read":
		for i := range n {
			l, err := e.Open(t.Context(), engine.LogID(fmt.Sprintf("q/%d", i)), engine.LogOptions{Lanes: true, Ready: func() {}})
			if err != nil || l.Stats().Depth != 100 {
				t.Fatal(err)
			}
		}
		f.First = time.Since(start)
		f.RSS, f.Peak = memory(t)
	case "topics-read":
		f = readTopics(t, e, start)
	}
	commit(t, e, engine.Op{Kind: engine.Put, Bucket: "b", Key: "done"}) // synced
	if strings.HasSuffix(what, "-read") && !t.Failed() {
		_ = json.NewEncoder(os.Stdout).Encode(f)
	}
	if !t.Failed() {
		kill()
	}
}

// kill ends the process as kill -9 does.
func kill() {
	p, _ := os.FindProcess(os.Getpid())
	_ = p.Kill()
	select {}
}

func readBacklog(t *testing.T, e *disk.Engine, start time.Time) (f figures) {
	t.Helper()
	l, err := e.Open(t.Context(), "q", engine.LogOptions{Lanes: true, Ready: func() {}})
	if err != nil {
		t.Fatal(err)
	}
	f.N = int(l.Stats().Depth)
	recs, err := l.Next(256, 8<<20)
	if err != nil || len(recs) == 0 {
		t.Fatal(len(recs), err)
	}
	f.First = time.Since(start)
	f.RSS, _ = memory(t)
	f.Disk[0] = usage(t, e)
	start = time.Now()
	n := 0
	for len(recs) > 0 {
		n += len(recs)
		e.Commit(&engine.Batch{Relaxed: true, Ops: []engine.Op{settleAll(l, recs)}}, nil)
		if recs, err = l.Next(256, 8<<20); err != nil {
			t.Fatal(err)
		}
	}
	f.Drain = float64(n) / time.Since(start).Seconds()
	_, f.Peak = memory(t)
	commit(t, e, engine.Op{Kind: engine.Put, Bucket: "b", Key: "k"})
	f.Disk[1] = usage(t, e)
	for range 50 { // it is given back in the background
		if f.Disk[2] = usage(t, e); f.Disk[2] < f.Disk[0]/10+64<<20 {
			break
		}
		time.Sleep(100 * time.Millisecond)
	}
	return f
}

// readTopics matches all, while another goroutine commits.
func readTopics(t *testing.T, e *disk.Engine, start time.Time) (f figures) {
	t.Helper()
	stop, stall := make(chan struct{}), make(chan time.Duration)
	go func() {
		var longest time.Duration
		for {
			select {
			case <-stop:
				stall <- longest
				return
			default:
				began := time.Now()
				commit(t, e, engine.Op{Kind: engine.Put, Bucket: "b", Key: "beside"})
				longest = max(longest, time.Since(began))
			}
		}
	}()
	err := e.Retained().Match(context.Background(), "#", func(*engine.Message) bool { f.N++; return true })
	f.First = time.Since(start)
	close(stop)
	f.Stall = <-stall
	if err != nil {
		t.Fatal(err)
	}
	f.RSS, f.Peak = memory(t)
	return f
}

func usage(t *testing.T, e *disk.Engine) uint64 {
	t.Helper()
	return e.Usage().Bytes
}

// memory returns the resident memory now, and the most there was.
func memory(t *testing.T) (now, peak int64) {
	t.Helper()
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0, 0 // there is none to read
	}
	for line := range strings.Lines(string(text)) {
		_, _ = fmt.Sscanf(line, "VmRSS: %d kB", &now)
		_, _ = fmt.Sscanf(line, "VmHWM: %d kB", &peak)
	}
	return now << 10, peak << 10
}
