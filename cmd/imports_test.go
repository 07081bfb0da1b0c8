package wyecmd_test

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/wyemq/wye"

// leaves are what the core is made of beside itself.
var leaves = []string{"core/destination", "core/selector", "core/engine"}

// within says whether pkg is root or below it.
func within(pkg, root string) bool { return pkg == root || strings.HasPrefix(pkg, root+"/") }

// kit says whether pkg is one of core/coretest, core/protocoltest and so on.
func kit(pkg string) bool {
	name, ok := strings.CutPrefix(pkg, "core/")
	return ok && !strings.Contains(name, "/") && strings.HasSuffix(name, "test")
}

// plugin returns the folder of a protocol, transport or plugin that pkg is in, as in "protocols/stomp".
func plugin(pkg string) (root, kind string, ok bool) {
	parts := strings.Split(pkg, "/")
	if len(parts) < 2 || !slices.Contains([]string{"protocols", "transports", "plugins"}, parts[0]) {
		return "", "", false
	}
	return parts[0] + "/" + parts[1], parts[0], true
}

// mayImport is the table of import rules within the project; paths are below the module.
func mayImport(pkg, imported string, test bool) bool {
	isLeaf := slices.Contains(leaves, imported)
	if within(imported, pkg) && pkg != "core" || test && (within(pkg, imported) || kit(imported) || imported == "core/engine/memory") {
		return true // its own subpackages; tests: itself, the kits and the engine in memory
	}
	root, kind, isPlugin := plugin(pkg)
	switch {
	case within(pkg, "cmd/internal/growth"): // measures this one from inside
		return imported != "cmd"
	case within(pkg, "cmd/internal"): // clients of any broker, which know nothing of this one
		return within(imported, "cmd/internal")
	case within(pkg, "cmd"):
		return !within(imported, "cmd") || imported == "cmd"
	case pkg == "core":
		return isLeaf || within(imported, "core/internal") || imported == "core/engine/memory" // for what needs no disk
	case within(pkg, "core/internal"):
		return isLeaf || within(imported, "core/internal")
	case within(pkg, "core/engine"):
		return imported == "core/engine"
	case pkg == "core/corefx":
		return isLeaf || imported == "core" || imported == "core/config"
	case pkg == "core/config":
		return isLeaf || imported == "core"
	case kit(pkg):
		return isLeaf || imported == "core" || imported == "core/engine/memory" || kit(imported)
	case isPlugin:
		return isLeaf || imported == "core" || imported == "core/edge" || within(imported, root) || within(imported, kind+"/internal") ||
			test && imported == "core/destination"
	default:
		return false
	}
}

// owners are the only packages that may import what others must not know.
var owners = map[string][]string{
	"go.uber.org/fx":               {"cmd", "core/corefx"},
	"go.uber.org/dig":              {"cmd", "core/corefx"},
	"github.com/knadh/koanf":       {"core/config"},
	"github.com/gorilla/websocket": {"transports/websocket"},
	"github.com/mochi-mqtt/server": {"protocols/mqtt", "cmd/internal/versus/mochi"}, // the second is a peer
	"golang.org/x/crypto":          {"plugins/users"},
	"golang.org/x/term":            {"cmd"},
}

// mayUse is the same for what others have written. The core uses the standard library alone.
func mayUse(pkg, imported string, test bool) bool {
	for theirs, ours := range owners {
		if within(imported, theirs) && !slices.ContainsFunc(ours, func(root string) bool { return within(pkg, root) }) {
			return test && within(imported, "github.com/gorilla/websocket") // it is a client too
		}
	}
	if !within(pkg, "core") || pkg == "core/corefx" || pkg == "core/config" || kit(pkg) || test {
		return true
	}
	return false
}

