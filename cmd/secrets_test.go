package wyecmd_test

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	jwtlib "github.com/golang-jwt/jwt/v5"

	"github.com/wyemq/wye/plugins/users"
)

// heard keeps all that clients were sent.
type heard struct {
	mu  sync.Mutex
	all bytes.Buffer
}

func (h *heard) add(b []byte) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.all.Write(b)
}

func (h *heard) String() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.all.String()
}

// overheard is a connection whose answers are kept.
type overheard struct {
	net.Conn

	to *heard
}

func (o overheard) Read(b []byte) (int, error) {
	n, err := o.Conn.Read(b)
	o.to.add(b[:n])
	return n, err
}

// knownSecrets are looked for, by where they are given.
type knownSecrets map[string]string

// add makes one that nobody else has.
func (s knownSecrets) add(where string) string {
	s[where] = "S3cret-" + strings.ReplaceAll(where, " ", "-") + "-0123456789abcdefghijklmnopqrstuvwxyz"
	return s[where]
}

// token makes a token for a user. Its signature and the whole must not be seen.
func (s knownSecrets) token(t *testing.T, where, key, user string) string {
	t.Helper()
	text, err := jwtlib.NewWithClaims(jwtlib.SigningMethodHS256, jwtlib.MapClaims{"sub": user, "exp": time.Now().Add(time.Hour).Unix(), "jti": where}).SignedString([]byte(key))
	if err != nil {
		t.Fatal(err)
	}
	s[where], s[where+", its signature"] = text, text[strings.LastIndexByte(text, '.')+1:]
	return text
}

// basic makes the value of a header Authorization.
func (s knownSecrets) basic(where, user, password string) string {
	text := base64.StdEncoding.EncodeToString([]byte(user + ":" + password))
	s[where] = text
	return "Basic " + text
}

// vault is a broker with secrets, and all that it says.
type vault struct {
	*configured
	secrets                 knownSecrets
	said                    *heard
	args                    []string
	yaml, audit             string // yaml ends before the key of tokens
	jwtKey, ticketKey, pass string
}

const forgers = "another key of thirty-two bytes, or so"

