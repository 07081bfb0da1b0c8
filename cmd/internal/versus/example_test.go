package versus_test

import (
	"context"
	"fmt"
	"os"

	"github.com/wyemq/wye/cmd/internal/versus"
)

// What is not known is named, before anything is built or started.
func ExampleRun() {
	code := versus.Run(context.Background(), []string{"--peers", "wye nuts"}, os.Stdout, os.Stdout)
	fmt.Println("exit code", code)
	// Output:
	// versus: there is no peer "nuts", but wye, rabbitmq, activemq, mosquitto, mosquitto-stored, nats, nats-synced, mochi, null
	// try: --help
	// exit code 2
}
