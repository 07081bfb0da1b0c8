package versus

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
)

// onlyFor has a variant take part only where it makes a difference.
func onlyFor(scenario string) func(r *row) (string, bool) {
	return func(r *row) (string, bool) { return "", r.scenario != scenario }
}

// mosquitto is the broker without persistence, or with it, for the durable queue.
func mosquitto(stored bool) *broker {
	b := &broker{
		name: "mosquitto", title: "Mosquitto",
		about:   "no persistence, no limits of queues, TCP_NODELAY",
		urls:    map[string]string{mqtt: "ws://127.0.0.1:{mqtt}"},
		skips:   func(r *row) (string, bool) { return "nothing would be durable", r.scenario == "queue" },
		install: installMosquitto,
	}
	if stored {
		b.name, b.title, b.of = "mosquitto-stored", "Mosquitto, stored", "mosquitto"
		b.about = "the same with persistence: a snapshot every second, never fsync"
		b.skips = onlyFor("queue")
		b.extra = func(*row, string) ([]string, string) { return nil, "never fsync" }
	}
	b.command = func(s *site) (*command, error) {
		conf, err := s.config("mosquitto.conf", map[string]any{"Stored": stored})
		c := &command{path: s.program.path, args: []string{"-c", conf}}
		if s.program.root != "/" {
			c.env = []string{"LD_LIBRARY_PATH=" + strings.Join(libraries(s.program.root), ":")}
		}
		return c, err
	}
	return b
}

func installMosquitto(ctx context.Context, s *shop) (program, error) {
	p, err := s.debian(ctx, "mosquitto")
	if err != nil {
		return p, err
	}
	p.path = filepath.Join(p.root, "usr/sbin/mosquitto")
	if _, err := os.Stat(p.path); err != nil {
		return p, errors.New("the package mosquitto has no usr/sbin/mosquitto")
	}
	return p, nil
}

// libraries are the folders of shared libraries of an unpacked package.
func libraries(root string) []string {
	dirs, _ := filepath.Glob(filepath.Join(root, "usr/lib/*-linux-gnu*")) // the pattern is right
	more, _ := filepath.Glob(filepath.Join(root, "lib/*-linux-gnu*"))
	return append(dirs, more...)
}
