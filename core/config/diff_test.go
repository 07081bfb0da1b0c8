package config_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/wyemq/wye/core"
	"github.com/wyemq/wye/core/config"
)

type door struct {
	Word  core.Secret `koanf:"word"`
	Width int         `koanf:"width"`
	Frame string      `koanf:"frame" restart:"true"`
	Locks []lock      `koanf:"locks"`
	Names []string    `koanf:"names"`
}

type lock struct {
	Kind string `koanf:"kind"`
}

type common struct {
	URI string `koanf:"uri"`
	On  bool   `koanf:"on"`
}

type wire struct {
	URI string      `koanf:"uri"`
	Key core.Secret `koanf:"key"`
}

// TestDiff tells what is another value, and nothing of a secret but that it is.
func TestDiff(t *testing.T) {
	sections := []config.Section{
		{Key: "door", Default: door{Width: 80, Names: []string{"a"}}},
		{Key: "door.bell", Default: common{On: true}},
		{
			Key: "wires", Named: true, By: "uri", Default: common{On: true}, Variants: []config.Variant{{Names: []string{"w"}, Default: wire{}}},
			Preset: map[string]string{"a.uri": "w:1", "b.uri": "w:2"},
		},
	}
	load := func(set ...string) *config.Config {
		c, err := config.Load(config.Sources{Set: set}, sections...)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	old := load("door.word=open", "door.locks=[{kind: x}]", "wires.b.on=false")
	for _, tc := range []struct {
		name string
		next []string
		want []config.Difference
	}{
		{"nothing", []string{"door.word=open", "door.locks=[{kind: x}]", "wires.b.on=false", "door.width=80"}, nil},
		{
			"all kinds",
			[]string{
				"door.word=closed", "door.width=90", "door.frame=oak", "door.locks=[{kind: y}, {kind: z}]", "door.names=a,b",
				"door.bell.on=false", "wires.b.on=true", "wires.c={uri: 'w:3', key: hush}",
			},
			[]config.Difference{
				{Key: "door.bell.on", Old: "true", New: "false"},
				{Key: "door.frame", Old: `""`, New: `"oak"`, Restart: true},
				{Key: "door.locks.0.kind", Old: `"x"`, New: `"y"`},
				{Key: "door.locks.1.kind", New: `"z"`},
				{Key: "door.names", Old: `["a"]`, New: `["a", "b"]`},
				{Key: "door.width", Old: "80", New: "90"},
				{Key: "door.word", Old: `"[redacted]"`, New: `"[redacted]"`},
				{Key: "wires.b.on", Old: "false", New: "true"},
				{Key: "wires.c.key", New: `"[redacted]"`},
				{Key: "wires.c.uri", New: `"w:3"`},
			},
		},
	} {
		if diff := cmp.Diff(tc.want, load(tc.next...).Diff(old)); diff != "" {
			t.Errorf("%s: -want +got\n%s", tc.name, diff)
		}
	}
	for key, want := range map[string]string{"door.word": "door", "door.bell.on": "door.bell", "wires.a.uri": "wires", "nothing": ""} {
		if got := old.Owner(key); got != want {
			t.Errorf("Owner(%q) = %q, want %q", key, got, want)
		}
	}
}
