package wyecmd_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestFirstStart refuses an address that others can reach while nobody could log in from there, and says what to set.
func TestFirstStart(t *testing.T) {
	dir := t.TempDir()
	full := filepath.Join(dir, "full")
	if err := os.WriteFile(full, []byte("ali:$6$c2FsdHNhbHQ=$"+strings.Repeat("A", 86)+"==\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, anonymous, file string
		refused, warned       bool
	}{
		{"loopback", "loopback", "none", true, false},
		{"nobody", "false", "none", true, false},
		{"everybody", "true", "none", false, true},
		{"users", "loopback", full, false, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			args := []string{"--set", "listeners.stomp.uri=tcp://0.0.0.0:0", "--set", "auth.anonymous=" + c.anonymous, "--set", "auth.users.file=" + c.file}
			if c.refused {
				code, _, stderr := run(t, append(append([]string{}, ephemeral...), args...)...)
				for _, want := range []string{"listeners.stomp: tcp://", "wye user add", "auth.anonymous: true", "127.0.0.1"} {
					if code != 1 || !strings.Contains(stderr, want) {
						t.Errorf("exit code %d, %q is not in\n%s", code, want, stderr)
					}
				}
				return
			}
			p := start(t, args)
			log := strings.Join(p.lines, "\n")
			if warned := strings.Contains(log, "anybody can log in"); warned != c.warned {
				t.Errorf("warned %t in\n%s", warned, log)
			}
		})
	}
}

// wye runs the program with a standard input and returns what it has said, and its exit code.
func wye(t *testing.T, path, stdin string, args ...string) (out string, code int) {
	t.Helper()
	cmd := exec.Command(path, args...)
	cmd.Stdin = strings.NewReader(stdin)
	text, err := cmd.CombinedOutput()
	if exit := new(exec.ExitError); errors.As(err, &exit) {
		return string(text), exit.ExitCode()
	} else if err != nil {
		t.Fatal(err)
	}
	return string(text), 0
}

// TestUserCommands works on a users file from the command line.
func TestUserCommands(t *testing.T) {
	path := build(t, "./wye")
	dir := t.TempDir()
	file := filepath.Join(dir, "users")
	foreign := filepath.Join(dir, "definitions.json")
	definitions := `{"users":[{"name":"rab","password_hash":"kI3GCqW5JLMJa4iX1lo7X4D6XbYqlLgxIs30+P6tENUV2POR","hashing_algorithm":"rabbit_password_hashing_sha256","tags":["administrator"]},
		{"name":"ali","password_hash":"x","hashing_algorithm":"rabbit_password_hashing_md5","tags":""}],"permissions":[{}]}`
	if err := os.WriteFile(foreign, []byte(definitions), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		stdin string
		args  string
		code  int
		want  string
	}{
		{"correct horse\n", "user add ali --group ops --group dev", 0, `user "ali" added`},
		{"correct horse\n", "user add ali", 1, `there already`},
		{"correct horse\n", "user add ali --vhost nope", 0, `wye: virtual host "nope" is not in the configuration`},
		{"", "user rm ali --vhost nope", 0, `user "ali" removed`},
		{"short\n", "user add bea", 1, `fewer than 8 bytes`},
		{"battery staple", "user passwd ali", 0, `password of user "ali" changed`},
		{"battery staple", "user passwd bea", 1, `there is no user "bea"`},
		{"", "user import " + foreign, 0, `1 users added`},
		{"", "user import " + foreign, 0, `user "rab": is there already`},
		{"", "user list", 0, "ali\tops,dev\nrab\tadministrator\n"},
		{"", "user rm rab", 0, `user "rab" removed`},
		{"", "user list", 0, "ali\tops,dev\n"},
		{"", "user rm rab", 1, `there is no user "rab"`},
		{"", "user add", 2, `wye user add NAME`},
		{"", "user list --group x", 2, `--group is not for "user list"`},
		{"", "user lst", 2, `did you mean "user list"?`},
	} {
		out, code := wye(t, path, c.stdin, append([]string{"--set", "auth.users.file=" + file}, strings.Fields(c.args)...)...)
		if code != c.code || !strings.Contains(out, c.want) {
			t.Errorf("wye %s: exit code %d, want %d, %q in\n%s", c.args, code, c.code, c.want, out)
		}
	}
	info, err := os.Stat(file)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	text, err := os.ReadFile(file)
	if err != nil || strings.Contains(string(text), "staple") || !strings.Contains(string(text), "ali:$argon2id$v=19$m=19456,t=2,p=1$") {
		t.Errorf("the file is\n%s", text)
	}
}

// TestACLCommand says which rule decides.
func TestACLCommand(t *testing.T) {
	dir := t.TempDir()
	file, users := filepath.Join(dir, "wye.yaml"), filepath.Join(dir, "users")
	config := `
auth:
  users: {file: "` + users + `"}
  acl:
    rules:
      - {id: secret, deny: [all], on: ["topic/secret/#"]}
      - {id: own, allow: [read, write], on: ["topic/{user}/#", "queue/{group}"]}
      - {allow: [publish], on: ["topic/{claim.site}/+"], addresses: [10.0.0.0/8]}
`
	for path, text := range map[string]string{file: config, users: "ali:$6$c2FsdHNhbHQ=$" + strings.Repeat("A", 86) + "==:ops\n"} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		args string
		code int
		want string
	}{
		{"--user ali publish topic/ali/b", 0, "allowed by rule own\n"},
		{"--user ali subscribe topic/ali/#", 0, "allowed by rule own\n"},
		{"--user ali subscribe topic/#", 1, "refused by rule secret\n"},
		{"--user ali subscribe topic/+/x", 1, "refused by rule secret\n"},
		{"--user ali subscribe topic/bea/x", 1, "refused by rule default\n"},
		{"--user ali consume queue/ops", 0, "allowed by rule own\n"},
		{"--user bea consume queue/ops", 1, "refused by rule default\n"},
		{"--user bea --group ops consume queue/ops", 0, "allowed by rule own\n"},
		{"--user ali connect client/any", 0, "allowed by rule granted\n"},
		{"--address 10.1.2.3 --claim site=north publish topic/north/x", 0, "allowed by rule auth.acl.rules.2\n"},
		{"--address 10.1.2.3 --claim site=[\"north\",\"south\"] publish topic/south/x", 0, "allowed by rule auth.acl.rules.2\n"},
		{"--address 192.0.2.1 --claim site=north publish topic/north/x", 1, "refused by rule default\n"},
		{"publish topic/ali/b", 1, "refused by rule default\n"},
		{"--user bea consume queue/ops", 1, "wye: user \"bea\" is not in " + users},
		{"--user ali --vhost nope publish topic/ali/b", 0, "wye: virtual host \"nope\" is not in the configuration"},
		{"frob topic/a", 1, "operation \"frob\" is not one of publish, "},
		{"publish", 2, "wye acl test OPERATION DESTINATION"},
	} {
		code, stdout, stderr := run(t, append([]string{"--config", file, "acl", "test"}, strings.Fields(c.args)...)...)
		if code != c.code || !strings.Contains(stdout+stderr, c.want) {
			t.Errorf("acl test %s: exit code %d, want %d, %q in\n%s%s", c.args, code, c.code, c.want, stdout, stderr)
		}
	}
}
