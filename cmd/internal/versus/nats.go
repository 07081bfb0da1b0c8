package versus

import "context"

// natsVersion is the version that is compared.
const natsVersion = "v2.15.2"

// nats is nats-server as it comes, or synced: with an fsync for each stored message, as others have it.
func nats(synced bool) *broker {
	b := &broker{
		name: "nats", title: "NATS",
		about: "JetStream with its defaults: fsync every two minutes",
		urls:  map[string]string{mqtt: "ws://127.0.0.1:{mqtt}/mqtt"},
		install: func(ctx context.Context, s *shop) (program, error) {
			path, err := s.goInstall(ctx, "github.com/nats-io/nats-server/v2", natsVersion)
			return program{path: path, version: natsVersion}, err
		},
	}
	note := "4 topics, fsync every 2 minutes"
	if synced {
		b.name, b.title, b.of, b.about = "nats-synced", "NATS, synced", "nats", "the same with sync_interval: always"
		b.skips = onlyFor("queue")
		note = "4 topics"
	}
	b.extra = ownTopics(note)
	b.command = func(s *site) (*command, error) {
		conf, err := s.config("nats.conf", map[string]any{"Synced": synced})
		return &command{path: s.program.path, args: []string{"-c", conf}, env: s.goEnv()}, err
	}
	return b
}

// ownTopics, which is noted in tables, gives each consumer of an MQTT queue its own topic, where the broker has no shared subscriptions.
func ownTopics(note string) func(r *row, protocol string) ([]string, string) {
	return func(r *row, protocol string) ([]string, string) {
		if r.scenario == "queue" && protocol == mqtt {
			return []string{"--group="}, note
		}
		return nil, ""
	}
}
