// Command command compares wye with other brokers: see package versus.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/wyemq/wye/cmd/internal/versus"
)

func main() { os.Exit(run()) }

func run() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	return versus.Run(ctx, os.Args[1:], os.Stdout, os.Stderr)
}
