package config

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// decoder turns the merged sources into values and gathers whatever is wrong.
type decoder struct {
	values  map[string]any
	origins map[string]string
	errs    []error
	known   []string // keys that exist
	unknown []unknownKey
}

// object reads a level of the tree.
func (d *decoder) object(o *object, raw any) {
	if o.section != nil {
		d.section(o, raw)
		return
	}
	in, ok := d.toMap(o.key, raw)
	if !ok {
		in = nil
	}
	rest := maps.Clone(in)
	for _, c := range o.children {
		d.object(c, in[c.name()])
		delete(rest, c.name())
	}
	d.reject(o.key, rest, o.childNames())
}

// section reads a section; sections below it are read from the same map.
func (d *decoder) section(o *object, raw any) {
	s := o.section
	for _, c := range o.children {
		in, _ := raw.(map[string]any)
		d.object(c, in[c.name()])
	}
	if m, ok := raw.(map[string]any); ok && len(o.children) > 0 {
		m = maps.Clone(m)
		for _, c := range o.children {
			delete(m, c.name())
		}
		raw = m
	}
	switch {
	case s.Named:
		in, ok := d.toMap(s.Key, raw)
		if !ok {
			in = nil
		}
		instances := []Instance{}
		for _, name := range slices.Sorted(maps.Keys(in)) {
			if !validName(name) {
				d.fail(join(s.Key, name), "a name has lower-case letters, digits, - and _ only, and begins with a letter", originOf(in[name]))
				continue
			}
			instances = append(instances, d.instance(s, join(s.Key, name), in[name]))
		}
		d.values[s.Key] = instances
	case s.By != "":
		d.values[s.Key] = []Instance{d.instance(s, s.Key, raw)}
	default:
		v := settable(s.Default)
		d.value(s.Key, v, raw, "", o.childNames())
		d.validate(s.Key, v)
		if s.Check != nil {
			d.report(s.Key, s.Check(v.Interface()))
		}
		d.values[s.Key] = v.Interface()
	}
}

// instance reads one thing of a section with variants or names.
func (d *decoder) instance(s *Section, key string, raw any) Instance {
	inst := Instance{Key: key, Name: last(key)}
	in, ok := d.toMap(key, raw)
	if !ok {
		in = nil
	}
	common := settable(s.Default)
	if s.By == "" {
		d.value(key, common, raw, "", nil)
		d.validate(key, common)
		inst.Common = common.Interface()
		return inst
	}
	// By is read first and alone, because it says what the other keys mean.
	by := fieldsOf(common)[slices.IndexFunc(fieldsOf(common), func(f field) bool { return f.name == s.By })]
	if l, ok := in[s.By].(*leaf); ok {
		by.value.SetString(l.Text)
	}
	v, name := s.variant(by.value.String())
	if v == nil {
		d.fail(join(key, s.By), fmt.Sprintf("must be one of %s, is %q", s.permitted(), by.value.String()), originOf(in[s.By]))
		return inst
	}
	special := settable(v.Default)
	d.structs(key, in, nil, common, special)
	d.validate(key, common)
	d.validate(key, special)
	inst.Common, inst.Variant, inst.Value = common.Interface(), name, special.Interface()
	return inst
}

// permitted lists the values of By for people: "ws://…, tcp://…" or "disk, memory".
func (s *Section) permitted() string {
	names := s.variantNames()
	if s.By == "uri" {
		for i := range names {
			names[i] += "://…"
		}
	}
	return strings.Join(names, ", ")
}

// value reads raw into v, which is settable.
func (d *decoder) value(key string, v reflect.Value, raw any, tag reflect.StructTag, below []string) {
	if l, ok := raw.(*leaf); ok {
		raw = d.inline(l, v)
		d.origins[key] = l.Origin
	}
	switch {
	case isScalar(v.Type()):
		d.known = append(d.known, key)
		d.leaf(key, v, raw, tag)
	case v.Kind() == reflect.Pointer:
		if raw != nil || !v.IsNil() {
			if v.IsNil() {
				v.Set(reflect.New(v.Type().Elem()))
			}
			d.value(key, v.Elem(), raw, tag, below)
		}
	case v.Kind() == reflect.Struct:
		if in, ok := d.toMap(key, raw); ok {
			d.structs(key, in, below, v)
		} else {
			d.structs(key, nil, below, v)
		}
	case v.Kind() == reflect.Map && v.Type().Key().Kind() == reflect.String:
		d.known = append(d.known, key)
		d.mapping(key, v, raw, tag)
	case v.Kind() == reflect.Slice:
		d.known = append(d.known, key)
		d.list(key, v, raw, tag)
	default:
		d.errs = append(d.errs, fmt.Errorf("configuration: %s: a field of type %v cannot be set", key, v.Type()))
	}
}

// structs reads in into the fields of several structs at once: a field two of them have goes to both.
func (d *decoder) structs(key string, in map[string]any, below []string, vs ...reflect.Value) {
	rest := maps.Clone(in)
	names := slices.Clone(below)
	for _, v := range vs {
		for _, f := range fieldsOf(v) {
			d.value(join(key, f.name), f.value, in[f.name], f.tag, nil)
			names = append(names, f.name)
			delete(rest, f.name)
		}
	}
	d.reject(key, rest, names)
}

