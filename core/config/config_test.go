package config_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/wyemq/wye/core"
	"github.com/wyemq/wye/core/config"
)

type settings struct {
	Name     string            `koanf:"name"`
	Level    string            `koanf:"level" enum:"low,high"`
	Count    int               `koanf:"count"`
	Small    uint8             `koanf:"small"`
	Ratio    float64           `koanf:"ratio"`
	On       bool              `koanf:"on"`
	Wait     time.Duration     `koanf:"wait"`
	MaxSize  int64             `koanf:"max_size"`
	Hosts    []string          `koanf:"hosts"`
	Password core.Secret       `koanf:"password"`
	Users    map[string]string `koanf:"users"`
	Sub      sub               `koanf:"sub"`
	Rules    []rule            `koanf:"rules"`
	Ignored  int
}

type sub struct {
	Depth int `koanf:"depth"`
}

type rule struct {
	Match string `koanf:"match"`
	Limit int    `koanf:"limit"`
}

func (s settings) Validate() error {
	var errs []error
	if s.Count < 0 {
		errs = append(errs, fmt.Errorf("count: must not be negative, is %d", s.Count))
	}
	if s.Sub.Depth > 9 {
		errs = append(errs, fmt.Errorf("sub.depth: must be at most 9, is %d", s.Sub.Depth))
	}
	return errors.Join(errs...)
}

var start = settings{Name: "wye", Level: "low", Wait: time.Second, MaxSize: 4 << 20, Hosts: []string{"a"}}

type thing struct {
	URI     string `koanf:"uri"`
	Enabled bool   `koanf:"enabled"`
}

type red struct {
	URI  string `koanf:"uri"`
	Heat int    `koanf:"heat"`
}

type blue struct {
	Depth int `koanf:"depth"`
}

func (b blue) Validate(key string) error {
	if b.Depth < 0 {
		return fmt.Errorf("%s.depth: must not be negative, is %d", key, b.Depth)
	}
	return nil
}

func sections() []config.Section {
	return []config.Section{
		{Key: "main", Default: start},
		{Key: "main.extra", Default: sub{1}},
		{Key: "things", Default: thing{Enabled: true}, Named: true, By: "uri", Variants: []config.Variant{
			{Names: []string{"red", "reds"}, Default: red{Heat: 7}}, {Names: []string{"blue"}, Default: blue{}},
		}, Preset: map[string]string{"first.uri": "red://a"}},
		{Key: "plain", Default: []int(nil)},
	}
}

func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "wye.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestPrecedence sets one key in more and more places.
func TestPrecedence(t *testing.T) {
	file := write(t, "main:\n  name: file\n  count: 1\n")
	env := []string{"WYE_MAIN__NAME=env", "OTHER=1", "WYE_MAIN__SUB__DEPTH=3"}
	set := []string{"main.name=a=b"}
	for _, c := range []struct {
		name, want, origin string
		src                config.Sources
	}{
		{"default", "wye", "default", config.Sources{}},
		{"file", "file", "wye.yaml:2", config.Sources{File: file}},
		{"environment", "env", "WYE_MAIN__NAME", config.Sources{File: file, Environ: env}},
		{"set", "a=b", "--set", config.Sources{File: file, Environ: env, Set: set}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := config.Load(c.src, sections()...)
			if err != nil {
				t.Fatal(err)
			}
			if name := config.Get[settings](got, "main").Name; name != c.want {
				t.Errorf("name is %q, want %q", name, c.want)
			}
			if o := got.Origin("main.name"); o != c.origin {
				t.Errorf("origin is %q, want %q", o, c.origin)
			}
		})
	}
}

