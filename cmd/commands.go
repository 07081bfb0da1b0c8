package wyecmd

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"

	"go.uber.org/dig"
	"go.uber.org/fx"

	"github.com/wyemq/wye/configs"
	"github.com/wyemq/wye/core"
	"github.com/wyemq/wye/core/config"
	"github.com/wyemq/wye/core/corefx"
	"github.com/wyemq/wye/core/engine"
	"github.com/wyemq/wye/core/engine/memory"
)

const usage = `wye is a message broker that speaks STOMP, MQTT and more on one WebSocket endpoint.

usage: wye [flags] [command]

commands
  (none), run         run the broker until SIGINT or SIGTERM
  config print        the effective configuration, each value with its origin
  config check        say everything that is wrong with the configuration; exit code 1 if anything is
  config schema       the JSON schema of the configuration file, for editors
  user add NAME       add a user; the password is asked for, or read from standard input
  user passwd NAME    give a user another password
  user list           the users with their groups
  user rm NAME        take a user out
  user import FILE    take over users of RabbitMQ (definitions) or Mosquitto (password file)
  acl test OPERATION DESTINATION
                      say which rule decides, and how; as in: acl test --user ali publish topic/a/b
  plugins             the protocols, transports, engines and plugins compiled in
  pub, sub            send messages to a broker, any broker, and print what it sends: wye pub --help
  bench               put load on a broker, any broker, and measure it: wye bench --help
  version             the version of this program
  help                this text

flags
  --config file     read this YAML file
  --set key=value   set one key, as in --set listeners.mqtt.enabled=false; may be repeated
                    lists are written a,b or [a, b], maps {a: 1}
  --group name      of user add: a group the user is in; may be repeated
  --vhost name      of user add, passwd and rm: the virtual host that the user is of
  --user, --group, --client, --address, --vhost, --claim name=value
                    of acl test: who is asked for; a user of the file brings its groups

The environment counts too: WYE_LISTENERS__MQTT__URI sets listeners.mqtt.uri. What is later in this
list wins: defaults, file, environment, --set.
`

func (p *program) help() error {
	_, err := fmt.Fprint(p.stdout, usage)
	return err
}

func (p *program) version() error {
	_, err := fmt.Fprintf(p.stdout, "wye %s %s %s/%s\n", version(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
	return err
}

// version returns the version the program was built from, as the toolchain has noted it.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Version == "" {
		return "unknown"
	}
	v := info.Main.Version
	if v != "(devel)" {
		return v
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && len(s.Value) >= 12 {
			return "devel-" + s.Value[:12]
		}
	}
	return "devel"
}

// loadConfig reads the configuration without making anything else.
func (p *program) loadConfig() (*config.Config, error) {
	var c *config.Config
	app := fx.New(p.graph(), fx.Populate(&c))
	if err := app.Err(); err != nil {
		if bad, ok := errors.AsType[*corefx.ConfigError](err); ok {
			return bad.Partial, bad
		}
		return nil, dig.RootCause(err)
	}
	return c, nil
}

func (p *program) printConfig() error {
	c, err := p.loadConfig()
	if c != nil {
		err = errors.Join(err, c.Print(p.stdout))
	}
	return err
}

// inspected is what the graph makes.
type inspected struct {
	fx.In

	Config         *config.Config
	Broker         *core.Broker
	Mux            *core.Mux
	Server         *corefx.Server
	Runners        corefx.Runners
	Protocols      []core.Protocol        `group:"protocols"`
	Transports     []corefx.TransportKind `group:"transports"`
	Engines        []corefx.EngineKind    `group:"engines"`
	Authenticators []core.Authenticator   `group:"authenticators"`
	Authorizers    []core.Authorizer      `group:"authorizers"`
	Interceptors   []core.Interceptor     `group:"interceptors"`
	Observers      []core.Observer        `group:"observers"`
}

// inspect builds the whole graph, on an engine in memory so that nothing on disk is touched, hands it to
// look and takes it down. Constructors neither listen nor dial.
func (p *program) inspect(look func(inspected) error) error {
	var in inspected
	app := fx.New(p.graph(),
		fx.Decorate(func() engine.Engine { return memory.New() }),
		fx.Invoke(func(all inspected) { in = all }),
	)
	if err := app.Err(); err != nil {
		return dig.RootCause(err)
	}
	err := look(in)
	ctx, cancel := context.WithTimeout(context.Background(), in.Server.ShutdownTimeout())
	defer cancel()
	return errors.Join(err, in.Broker.Close(ctx))
}

func (p *program) checkConfig() error {
	return p.inspect(func(inspected) error {
		_, err := fmt.Fprintln(p.stdout, "the configuration is right")
		return err
	})
}

func (p *program) printSchema() error {
	// What is wrong with the configuration does not matter here, and is not there without sources.
	p.args = arguments{bare: true}
	c, err := p.loadConfig()
	if err != nil {
		return err
	}
	describe, err := config.Describe(configs.Reference())
	if err != nil {
		return err
	}
	return c.Schema(p.stdout, func(key string) string {
		text := describe(key)
		if below, ok := strings.CutPrefix(key, "admin.tls."); ok && text == "" {
			text = describe("listeners.*.tls." + below) // described once
		}
		return text
	})
}

func (p *program) listPlugins() error {
	return p.inspect(func(in inspected) error {
		var b strings.Builder
		b.WriteString("protocols\n")
		for _, name := range in.Mux.Names() {
			i := slices.IndexFunc(in.Protocols, func(q core.Protocol) bool { return q.Name() == name })
			fmt.Fprintf(&b, "  %-12s subprotocols %s", name, strings.Join(in.Protocols[i].Subprotocols(), ", "))
			if q, ok := in.Protocols[i].(core.Pather); ok {
				fmt.Fprintf(&b, "; paths %s", strings.Join(q.Paths(), ", "))
			}
			b.WriteString("\n")
		}
		var schemes, kinds []string
		for _, t := range in.Transports {
			schemes = append(schemes, strings.Join(t.Schemes, "://, ")+"://")
		}
		for _, e := range in.Engines {
			kinds = append(kinds, e.Kind)
		}
		section(&b, "transports", schemes)
		section(&b, "engines", kinds)
		section(&b, "authenticators", names(in.Authenticators))
		section(&b, "authorizers", names(in.Authorizers))
		section(&b, "interceptors", names(in.Interceptors))
		section(&b, "observers", names(in.Observers))
		var runners []string
		for _, r := range in.Runners {
			runners = append(runners, strings.TrimPrefix(fmt.Sprintf("%T", r), "*"))
		}
		section(&b, "runners", runners)
		_, err := fmt.Fprint(p.stdout, b.String())
		return err
	})
}

// section writes a list under a heading, in the order of the alphabet.
func section(b *strings.Builder, heading string, items []string) {
	if len(items) == 0 {
		return
	}
	slices.Sort(items)
	fmt.Fprintf(b, "%s\n", heading)
	for _, item := range items {
		fmt.Fprintf(b, "  %s\n", item)
	}
}

func names[T interface{ Name() string }](items []T) []string {
	all := make([]string, len(items))
	for i, item := range items {
		all[i] = item.Name()
	}
	return all
}
