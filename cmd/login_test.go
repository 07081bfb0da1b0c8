package wyecmd_test

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha512"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"maps"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/go-stomp/stomp/v3"
	jwtlib "github.com/golang-jwt/jwt/v5"
	"github.com/gorilla/websocket"

	"github.com/wyemq/wye/plugins/users"
)

// usersFile writes users whose passwords are their names, backwards.
func usersFile(t *testing.T, list ...users.User) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "users")
	err := users.Edit(path, func(all []users.User) ([]users.User, error) {
		for _, u := range list {
			u.Hash = sixOf(passwordOf(u.Name))
			all = append(all, u)
		}
		return all, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// sixOf makes a hash as Mosquitto did, which is quick.
func sixOf(password string) string {
	salt := []byte("twelve bytes")
	sum := sha512.Sum512(append([]byte(password), salt...))
	return "$6$" + base64.StdEncoding.EncodeToString(salt) + "$" + base64.StdEncoding.EncodeToString(sum[:])
}

func passwordOf(user string) string { return "pw-" + user }

const jwtSecret = "a secret of thirty-two bytes, or more"

// signToken makes a token for a user.
func signToken(t *testing.T, user string, more jwtlib.MapClaims) string {
	t.Helper()
	claims := jwtlib.MapClaims{"sub": user, "exp": time.Now().Add(time.Hour).Unix()}
	maps.Copy(claims, more)
	text, err := jwtlib.NewWithClaims(jwtlib.SigningMethodHS256, claims).SignedString([]byte(jwtSecret))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// authority signs certificates.
type authority struct {
	t    *testing.T
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
	dir  string
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{t: t, dir: t.TempDir()}
	a.cert, a.key = a.make(&x509.Certificate{
		Subject: pkix.Name{CommonName: "test authority"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}, "ca")
	return a
}

// make signs a certificate and writes it, and its key, to files.
func (a *authority) make(c *x509.Certificate, name string) (*x509.Certificate, *ecdsa.PrivateKey) {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	c.SerialNumber = big.NewInt(time.Now().UnixNano())
	c.NotBefore, c.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	parent, signer := a.cert, a.key
	if parent == nil {
		parent, signer = c, key
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, key.Public(), signer)
	if err != nil {
		a.t.Fatal(err)
	}
	raw, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		a.t.Fatal(err)
	}
	for file, block := range map[string]*pem.Block{a.file(name + ".crt"): {Type: "CERTIFICATE", Bytes: der}, a.file(name + ".key"): {Type: "EC PRIVATE KEY", Bytes: raw}} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			a.t.Fatal(err)
		}
	}
	made, err := x509.ParseCertificate(der)
	if err != nil {
		a.t.Fatal(err)
	}
	return made, key
}

func (a *authority) file(name string) string { return filepath.Join(a.dir, name) }

// client returns the TLS configuration of a client with a certificate; "": without one.
func (a *authority) client(name string) *tls.Config {
	a.t.Helper()
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	cfg := &tls.Config{RootCAs: pool, ServerName: "127.0.0.1", MinVersion: tls.VersionTLS12}
	if name != "" {
		c, err := tls.LoadX509KeyPair(a.file(name+".crt"), a.file(name+".key"))
		if err != nil {
			a.t.Fatal(err)
		}
		cfg.Certificates = []tls.Certificate{c}
	}
	return cfg
}

// credentials are those of a login.
type credentials struct{ user, password string }

// TestLogins lets in by each authenticator, with real clients of both protocols and three versions, and keeps out.
func TestLogins(t *testing.T) {
	service := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var q struct{ User, Password string }
		if err := json.NewDecoder(r.Body).Decode(&q); err != nil || q.Password != "open sesame" {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		_, _ = fmt.Fprintf(w, `{"user":"web-%s"}`, q.User)
	}))
	t.Cleanup(service.Close)
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	keys := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = fmt.Fprintf(w, `{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"k1","x":%q}]}`, base64.RawURLEncoding.EncodeToString(public))
	}))
	t.Cleanup(keys.Close)
	signed := func(audience string) string {
		tok := jwtlib.NewWithClaims(jwtlib.SigningMethodEdDSA, jwtlib.MapClaims{"sub": "eve", "aud": audience, "exp": time.Now().Add(time.Hour).Unix()})
		tok.Header["kid"] = "k1"
		text, err := tok.SignedString(private)
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	ca := newAuthority(t)
	ca.make(&x509.Certificate{Subject: pkix.Name{CommonName: "server"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}, "server")
	ca.make(&x509.Certificate{Subject: pkix.Name{CommonName: "dev7"}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}, "dev7")
	tlsArgs := func(name, scheme string) []string {
		return []string{
			"--set", "listeners." + name + ".uri=" + scheme + "://127.0.0.1:0", "--set", "listeners." + name + ".tls.cert_file=" + ca.file("server.crt"),
			"--set", "listeners." + name + ".tls.key_file=" + ca.file("server.key"), "--set", "listeners." + name + ".tls.client_ca_file=" + ca.file("ca.crt"),
			"--set", "listeners." + name + ".tls.client_auth=optional",
		}
	}
	for _, c := range []struct {
		name     string
		args     []string
		good     credentials
		user     string // that good is taken for
		bad      []credentials
		tlsGood  *tls.Config
		tlsBad   *tls.Config
		nameless bool // good needs no credentials at all
	}{
		{
			name: "users", args: []string{"--set", "auth.users.file=" + usersFile(t, users.User{Name: "ali"})},
			good: credentials{"ali", passwordOf("ali")}, user: "ali", bad: []credentials{{"ali", "not-it"}, {"bea", "not-it"}, {"ali", ""}},
		},
		{
			name: "jwt", args: []string{"--set", "auth.jwt.secret=" + jwtSecret},
			good: credentials{"anything", signToken(t, "ann", nil)}, user: "ann",
			bad: []credentials{{"ann", signToken(t, "ann", jwtlib.MapClaims{"exp": time.Now().Add(-time.Hour).Unix()})}, {"ann", signToken(t, "ann", nil) + "x"}, {"ann", "x"}},
		},
		{
			name: "jwt by URL", args: []string{"--set", "auth.jwt.jwks_url=" + keys.URL, "--set", "auth.jwt.audience=wye"},
			good: credentials{"anything", signed("wye")}, user: "eve",
			bad: []credentials{{"eve", signed("somebody else")}, {"eve", signToken(t, "eve", jwtlib.MapClaims{"aud": "wye"})}},
		},
		{
			name: "http", args: []string{"--set", "auth.http.url=" + service.URL},
			good: credentials{"cas", "open sesame"}, user: "web-cas", bad: []credentials{{"cas", "x"}},
		},
		{
			name: "clientcert", args: append(append([]string{"--set", "auth.clientcert.enabled=true"}, tlsArgs("stomp", "tls")...), tlsArgs("mqtt", "tls")...),
			user: "dev7", bad: []credentials{{"dev7", "x"}, {"root", ""}}, tlsGood: ca.client("dev7"), tlsBad: ca.client(""), nameless: true,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel() // the end waits for clients that do not leave
			p := start(t, append(c.args, "--set", "log.level=debug", "--set", "auth.anonymous=false", "--set", "limits.login_delay=0s"))
			open := func(listener string, cfg *tls.Config) net.Conn {
				nc := dial(t, p.addrs[listener])
				if cfg == nil {
					return nc
				}
				return tls.Client(nc, cfg)
			}
			for name, try := range map[string]func(credentials, *tls.Config) error{
				"stomp": func(who credentials, cfg *tls.Config) error {
					opts := []func(*stomp.Conn) error{stomp.ConnOpt.HeartBeat(0, 0), stomp.ConnOpt.Host("/")}
					if who.user != "" {
						opts = append(opts, stomp.ConnOpt.Login(who.user, who.password))
					}
					conn, err := stomp.Connect(open("stomp", cfg), opts...)
					if err == nil {
						return conn.Disconnect()
					}
					return err
				},
				"mqtt 3.1.1": func(who credentials, cfg *tls.Config) error {
					_, err := mqtt3Connect(t, open("mqtt", cfg), who.user, who.password, "c3")
					return err
				},
				"mqtt 5": func(who credentials, cfg *tls.Config) error {
					if _, code := mqtt5Connect(t, open("mqtt", cfg), who.user, who.password); code != 0 {
						return fmt.Errorf("code 0x%02x", code)
					}
					return nil
				},
			} {
				if err := try(c.good, c.tlsGood); err != nil {
					t.Errorf("%s: %v", name, err)
				}
				for _, bad := range c.bad {
					if err := try(bad, c.tlsGood); err == nil {
						t.Errorf("%s: %.20v was let in", name, bad)
					}
				}
				if err := try(credentials{}, c.tlsBad); err == nil {
					t.Errorf("%s: nobody was let in", name)
				}
			}
			p.stop(syscall.SIGTERM)
			p.exit()
			log := p.all()
			if n := len(regexp.MustCompile(`msg=login user=`+c.user+` .*authenticator=`+strings.Fields(c.name)[0]).FindAllString(log, -1)); n != 3 {
				t.Errorf("%d logins of %s by %s in\n%s", n, c.user, c.name, log)
			}
			for _, secret := range append(c.bad, c.good) {
				if len(secret.password) > 3 && strings.Contains(log, secret.password) {
					t.Errorf("%q is in the log", secret.password)
				}
			}
		})
	}
}