// TestValues reads every form of value, from a file and from text alone.
func TestValues(t *testing.T) {
	want := start
	want.Name, want.Level, want.Count, want.Small, want.Ratio, want.On = "0123", "high", 5, 255, 1.5, true
	want.Wait, want.MaxSize, want.Hosts = 90*time.Second, 64<<10, []string{"x", "y: z"}
	want.Password, want.Users, want.Sub.Depth = "s3cret", map[string]string{"ann": "1", "b.c": "2"}, 4
	want.Rules = []rule{{"a/#", 1}, {Match: "b"}}
	for _, c := range []struct {
		name string
		src  config.Sources
	}{
		{"file", config.Sources{File: write(t, `
main: &main
  name: 0123
  level: high
  count: 5
  small: 255
  ratio: 1.5
  on: true
  wait: 1m30s
  max_size: 64KiB
  hosts: [x, "y: z"]
  password: s3cret
  users: {ann: 1, b.c: "2"}
  sub: {depth: 4}
  rules:
    - match: a/#
      limit: 1
    - {match: b}
`)}},
		{"set", config.Sources{Set: []string{
			"main.name=0123", "main.level=high", "main.count=5", "main.small=255", "main.ratio=1.5", "main.on=true", "main.wait=1m30s",
			"main.max_size=65536", `main.hosts=[x, "y: z"]`, "main.password=s3cret", "main.users={ann: 1, b.c: 2}", "main.sub={depth: 4}",
			"main.rules=[{match: a/#, limit: 1}, {match: b}]",
		}}},
		{"environment", config.Sources{Environ: []string{
			"WYE_MAIN__NAME=0123", "WYE_MAIN__LEVEL=high", "WYE_MAIN__COUNT=5", "WYE_MAIN__SMALL=255", "WYE_MAIN__RATIO=1.5", "WYE_MAIN__ON=true",
			"WYE_MAIN__WAIT=90s", "WYE_MAIN__MAX_SIZE=64KiB", "WYE_MAIN__HOSTS=x, y: z", "WYE_MAIN__PASSWORD=s3cret",
			"WYE_MAIN__USERS={ann: 1, b.c: 2}", "WYE_MAIN__SUB__DEPTH=4", "WYE_MAIN__RULES=[{match: a/#, limit: 1}, {match: b}]",
		}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := config.Load(c.src, sections()...)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, config.Get[settings](got, "main")); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestErrors wants every message, word by word.
func TestErrors(t *testing.T) {
	for _, c := range []struct {
		name, file string
		env, set   []string
		want       []string
	}{
		{
			name: "all at once",
			file: "main:\n  count: -1\n  wait: 30\n  on: yes\n  level: mid\n  sub:\n    depth: 10\nthings:\n  first:\n    heat: hot\n",
			env:  []string{"WYE_MAIN__SMALL=256"}, set: []string{"main.max_size=4 parsecs", "plain=1,b"},
			want: []string{
				`main.level: must be one of low, high, is "mid" (wye.yaml:5)`,
				`main.small: must be a whole number, is "256" (WYE_MAIN__SMALL)`,
				`main.on: must be true or false, is "yes" (wye.yaml:4)`,
				`main.wait: must be a duration such as 30s or 5m, is "30" (wye.yaml:3)`,
				`main.max_size: must be a size in bytes such as 65536 or 64KiB, is "4 parsecs" (--set)`,
				`main.count: must not be negative, is -1 (wye.yaml:2)`,
				`main.sub.depth: must be at most 9, is 10 (wye.yaml:7)`,
				`things.first.heat: must be a whole number, is "hot" (wye.yaml:10)`,
				`plain.1: must be a whole number, is "b" (--set)`,
			},
		},
		{
			name: "unknown keys",
			file: "main:\n  naem: x\n  zzzzzzzz: 1\n  sub: {dept: 1}\nthing: {a: 1}\nthings:\n  first: {url: a, depth: 1}\n  second: {uri: blue, dept: 1}\nmax_size: 1\nmain_name: x\n",
			want: []string{
				`main.sub.dept: unknown key, did you mean main.sub.depth? (wye.yaml:4)`,
				`main.naem: unknown key, did you mean main.name? (wye.yaml:2)`,
				`main.zzzzzzzz: unknown key, known here: count, extra, hosts, level, max_size, name, on, password, ratio, rules, small, sub, users, wait (wye.yaml:3)`,
				`things.first.depth: unknown key, did you mean things.second.depth? (wye.yaml:7)`,
				`things.first.url: unknown key, did you mean things.first.uri? (wye.yaml:7)`,
				`things.second.dept: unknown key, did you mean things.second.depth? (wye.yaml:8)`,
				`main_name: unknown key, did you mean main.name? (wye.yaml:10)`,
				`max_size: unknown key, did you mean main.max_size? (wye.yaml:9)`,
				`thing: unknown key, did you mean things? (wye.yaml:5)`,
			},
		},
		{
			name: "variants", file: "things:\n  second:\n    uri: green://x\n  Bad Name: {uri: red}\n  third: {uri: 'blue:', depth: -2}\n  fourth: 5\n  fifth: {}\n",
			want: []string{
				`things.Bad Name: a name has lower-case letters, digits, - and _ only, and begins with a letter (wye.yaml:4)`,
				`things.fifth.uri: must be one of red://…, reds://…, blue://…, is ""`,
				`things.fourth: must hold keys and values (wye.yaml:6)`,
				`things.fourth.uri: must be one of red://…, reds://…, blue://…, is ""`,
				`things.second.uri: must be one of red://…, reds://…, blue://…, is "green://x" (wye.yaml:3)`,
				`things.third.depth: must not be negative, is -2 (wye.yaml:5)`,
			},
		},
		{
			name: "shapes", file: "main: 3\nplain: {a: 1}\n", set: []string{"novalue"},
			want: []string{
				`--set "novalue": must have the form key=value`,
				`main: must hold keys and values (wye.yaml:1)`,
				`plain: must be a list (wye.yaml:2)`,
			},
		},
		{
			name: "twice", file: "main:\n  name: a\n  name: b\n",
			want: []string{`name: is there twice, first in line 2 (wye.yaml:3)`},
		},
		{
			name: "syntax", file: "main: [\n",
			want: []string{`wye.yaml: line 1: did not find expected node content`},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			src := config.Sources{File: write(t, c.file), Environ: c.env, Set: c.set}
			_, err := config.Load(src, sections()...)
			if err == nil {
				t.Fatal("no error")
			}
			if diff := cmp.Diff(c.want, strings.Split(err.Error(), "\n")); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestInstances gives names and variants.
func TestInstances(t *testing.T) {
	src := config.Sources{Set: []string{"things.second.uri=blue:deep", "things.second.depth=3", "things.first.enabled=false"}}
	got, err := config.Load(src, sections()...)
	if err != nil {
		t.Fatal(err)
	}
	want := []config.Instance{
		{Key: "things.first", Name: "first", Common: thing{"red://a", false}, Variant: "red", Value: red{"red://a", 7}},
		{Key: "things.second", Name: "second", Common: thing{"blue:deep", true}, Variant: "blue", Value: blue{3}},
	}
	if diff := cmp.Diff(want, got.Instances("things")); diff != "" {
		t.Error(diff)
	}
}

// TestIgnored lists what is not for us, or says nothing.
func TestIgnored(t *testing.T) {
	src := config.Sources{
		File: write(t, "main:\n  name:\nthings:\nplain: ~\n"),
		Environ: []string{
			"WYE_SERVICE_HOST=10.0.0.1", "WYE_SERVICE_PORT=1", "WYE_SERVICE_PORT_MQTT=1", "WYE_PORT=tcp://10.0.0.1:1",
			"WYE_PORT_61614_TCP_ADDR=10.0.0.1", "WYE_PORT_61614_TCP=x", "PATH=/bin",
		},
	}
	got, err := config.Load(src, sections()...)
	if err != nil {
		t.Fatal(err)
	}
	if name := config.Get[settings](got, "main").Name; name != "wye" || len(got.Instances("things")) != 1 {
		t.Errorf("keys without a value have changed something: %q, %v", name, got.Instances("things"))
	}
	if _, err := config.Load(config.Sources{File: write(t, "")}, sections()...); err != nil {
		t.Errorf("empty file: %v", err)
	}
}

// TestMissingFile says which.
func TestMissingFile(t *testing.T) {
	_, err := config.Load(config.Sources{File: "/nowhere/wye.yaml"}, sections()...)
	if !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), "/nowhere/wye.yaml") {
		t.Errorf("got %v", err)
	}
}

// TestYAML reads anchors, aliases and merge keys, and survives an alias of itself.
func TestYAML(t *testing.T) {
	got, err := config.Load(config.Sources{File: write(t, `
things:
  a: &a {uri: "red://x", heat: 3}
  b: {<<: *a, heat: 4}
  c: *a
`)}, sections()...)
	if err != nil {
		t.Fatal(err)
	}
	var heats []int
	for _, inst := range got.Instances("things") {
		heats = append(heats, inst.Value.(red).Heat)
	}
	if diff := cmp.Diff([]int{3, 4, 3, 7}, heats); diff != "" {
		t.Error(diff)
	}
	if _, err := config.Load(config.Sources{File: write(t, "main: &m {sub: *m}\n")}, sections()...); err == nil {
		t.Error("an alias of itself: no error")
	}
}

// TestPrint prints, and reads what was printed: nothing has changed.
func TestPrint(t *testing.T) {
	src := config.Sources{
		File:    write(t, "main:\n  users: {ann: \"a\\\"b\", 'x y': z}\n  rules: [{match: \"c#d\"}]\n"),
		Environ: []string{"WYE_MAIN__WAIT=2h"},
		Set:     []string{"things.b.uri=blue", "main.hosts=", "main.extra.depth=8", "main.name=tab\there"},
	}
	first, err := config.Load(src, sections()...)
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	if err := first.Print(&text); err != nil {
		t.Fatal(err)
	}
	want := `main:
  name: "tab\x09here" # --set
  level: "low" # default
  count: 0 # default
  small: 0 # default
  ratio: 0 # default
  on: false # default
  wait: 2h # WYE_MAIN__WAIT
  max_size: 4MiB # default
  hosts: [] # --set
  password: "" # default
  users:
    ann: "a\"b" # wye.yaml:2
    "x y": "z" # wye.yaml:2
  sub:
    depth: 0 # default
  rules:
    - match: "c#d" # wye.yaml:3
      limit: 0 # default
  extra:
    depth: 8 # --set
things:
  b:
    uri: "blue" # --set
    enabled: true # default
    depth: 0 # default
  first:
    uri: "red://a" # default
    enabled: true # default
    heat: 7 # default
plain: [] # default
`
	if diff := cmp.Diff(want, text.String()); diff != "" {
		t.Error(diff)
	}
	second, err := config.Load(config.Sources{File: write(t, text.String())}, sections()...)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(config.Get[settings](first, "main"), config.Get[settings](second, "main"), cmpopts.EquateEmpty()); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(first.Instances("things"), second.Instances("things")); diff != "" {
		t.Error(diff)
	}
}

// TestSecret looks for a password wherever a configuration may be printed.
func TestSecret(t *testing.T) {
	got, err := config.Load(config.Sources{Set: []string{"main.password=hunter2"}}, sections()...)
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	if err := got.Print(&text); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(text.String(), `password: "[redacted]" # --set`) {
		t.Errorf("not redacted: %s", text.String())
	}
	v := config.Get[settings](got, "main")
	for _, format := range []string{"%v", "%+v", "%#v", "%s"} {
		if s := fmt.Sprintf(format, v); strings.Contains(s, "hunter2") {
			t.Errorf("%s prints %s", format, s)
		}
	}
	if string(v.Password) != "hunter2" {
		t.Errorf("the value is %q", string(v.Password))
	}
}

// TestSecretInURL looks for a password in texts that were meant to be URLs, wherever they may be told.
func TestSecretInURL(t *testing.T) {
	const password = "hunter2"
	for _, text := range []string{
		"red://u:hunter2@host:1", "red://hunter2@host", "red://u:hunter2/3@host", "red://u:1/hunter2@host", "red://u:hunter2?3@host",
		"red://u:hunter2#3@host", `red://u:hunter2"3@host`, `red://u:"hunter2@host`, "red://u: hunter2 3@host", `red://u:hunter2\@host`,
		"red://u:%hunter2@host", "red://host/a?key=hunter2", "red://host/a b?key=hunter2 3", `red://host?a="&key=hunter2`,
		"red://u:hunter2@host?key=hunter2", "red://host, red://u:hunter2@host",
	} {
		for _, key := range []string{"main.name", "things.first.uri", "main.level", "main.wait", "main.count", "things.green"} {
			quoted, err := json.Marshal(text)
			if err != nil {
				t.Fatal(err)
			}
			section, name, _ := strings.Cut(key, ".")
			inner, leaf, deep := strings.Cut(name, ".")
			file := section + ": {" + name + ": " + string(quoted) + "}\n"
			if deep {
				file = section + ": {" + inner + ": {" + leaf + ": " + string(quoted) + "}}\n"
			}
			got, err := config.Load(config.Sources{File: write(t, file)}, sections()...)
			old, first := config.Load(config.Sources{}, sections()...)
			if first != nil {
				t.Fatal(first)
			}
			var said strings.Builder
			fmt.Fprintln(&said, err, got.Diff(old), old.Diff(got))
			if err := got.Print(&said); err != nil {
				t.Fatal(err)
			}
			if strings.Contains(said.String(), password) {
				t.Errorf("%s: %s: %s", key, text, said.String())
			}
			if err != nil && !strings.Contains(err.Error(), key) {
				t.Errorf("%s: %v", key, err)
			}
		}
	}
	got, err := config.Load(config.Sources{Set: []string{"main.name=https://host:1/a?b", "https://u:hunter2@host"}}, sections()...)
	if err == nil || strings.Contains(err.Error(), password) {
		t.Error(err)
	}
	var said strings.Builder
	if err := got.Print(&said); err != nil || !strings.Contains(said.String(), `name: "https://host:1/a?[redacted]"`) {
		t.Errorf("%v, %s", err, &said)
	}
	if name := config.Get[settings](got, "main").Name; name != "https://host:1/a?b" {
		t.Errorf("the value is %q", name)
	}
}

// TestSections refuses what does not fit together.
func TestSections(t *testing.T) {
	for name, bad := range map[string][]config.Section{
		"twice":         {{Key: "a", Default: sub{}}, {Key: "a", Default: sub{}}},
		"no key":        {{Default: sub{}}},
		"no default":    {{Key: "a"}},
		"no such field": {{Key: "a", Default: sub{}, By: "kind"}},
		"variant twice": {{Key: "a", Default: thing{}, By: "uri", Variants: []config.Variant{
			{Names: []string{"x"}, Default: sub{}}, {Names: []string{"x"}, Default: sub{}},
		}}},
	} {
		t.Run(name, func(t *testing.T) {
			if c, err := config.Load(config.Sources{}, bad...); err == nil || c != nil {
				t.Errorf("got %v, %v", c, err)
			}
		})
	}
}

func TestNearest(t *testing.T) {
	names := []string{"listeners", "limits", "log"}
	for in, want := range map[string]string{"listner": "listeners", "limit": "limits", "lag": "log", "queue": "", "": ""} {
		if got := config.Nearest(in, names); got != want {
			t.Errorf("Nearest(%q) = %q, want %q", in, got, want)
		}
	}
}
