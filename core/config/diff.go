package config

import (
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// Difference is a key whose value is another one. Secrets are redacted, those in URLs too.
type Difference struct {
	// Key is the full key. Old and New are the values as Print writes them; empty: there was, or is, none. Of what is there
	// in one configuration only, as a listener, the keys are told that were set.
	Key string `json:"key"`
	Old string `json:"old,omitempty"`
	New string `json:"new,omitempty"`
	// Restart says that the value holds from the next start on: the field has the tag restart:"true".
	Restart bool `json:"restart,omitempty"`
}

// Diff lists the keys whose values are not the same in old and in c, in order.
func (c *Config) Diff(old *Config) []Difference {
	before, now := old.leaves(), c.leaves()
	all := maps.Clone(before)
	maps.Copy(all, now)
	var list []Difference
	for _, key := range slices.Sorted(maps.Keys(all)) {
		b, was := before[key]
		n, is := now[key]
		switch {
		case was && is && reflect.DeepEqual(b.value, n.value), !was && n.origin == Default, !is && b.origin == Default:
			continue
		}
		list = append(list, Difference{Key: key, Old: b.text, New: n.text, Restart: b.restart || n.restart})
	}
	return list
}

// AtStart reports whether the field at a full key has the tag restart:"true".
func (c *Config) AtStart(key string) bool { return c.leaves()[key].restart }

// Owner returns the key of the section that a full key belongs to.
func (c *Config) Owner(key string) string {
	owner, o := "", c.root
	for rest := key; ; {
		name, more, _ := strings.Cut(rest, ".")
		i := slices.IndexFunc(o.children, func(child *object) bool { return child.name() == name })
		if i < 0 {
			return owner
		}
		if o, rest = o.children[i], more; o.section != nil {
			owner = o.key
		}
	}
}

// known is the value of a key, as it is compared and as it is told.
type known struct {
	value   any
	text    string
	origin  string
	restart bool
}

// walker gathers the values of a configuration.
type walker struct {
	c   *Config
	all map[string]known
}

func (c *Config) leaves() map[string]known {
	w := &walker{c, make(map[string]known)}
	w.object(c.root)
	return w.all
}

func (w *walker) object(o *object) {
	for _, child := range o.children {
		w.object(child)
	}
	s := o.section
	switch {
	case s == nil:
	case s.By == "" && !s.Named:
		w.value(s.Key, reflect.ValueOf(w.c.values[s.Key]), "")
	default:
		for _, inst := range w.c.Instances(s.Key) {
			w.value(inst.Key, reflect.ValueOf(inst.Common), "")
			w.value(inst.Key, reflect.ValueOf(inst.Value), "")
		}
	}
}

func (w *walker) value(key string, v reflect.Value, tag reflect.StructTag) {
	switch {
	case !v.IsValid():
	case isScalar(v.Type()), v.Kind() == reflect.Slice && isScalar(v.Type().Elem()):
		if _, twice := w.all[key]; !twice {
			value := v.Interface()
			if v.Kind() == reflect.Slice && v.Len() == 0 {
				value = nil // whether it was written or not
			}
			w.all[key] = known{value, w.c.value(key, v).line, w.c.Origin(key), tag.Get("restart") == "true"}
		}
	case v.Kind() == reflect.Pointer:
		if v.IsNil() {
			v = reflect.New(v.Type().Elem())
		}
		w.value(key, v.Elem(), tag)
	case v.Kind() == reflect.Struct:
		for _, f := range fieldsOf(v) {
			w.value(join(key, f.name), f.value, f.tag)
		}
	case v.Kind() == reflect.Map:
		for it := v.MapRange(); it.Next(); {
			w.value(join(key, it.Key().String()), it.Value(), tag)
		}
	case v.Kind() == reflect.Slice:
		for i := range v.Len() {
			w.value(join(key, strconv.Itoa(i)), v.Index(i), tag)
		}
	}
}