// TestImports holds every package to the rules.
func TestImports(t *testing.T) {
	cmd := exec.Command("go", "list", "-json=ImportPath,Imports,TestImports,XTestImports", module+"/...")
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; n++ {
		var p struct {
			ImportPath                         string
			Imports, TestImports, XTestImports []string
		}
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		for _, imported := range p.Imports {
			checkImport(t, p.ImportPath, imported, false)
		}
		for _, imported := range append(p.TestImports, p.XTestImports...) {
			checkImport(t, p.ImportPath, imported, true)
		}
	}
	if n < 15 {
		t.Errorf("only %d packages were looked at", n)
	}
}

func checkImport(t *testing.T, pkg, imported string, test bool) {
	t.Helper()
	pkg = strings.TrimPrefix(strings.TrimPrefix(pkg, module), "/")
	first, _, _ := strings.Cut(imported, "/")
	own, isOwn := strings.CutPrefix(imported, module+"/")
	switch {
	case isOwn && !mayImport(pkg, own, test):
		t.Errorf("%s must not import %s (test: %t)", pkg, own, test)
	case !isOwn && strings.Contains(first, ".") && !mayUse(pkg, imported, test):
		t.Errorf("%s must not import %s (test: %t)", pkg, imported, test)
	}
}

// TestImportRules shows that the rules refuse something.
func TestImportRules(t *testing.T) {
	for _, c := range []struct {
		pkg, imported string
		test, want    bool
	}{
		{"core", "core/engine", false, true},
		{"core", "core/config", false, false},
		{"core", "core/engine/memory", false, true},
		{"core", "core/engine/memory", true, true},
		{"core", "protocols/stomp", true, false},
		{"core/destination", "core", false, false},
		{"core/engine/memory", "core/engine", false, true},
		{"core/config", "core/corefx", false, false},
		{"core/corefx", "core/config", false, true},
		{"core/corefx", "transports/tcp", false, false},
		{"core/protocoltest", "core", false, true},
		{"protocols/stomp", "protocols/stomp/frame", false, true},
		{"protocols/stomp/frame", "core", false, true},
		{"protocols/stomp", "protocols/mqtt", false, false},
		{"protocols/stomp", "protocols/mqtt", true, false},
		{"protocols/stomp", "core/config", false, false},
		{"protocols/stomp", "core/protocoltest", false, false},
		{"protocols/stomp", "core/protocoltest", true, true},
		{"transports/tcp", "transports/internal/wire", false, true},
		{"transports/tcp", "transports/websocket", false, false},
		{"plugins/admin", "cmd", false, false},
		{"cmd/wye", "cmd", false, true},
		{"cmd/internal/load", "cmd/internal/peer", false, true},
		{"cmd/internal/load", "core", false, false},
		{"cmd/internal/growth", "core", false, true},
		{"cmd", "plugins/admin", false, true},
		{"configs", "core/config", false, false},
	} {
		if got := mayImport(c.pkg, c.imported, c.test); got != c.want {
			t.Errorf("mayImport(%s, %s, %t) = %t", c.pkg, c.imported, c.test, got)
		}
	}
	for _, c := range []struct {
		pkg, imported string
		test, want    bool
	}{
		{"core", "go.uber.org/goleak", false, false},
		{"core", "go.uber.org/goleak", true, true},
		{"core/corefx", "go.uber.org/fx", false, true},
		{"plugins/admin", "go.uber.org/fx", false, false},
		{"core/config", "github.com/knadh/koanf/v2", false, true},
		{"cmd", "github.com/knadh/koanf/v2", false, false},
		{"cmd", "github.com/gorilla/websocket", true, true},
		{"cmd", "github.com/gorilla/websocket", false, false},
		{"cmd", "github.com/mochi-mqtt/server/v2", true, false},
		{"protocols/mqtt", "github.com/mochi-mqtt/server/v2", false, true},
		{"plugins/metrics", "github.com/prometheus/client_golang/prometheus", false, true},
	} {
		if got := mayUse(c.pkg, c.imported, c.test); got != c.want {
			t.Errorf("mayUse(%s, %s, %t) = %t", c.pkg, c.imported, c.test, got)
		}
	}
}
