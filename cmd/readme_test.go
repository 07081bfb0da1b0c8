package wyecmd_test

import (
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// promises are the documents that name tests.
var promises = map[string]int{"README.md": 10, ".github/SECURITY.md": 40} // and how many links they have at least

// TestReadme holds the README and SECURITY.md to the tree: their links lead somewhere, the tests they name are in the file they link,
// and the protocol shown is the one that is tested.
func TestReadme(t *testing.T) {
	read := func(name string) string {
		b, err := os.ReadFile(filepath.Join("..", filepath.FromSlash(name)))
		if err != nil {
			t.Error(err)
		}
		return string(b)
	}
	for document, least := range promises {
		links := regexp.MustCompile(`\[([^\]]+)\]\(([^)]+)\)`).FindAllStringSubmatch(read(document), -1)
		if len(links) < least {
			t.Errorf("%s: %d links found", document, len(links))
		}
		for _, l := range links {
			if !strings.Contains(l[2], "://") {
				checkLink(t, document, l[1], path.Join(path.Dir(document), l[2]), read)
			}
		}
	}
	text, line := read("README.md"), read("protocols/line/line.go")
	if _, line, _ = strings.Cut(line, ")\n\n"); line == "" || !strings.Contains(text, line) {
		t.Error("the protocol shown is not that of protocols/line/line.go")
	}
	for _, target := range []string{"run", "test"} {
		if !strings.Contains(text, "make "+target) || !strings.Contains(read("Makefile"), "\n"+target+":") {
			t.Errorf("make %s is not in both", target)
		}
	}
}

var namedTest = regexp.MustCompile(`(?:Test|Fuzz)[A-Z]\w+`)

// checkLink wants target to be there, and to have the tests that label names.
func checkLink(t *testing.T, document, label, target string, read func(string) string) {
	t.Helper()
	if info, err := os.Stat(filepath.Join("..", filepath.FromSlash(target))); err != nil {
		t.Errorf("%s: link %q: %v", document, label, err)
		return
	} else if info.IsDir() {
		return
	}
	for _, name := range namedTest.FindAllString(label, -1) {
		if text := read(target); !strings.Contains(text, "func "+name+"(t ") && !strings.Contains(text, "func "+name+"(f ") {
			t.Errorf("%s: %s is not in %s", document, name, target)
		}
	}
}