// wsDial opens a WebSocket and returns its bytes.
func wsDial(t *testing.T, url, protocols string, header http.Header) net.Conn {
	t.Helper()
	d := websocket.Dialer{HandshakeTimeout: patience}
	header = header.Clone()
	if header == nil {
		header = http.Header{}
	}
	header.Set("Sec-Websocket-Protocol", protocols)
	c, resp, err := d.DialContext(t.Context(), url, header)
	if err != nil {
		t.Fatalf("%s: %v", url, err)
	}
	if got := resp.Header.Get("Sec-Websocket-Protocol"); strings.Contains(got, "bearer") {
		t.Errorf("the token was answered: %s", got)
	}
	t.Cleanup(func() { c.Close() })
	return &wsConn{Conn: c, kind: websocket.BinaryMessage}
}

// TestPlaces takes credentials from everywhere they can be, one place only, and tells which in the log.
func TestPlaces(t *testing.T) {
	const key = "the application's key"
	p := start(t, []string{
		"--set", "auth.users.file=" + usersFile(t, users.User{Name: "ali"}), "--set", "auth.jwt.secret=" + jwtSecret, "--set", "auth.cookie=wye",
		"--set", "auth.tickets.key=" + key, "--set", "auth.anonymous=false", "--set", "log.level=debug",
		"--set", "limits.login_delay=0s",
	})
	admin := regexp.MustCompile(`address=(http://\S+)`).FindStringSubmatch(strings.Join(p.lines, "\n"))[1]
	ticket := func() string {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, admin+"/tickets", strings.NewReader(`{"user":"tim"}`))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+key)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		var out struct{ Ticket string }
		if err := json.NewDecoder(resp.Body).Decode(&out); err != nil || resp.StatusCode != http.StatusOK {
			t.Fatalf("%s: %v", resp.Status, err)
		}
		return out.Ticket
	}
	defer http.DefaultTransport.(*http.Transport).CloseIdleConnections()
	ann, bea, cas := signToken(t, "ann", nil), signToken(t, "bea", nil), signToken(t, "cas", nil)
	basic := "Basic " + base64.StdEncoding.EncodeToString([]byte("ali:"+passwordOf("ali")))
	wrong := "Basic " + base64.StdEncoding.EncodeToString([]byte("ali:wrong"))
	used := ticket()
	for _, c := range []struct {
		name           string
		query, token   string
		auth, cookie   string
		user, password string
		want, source   string
	}{
		{name: "basic", auth: basic, want: "ali", source: "authorization"},
		{name: "bearer", auth: "Bearer " + ann, want: "ann", source: "authorization"},
		{name: "subprotocol", token: ann, want: "ann", source: "subprotocol"},
		{name: "cookie", cookie: ann, want: "ann", source: "cookie"},
		{name: "ticket", query: "?ticket=" + used, want: "tim", source: "ticket"},
		{name: "ticket again", query: "?ticket=" + used},
		{name: "first of many", query: "?ticket=" + ticket(), auth: "Bearer " + ann, token: bea, cookie: cas, want: "tim", source: "ticket"},
		{name: "header before cookie", auth: "Bearer " + ann, token: bea, cookie: cas, want: "ann", source: "authorization"},
		{name: "no second chance", auth: wrong, token: bea, cookie: cas},
		{name: "connect first", user: "ali", password: passwordOf("ali"), auth: "Bearer " + ann, want: "ali", source: "connect"},
		{name: "connect wrong", user: "ali", password: "wrong", auth: "Bearer " + ann},
		{name: "nothing"},
		{name: "rubbish", cookie: "abc"},
	} {
		for protocol, login := range map[string]func(nc net.Conn) string{
			"v12.stomp": func(nc net.Conn) string {
				_, f := stompConnect(t, nc, c.user, c.password)
				if f.command != "CONNECTED" {
					if f.header("reason") != "bad_credentials" {
						t.Errorf("refused with %+v", f)
					}
					return ""
				}
				return f.header("user-name")
			},
			"mqtt": func(nc net.Conn) string {
				if _, code := mqtt5Connect(t, nc, c.user, c.password); code != 0 {
					return ""
				}
				return c.want // who it is, the log tells
			},
		} {
			t.Run(c.name+" "+protocol, func(t *testing.T) {
				query := c.query
				if protocol == "mqtt" && c.source == "ticket" {
					query = "?ticket=" + ticket()
				}
				h := http.Header{}
				if c.auth != "" {
					h.Set("Authorization", c.auth)
				}
				if c.cookie != "" {
					h.Set("Cookie", "a=b; wye="+c.cookie)
				}
				offer := protocol
				if c.token != "" {
					offer += ", bearer." + c.token
				}
				if got := login(wsDial(t, "ws://"+p.addrs["websocket"]+"/"+query, offer, h)); got != c.want {
					t.Errorf("let in as %q, want %q", got, c.want)
				}
				if c.want != "" {
					p.await(t, "msg=login user="+c.want+" ")
					p.await(t, "credentials="+c.source)
				}
			})
		}
	}
	log := p.all()
	for _, secret := range []string{ann, bea, cas, used, passwordOf("ali"), basic[6:], key} {
		if strings.Contains(log, secret) {
			t.Errorf("%q is in the log", secret)
		}
	}
}

