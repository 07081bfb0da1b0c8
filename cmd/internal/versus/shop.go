package versus

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
)

// shop gets programs: compiled here, from the Go proxy, from Debian. It writes into its cache and nowhere else, so
// that no service of the machine is installed or started.
type shop struct {
	cache string
	say   func(format string, args ...any)
}

// output runs a program and returns what it prints; an error has the end of what it says.
func output(ctx context.Context, dir string, env []string, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, name, args...) //nolint:gosec // names are constants
	cmd.Dir, cmd.Env = dir, append(os.Environ(), env...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("%s %s: %w%s", filepath.Base(name), strings.Join(args, " "), err, tail(stderr.Bytes()))
	}
	return stdout.String(), nil
}

// tail is the end of what a program has said, as the end of an error.
func tail(log []byte) string {
	lines := strings.Split(strings.TrimSpace(string(log)), "\n")
	text := strings.Join(lines[max(0, len(lines)-3):], " / ")
	if text == "" {
		return ""
	}
	if len(text) > 400 {
		text = "…" + text[len(text)-400:]
	}
	return ": " + strings.ToValidUTF8(text, "")
}

// bin is where programs are put.
func (s *shop) bin() string { return filepath.Join(s.cache, "bin") }

// build compiles a program of this module.
func (s *shop) build(ctx context.Context, name, pkg string) (string, error) {
	path := filepath.Join(s.bin(), name)
	_, err := output(ctx, "", nil, "go", "build", "-trimpath", "-o", path, pkg)
	return path, err
}

// goInstall gets a program from the Go proxy, unless it is there.
func (s *shop) goInstall(ctx context.Context, mod, version string) (string, error) {
	dir := filepath.Join(s.bin(), filepath.Base(filepath.Dir(mod))+"@"+version)
	path := filepath.Join(dir, filepath.Base(filepath.Dir(mod)))
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	s.say("go install %s@%s", mod, version)
	_, err := output(ctx, "", []string{"GOBIN=" + dir, "GOFLAGS="}, "go", "install", mod+"@"+version)
	return path, err
}

// required is the version of a module that this one requires.
func (s *shop) required(ctx context.Context, mod string) string {
	v, err := output(ctx, "", nil, "go", "list", "-m", "-f", "{{.Version}}", mod)
	if err != nil {
		return "unknown"
	}
	return strings.TrimSpace(v)
}

// commit is what is compiled here.
func (s *shop) commit(ctx context.Context) string {
	v, err := output(ctx, "", nil, "git", "describe", "--always", "--tags", "--dirty")
	if err != nil {
		return "unknown"
	}
	return strings.TrimSpace(v)
}

// planned is what apt-get -s says it would install, as in "Inst mosquitto (2.0.11-1.2 Debian:12/stable [amd64])".
var planned = regexp.MustCompile(`(?m)^Inst (\S+) (?:\[\S+\] )?\((\S+) `)

// debian gets a package with everything it needs: what is installed is used as it is, else all that is missing is
// downloaded and unpacked into the cache.
func (s *shop) debian(ctx context.Context, pkg string) (program, error) {
	if v, err := output(ctx, "", nil, "dpkg-query", "-W", "-f", "${db:Status-Status} ${Version}", pkg); err == nil {
		if version, ok := strings.CutPrefix(v, "installed "); ok {
			return program{root: "/", version: version}, nil
		}
	}
	root := filepath.Join(s.cache, "debian", pkg)
	note := filepath.Join(root, ".version")
	if v, err := os.ReadFile(note); err == nil { //nolint:gosec // in the cache
		return program{root: root, version: string(v)}, nil
	}
	list, err := s.wanted(ctx, pkg)
	if err != nil {
		return program{}, err
	}
	version, err := s.unpack(ctx, root, pkg, list)
	if err != nil {
		return program{}, errors.Join(err, os.RemoveAll(root))
	}
	return program{root: root, version: version}, os.WriteFile(note, []byte(version), 0o644)
}

// wanted lists what is missing for a package: names and versions.
func (s *shop) wanted(ctx context.Context, pkg string) ([][]string, error) {
	if _, err := exec.LookPath("apt-get"); err != nil {
		return nil, errors.New("there is no apt-get: it is taken from Debian")
	}
	ask := func() ([][]string, error) {
		out, err := output(ctx, "", []string{"LC_ALL=C"}, "apt-get", "install", "-s", "--no-install-recommends", pkg)
		if err != nil {
			return nil, err
		}
		list := planned.FindAllStringSubmatch(out, -1)
		if len(list) == 0 {
			return nil, fmt.Errorf("apt-get would install nothing for %s", pkg)
		}
		return list, nil
	}
	list, err := ask()
	if err == nil {
		return list, nil
	}
	s.say("apt-get update")
	update := []string{"apt-get", "update"}
	if os.Getuid() != 0 {
		update = append([]string{"sudo", "-n"}, update...)
	}
	if _, updated := output(ctx, "", nil, update[0], update[1:]...); updated != nil {
		return nil, errors.Join(err, updated)
	}
	return ask()
}

// unpack downloads packages and unpacks them below root. It returns the version of pkg.
func (s *shop) unpack(ctx context.Context, root, pkg string, list [][]string) (version string, err error) {
	s.say("downloading %s and %d packages it needs, from Debian", pkg, len(list)-1)
	if err := os.MkdirAll(root, 0o755); err != nil {
		return "", err
	}
	files, err := os.MkdirTemp(s.cache, "debs-")
	if err != nil {
		return "", err
	}
	defer func() { _ = os.RemoveAll(files) }() // what stays is in the cache
	args := []string{"download"}
	for _, p := range list {
		args = append(args, p[1]+"="+p[2])
		if p[1] == pkg {
			version = p[2]
		}
	}
	if _, err := output(ctx, files, nil, "apt-get", args...); err != nil {
		return "", err
	}
	debs, err := filepath.Glob(filepath.Join(files, "*.deb"))
	if err != nil {
		return "", err
	}
	for _, deb := range debs {
		if _, err := output(ctx, "", nil, "dpkg-deb", "-x", deb, root); err != nil {
			return "", err
		}
	}
	return version, nil
}
