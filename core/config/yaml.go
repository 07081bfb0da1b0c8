package config

import (
	"errors"
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"
)

// maxAlias bounds how deep aliases may nest, so that one that contains itself ends.
const maxAlias = 16

// yamlParser is a koanf.Parser whose leaves know the line they come from and keep their text, so
// that neither 0123 nor 1e3 nor no becomes something else on the way to a string.
type yamlParser struct{ file string }

// Unmarshal implements koanf.Parser.
func (p yamlParser) Unmarshal(data []byte) (map[string]any, error) {
	var doc yaml.Node
	if err := yaml.Unmarshal(data, &doc); err != nil {
		return nil, fmt.Errorf("%s: %s", p.file, strings.TrimPrefix(err.Error(), "yaml: "))
	}
	if doc.Kind == 0 { // empty
		return map[string]any{}, nil
	}
	value, err := p.value(doc.Content[0], 0)
	if err != nil {
		return nil, err
	}
	switch value := value.(type) {
	case map[string]any:
		return value, nil
	case nil:
		return map[string]any{}, nil
	default:
		return nil, fmt.Errorf("%s: must hold keys and values", p.file)
	}
}

// Marshal implements koanf.Parser; nobody calls it.
func (yamlParser) Marshal(map[string]any) ([]byte, error) {
	return nil, errors.New("not supported")
}

// value turns a node into a map, a leaf or, for null, nil: a key without a value is not set.
func (p yamlParser) value(n *yaml.Node, aliases int) (any, error) {
	origin := p.origin(n)
	switch n.Kind {
	case yaml.MappingNode:
		return p.mapping(n, aliases)
	case yaml.SequenceNode:
		l := &leaf{List: true, Origin: origin}
		for _, item := range n.Content {
			value, err := p.value(item, aliases)
			if err != nil {
				return nil, err
			}
			if value != nil {
				l.Items = append(l.Items, value)
			}
		}
		return l, nil
	case yaml.AliasNode:
		if aliases == maxAlias {
			return nil, fmt.Errorf("%s: alias %q nests too deep", origin, n.Value)
		}
		return p.value(n.Alias, aliases+1)
	case yaml.ScalarNode:
		if n.Tag == "!!null" {
			return nil, nil
		}
		return &leaf{Text: n.Value, Origin: origin}, nil
	default:
		return nil, fmt.Errorf("%s: cannot be read", origin)
	}
}

func (p yamlParser) mapping(n *yaml.Node, aliases int) (any, error) {
	values := make(map[string]any)
	lines := make(map[string]int)
	var merged []map[string]any
	var errs []error
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, node := n.Content[i], n.Content[i+1]
		value, err := p.value(node, aliases)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		if key.Tag == "!!merge" {
			if m, ok := value.(map[string]any); ok {
				merged = append(merged, m)
			}
			continue
		}
		if line, twice := lines[key.Value]; twice {
			errs = append(errs, fmt.Errorf("%s: is there twice, first in line %d (%s)", key.Value, line, p.origin(key)))
			continue
		}
		lines[key.Value] = key.Line
		if value != nil {
			values[key.Value] = value
		}
	}
	for _, m := range merged {
		for key, value := range m {
			if _, own := values[key]; !own {
				values[key] = value
			}
		}
	}
	return values, errors.Join(errs...)
}

func (p yamlParser) origin(n *yaml.Node) string {
	if p.file == "" {
		return ""
	}
	return fmt.Sprintf("%s:%d", p.file, n.Line)
}

// parseInline reads a list or map that was given as text, on behalf of l.
func parseInline(l *leaf) (any, error) {
	var doc yaml.Node
	if err := yaml.Unmarshal([]byte(l.Text), &doc); err != nil || doc.Kind == 0 {
		return nil, errors.New("not YAML")
	}
	value, err := yamlParser{}.value(doc.Content[0], 0)
	if err != nil {
		return nil, err
	}
	setOrigin(value, l.Origin)
	return value, nil
}

func setOrigin(value any, origin string) {
	switch value := value.(type) {
	case map[string]any:
		for _, v := range value {
			setOrigin(v, origin)
		}
	case *leaf:
		value.Origin = origin
		for _, v := range value.Items {
			setOrigin(v, origin)
		}
	}
}