// mapping reads a map with free keys; it replaces the default.
func (d *decoder) mapping(key string, v reflect.Value, raw any, tag reflect.StructTag) {
	in, ok := d.toMap(key, raw)
	if !ok || in == nil {
		return
	}
	m := reflect.MakeMapWithSize(v.Type(), len(in))
	for _, name := range slices.Sorted(maps.Keys(in)) {
		e := reflect.New(v.Type().Elem()).Elem()
		d.value(join(key, name), e, in[name], tag, nil)
		m.SetMapIndex(reflect.ValueOf(name).Convert(v.Type().Key()), e)
	}
	v.Set(m)
}

// list reads a list; it replaces the default.
func (d *decoder) list(key string, v reflect.Value, raw any, tag reflect.StructTag) {
	if raw == nil {
		return
	}
	l, ok := raw.(*leaf)
	if !ok || !l.List {
		d.fail(key, "must be a list", originOf(raw))
		return
	}
	d.origins[key] = l.Origin
	s := reflect.MakeSlice(v.Type(), len(l.Items), len(l.Items))
	for i, item := range l.Items {
		d.value(join(key, strconv.Itoa(i)), s.Index(i), item, tag, nil)
	}
	v.Set(s)
}

// leaf reads a single value.
func (d *decoder) leaf(key string, v reflect.Value, raw any, tag reflect.StructTag) {
	if raw == nil {
		return
	}
	l, ok := raw.(*leaf)
	if !ok || l.List {
		d.fail(key, "must be "+kindOf(key, v.Type())+", not a list or map", originOf(raw))
		return
	}
	if err := setScalar(key, v, l.Text, tag.Get("enum")); err != nil {
		d.fail(key, err.Error(), l.Origin)
		delete(d.origins, key) // the value is still that of before
	}
}

// inline makes of the text of a source without structure what v wants: a list or a map.
func (d *decoder) inline(l *leaf, v reflect.Value) any {
	t := v.Type()
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	text := strings.TrimSpace(l.Text)
	if !l.Parse || l.List || isScalar(t) {
		return l
	}
	if t.Kind() != reflect.Slice || strings.HasPrefix(text, "[") {
		value, err := parseInline(l)
		if err != nil {
			return l // and whoever reads it says what it should be
		}
		return value
	}
	list := &leaf{List: true, Origin: l.Origin}
	for item := range strings.SplitSeq(text, ",") {
		if item = strings.TrimSpace(item); item != "" {
			list.Items = append(list.Items, &leaf{Text: item, Parse: true, Origin: l.Origin})
		}
	}
	return list
}

// toMap says whether raw is a map or nothing.
func (d *decoder) toMap(key string, raw any) (map[string]any, bool) {
	switch raw := raw.(type) {
	case nil:
		return nil, true
	case map[string]any:
		return raw, true
	case *leaf:
		if raw.Parse && strings.HasPrefix(strings.TrimSpace(raw.Text), "{") {
			if value, err := parseInline(raw); err == nil {
				return value.(map[string]any), true
			}
		}
	}
	d.fail(key, "must hold keys and values", originOf(raw))
	return nil, false
}

// validate asks the value of a section what it thinks of itself: by Validate() error, or by
// Validate(key string) error if it wants to know its own key.
func (d *decoder) validate(key string, v reflect.Value) {
	var err error
	for _, x := range []any{v.Interface(), v.Addr().Interface()} {
		if c, ok := x.(interface{ Validate() error }); ok {
			err = c.Validate()
			break
		}
		if c, ok := x.(interface{ Validate(key string) error }); ok {
			err = c.Validate(key)
			break
		}
	}
	d.report(key, err)
}

// report takes errors of the section at key, which may or may not begin with it.
func (d *decoder) report(key string, err error) {
	for _, err := range flatten(err) {
		text := err.Error()
		if !strings.HasPrefix(text, key+".") && !strings.HasPrefix(text, key+":") {
			text = join(key, text)
		}
		at, what, _ := strings.Cut(text, ": ")
		d.fail(at, what, d.origins[at])
	}
}

// flatten takes apart what errors.Join has put together.
func flatten(err error) []error {
	if err == nil {
		return nil
	}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		var all []error
		for _, e := range joined.Unwrap() {
			all = append(all, flatten(e)...)
		}
		return all
	}
	return []error{err}
}

func (d *decoder) fail(key, what, origin string) {
	if origin != "" && origin != Default {
		what += " (" + origin + ")"
	}
	d.errs = append(d.errs, fmt.Errorf("%s: %s", key, what))
}

// originOf finds where a value comes from; of a map, its first leaf.
func originOf(raw any) string {
	switch raw := raw.(type) {
	case *leaf:
		return raw.Origin
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(raw)) {
			if o := originOf(raw[key]); o != "" {
				return o
			}
		}
	}
	return ""
}

// settable returns a copy of what is in value that can be changed.
func settable(value any) reflect.Value {
	v := reflect.New(reflect.TypeOf(value)).Elem()
	v.Set(reflect.ValueOf(value))
	return v
}

func (o *object) childNames() []string {
	names := make([]string, len(o.children))
	for i, c := range o.children {
		names[i] = c.name()
	}
	return names
}

func validName(name string) bool {
	for i, r := range name {
		letter := r >= 'a' && r <= 'z'
		if !letter && (i == 0 || (r < '0' || r > '9') && r != '-' && r != '_') {
			return false
		}
	}
	return name != ""
}
