package config

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// Print writes the configuration as YAML which Load understands, each value with its origin in a
// comment. Secrets are written as "[redacted]", and so are users, passwords and queries of URLs.
func (c *Config) Print(w io.Writer) error {
	var b bytes.Buffer
	c.object(c.root).write(&b, 0, false)
	if _, err := w.Write(b.Bytes()); err != nil {
		return fmt.Errorf("print configuration: %w", err)
	}
	return nil
}

// tree is what is printed: a scalar or a list on one line, a map, or a list of maps.
type tree struct {
	line, origin string
	names        []string // of a map, beside items
	items        []*tree
}

func (t *tree) add(name string, item *tree) {
	t.names = append(t.names, name)
	t.items = append(t.items, item)
}

// write prints t, indented by depth; the first line may follow a dash.
func (t *tree) write(b *bytes.Buffer, depth int, dashed bool) {
	for i, item := range t.items {
		if i > 0 || !dashed {
			b.WriteString(strings.Repeat("  ", depth))
		}
		if t.names == nil {
			b.WriteString("- ")
			item.write(b, depth+1, true)
			continue
		}
		b.WriteString(yamlKey(t.names[i]) + ":")
		if item.line != "" {
			b.WriteString(" " + item.line + " # " + item.origin + "\n")
			continue
		}
		b.WriteString("\n")
		item.write(b, depth+1, false)
	}
}

// yamlKey quotes a key unless it is a plain word.
func yamlKey(name string) string {
	if validName(name) {
		return name
	}
	return quote(name)
}

func (c *Config) object(o *object) *tree {
	t := &tree{}
	if o.section != nil {
		t = c.section(o.section)
	}
	for _, child := range o.children {
		t.add(child.name(), c.object(child))
	}
	return t
}

func (c *Config) section(s *Section) *tree {
	if s.By == "" && !s.Named {
		return c.value(s.Key, reflect.ValueOf(c.values[s.Key]))
	}
	t := &tree{}
	for _, inst := range c.Instances(s.Key) {
		if inst.Common == nil {
			continue // it could not be read
		}
		one := c.instance(inst)
		if !s.Named {
			return one
		}
		t.add(inst.Name, one)
	}
	return c.orEmpty(t, s.Key, "{}")
}

// instance prints the common part and the variant as the one map they are read from.
func (c *Config) instance(inst Instance) *tree {
	t := c.value(inst.Key, reflect.ValueOf(inst.Common))
	if inst.Value == nil {
		return t
	}
	special := c.value(inst.Key, reflect.ValueOf(inst.Value))
	for i, name := range special.names {
		if !slices.Contains(t.names, name) {
			t.add(name, special.items[i])
		}
	}
	return t
}

func (c *Config) value(key string, v reflect.Value) *tree {
	t := &tree{origin: c.Origin(key)}
	switch {
	case isScalar(v.Type()):
		t.line = scalarText(key, v)
	case v.Kind() == reflect.Pointer:
		if v.IsNil() {
			return c.value(key, reflect.New(v.Type().Elem()).Elem())
		}
		return c.value(key, v.Elem())
	case v.Kind() == reflect.Struct:
		for _, f := range fieldsOf(v) {
			t.add(f.name, c.value(join(key, f.name), f.value))
		}
	case v.Kind() == reflect.Map:
		items := make(map[string]reflect.Value)
		for it := v.MapRange(); it.Next(); {
			items[it.Key().String()] = it.Value()
		}
		for _, name := range slices.Sorted(maps.Keys(items)) {
			t.add(name, c.value(join(key, name), items[name]))
		}
		return c.orEmpty(t, key, "{}")
	case isScalar(v.Type().Elem()):
		words := make([]string, v.Len())
		for i := range words {
			words[i] = scalarText(join(key, strconv.Itoa(i)), v.Index(i))
		}
		t.line = "[" + strings.Join(words, ", ") + "]"
	default:
		for i := range v.Len() {
			t.items = append(t.items, c.value(join(key, strconv.Itoa(i)), v.Index(i)))
		}
		return c.orEmpty(t, key, "[]")
	}
	return t
}

// orEmpty prints what holds nothing as {} or [].
func (c *Config) orEmpty(t *tree, key, empty string) *tree {
	if len(t.items) == 0 {
		t.line, t.origin = empty, c.Origin(key)
	}
	return t
}

// scalarText is v as YAML: texts in quotes, which are those of JSON.
func scalarText(key string, v reflect.Value) string {
	text := formatScalar(key, v)
	if v.Kind() == reflect.Bool || v.CanInt() || v.CanUint() || v.CanFloat() {
		return text
	}
	return discreet(quote(text))
}

// secret returns the text that stands for v if its type hides it: it prints itself, in logs too.
func secret(v reflect.Value) (string, bool) {
	_, log := reflect.TypeAssert[slog.LogValuer](v)
	s, text := reflect.TypeAssert[fmt.Stringer](v)
	if !log || !text || v.Kind() != reflect.String {
		return "", false
	}
	return s.String(), true
}

// quote makes a text of YAML, in which a string of JSON is one too.
func quote(text string) string {
	var b bytes.Buffer
	b.WriteByte('"')
	for _, r := range text {
		switch {
		case r == '"' || r == '\\':
			b.WriteRune('\\')
			b.WriteRune(r)
		case r < ' ' || r == 0x7f:
			fmt.Fprintf(&b, "\\x%02x", r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}