// TestClaimRules lets a token say what its bearer may do, after what the operator says, and in the same words for both protocols.
func TestClaimRules(t *testing.T) {
	p := start(t, []string{
		"--set", "auth.jwt.secret=" + jwtSecret, "--set", "protocols.stomp.close_on_error=false",
		"--set", `auth.acl.rules=[{id: closed, deny: [all], on: ["topic/closed/#"]}, {allow: [subscribe], on: ["topic/news"], groups: [readers]}]`,
	})
	text := signToken(t, "ann", jwtlib.MapClaims{
		"groups": []string{"readers"}, "acl": []any{map[string]any{"id": "mine", "allow": []string{"write"}, "on": []string{"topic/{user}/#", "topic/closed/x"}}},
	})
	c, f := stompConnect(t, dial(t, p.addrs["stomp"]), "", "", "token:"+text)
	if f.command != "CONNECTED" {
		t.Fatalf("%+v", f)
	}
	c.ok("SEND", "x", "destination:/topic/ann/x")
	c.ok("SUBSCRIBE", "", "id:1", "destination:/topic/news")
	c.refused("SEND", "x", "destination:/topic/news")
	c.refused("SEND", "x", "destination:/topic/closed/x")
	c.refused("SUBSCRIBE", "", "id:2", "destination:/topic/ann/x")
	m, code := mqtt5Connect(t, dial(t, p.addrs["mqtt"]), "x", text)
	if code != 0 {
		t.Fatalf("code 0x%02x", code)
	}
	for topic, want := range map[string]byte{"ann/x": 0x10, "news": 0x87, "closed/x": 0x87, "bob/x": 0x87} {
		if code := m.publish(topic, "x"); code != want {
			t.Errorf("%s: code 0x%02x, want 0x%02x", topic, code, want)
		}
	}
	if news, own := m.subscribe("news"), m.subscribe("ann/x"); news > 2 || own != 0x87 {
		t.Errorf("codes 0x%02x, 0x%02x", news, own)
	}
	p.await(t, "rule=closed")
}

