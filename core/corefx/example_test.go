package corefx_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"

	"go.uber.org/fx"

	"github.com/wyemq/wye/core"
	"github.com/wyemq/wye/core/config"
	"github.com/wyemq/wye/core/corefx"
	"github.com/wyemq/wye/core/engine/memory"
)

// door admits whoever knows the word.
type door struct{ word core.Secret }

type doorConfig struct {
	Word core.Secret `koanf:"word"`
}

func newDoor(c doorConfig) door { return door{c.Word} }

func (door) Name() string { return "door" }

func (d door) Authenticate(_ context.Context, l *core.Login) (core.Principal, error) {
	if l.Password != string(d.word) {
		return core.Principal{}, core.ErrLogin
	}
	return core.Principal{Name: l.User}, nil
}

// A plugin with a section of its own. A program passes the same options to wyecmd.Main, which brings the
// rest.
func Example() {
	app := fx.New(
		fx.NopLogger, corefx.Module(),
		corefx.Engine("memory", func() struct{} { return struct{}{} },
			func(struct{}, *slog.Logger) (*memory.Engine, error) { return memory.New(), nil }),
		fx.Supply(corefx.Input{
			Defaults: corefx.Defaults{Engine: "memory"}, Log: os.Stderr,
			Sources: config.Sources{Set: []string{"auth.door.word=sesame"}},
		}),

		corefx.Config("auth.door", func() doorConfig { return doorConfig{} }),
		corefx.Authenticator(newDoor),

		fx.Invoke(func(b *core.Broker, c doorConfig) {
			fmt.Println("the word is", c.Word)
			_, err := b.Connect(context.Background(), core.Login{User: "ali", Password: "open"}, nil)
			fmt.Println(err)
		}),
	)
	if err := app.Err(); err != nil {
		fmt.Println(err)
	}
	// Output:
	// the word is [redacted]
	// credentials from connect: login refused
}
