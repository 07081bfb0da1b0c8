package audit_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/wyemq/wye/core"
	"github.com/wyemq/wye/plugins/audit"
)

// A refusal, as it is written.
func Example() {
	dir, err := os.MkdirTemp("", "audit")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = os.RemoveAll(dir) }()
	file := filepath.Join(dir, "audit.log")

	log := audit.New(audit.Config{File: file}, slog.New(slog.DiscardHandler))
	log.Observe(&core.Event{
		Kind: core.EventRefused, Time: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), User: "ali", ClientID: "c1", VHost: "/",
		Protocol: "mqtt", Op: core.OpPublish, Destination: "topic/a", Err: core.Deny("own-devices"),
	})
	ctx, cancel := context.WithCancel(context.Background())
	if err := log.Run(ctx, cancel); err != nil { // ends at once, having written what there is
		fmt.Println(err)
	}
	text, err := os.ReadFile(file)
	fmt.Print(string(text), err)
	// Output:
	// {"time":"2026-01-02T03:04:05Z","event":"refused","user":"ali","client":"c1","vhost":"/","protocol":"mqtt","operation":"publish","destination":"topic/a","rule":"own-devices","reason":"not_authorized","detail":"rule own-devices: not authorized"}
	// <nil>
}