// TestEnumeration tells a client the same, whether it has a name that is there or not.
func TestEnumeration(t *testing.T) {
	p := start(t, []string{"--set", "auth.users.file=" + usersFile(t, users.User{Name: "ali"})})
	var answers []string
	for _, user := range []string{"ali", "bea"} {
		_, f := stompConnect(t, dial(t, p.addrs["stomp"]), user, "wrong")
		answers = append(answers, f.head+f.body)
	}
	if answers[0] != answers[1] || strings.Contains(answers[0], "users") {
		t.Errorf("answers %q", answers)
	}
	p.await(t, "wrong user or password")
}

// TestExpiry closes a session with its token, in both protocols.
func TestExpiry(t *testing.T) {
	p := start(t, []string{"--set", "auth.jwt.secret=" + jwtSecret, "--set", "auth.jwt.leeway=0s"})
	soon := signToken(t, "ann", jwtlib.MapClaims{"exp": time.Now().Add(4 * time.Second).Unix()})
	c, f := stompConnect(t, dial(t, p.addrs["stomp"]), "", "", "token:"+soon)
	if f.command != "CONNECTED" {
		t.Fatalf("%+v", f)
	}
	nc := dial(t, p.addrs["mqtt"])
	m, code := mqtt5Connect(t, nc, "x", soon)
	if code != 0 {
		t.Fatalf("code 0x%02x", code)
	}
	if f := c.read(); f.command != "ERROR" || f.header("reason") != "token_expired" {
		t.Errorf("%+v", f)
	}
	<-m.c.Done()
	if _, f := stompConnect(t, dial(t, p.addrs["stomp"]), "", "", "token:"+soon); f.header("reason") != "token_expired" {
		t.Errorf("%+v", f)
	}
}
