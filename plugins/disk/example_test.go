package disk_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"

	"github.com/wyemq/wye/core/engine"
	"github.com/wyemq/wye/plugins/disk"
)

// What was confirmed is there when the store is opened again.
func Example() {
	dir, err := os.MkdirTemp("", "wye")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = os.RemoveAll(dir) }()
	ctx := context.Background()
	cfg := disk.DefaultConfig()
	cfg.Dir = dir
	for range 2 {
		e, err := disk.Open(cfg, slog.New(slog.DiscardHandler))
		if err != nil {
			fmt.Println(err)
			return
		}
		done := make(chan error)
		m := &engine.Message{Body: []byte("work")}
		e.Commit(&engine.Batch{Ops: []engine.Op{{Kind: engine.Append, Logs: []engine.LogID{"q/jobs"}, Msg: m}}},
			func(err error) { done <- err })
		if err := <-done; err != nil { // it is on disk
			fmt.Println(err)
		}
		_ = e.Logs(ctx, "", func(id engine.LogID, s engine.Stats) bool {
			fmt.Println(id, s.Depth)
			return true
		})
		_ = e.Close(ctx)
	}
	// Output:
	// q/jobs 1
	// q/jobs 2
}