// openVault starts it, with secrets in the file, the environment, the users file and a key file.
func openVault(t *testing.T) *vault {
	t.Helper()
	s := make(knownSecrets)
	v := &vault{secrets: s, said: &heard{}, jwtKey: s.add("jwt key"), ticketKey: s.add("ticket key"), pass: s.add("password")}
	service := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) }))
	t.Cleanup(service.Close)
	t.Cleanup(http.DefaultClient.CloseIdleConnections)
	dir := t.TempDir()
	keyFile := filepath.Join(dir, "keys.json")
	v.audit = filepath.Join(dir, "audit.log")
	set, err := json.Marshal(map[string]any{"keys": []any{map[string]string{
		"kty": "oct", "kid": "k", "k": base64.RawURLEncoding.EncodeToString([]byte(s.add("key in a key set"))),
	}}})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(keyFile, set, 0o600); err != nil {
		t.Fatal(err)
	}
	people := usersFile(t, users.User{Name: "ali"})
	err = users.Edit(people, func(all []users.User) ([]users.User, error) {
		all[0].Hash = sixOf(v.pass)
		s["hash"] = all[0].Hash
		return all, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	v.yaml = "log: {level: debug}\naudit: {file: '" + v.audit + "'}\nauth:\n  anonymous: false\n  cookie: session\n  users: {file: '" + people + "'}\n" +
		"  acl: {rules: [{allow: [all], on: ['#']}]}\n  tickets: {key: " + v.ticketKey + "}\n  jwt: {key_file: '" + keyFile + "', secret: "
	t.Setenv("WYE_AUTH__HTTP__SECRET", s.add("http secret"))
	v.args = []string{"--set", "auth.http.url=" + service.URL + "/?key=" + s.add("query of a URL"), "--set", "protocols.stomp.close_on_error=false", "--set", "limits.login_delay=0s"}
	v.configured = startWith(t, v.yaml+v.jwtKey+"}\n", v.args...)
	return v
}

// tcp connects, and listens to what is answered.
func (v *vault) tcp(listener string) net.Conn { return overheard{dial(v.t, v.addrs[listener]), v.said} }

// ask asks the admin server.
func (v *vault) ask(method, path, body, authorization string) string {
	v.t.Helper()
	req, err := http.NewRequestWithContext(v.t.Context(), method, "http://"+v.addrs["admin"]+path, strings.NewReader(body))
	if err != nil {
		v.t.Fatal(err)
	}
	if authorization != "" {
		req.Header.Set("Authorization", authorization)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		v.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		v.t.Fatal(err)
	}
	return string(text)
}

// ticket has one made, which is nobody else's business either.
func (v *vault) ticket(where string) string {
	v.t.Helper()
	m := regexp.MustCompile(`"ticket":"(\w+)"`).FindStringSubmatch(v.ask("POST", "/tickets", `{"user":"tim"}`, "Bearer "+v.ticketKey))
	if m == nil {
		v.t.Fatal("no ticket")
	}
	v.secrets[where] = m[1]
	return m[1]
}

// login logs in by STOMP, with that outcome.
func (v *vault) login(want string, nc net.Conn, user, password string, headers ...string) *stompClient {
	v.t.Helper()
	c, f := stompConnect(v.t, nc, user, password, headers...)
	if f.command != want {
		v.t.Errorf("%s, %q: got %+v, want %s", user, headers, f, want)
	}
	return c
}

const in, out = "CONNECTED", "ERROR" // of login

// protocols gives credentials in CONNECT of both protocols.
func (v *vault) protocols(t *testing.T) {
	t.Helper()
	s := v.secrets
	v.login(in, v.tcp("stomp"), "ali", v.pass).ok("SEND", "x", "destination:/topic/a")
	v.login(out, v.tcp("stomp"), "ali", s.add("wrong password"))
	v.login(out, v.tcp("stomp"), "nobody", s.add("password of nobody"))
	v.login(in, v.tcp("stomp"), "", "", "token:"+s.token(t, "token", v.jwtKey, "ann"))
	v.login(out, v.tcp("stomp"), "", "", "token:"+s.token(t, "forged token", forgers, "ann"))
	v.login(out, v.tcp("stomp"), "x", s.token(t, "token as password", v.jwtKey, "ann")+"x")
	v.login(in, v.tcp("stomp"), "x", "ticket."+v.ticket("ticket as password"))
	v.login(out, v.tcp("stomp"), "x", "ticket."+s["ticket as password"])
	for _, try := range []struct {
		user, password string
		want           byte
	}{
		{"ali", v.pass, 0},
		{"ali", s.add("wrong password of MQTT"), 0x86},
		{"x", s.token(t, "token of MQTT", v.jwtKey, "ann"), 0},
		{"x", s.token(t, "forged token of MQTT", forgers, "ann"), 0x86},
	} {
		if _, code := mqtt5Connect(t, v.tcp("mqtt"), try.user, try.password); code != try.want {
			t.Errorf("%.30s: code 0x%02x", try.password, code)
		}
	}
}

// upgrades gives credentials in all places of a WebSocket's upgrade.
func (v *vault) upgrades(t *testing.T) {
	t.Helper()
	s := v.secrets
	for _, try := range []struct{ want, query, protocols, authorization, cookie string }{
		{want: in, authorization: s.basic("Basic", "ali", v.pass)},
		{want: out, authorization: s.basic("wrong Basic", "ali", s.add("wrong password of Basic"))},
		{want: out, authorization: "Basic " + s.add("what is no Basic")},
		{want: in, authorization: "Bearer " + s.token(t, "Bearer", v.jwtKey, "ann")},
		{want: out, authorization: "Bearer " + s.add("wrong Bearer")},
		{want: in, cookie: s.token(t, "cookie", v.jwtKey, "ann")},
		{want: out, cookie: s.add("wrong cookie")},
		{want: in, protocols: "bearer." + s.token(t, "subprotocol", v.jwtKey, "ann")},
		{want: out, protocols: "bearer." + s.add("wrong subprotocol")},
		{want: in, query: "?ticket=" + v.ticket("ticket")},
		{want: out, query: "?ticket=" + s.add("wrong ticket")},
	} {
		header := http.Header{}
		if try.authorization != "" {
			header.Set("Authorization", try.authorization)
		}
		if try.cookie != "" {
			header.Set("Cookie", "session="+try.cookie)
		}
		nc := wsDial(t, "ws://"+v.addrs["websocket"]+"/stomp"+try.query, strings.TrimPrefix(try.protocols+", v12.stomp", ", "), header)
		v.login(try.want, overheard{nc, v.said}, "", "")
	}
}

// turnedAway gives credentials with requests that come to nothing, which the audit log has.
func (v *vault) turnedAway() {
	v.t.Helper()
	s := v.secrets
	for _, head := range []string{
		"Origin: https://evil.example\r\nAuthorization: Bearer " + s.add("Bearer of a foreign page"),
		"Origin: https://evil.example\r\nSec-WebSocket-Protocol: v12.stomp, bearer." + s.add("subprotocol of a foreign page"),
		"Sec-WebSocket-Protocol: wamp, bearer." + s.add("unknown subprotocol") + "\r\nCookie: session=" + s.add("cookie of nobody"),
	} {
		nc := v.tcp("websocket")
		if _, err := io.WriteString(nc, "GET /stomp?ticket="+s.add("ticket of a foreign page")+" HTTP/1.1\r\nHost: localhost\r\n"+badUpgrade+head+"\r\n\r\n"); err != nil {
			v.t.Fatal(err)
		}
		if resp, err := http.ReadResponse(bufio.NewReader(nc), nil); err != nil || resp.StatusCode < 400 {
			v.t.Errorf("%+v, %v", resp, err)
		}
	}
}

// refreshes gives new credentials within a session.
func (v *vault) refreshes(t *testing.T) {
	t.Helper()
	s := v.secrets
	c := v.login(in, v.tcp("stomp"), "", "", "token:"+s.token(t, "first token", v.jwtKey, "ann"))
	c.ok("SEND", s.token(t, "refresh", v.jwtKey, "ann"), "destination:/$auth/refresh")
	c.refused("SEND", s.token(t, "refresh of another", v.jwtKey, "bob"), "destination:/$auth/refresh")
	c.refused("SEND", s.add("wrong refresh"), "destination:/$auth/refresh")
}

// administers asks the admin server for everything, changes secrets of the configuration, and has it printed.
func (v *vault) administers(t *testing.T) {
	t.Helper()
	s := v.secrets
	for _, answer := range []string{
		v.ask("POST", "/tickets", `{"user":"tim"}`, "Bearer "+s.add("wrong ticket key")),
		v.ask("POST", "/reload", "", s.basic("wrong Basic of an administrator", "ali", s.add("wrong password of an administrator"))),
		v.ask("GET", "/", "", ""), v.ask("GET", "/metrics", "", ""), v.ask("GET", "/vhosts", "", "Basic "+s["Basic"]),
	} {
		v.said.add([]byte(answer))
	}
	urls := "https://u:" + s.add("password in a URL") + "@auth.example/?key=" + s.add("query of a bad URL")
	for _, next := range []string{
		s.add("next jwt key") + "}\n", v.jwtKey + ", jwks_url: '" + urls + "'}\nlisteners: {x: {uri: '" + urls + "'}, y: {uri: 'tcp" + urls[5:] + "'}}\n",
		v.jwtKey + ", audience: [a], jwks_url: 'https://127.0.0.1:1/?key=" + s.add("query of the keys") + "'}\n", "short}\n",
		v.jwtKey + "}\nlimits: {credit: x}\nsecrets: {key: " + s.add("unknown key") + "}\n",
	} {
		v.write(v.yaml + next)
		v.said.add([]byte(v.ask("POST", "/reload", "", "Basic "+s["Basic"])))
		for _, command := range []string{"print", "check", "schema"} {
			args := append([]string{"config", command, "--config", v.file}, v.args...)
			for _, args := range [][]string{args, append(args, "--set", "auth.http.url="+urls)} {
				_, stdout, stderr := run(t, args...)
				v.said.add([]byte(stdout + stderr))
			}
		}
	}
	if !strings.Contains(v.said.String(), `"auth.jwt.secret"`) || !strings.Contains(v.said.String(), "[redacted]") {
		t.Error("no secret was changed, or nobody has said so")
	}
}

// TestSecrets gives known secrets in every place where there can be some, right ones and wrong ones, and looks for them in all
// that a broker says: its log at debug, the audit log, what clients are sent, metrics, answers of the admin server, the
// configuration as it is printed, and what is wrong with it.
func TestSecrets(t *testing.T) {
	v := openVault(t)
	v.protocols(t)
	v.upgrades(t)
	v.refreshes(t)
	v.turnedAway()
	v.administers(t)
	v.stop(syscall.SIGTERM)
	v.exit()
	audited, err := os.ReadFile(v.audit)
	if err != nil {
		t.Fatal(err)
	}
	for where, text := range map[string]string{"the log": v.all(), "the audit log": string(audited), "what was answered": v.said.String()} {
		if n := strings.Count(text, "\n"); n < 20 {
			t.Errorf("%s has %d lines", where, n)
		}
		for name, secret := range v.secrets {
			if i := strings.Index(text, secret); i >= 0 {
				t.Errorf("%s is in %s: …%s…", name, where, text[max(i-100, 0):min(i+len(secret)+20, len(text))])
			}
		}
	}
	if n := strings.Count(v.all(), `msg="login refused"`); n < 12 {
		t.Errorf("%d logins were refused", n)
	}
}
