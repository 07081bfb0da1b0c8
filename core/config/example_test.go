package config_test

import (
	"fmt"
	"os"
	"time"

	"github.com/wyemq/wye/core/config"
)

func Example() {
	type Config struct {
		Greeting string        `koanf:"greeting"`
		Patience time.Duration `koanf:"patience"`
	}
	c, err := config.Load(
		config.Sources{
			Environ: []string{"WYE_PROTOCOLS__LINE__GREETING=hello"},
			Set:     []string{"protocols.line.patience=2m"},
		},
		config.Section{Key: "protocols.line", Default: Config{Greeting: "hi", Patience: time.Second}},
	)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(config.Get[Config](c, "protocols.line").Greeting)
	_ = c.Print(os.Stdout)
	// Output:
	// hello
	// protocols:
	//   line:
	//     greeting: "hello" # WYE_PROTOCOLS__LINE__GREETING
	//     patience: 2m # --set
}
