// Command command measures how cost grows: see package growth.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/wyemq/wye/cmd/internal/growth"
)

func main() { os.Exit(run()) }

func run() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	return growth.Run(ctx, os.Args[1:], os.Stdout, os.Stderr)
}
