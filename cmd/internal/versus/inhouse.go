package versus

import (
	"context"
	"fmt"
)

// module is what this is part of.
const module = "github.com/wyemq/wye"

// built returns an install that compiles a program of this module.
func built(name, pkg string, version func(ctx context.Context, s *shop) string) func(context.Context, *shop) (program, error) {
	return func(ctx context.Context, s *shop) (program, error) {
		path, err := s.build(ctx, name, pkg)
		return program{path: path, version: version(ctx, s)}, err
	}
}

func wye() *broker {
	return &broker{
		name: "wye", title: "wye",
		about: "defaults, disk engine: queues and sessions are confirmed after fsync",
		urls:  map[string]string{stomp: "ws://127.0.0.1:{stomp}", mqtt: "ws://127.0.0.1:{stomp}"},
		install: built("wye", module+"/cmd/wye", func(ctx context.Context, s *shop) string {
			return s.commit(ctx)
		}),
		command: func(s *site) (*command, error) {
			conf, err := s.config("wye.yaml", nil)
			return &command{path: s.program.path, args: []string{"--config", conf}, env: s.goEnv()}, err
		},
	}
}

// onSocket is the command of a program whose only argument is where to listen.
func onSocket(s *site) (*command, error) {
	at := fmt.Sprintf("127.0.0.1:%d", s.Port(mqtt))
	return &command{path: s.program.path, args: []string{at}, env: s.goEnv()}, s.err
}

func mochi() *broker {
	return &broker{
		name: "mochi", title: "mochi",
		about: "default options, in memory, a hook that lets everybody in",
		urls:  map[string]string{mqtt: "ws://127.0.0.1:{mqtt}"},
		install: built("mochi", module+"/cmd/internal/versus/mochi", func(ctx context.Context, s *shop) string {
			return s.required(ctx, "github.com/mochi-mqtt/server/v2")
		}),
		extra: func(r *row, _ string) ([]string, string) {
			if r.scenario == "queue" {
				return nil, "in memory"
			}
			return nil, ""
		},
		command: onSocket,
	}
}

func null() *broker {
	return &broker{
		name: "null", title: "null", floor: true,
		about: "no broker: what is read is framed again and written to every subscriber at once, whatever the topic; who gathers what comes alone may cost less",
		urls:  map[string]string{mqtt: "ws://127.0.0.1:{mqtt}"},
		skips: func(r *row) (string, bool) {
			return "everybody gets everything", r.scenario == "pairs" || r.scenario == "queue"
		},
		install: built("null", module+"/cmd/internal/versus/null", func(context.Context, *shop) string { return "–" }),
		command: onSocket,
	}
}
