package versus

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

func rabbitMQ() *broker {
	return &broker{
		name: "rabbitmq", title: "RabbitMQ", comm: "beam.smp",
		about: "Web-STOMP and Web-MQTT, everything else with its defaults; persistent messages are confirmed after fsync",
		urls:  map[string]string{stomp: "ws://127.0.0.1:{stomp}/ws", mqtt: "ws://127.0.0.1:{mqtt}/ws"},
		extra: ownTopics("4 topics"),
		install: func(ctx context.Context, s *shop) (program, error) {
			p, err := s.debian(ctx, "rabbitmq-server")
			if err != nil {
				return p, err
			}
			p.path = filepath.Join(p.root, "usr/lib/rabbitmq/bin/rabbitmq-server")
			if _, err := os.Stat(p.path); err != nil {
				return p, errors.New("the package rabbitmq-server has no usr/lib/rabbitmq/bin/rabbitmq-server")
			}
			return p, moveErlang(p.root)
		},
		command: startRabbitMQ,
	}
}

// moveErlang tells an Erlang that was unpacked where it is: its start script knows one place only.
func moveErlang(root string) error {
	script := filepath.Join(root, "usr/lib/erlang/bin/erl")
	text, err := os.ReadFile(script)                   //nolint:gosec // what was unpacked
	if root == "/" || errors.Is(err, os.ErrNotExist) { // the machine's own is used
		return nil
	}
	if err != nil {
		return err
	}
	moved := bytes.ReplaceAll(text, []byte("ROOTDIR=/usr/lib/erlang\n"), []byte("ROOTDIR="+filepath.Join(root, "usr/lib/erlang")+"\n"))
	return os.WriteFile(script, moved, 0o755) //nolint:gosec // a program
}

// startRabbitMQ starts the server and the daemon that Erlang looks up nodes in, which otherwise stays behind.
func startRabbitMQ(s *site) (*command, error) {
	conf, err := s.config("rabbitmq.conf", nil)
	if err != nil {
		return nil, err
	}
	plugins := filepath.Join(s.Dir, "plugins")
	if err := os.WriteFile(plugins, []byte("[rabbitmq_stomp,rabbitmq_web_stomp,rabbitmq_mqtt,rabbitmq_web_mqtt].\n"), 0o644); err != nil {
		return nil, err
	}
	path, epmd := os.Getenv("PATH"), "epmd"
	if erlang := filepath.Join(s.program.root, "usr/lib/erlang/bin"); s.program.root != "/" {
		path, epmd = erlang+":"+path, filepath.Join(erlang, "epmd")
	} else if _, err := exec.LookPath(epmd); err != nil {
		return nil, err
	}
	env := []string{
		"PATH=" + path, "HOME=" + s.Dir,
		"RABBITMQ_NODENAME=peer@localhost",
		"RABBITMQ_MNESIA_BASE=" + filepath.Join(s.Dir, "mnesia"),
		"RABBITMQ_LOG_BASE=" + filepath.Join(s.Dir, "logs"),
		"RABBITMQ_CONFIG_FILE=" + strings.TrimSuffix(conf, ".conf"),
		"RABBITMQ_CONF_ENV_FILE=" + filepath.Join(s.Dir, "none"),
		"RABBITMQ_ENABLED_PLUGINS_FILE=" + plugins,
		"RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS=" + fmt.Sprintf("+S %d:%d", s.cores, s.cores),
		fmt.Sprintf("RABBITMQ_DIST_PORT=%d", s.Port("erlang")),
		fmt.Sprintf("ERL_EPMD_PORT=%d", s.Port("epmd")),
		"ERL_EPMD_ADDRESS=127.0.0.1",
	}
	const both = `"$0" & exec "$1"`
	return &command{path: "/bin/sh", args: []string{"-c", both, epmd, s.program.path}, env: env}, s.err
}
