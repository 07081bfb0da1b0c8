package pubsub_test

import (
	"context"
	"fmt"
	"os"

	"github.com/wyemq/wye/cmd/internal/pubsub"
)

// The exit code tells a script what has happened.
func ExamplePub() {
	code := pubsub.Pub(context.Background(), []string{"--mqtt", "-t", "news"}, os.Stdout, os.Stdout)
	fmt.Println("exit code", code)
	// Output:
	// wye pub: one of -m, -f, -l, -s and -n says what to send
	// try: wye pub --help
	// exit code 2
}

func ExampleSub() {
	code := pubsub.Sub(context.Background(), []string{"--mqtt", "-t", "news", "--keep"}, os.Stdout, os.Stdout)
	fmt.Println("exit code", code)
	// Output:
	// wye sub: --keep needs an --id, under which the session is found again
	// try: wye sub --help
	// exit code 2
}
