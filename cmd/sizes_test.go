package wyecmd_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"
)

// The sizes at which a file or function is taken apart.
const (
	maxFileLines = 600
	maxTestLines = 800 // of a file of tests, which is read one by one
	maxFuncLines = 100
	maxMethods   = 5 // of an interface that others implement
)

// larger are the interfaces that may have more methods, and how many.
var larger = map[string]int{"Conn": 7}

// TestSizes holds all files of the project to them.
func TestSizes(t *testing.T) {
	n := 0
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (d.Name() == "node_modules" || strings.HasPrefix(d.Name(), ".") && path != "..") {
			return filepath.SkipDir
		}
		if d.IsDir() || filepath.Ext(path) != ".go" {
			return nil
		}
		n++
		files := token.NewFileSet()
		f, err := parser.ParseFile(files, path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		lines := func(n ast.Node) int { return files.Position(n.End()).Line - files.Position(n.Pos()).Line + 1 }
		most := maxFileLines
		if strings.HasSuffix(path, "_test.go") {
			most = maxTestLines
		}
		if have := files.File(f.Pos()).LineCount(); have > most {
			t.Errorf("%s has %d lines, more than %d", path, have, most)
		}
		for _, decl := range f.Decls {
			if fn, ok := decl.(*ast.FuncDecl); ok && lines(fn) > maxFuncLines && !isTable(fn, lines) {
				t.Errorf("%s: %s has %d lines, more than %d", path, fn.Name.Name, lines(fn), maxFuncLines)
			}
			if g, ok := decl.(*ast.GenDecl); ok {
				checkInterfaces(t, path, g)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if n < 50 {
		t.Errorf("only %d files were looked at", n)
	}
}

// isTable says whether fn is long because of one composite literal in a test: a table reads well at any length.
func isTable(fn *ast.FuncDecl, lines func(ast.Node) int) bool {
	longest := 0
	ast.Inspect(fn.Body, func(n ast.Node) bool {
		if lit, ok := n.(*ast.CompositeLit); ok {
			longest = max(longest, lines(lit))
			return false
		}
		return true
	})
	return strings.HasPrefix(fn.Name.Name, "Test") && lines(fn)-longest <= maxFuncLines
}

// checkInterfaces wants interfaces to be small; the seam to the engine alone may have large ones.
func checkInterfaces(t *testing.T, path string, g *ast.GenDecl) {
	t.Helper()
	if strings.Contains(filepath.ToSlash(path), "/core/engine/") {
		return
	}
	for _, spec := range g.Specs {
		ts, ok := spec.(*ast.TypeSpec)
		if !ok || !ts.Name.IsExported() {
			continue
		}
		if in, ok := ts.Type.(*ast.InterfaceType); ok && in.Methods.NumFields() > max(maxMethods, larger[ts.Name.Name]) {
			t.Errorf("%s: interface %s has %d methods", path, ts.Name.Name, in.Methods.NumFields())
		}
	}
}
