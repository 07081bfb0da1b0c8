package config

import (
	"errors"
	"fmt"
	"reflect"
)

// Config is a configuration that was read and checked. It does not change.
type Config struct {
	root    *object
	values  map[string]any // by key of the section: a value, or []Instance
	origins map[string]string
}

// Load reads src into sections. The error holds everything that is wrong, each with the full key, the
// bad value (but no user, password or query of a URL), what is permitted and where it comes from; it is made by errors.Join. The Config is
// nil only if the sections themselves do not fit together; beside an error it holds what was right,
// for printing.
func Load(src Sources, sections ...Section) (*Config, error) {
	root, err := newTree(sections)
	if err != nil {
		return nil, err
	}
	raw, err := merge(src, sections)
	d := &decoder{values: make(map[string]any), origins: make(map[string]string)}
	d.object(root, raw)
	errs := append(flatten(err), d.errs...)
	for _, u := range d.unknown {
		errs = append(errs, d.explain(u))
	}
	for i := range errs {
		errs[i] = discreetError(errs[i])
	}
	return &Config{root: root, values: d.values, origins: d.origins}, errors.Join(errs...)
}

// Get returns the section at key, which has neither variants nor names. Asking for a section that is
// not there, or is of another type, is a bug and panics.
func Get[T any](c *Config, key string) T {
	v, ok := c.values[key]
	if !ok {
		panic(fmt.Sprintf("configuration: no section %q", key))
	}
	t, ok := v.(T)
	if !ok {
		panic(fmt.Sprintf("configuration: section %q is a %T, not a %v", key, v, reflect.TypeFor[T]()))
	}
	return t
}

// Instances returns what a section with variants or names was set to, ordered by name. Without names
// there is exactly one. Asking for another section is a bug and panics.
func (c *Config) Instances(key string) []Instance { return Get[[]Instance](c, key) }

// Origin says where the value at a full key comes from: Default, "file:line", the name of an
// environment variable or "--set".
func (c *Config) Origin(key string) string {
	if o, ok := c.origins[key]; ok {
		return o
	}
	return Default
}
