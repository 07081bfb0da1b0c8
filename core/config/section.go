package config

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// Section is the part of the configuration that one package owns.
type Section struct {
	// Key is where it is, as in "protocols.line".
	Key string
	// Default is the value that holds when nothing is set: mostly a struct whose fields have koanf
	// tags. Fields without one are left alone. If the type has a method Validate() error, its errors are
	// reported with the key of the section before them; each should begin with the key of the field
	// and a colon. A tag enum:"a,b" lists the values permitted.
	Default any
	// Check does for a type without methods what Validate does. Nil: nothing.
	Check func(value any) error
	// Named makes the section a map: any number of things of that form, each under a name.
	Named bool
	// By names the field of Default that picks the variant: by its text up to the first colon, so
	// that both a kind and the scheme of a uri do.
	By string
	// Variants are the settings beside those of Default, by the value of By.
	Variants []Variant
	// Preset holds values set before any other source, by key below Key, as in "mqtt.uri".
	Preset map[string]string
}

// Variant is what a section holds beside its Default when By has one of the Names.
type Variant struct {
	Names []string
	// Default is a struct as that of the Section. A key that both have goes to both.
	Default any
}

// Instance is what a section with variants, or one that is Named, was set to.
type Instance struct {
	// Key is the full key, as in "listeners.mqtt"; Name its last part.
	Key, Name string
	// Common has the type of Section.Default.
	Common any
	// Variant is the name that was chosen; Value has the type of Variant.Default. Both are zero for a
	// section without variants.
	Variant string
	Value   any
}

// object is a level of the tree that the keys of the sections form.
type object struct {
	key      string
	section  *Section
	children []*object
}

// newTree checks the sections and puts them into a tree.
func newTree(sections []Section) (*object, error) {
	root := &object{}
	var errs []error
	for i := range sections {
		s := &sections[i]
		o := root.descend(s.Key)
		switch {
		case s.Key == "":
			errs = append(errs, errors.New("configuration: a section without a key"))
		case o.section != nil:
			errs = append(errs, fmt.Errorf("configuration: section %q is there twice", s.Key))
		case s.Default == nil:
			errs = append(errs, fmt.Errorf("configuration: section %q has no default", s.Key))
		default:
			o.section = s
			errs = append(errs, s.check())
		}
	}
	return root, errors.Join(errs...)
}

// check says what is wrong with the section itself: mistakes of its author.
func (s *Section) check() error {
	seen := make(map[string]bool)
	for _, v := range s.Variants {
		for _, name := range v.Names {
			if seen[name] {
				return fmt.Errorf("configuration: %s: %s %q is there twice", s.Key, s.By, name)
			}
			seen[name] = true
		}
		if reflect.TypeOf(v.Default).Kind() != reflect.Struct {
			return fmt.Errorf("configuration: %s: variant %v is no struct", s.Key, v.Names)
		}
	}
	if s.By == "" {
		return nil
	}
	for _, f := range fieldsOf(reflect.ValueOf(s.Default)) {
		if f.name == s.By {
			return nil
		}
	}
	return fmt.Errorf("configuration: section %q has no field %q", s.Key, s.By)
}

// descend returns the object at key below o, made if need be.
func (o *object) descend(key string) *object {
	for part := range strings.SplitSeq(key, ".") {
		full := join(o.key, part)
		i := slices.IndexFunc(o.children, func(c *object) bool { return c.key == full })
		if i < 0 {
			o.children = append(o.children, &object{key: full})
			i = len(o.children) - 1
		}
		o = o.children[i]
	}
	return o
}

// name is the last part of the key.
func (o *object) name() string { return last(o.key) }

// variant returns the one that by chooses.
func (s *Section) variant(by string) (*Variant, string) {
	name, _, _ := strings.Cut(by, ":")
	for i := range s.Variants {
		if slices.Contains(s.Variants[i].Names, name) {
			return &s.Variants[i], name
		}
	}
	return nil, name
}

// variantNames lists what By may begin with.
func (s *Section) variantNames() []string {
	var names []string
	for _, v := range s.Variants {
		names = append(names, v.Names...)
	}
	return names
}

// field is a field of a struct that has a key.
type field struct {
	name  string
	value reflect.Value
	tag   reflect.StructTag
}

// fieldsOf lists the fields of v with their keys; squashed structs are taken apart.
func fieldsOf(v reflect.Value) []field {
	var fields []field
	t := v.Type()
	for i := range t.NumField() {
		sf := t.Field(i)
		name, option, _ := strings.Cut(sf.Tag.Get("koanf"), ",")
		switch {
		case option == "squash":
			fields = append(fields, fieldsOf(v.Field(i))...)
		case name != "" && name != "-" && sf.IsExported():
			fields = append(fields, field{name: name, value: v.Field(i), tag: sf.Tag})
		}
	}
	return fields
}

func join(key, name string) string {
	if key == "" {
		return name
	}
	return key + "." + name
}

func last(key string) string { return key[strings.LastIndexByte(key, '.')+1:] }
