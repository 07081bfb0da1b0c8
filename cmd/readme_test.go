package wyecmd_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestReadme holds the README to the tree: its links lead somewhere, the tests it names are in the file it links, and the protocol it
// shows is the one that is tested.
func TestReadme(t *testing.T) {
	read := func(path string) string {
		b, err := os.ReadFile(filepath.Join("..", filepath.FromSlash(path)))
		if err != nil {
			t.Error(err)
		}
		return string(b)
	}
	text := read("README.md")
	test := regexp.MustCompile(`Test[A-Z]\w+`)
	links := regexp.MustCompile(`\[([^\]]+)\]\(([^)]+)\)`).FindAllStringSubmatch(text, -1)
	if len(links) < 10 {
		t.Fatalf("%d links found", len(links))
	}
	for _, l := range links {
		label, target := l[1], l[2]
		if strings.Contains(target, "://") {
			continue
		}
		if info, err := os.Stat(filepath.Join("..", filepath.FromSlash(target))); err != nil {
			t.Errorf("link %q: %v", label, err)
			continue
		} else if info.IsDir() {
			continue
		}
		for _, name := range test.FindAllString(label, -1) {
			if !strings.Contains(read(target), "func "+name+"(t ") {
				t.Errorf("%s is not in %s", name, target)
			}
		}
	}
	line := read("protocols/line/line.go")
	if _, line, _ = strings.Cut(line, ")\n\n"); line == "" || !strings.Contains(text, line) {
		t.Error("the protocol shown is not that of protocols/line/line.go")
	}
	for _, target := range []string{"run", "test"} {
		if !strings.Contains(text, "make "+target) || !strings.Contains(read("Makefile"), "\n"+target+":") {
			t.Errorf("make %s is not in both", target)
		}
	}
}
