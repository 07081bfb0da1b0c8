package corefx

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/wyemq/wye/core/config"
)

// named is what all plugins with an order are.
type named interface{ Name() string }

// inOrder puts items into the order that the list at key names. The list has every name exactly once; it may
// be left empty while there is nothing to choose.
func inOrder[T named](key string, names []string, items []T) ([]T, error) {
	have := make(map[string]T, len(items))
	var errs []error
	for _, item := range items {
		if _, twice := have[item.Name()]; twice {
			errs = append(errs, fmt.Errorf("%s: two plugins are called %q", key, item.Name()))
		}
		have[item.Name()] = item
	}
	if len(names) == 0 && len(items) <= 1 {
		return items, errors.Join(errs...)
	}
	known := sortedNames(items)
	ordered := make([]T, 0, len(names))
	seen := make(map[string]bool)
	for _, name := range names {
		item, ok := have[name]
		switch {
		case !ok:
			errs = append(errs, fmt.Errorf("%s: unknown name %q%s", key, name, hint(name, known)))
		case seen[name]:
			errs = append(errs, fmt.Errorf("%s: %q is there twice", key, name))
		default:
			ordered = append(ordered, item)
		}
		seen[name] = true
	}
	for _, name := range known {
		if !seen[name] {
			errs = append(errs, fmt.Errorf("%s: %q is missing: it is compiled in, and must have its place in the order", key, name))
		}
	}
	return ordered, errors.Join(errs...)
}

// given is the order of the configuration or, if it has none, that of defaults. A plugin that they do not know comes last,
// if it is the only one: between two somebody has to choose.
func given[T named](names, defaults []string, items []T) []string {
	if len(names) > 0 || len(defaults) == 0 {
		return names
	}
	have := sortedNames(items)
	for _, name := range defaults {
		if slices.Contains(have, name) {
			names = append(names, name)
		}
	}
	strange := slices.DeleteFunc(have, func(name string) bool { return slices.Contains(names, name) })
	if len(strange) == 1 {
		names = append(names, strange...)
	}
	return names
}

// hint says what there is.
func hint(name string, known []string) string {
	if near := config.Nearest(name, known); near != "" {
		return fmt.Sprintf(", did you mean %q?", near)
	}
	if len(known) == 0 {
		return ", there are none"
	}
	return ", there are: " + strings.Join(known, ", ")
}

func sortedNames[T named](items []T) []string {
	names := make([]string, len(items))
	for i, item := range items {
		names[i] = item.Name()
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// byName sorts by name, for what has no order in the configuration.
func byName[T named](items []T) []T {
	items = slices.Clone(items)
	slices.SortStableFunc(items, func(a, b T) int { return cmp.Compare(a.Name(), b.Name()) })
	return items
}
