package disk_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/wyemq/wye/core/engine"
	"github.com/wyemq/wye/plugins/disk"
)

// faultEnv tells a child process which fault to make, and where: see TestFaults.
const faultEnv = "WYE_TEST_FAULT"

// patience is how long a test waits for something that should come at once.
const patience = 20 * time.Second

// fault is what goes wrong with a kind of file.
type fault struct {
	op, file string
	errno    syscall.Errno
}

// faultyFS fails when it is armed.
type faultyFS struct {
	vfs.FS
	fault fault
	armed *atomic.Bool
}

func (f faultyFS) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	file, err := f.FS.Create(name, c)
	return faultyFile{file, f, name}, err
}

func (f faultyFS) ReuseForWrite(old, name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	file, err := f.FS.ReuseForWrite(old, name, c)
	return faultyFile{file, f, name}, err
}

type faultyFile struct {
	vfs.File
	fs   faultyFS
	name string
}

func (f faultyFile) fails(op string) error {
	if f.fs.armed.Load() && f.fs.fault.op == op && strings.Contains(filepath.Base(f.name), f.fs.fault.file) {
		return f.fs.fault.errno
	}
	return nil
}

func (f faultyFile) Write(b []byte) (int, error) {
	if err := f.fails("write"); err != nil {
		return 0, err
	}
	return f.File.Write(b)
}

func (f faultyFile) Sync() error {
	if err := f.fails("sync"); err != nil {
		return err
	}
	return f.File.Sync()
}

func (f faultyFile) SyncData() error {
	if err := f.fails("sync"); err != nil {
		return err
	}
	return f.File.SyncData()
}

// TestFaults lets files fail under a process of its own. It must say which and why, confirm nothing from then on, and
// end with an error; and what it has confirmed must be there.
func TestFaults(t *testing.T) {
	for _, f := range []fault{
		{"write", ".log", syscall.EIO},
		{"sync", ".log", syscall.EIO},
		{"write", ".log", syscall.ENOSPC},
		{"sync", ".log", syscall.ENOSPC},
		{"write", ".sst", syscall.ENOSPC},
		{"write", ".sst", syscall.EIO},
		{"sync", ".sst", syscall.EIO},
		{"write", "MANIFEST", syscall.EIO},
		{"sync", "MANIFEST", syscall.EIO},
	} {
		t.Run(fmt.Sprintf("%s %s %s", f.op, strings.Trim(f.file, "."), f.errno), func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "store")
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			child := exec.CommandContext(ctx, os.Args[0], "-test.run=^TestFaultChild$")
			child.Env = append(os.Environ(), fmt.Sprintf("%s=%s %s %d %s", faultEnv, f.op, f.file, int(f.errno), dir))
			var out, said bytes.Buffer
			child.Stdout, child.Stderr = &out, &said
			err := child.Run()
			var exit *exec.ExitError
			if !errors.As(err, &exit) || exit.ExitCode() != 3 {
				t.Fatalf("the process ended with %v: %s %s", err, &out, &said)
			}
			for _, want := range []string{
				"level=ERROR", "path=" + dir, f.file, "errno=" + strconv.Itoa(int(f.errno)), f.errno.Error(), "has failed",
			} {
				if !strings.Contains(said.String(), want) {
					t.Errorf("%q is not in what it said: %s", want, &said)
				}
			}
			confirmed := 0
			if _, err := fmt.Sscanf(out.String(), "confirmed %d", &confirmed); err != nil || confirmed < 100 {
				t.Fatalf("%s: %v", &out, err)
			}
			e := open(t, dir)
			defer shut(t, e)
			if got := countRecords(t, e); got < confirmed {
				t.Errorf("%d were confirmed, %d are there", confirmed, got)
			}
		})
	}
}

// countRecords returns how many records the log has, which must be numbered without a gap.
func countRecords(t testing.TB, e engine.Engine) (n int) {
	t.Helper()
	l, err := e.Open(t.Context(), "q", engine.LogOptions{})
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	err = l.Browse(t.Context(), 0, func(r engine.Record) bool {
		if got, _, _ := strings.Cut(string(r.Msg.Body), " "); got != strconv.Itoa(n) {
			t.Errorf("record %d is number %s", n, got)
		}
		n++
		return true
	})
	if err != nil {
		t.Errorf("Browse: %v", err)
	}
	return n
}

func shut(t testing.TB, e engine.Engine) {
	t.Helper()
	if err := e.Close(context.Background()); err != nil {
		t.Errorf("Close: %v", err)
	}
}

// TestFaultChild is the process that TestFaults starts.
func TestFaultChild(t *testing.T) {
	var f fault
	var dir string
	var errno int
	if n, _ := fmt.Sscanf(os.Getenv(faultEnv), "%s %s %d %s", &f.op, &f.file, &errno, &dir); n != 4 {
		t.Skip("TestFaults starts it")
	}
	f.errno = syscall.Errno(errno)
	confirmed, err := runUntilFault(f, dir)
	fmt.Fprintf(os.Stdout, "confirmed %d\n", confirmed)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(3)
	}
}

// runUntilFault commits until the engine fails, and returns how much was confirmed and what Run has returned.
func runUntilFault(f fault, dir string) (confirmed int, err error) {
	fs := faultyFS{vfs.Default, f, new(atomic.Bool)}
	e, err := disk.OpenOn(disk.Config{Dir: dir}, slog.New(slog.NewTextHandler(os.Stderr, nil)), fs, func(o *pebble.Options) {
		o.MemTableSize = 256 << 10 // so that it is flushed
	})
	if err != nil {
		return 0, err
	}
	failed := make(chan error, 1)
	go func() { failed <- e.Run(context.Background(), func() {}) }()
	results := make(chan error, 16)
	failures := 0
	for i := 0; failures < 20; i++ {
		if confirmed == 100 {
			fs.armed.Store(true)
		}
		m := &engine.Message{Body: fmt.Appendf(nil, "%d %s", i, make([]byte, 1000))}
		e.Commit(&engine.Batch{Ops: []engine.Op{{Kind: engine.Append, Logs: []engine.LogID{"q"}, Msg: m}}},
			func(err error) { results <- err })
		select {
		case err := <-results:
			switch {
			case err == nil && failures > 0:
				return confirmed, errors.New("something was confirmed after something was not")
			case err == nil:
				confirmed++
			case errors.Is(err, engine.ErrUnavailable) || errors.Is(err, engine.ErrUnknown):
				failures++
			default:
				return confirmed, fmt.Errorf("not an error that the core knows: %w", err)
			}
		case <-time.After(patience / 2):
			return confirmed, errors.New("done was not called")
		}
	}
	select {
	case err = <-failed:
	case <-time.After(patience / 2):
		return confirmed, errors.New("Run did not return")
	}
	if closed := e.Close(context.Background()); closed == nil {
		return confirmed, errors.New("Close says nothing")
	}
	return confirmed, err
}
