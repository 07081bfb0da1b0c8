package config

import (
	"encoding/json"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"
)

// schema is a JSON schema, draft 2020-12.
type schema struct {
	Schema      string             `json:"$schema,omitempty"`
	Title       string             `json:"title,omitempty"`
	Description string             `json:"description,omitempty"`
	Type        any                `json:"type,omitempty"` // a string or several
	Pattern     string             `json:"pattern,omitempty"`
	Enum        []any              `json:"enum,omitempty"`
	Default     any                `json:"default,omitempty"`
	WriteOnly   bool               `json:"writeOnly,omitempty"`
	Minimum     *int               `json:"minimum,omitempty"`
	Properties  map[string]*schema `json:"properties,omitempty"`
	Names       *schema            `json:"propertyNames,omitempty"`
	Required    []string           `json:"required,omitempty"`
	Items       *schema            `json:"items,omitempty"`
	AllOf       []*schema          `json:"allOf,omitempty"`
	If          *schema            `json:"if,omitempty"`
	Then        *schema            `json:"then,omitempty"`
	Additional  any                `json:"additionalProperties,omitempty"` // false or a schema
	Unevaluated *bool              `json:"unevaluatedProperties,omitempty"`
}

// The forms of values that JSON has no type for.
const (
	durationPattern = `^-?([0-9]+(\.[0-9]+)?(ns|us|µs|ms|s|m|h))+$|^0$`
	sizePattern     = `^[0-9_]+ ?(B|KB|MB|GB|TB|KiB|MiB|GiB|TiB)?$`
	namePattern     = `^[a-z][a-z0-9_-]*$`
)

// Schema writes a JSON schema of what Load accepts as a file. describe gives the description of a
// key, in which "*" stands for any name; nil, or "" from it: none.
func (c *Config) Schema(w io.Writer, describe func(key string) string) error {
	if describe == nil {
		describe = func(string) string { return "" }
	}
	g := schemer{describe}
	s := g.object(c.root)
	s.Schema, s.Title = "https://json-schema.org/draft/2020-12/schema", "configuration of wye"
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	if err := enc.Encode(s); err != nil {
		return fmt.Errorf("write schema: %w", err)
	}
	return nil
}

type schemer struct{ describe func(key string) string }

func (g schemer) object(o *object) *schema {
	s := &schema{Type: nullable("object"), Properties: make(map[string]*schema), Additional: false, Description: g.describe(o.key)}
	if o.section != nil {
		s = g.section(o.section)
	}
	for _, c := range o.children {
		s.Properties[c.name()] = g.object(c)
	}
	return s
}

func (g schemer) section(sec *Section) *schema {
	def := reflect.ValueOf(sec.Default)
	switch {
	case sec.Named:
		one := g.value(sec.Key+".*", def, "")
		if sec.By != "" {
			one = g.variants(sec, sec.Key+".*")
		}
		return &schema{
			Type: nullable("object"), Description: g.describe(sec.Key),
			Names: &schema{Pattern: namePattern}, Additional: one,
		}
	case sec.By != "":
		return g.variants(sec, sec.Key)
	default:
		return g.value(sec.Key, def, "")
	}
}

// variants permits the keys of a variant if By has one of its names.
func (g schemer) variants(sec *Section, key string) *schema {
	s := g.value(key, reflect.ValueOf(sec.Default), "")
	s.Additional, s.Unevaluated = nil, new(bool)
	by := s.Properties[sec.By]
	by.Default, by.Pattern = nil, "^("+strings.Join(sec.variantNames(), "|")+")(:|$)"
	chosen, _, _ := strings.Cut(fieldText(sec), ":")
	for _, v := range sec.Variants {
		then := g.value(key, reflect.ValueOf(v.Default), "")
		then.Additional, then.Type, then.Description = nil, nil, ""
		delete(then.Properties, sec.By)
		test := &schema{Properties: map[string]*schema{sec.By: {Pattern: "^(" + strings.Join(v.Names, "|") + ")(:|$)"}}}
		if !slices.Contains(v.Names, chosen) {
			test.Required = []string{sec.By} // else it holds for the default too
		}
		s.AllOf = append(s.AllOf, &schema{If: test, Then: then})
	}
	return s
}

// fieldText is the default of By.
func fieldText(sec *Section) string {
	for _, f := range fieldsOf(reflect.ValueOf(sec.Default)) {
		if f.name == sec.By {
			return f.value.String()
		}
	}
	return ""
}

// value is the schema of v, whose value is the default.
func (g schemer) value(key string, v reflect.Value, tag reflect.StructTag) *schema {
	s := &schema{Description: g.describe(key)}
	switch {
	case isScalar(v.Type()):
		g.scalar(s, key, v, tag.Get("enum"))
	case v.Kind() == reflect.Pointer:
		if v.IsNil() {
			return g.value(key, reflect.New(v.Type().Elem()).Elem(), tag)
		}
		return g.value(key, v.Elem(), tag)
	case v.Kind() == reflect.Struct:
		s.Type, s.Additional, s.Properties = nullable("object"), false, make(map[string]*schema)
		for _, f := range fieldsOf(v) {
			s.Properties[f.name] = g.value(join(key, f.name), f.value, f.tag)
		}
	case v.Kind() == reflect.Map:
		s.Type = nullable("object")
		s.Additional = g.value(key+".*", reflect.Zero(v.Type().Elem()), tag)
	default:
		s.Type = nullable("array")
		s.Items = g.value(key+".*", reflect.Zero(v.Type().Elem()), tag)
	}
	return s
}

func (g schemer) scalar(s *schema, key string, v reflect.Value, enum string) {
	_, hidden := secret(v)
	size := isSize(key) && (v.CanInt() || v.CanUint()) && v.Type() != durationType
	switch {
	case hidden:
		s.Type, s.WriteOnly = "string", true
		return
	case v.Type() == durationType:
		s.Type, s.Pattern = "string", durationPattern
	case size:
		s.Type, s.Pattern = []string{"integer", "string"}, sizePattern
	case v.Kind() == reflect.Bool:
		s.Type, s.Default = "boolean", v.Bool()
		return
	case v.CanInt():
		s.Type, s.Default = "integer", v.Int()
		return
	case v.CanUint():
		zero := 0
		s.Type, s.Default, s.Minimum = "integer", v.Uint(), &zero
		return
	case v.CanFloat():
		s.Type, s.Default = "number", v.Float()
		return
	default:
		s.Type = "string"
	}
	if enum != "" {
		s.Type = nil
		for text := range strings.SplitSeq(enum, ",") {
			s.Enum = append(s.Enum, text)
			if text == "true" || text == "false" {
				s.Enum = append(s.Enum, text == "true") // without quotes YAML makes a truth value of it
			}
		}
	}
	s.Default = formatScalar(key, v)
}

// nullable permits a key without a value, which is as if it were not there.
func nullable(t string) []string { return []string{t, "null"} }
