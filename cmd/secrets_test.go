package wyecmd_test

import (
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

// knownSecrets are those ones, by where they are given.
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

// TestSecrets gives known secrets in every place where there can be some, right ones and wrong ones, and looks for them in all
// that a broker says: its log at debug, the audit log, what clients are sent, metrics, answers of the admin server, the
// configuration as it is printed, and what is wrong with it.
func TestSecrets(t *testing.T) {
	s := make(knownSecrets)
	jwtKey, ticketKey, right := s.add("jwt key"), s.add("ticket key"), s.add("password")
	nextJWT, httpSecret := s.add("next jwt key"), s.add("http secret")
	service := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) }))
	defer service.Close()
	defer http.DefaultClient.CloseIdleConnections()
	dir := t.TempDir()
	keyFile, auditFile := filepath.Join(dir, "keys.json"), filepath.Join(dir, "audit.log")
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
	if err := users.Edit(people, func(all []users.User) ([]users.User, error) {
		all[0].Hash = sixOf(right)
		s["hash"] = all[0].Hash
		return all, nil
	}); err != nil {
		t.Fatal(err)
	}
	yaml := "log: {level: debug}\naudit: {file: '" + auditFile + "'}\nauth:\n  anonymous: false\n  cookie: session\n  users: {file: '" + people + "'}\n" +
		"  acl: {rules: [{allow: [all], on: ['#']}]}\n  tickets: {key: " + ticketKey + "}\n  jwt: {key_file: '" + keyFile + "', secret: "
	t.Setenv("WYE_AUTH__HTTP__SECRET", httpSecret)
	args := []string{"--set", "auth.http.url=" + service.URL, "--set", "protocols.stomp.close_on_error=false"}
	p := startWith(t, yaml+jwtKey+"}\n", args...)
	said := &heard{}
	tcp := func(listener string) net.Conn { return overheard{dial(t, p.addrs[listener]), said} }
	ws := func(query, protocols string, header http.Header) net.Conn {
		return overheard{wsDial(t, "ws://"+p.addrs["websocket"]+"/stomp"+query, protocols, header), said}
	}
	ask := func(method, path, body, authorization string) string {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), method, "http://"+p.addrs["admin"]+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		if authorization != "" {
			req.Header.Set("Authorization", authorization)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		text, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	ticket := func() string {
		return regexp.MustCompile(`"ticket":"(\w+)"`).FindStringSubmatch(ask("POST", "/tickets", `{"user":"tim"}`, "Bearer "+ticketKey))[1]
	}
	login := func(want string, nc net.Conn, user, password string, headers ...string) *stompClient {
		t.Helper()
		c, f := stompConnect(t, nc, user, password, headers...)
		if f.command != want {
			t.Errorf("%s, %q: got %+v, want %s", user, headers, f, want)
		}
		return c
	}
	const in, out = "CONNECTED", "ERROR"

	// CONNECT of both protocols.
	c := login(in, tcp("stomp"), "ali", right)
	login(out, tcp("stomp"), "ali", s.add("wrong password"))
	login(out, tcp("stomp"), "nobody", s.add("password of nobody"))
	login(in, tcp("stomp"), "", "", "token:"+s.token(t, "token", jwtKey, "ann"))
	login(out, tcp("stomp"), "", "", "token:"+s.token(t, "forged token", "another key of thirty-two bytes, or so", "ann"))
	login(out, tcp("stomp"), "x", s.token(t, "token as password", jwtKey, "ann")+"x")
	for _, try := range []struct {
		user, password string
		want           byte
	}{
		{"ali", right, 0},
		{"ali", s.add("wrong password of MQTT"), 0x86},
		{"x", s.token(t, "token of MQTT", jwtKey, "ann"), 0},
		{"x", s.token(t, "forged token of MQTT", "another key of thirty-two bytes, or so", "ann"), 0x86},
	} {
		if _, code := mqtt5Connect(t, tcp("mqtt"), try.user, try.password); code != try.want {
			t.Errorf("%.30s: code 0x%02x", try.password, code)
		}
	}

	// What the upgrade brings.
	for _, try := range []struct{ want, query, protocols, authorization, cookie string }{
		{want: in, authorization: s.basic("Basic", "ali", right)},
		{want: out, authorization: s.basic("wrong Basic", "ali", s.add("wrong password of Basic"))},
		{want: out, authorization: "Basic " + s.add("what is no Basic")},
		{want: in, authorization: "Bearer " + s.token(t, "Bearer", jwtKey, "ann")},
		{want: out, authorization: "Bearer " + s.add("wrong Bearer")},
		{want: in, cookie: s.token(t, "cookie", jwtKey, "ann")},
		{want: out, cookie: s.add("wrong cookie")},
		{want: in, protocols: "bearer." + s.token(t, "subprotocol", jwtKey, "ann")},
		{want: out, protocols: "bearer." + s.add("wrong subprotocol")},
		{want: in, query: "?ticket=" + func() string { s["ticket"] = ticket(); return s["ticket"] }()},
		{want: out, query: "?ticket=" + s.add("wrong ticket")},
	} {
		header := http.Header{}
		if try.authorization != "" {
			header.Set("Authorization", try.authorization)
		}
		if try.cookie != "" {
			header.Set("Cookie", "session="+try.cookie)
		}
		login(try.want, ws(try.query, strings.TrimPrefix(try.protocols+", v12.stomp", ", "), header), "", "")
	}
	s["ticket as password"] = ticket()
	login(in, tcp("stomp"), "x", "ticket."+s["ticket as password"])
	login(out, tcp("stomp"), "x", "ticket."+s["ticket as password"])

	// Refreshing.
	r := login(in, tcp("stomp"), "", "", "token:"+s.token(t, "first token", jwtKey, "ann"))
	r.ok("SEND", s.token(t, "refresh", jwtKey, "ann"), "destination:/$auth/refresh")
	r.refused("SEND", s.token(t, "refresh of another", jwtKey, "bob"), "destination:/$auth/refresh")
	r.refused("SEND", s.add("wrong refresh"), "destination:/$auth/refresh")

	// The admin server, and other secrets in the configuration.
	for _, answer := range []string{
		ask("POST", "/tickets", `{"user":"tim"}`, "Bearer "+s.add("wrong ticket key")),
		ask("POST", "/reload", "", s.basic("wrong Basic of an administrator", "ali", s.add("wrong password of an administrator"))),
		ask("GET", "/", "", ""), ask("GET", "/metrics", "", ""), ask("GET", "/vhosts", "", s["Basic"]),
	} {
		said.add([]byte(answer))
	}
	c.ok("SEND", "x", "destination:/topic/a")
	admin := s.basic("Basic of an administrator", "ali", right)
	for _, next := range []string{nextJWT + "}\n", "short}\n", jwtKey + "}\nlimits: {credit: x}\nsecrets: {key: " + s.add("unknown key") + "}\n"} {
		p.write(yaml + next)
		said.add([]byte(ask("POST", "/reload", "", admin)))
		for _, command := range []string{"print", "check", "schema"} {
			_, stdout, stderr := run(t, append([]string{"config", command, "--config", p.file}, args...)...)
			said.add([]byte(stdout + stderr))
		}
	}
	if !strings.Contains(said.String(), `"auth.jwt.secret"`) || !strings.Contains(said.String(), "[redacted]") {
		t.Error("no secret was changed, or nobody has said so")
	}
	p.stop(syscall.SIGTERM)
	p.exit()
	audited, err := os.ReadFile(auditFile)
	if err != nil {
		t.Fatal(err)
	}
	for where, text := range map[string]string{"the log": p.all(), "the audit log": string(audited), "what was answered": said.String()} {
		if n := strings.Count(text, "\n"); n < 20 {
			t.Errorf("%s has %d lines", where, n)
		}
		for name, secret := range s {
			if i := strings.Index(text, secret); i >= 0 {
				t.Errorf("%s is in %s: …%s…", name, where, text[max(i-100, 0):min(i+len(secret)+20, len(text))])
			}
		}
	}
	if n := strings.Count(p.all(), `msg="login refused"`); n < 12 {
		t.Errorf("%d logins were refused", n)
	}
}
