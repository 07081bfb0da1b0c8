package wyecmd_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/wyemq/wye/configs"
	"github.com/wyemq/wye/core/config"
)

const reference = "../configs/wye.yaml"

// printed is a line of `wye config print`.
var printed = regexp.MustCompile(`^( *)(- )?"?([^":]+)"?:(?: (.*) # (.*))?$`)

// setting is a value that was printed.
type setting struct{ value, origin string }

// settings parses what `wye config print` says of a file; "" is none.
func settings(t *testing.T, file string) (keys []string, values map[string]setting) {
	t.Helper()
	args := []string{"config", "print"}
	if file != "" {
		args = append(args, "--config", file)
	}
	code, stdout, stderr := run(t, args...)
	if code != 0 {
		t.Fatal(stderr)
	}
	var path []string
	values = make(map[string]setting)
	for line := range strings.SplitSeq(strings.TrimSpace(stdout), "\n") {
		m := printed.FindStringSubmatch(line)
		if m == nil {
			t.Fatalf("cannot read %q", line)
		}
		depth := (len(m[1]) + len(m[2])) / 2
		if m[2] != "" {
			path = append(path[:depth-1], "*")
		}
		path = append(path[:depth], m[3])
		if m[5] != "" {
			key := strings.Join(path, ".")
			keys = append(keys, key)
			values[key] = setting{m[4], m[5]}
		}
	}
	return keys, values
}

// TestReference holds configs/wye.yaml to the program: it has every key, and with its default. That it has no
// other is seen from its being read at all. A listener need not repeat what another of its kind documents.
func TestReference(t *testing.T) {
	keys, defaults := settings(t, "")
	_, documented := settings(t, reference)
	for _, key := range keys {
		got, there := documented[key]
		switch {
		case !there || got.value != defaults[key].value:
			t.Errorf("%s: the default is %s, documented is %s", key, defaults[key].value, got.value)
		case strings.HasPrefix(got.origin, "wye.yaml:"):
		case documented[strings.Replace(key, "listeners.mqtt.", "listeners.stomp.", 1)].origin != got.origin:
		case key == "queues" || key == "vhosts" || key == "protocols.stomp.listeners" || key == "auth.acl.rules": // examples
		default:
			t.Errorf("%s: is not in %s", key, reference)
		}
	}
	if len(keys) < 50 {
		t.Errorf("only %d keys were compared", len(keys))
	}
}

// TestExamples wants the examples to work, and that of a queue to have every key.
func TestExamples(t *testing.T) {
	path := filepath.Join(t.TempDir(), "wye.yaml")
	if err := os.WriteFile(path, []byte(config.Uncomment(configs.Reference())), 0o600); err != nil {
		t.Fatal(err)
	}
	_, values := settings(t, path)
	n := 0
	for key, s := range values {
		if strings.HasPrefix(key, "queues.*.") {
			n++
			if s.origin == config.Default {
				t.Errorf("%s: is not in the example", key)
			}
		}
	}
	if n < 10 || values["listeners.secure.uri"].value == "" {
		t.Errorf("%d keys of a queue; secure listener: %v", n, values["listeners.secure.uri"])
	}
}

// TestShippedConfigs checks the others.
func TestShippedConfigs(t *testing.T) {
	files, err := filepath.Glob("../configs/*.yaml")
	below, _ := filepath.Glob("../configs/*/*.yaml")
	if files = append(files, below...); err != nil || len(files) < 3 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		if code, _, stderr := run(t, "config", "check", "--config", file); code != 0 {
			t.Errorf("%s: %s", file, stderr)
		}
	}
}

// TestSchema wants a schema in which every key is described.
func TestSchema(t *testing.T) {
	t.Setenv("WYE_NO__SUCH__KEY", "does not matter here")
	code, stdout, stderr := run(t, "config", "schema")
	if code != 0 {
		t.Fatal(stderr)
	}
	var root map[string]any
	if err := json.Unmarshal([]byte(stdout), &root); err != nil {
		t.Fatal(err)
	}
	n := 0
	var walk func(key string, s map[string]any)
	walk = func(key string, s map[string]any) {
		properties, _ := s["properties"].(map[string]any)
		for name, p := range properties {
			n++
			below := p.(map[string]any)
			if below["description"] == nil {
				t.Errorf("%s.%s: is not described", key, name)
			}
			walk(key+"."+name, below)
		}
		for _, part := range []string{"items", "additionalProperties", "then"} {
			if below, ok := s[part].(map[string]any); ok {
				walk(key+".*", below)
			}
		}
		variants, _ := s["allOf"].([]any)
		for _, v := range variants {
			walk(key, v.(map[string]any))
		}
	}
	walk("", root)
	if n < 80 {
		t.Errorf("only %d keys", n)
	}
	if top := root["properties"].(map[string]any); !slices.Contains([]any{false}, root["additionalProperties"]) || top["listeners"] == nil {
		t.Errorf("top level: %v", root["additionalProperties"])
	}
}
