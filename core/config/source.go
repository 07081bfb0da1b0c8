package config

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/knadh/koanf/providers/confmap"
	"github.com/knadh/koanf/providers/env/v2"
	"github.com/knadh/koanf/providers/rawbytes"
	"github.com/knadh/koanf/v2"
)

// Sources are where values come from, the weakest first.
type Sources struct {
	// File is the path of a YAML file; empty: none.
	File string
	// Environ has the form of os.Environ; what does not begin with WYE_ is left alone.
	Environ []string
	// Set holds "key=value" of the command line, in order.
	Set []string
}

// Default is the origin of a value that nobody set.
const Default = "default"

const envPrefix = "WYE_"

// serviceLink matches the variables that Kubernetes puts into every container when there is a
// Service called "wye". They are not meant for us.
var serviceLink = regexp.MustCompile(`^WYE_(SERVICE_HOST|SERVICE_PORT(_.*)?|PORT(_[0-9]+_(TCP|UDP|SCTP)(_.*)?)?)$`)

// leaf is a value with its origin, as it goes through koanf. The fields are exported because koanf
// copies leaves by reflection.
type leaf struct {
	Text   string
	Items  []any // of a list: leaves and maps
	List   bool
	Parse  bool // Text comes from the environment or the command line: it may be a list or a map
	Origin string
}

// merge reads all sources and lays them over each other.
func merge(src Sources, sections []Section) (map[string]any, error) {
	k := koanf.New(".")
	var errs []error
	load := func(p koanf.Provider, pa koanf.Parser) {
		if err := k.Load(p, pa); err != nil {
			errs = append(errs, err)
		}
	}
	load(confmap.Provider(presets(sections), "."), nil)
	if src.File != "" {
		data, err := os.ReadFile(src.File)
		if err != nil {
			errs = append(errs, fmt.Errorf("configuration file: %w", err))
		} else {
			load(rawbytes.Provider(data), yamlParser{filepath.Base(src.File)})
		}
	}
	load(env.Provider(".", env.Opt{
		Prefix:        envPrefix,
		TransformFunc: fromEnv,
		EnvironFunc:   func() []string { return src.Environ },
	}), nil)
	set, err := fromSet(src.Set)
	errs = append(errs, err)
	load(confmap.Provider(set, "."), nil)
	return k.Raw(), errors.Join(errs...)
}

func presets(sections []Section) map[string]any {
	values := make(map[string]any)
	for _, s := range sections {
		for _, key := range slices.Sorted(maps.Keys(s.Preset)) {
			values[join(s.Key, key)] = &leaf{Text: s.Preset[key], Parse: true, Origin: Default}
		}
	}
	return values
}

// fromEnv makes a key of the name of an environment variable; "" leaves it out.
func fromEnv(name, value string) (string, any) {
	if serviceLink.MatchString(name) {
		return "", nil
	}
	key := strings.ToLower(strings.ReplaceAll(strings.TrimPrefix(name, envPrefix), "__", "."))
	return key, &leaf{Text: value, Parse: true, Origin: name}
}

func fromSet(set []string) (map[string]any, error) {
	values := make(map[string]any)
	var errs []error
	for _, s := range set {
		key, value, ok := strings.Cut(s, "=")
		if !ok || key == "" {
			errs = append(errs, fmt.Errorf("--set %q: must have the form key=value", s))
			continue
		}
		values[key] = &leaf{Text: value, Parse: true, Origin: "--set"}
	}
	return values, errors.Join(errs...)
}
