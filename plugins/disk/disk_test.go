package disk_test

import (
	"flag"
	"log/slog"
	"testing"

	"go.uber.org/goleak"

	"github.com/wyemq/wye/core/engine"
	"github.com/wyemq/wye/core/enginetest"
	"github.com/wyemq/wye/plugins/disk"
)

func TestMain(m *testing.M) {
	flag.Parse()
	goleak.VerifyTestMain(m)
}

func open(t testing.TB, dir string) *disk.Engine {
	t.Helper()
	e, err := disk.Open(disk.Config{Dir: dir}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	return e
}

func TestEngine(t *testing.T) {
	enginetest.Test(t, func(t testing.TB) engine.Engine { return open(t, t.TempDir()) })
}

func TestDurable(t *testing.T) {
	enginetest.TestDurable(t, func(t testing.TB) func() engine.Engine {
		dir := t.TempDir()
		return func() engine.Engine { return open(t, dir) }
	})
}
