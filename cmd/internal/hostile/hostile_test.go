package hostile_test

import (
	"flag"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/wyemq/wye/cmd/internal/hostile"
)

var (
	connections = flag.Int("connections", 300, "clients of TestHostile in all")
	foes        = flag.Int("foes", 60, "those of them that mean harm")
	length      = flag.Duration("time", 5*time.Second, "how long they do")
	rate        = flag.Int("rate", 300, "messages a second of the others")
	budget      = flag.Int64("budget", 512<<20, "memory of the broker, in bytes")
	p99         = flag.Duration("p99", 2*time.Second, "how late one message of a hundred may be")
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestHostile lets foes loose among guests. By default they are few, for a short time, on a machine that does other things
// as well; make hostile has the numbers that count.
func TestHostile(t *testing.T) {
	dir := t.TempDir()
	program := filepath.Join(dir, "wye")
	if out, err := exec.Command("go", "build", "-o", program, "github.com/wyemq/wye/cmd/wye").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	// Clients are on other machines than a broker; here they have half of this one, so that who is late is the broker.
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(max(1, runtime.NumCPU()/2)))
	r, err := hostile.Run(t.Context(), hostile.Config{
		Program: program, Dir: dir, Args: []string{"--set", "engine.dir=" + filepath.Join(dir, "store"), "--set", "engine.min_free=0"},
		Connections: *connections, Foes: *foes, Time: *length, Rate: *rate, Budget: *budget, P99: *p99, Report: t.Logf,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("\n%s", r)
	for _, v := range r.Violations() {
		t.Error(v)
	}
}
