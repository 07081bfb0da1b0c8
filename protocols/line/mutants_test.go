package line_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// mutants are mistakes that authors of protocols make, each as a change of line.go, and the check of the
// kit that finds it.
var mutants = []struct {
	name     string
	old, new string
	check    string
}{
	{
		"the session is not closed",
		"\tdefer s.Close()\n", "",
		"PeerCloses",
	},
	{
		"a goroutine stays for ever",
		"\tc.LoggedIn()\n", "\tc.LoggedIn()\n\tgo func() { select {} }()\n",
		"Roundtrip",
	},
	{
		"a goroutine stays for a while",
		"\tc.LoggedIn()\n", "\tc.LoggedIn()\n\tgo func() { ctx, cancel := context.WithTimeout(context.Background(), 1<<40); defer cancel(); <-ctx.Done() }()\n",
		"Roundtrip",
	},
	{
		"read errors are swallowed",
		"\t\t\treturn nil\n\t\t}\n\t\tif err != nil {\n\t\t\treturn err\n", "\t\t\treturn nil\n\t\t}\n\t\tif err != nil {\n\t\t\treturn nil\n",
		"PeerCloses",
	},
	{
		"the end of the server is swallowed",
		"errors.Is(err, io.EOF)", "errors.Is(err, io.EOF) || errors.Is(err, core.ErrShutdown)",
		"Shutdown",
	},
	{
		"the end of a slow consumer is swallowed",
		"errors.Is(err, io.EOF)", "errors.Is(err, io.EOF) || errors.Is(err, core.ErrSlowConsumer)",
		"SlowConsumer",
	},
	{
		"an orderly end is an error",
		"\t\tif errors.Is(err, io.EOF) {\n\t\t\treturn nil\n\t\t}\n", "\t\t_ = errors.Is\n",
		"PeerCloses",
	},
	{
		"half a message is a message",
		"msg, err := io.ReadAll(r)", "msg, _ := io.ReadAll(r)",
		"HalfMessage",
	},
	{
		"half a message is an orderly end",
		"msg, err := io.ReadAll(r)\n\t\tif err != nil {\n\t\t\treturn err\n", "msg, err := io.ReadAll(r)\n\t\tif err != nil {\n\t\t\treturn nil\n",
		"HalfMessage",
	},
	{
		"a refused login is swallowed",
		"\tif err != nil {\n\t\treturn err\n\t}\n\tdefer", "\tif err != nil {\n\t\treturn nil\n\t}\n\tdefer",
		"Refused",
	},
	{
		"a refused command is swallowed",
		"\t\tif err != nil {\n\t\t\treturn err\n\t\t}\n\t}\n}\n", "\t\t_ = err\n\t}\n}\n",
		"Denied",
	},
	{
		"an unknown command is ignored",
		"err = fmt.Errorf(\"verb %.20q: %w\", verb, core.ErrInvalid)", "_ = fmt.Errorf",
		"Garbage",
	},
	{
		"an unknown command is a panic",
		"err = fmt.Errorf(\"verb %.20q: %w\", verb, core.ErrInvalid)", "panic(fmt.Sprint(verb))",
		"Garbage",
	},
	{
		"the body is dropped",
		"Body: []byte(body)", "Body: []byte(body)[:0]",
		"Roundtrip",
	},
	{
		"the body ends at the first blank",
		"Body: []byte(body)", "Body: []byte(strings.Fields(body + \" x\")[0])",
		"Roundtrip",
	},
	{
		"the destination is that of the subscription",
		"[]byte(d.Destination)", "[]byte(d.Sub.Filter)",
		"Roundtrip",
	},
	{
		"the subscription is ignored",
		"err = s.Subscribe(ctx, &core.Subscription{ID: dest, Filter: dest})", "",
		"Roundtrip",
	},
	{
		"all subscriptions have one id",
		"ID: dest, Filter: dest", "ID: \"1\", Filter: dest",
		"Roundtrip",
	},
	{
		"a batch is delivered backwards",
		"\t\tfor _, d := range ds {\n", "\t\tfor i := range ds {\n\t\t\td := ds[len(ds)-1-i]\n",
		"Order",
	},
	{
		"only the first of a batch is delivered",
		"range ds {", "range ds[:1] {",
		"Order",
	},
	{
		"the token is none",
		"[]string{\"line\"}", "[]string{\"li ne\"}",
		"Describe",
	},
	{
		"the token is there twice",
		"[]string{\"line\"}", "[]string{\"line\", \"LINE\"}",
		"Describe",
	},
	{
		"the peer is not told why",
		"_ = c.WriteMessage(core.Text, []byte(\"ERR \"+core.ReasonID(err)+\" \"+err.Error()))", "",
		"Shutdown",
	},
	{
		"the connection is not told of the login",
		"\tc.LoggedIn()\n", "",
		"LoggedIn",
	},
	{
		"the broker is not told of the connection",
		", Conn: c}", "}",
		"Takeover",
	},
}

// TestMutants makes each mistake, and wants the kit to find it.
func TestMutants(t *testing.T) {
	if testing.Short() {
		t.Skip("builds a test binary for each mutant")
	}
	source, err := os.ReadFile("line.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range mutants {
		t.Run(strings.ReplaceAll(m.name, " ", "_"), func(t *testing.T) {
			t.Parallel()
			if n := strings.Count(string(source), m.old); n != 1 {
				t.Fatalf("line.go has %q %d times, want once: adapt the mutant", m.old, n)
			}
			binary := build(t, strings.Replace(string(source), m.old, m.new, 1))
			out, err := exec.Command(binary, "-test.run=^TestProtocol$/^"+m.check+"$", "-test.timeout=60s").CombinedOutput()
			if err == nil || !strings.Contains(string(out), "--- FAIL: TestProtocol/"+m.check) {
				t.Errorf("%s does not find it: %v\n%s", m.check, err, out)
			}
		})
	}
}

// build returns a test binary of this package with another line.go.
func build(t *testing.T, source string) string {
	t.Helper()
	dir := t.TempDir()
	here, err := filepath.Abs("line.go")
	if err != nil {
		t.Fatal(err)
	}
	mutant := filepath.Join(dir, "line.go")
	overlay, err := json.Marshal(map[string]map[string]string{"Replace": {here: mutant}})
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string][]byte{mutant: []byte(source), filepath.Join(dir, "overlay.json"): overlay} {
		if err := os.WriteFile(name, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	binary := filepath.Join(dir, "line.test")
	out, err := exec.Command("go", "test", "-c", "-o", binary, "-overlay", filepath.Join(dir, "overlay.json"), ".").CombinedOutput()
	if err != nil {
		t.Fatalf("the mutant does not compile: %v\n%s", err, out)
	}
	return binary
}
