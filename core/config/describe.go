package config

import (
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"
)

// exampleMark begins the lines of a documented file that may be uncommented.
const exampleMark = "#:"

// Uncomment returns a documented YAML file with its examples in effect: the lines that begin with "#:".
func Uncomment(file string) string {
	return strings.ReplaceAll("\n"+file, "\n"+exampleMark, "\n")[1:]
}

// Describe returns what the comments of a documented YAML file, examples included, say about a key:
// the lines directly above it. In a key "*" stands for any name or place in a list, which is described
// where a comment first does.
func Describe(file string) (func(key string) string, error) {
	var doc yaml.Node
	if err := yaml.Unmarshal([]byte(Uncomment(file)), &doc); err != nil {
		return nil, fmt.Errorf("documented configuration: %w", err)
	}
	texts := make(map[string]string)
	if len(doc.Content) > 0 {
		gather(texts, doc.Content[0], "")
	}
	return func(key string) string { return lookup(texts, key) }, nil
}

// gather notes the comments of n and of what is below it.
func gather(texts map[string]string, n *yaml.Node, key string) {
	switch n.Kind { //nolint:exhaustive // the others hold nothing
	case yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			k := join(key, n.Content[i].Value)
			comment := n.Content[i].HeadComment
			if i == 0 && comment == "" {
				comment = n.HeadComment // of the first key in a list's item, it is that of the item
			}
			note(texts, k, comment)
			gather(texts, n.Content[i+1], k)
		}
	case yaml.SequenceNode:
		for _, item := range n.Content {
			gather(texts, item, key+".*")
		}
	}
}

func note(texts map[string]string, key, comment string) {
	if cut := strings.LastIndex(comment, "\n\n"); cut >= 0 {
		comment = comment[cut+2:] // what is above an empty line is about something else
	}
	var words []string
	for line := range strings.Lines(comment) {
		words = append(words, strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(line), "#")))
	}
	if text := strings.Join(words, " "); text != "" {
		texts[key] = text
	}
}

// lookup finds the text of key, in which "*" fits anything.
func lookup(texts map[string]string, key string) string {
	if text, ok := texts[key]; ok {
		return text
	}
	pattern := strings.Split(key, ".")
	best, found := "", ""
	for k, text := range texts {
		if fits(pattern, strings.Split(k, ".")) && (found == "" || k < found) {
			best, found = text, k
		}
	}
	return best
}

func fits(pattern, key []string) bool {
	if len(pattern) != len(key) {
		return false
	}
	for i := range pattern {
		if pattern[i] != "*" && pattern[i] != key[i] {
			return false
		}
	}
	return true
}
