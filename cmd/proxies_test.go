package wyecmd_test

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

// proxy is one that runs, with what it serves over TLS.
type proxy struct {
	websocket, stomp, mqtt string // addresses; empty: not served
	trust                  *tls.Config
}

// proxyClient is where clients of a proxy come from: another address than the proxy's own.
const proxyClient = "127.0.0.2"

// proxyDialer connects from proxyClient.
func proxyDialer() *net.Dialer {
	return &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(proxyClient)}, Timeout: patience}
}

// proxyProgram finds nginx, haproxy or caddy: the system's own or, in PROXIES_DIR, that of .ci/proxies.
func proxyProgram(t *testing.T, name string) *exec.Cmd {
	t.Helper()
	for _, path := range []string{name, "/usr/sbin/" + name, "/usr/local/sbin/" + name} {
		if path, err := exec.LookPath(path); err == nil {
			return exec.Command(path)
		}
	}
	dir := os.Getenv("PROXIES_DIR")
	path := filepath.Join(dir, "usr", "sbin", name)
	if _, err := os.Stat(path); err != nil {
		path = filepath.Join(dir, "usr", "bin", name)
	}
	cmd := exec.Command(path)
	libraries, _ := filepath.Glob(filepath.Join(dir, "*", "lib", "*-linux-gnu"))
	more, _ := filepath.Glob(filepath.Join(dir, "lib", "*-linux-gnu"))
	cmd.Env = append(os.Environ(), "LD_LIBRARY_PATH="+strings.Join(append(libraries, more...), ":"))
	version := map[string]string{"caddy": "version"}[name]
	if version == "" {
		version = "-v"
	}
	if dir == "" || (&exec.Cmd{Path: cmd.Path, Args: []string{name, version}, Env: cmd.Env}).Run() != nil {
		t.Skipf("%s is not there: install Debian's package, or let .ci/proxies (make test does) unpack it", name)
	}
	return cmd
}

// freeAddr returns an address that nobody listens on.
func freeAddr(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// runProxy runs a proxy until the test ends; it is up when it accepts connections at addr.
func runProxy(t *testing.T, cmd *exec.Cmd, addr string, args ...string) {
	t.Helper()
	var out bytes.Buffer
	cmd.Args = append(cmd.Args, args...)
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }() // the cleanup waits for it
	t.Cleanup(func() {
		_ = cmd.Process.Signal(os.Interrupt)
		<-ended //nolint:errcheck // it was told to end
		if t.Failed() {
			t.Logf("%s says:\n%s", cmd.Path, out.String())
		}
	})
	for range 1000 { // it says nothing when it is ready
		nc, err := net.Dial("tcp", addr)
		if err == nil {
			_ = nc.Close()
			return
		}
		select {
		case err := <-ended:
			ended <- err
			t.Fatalf("%s has ended: %v\n%s", cmd.Path, err, out.String())
		case <-time.After(10 * time.Millisecond):
		}
	}
	t.Fatalf("%s does not listen on %s", cmd.Path, addr)
}

// snippet returns a file of configs/proxies with other addresses, files and times in it. Each must be there.
func snippet(t *testing.T, name string, replace ...string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "configs", "proxies", name))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(replace); i += 2 {
		if !bytes.Contains(text, []byte(replace[i])) {
			t.Fatalf("%s has no %q", name, replace[i])
		}
	}
	return strings.NewReplacer(replace...).Replace(string(text))
}

func writeFile(t *testing.T, path string, parts ...string) string {
	t.Helper()
	if err := os.WriteFile(path, []byte(strings.Join(parts, "")), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// proxyIdle is the idle timeout that the snippets are given in the place of minutes, proxyPing the broker's PING.
const (
	proxyIdle = 2 * time.Second
	proxyPing = 400 * time.Millisecond
)

// secrets makes a certificate, and both in one file as HAProxy wants it.
func secrets(t *testing.T) (cert, key, both string, trust *tls.Config) {
	t.Helper()
	cert, key = selfSigned(t)
	text, err := os.ReadFile(cert)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := os.ReadFile(key)
	if err != nil {
		t.Fatal(err)
	}
	trust = &tls.Config{RootCAs: x509.NewCertPool(), ServerName: "localhost", MinVersion: tls.VersionTLS12}
	trust.RootCAs.AppendCertsFromPEM(text)
	return cert, key, writeFile(t, filepath.Join(t.TempDir(), "both.pem"), string(text), string(secret)), trust
}

func startNginx(t *testing.T, p *program) proxy {
	t.Helper()
	cmd := proxyProgram(t, "nginx")
	cert, key, _, trust := secrets(t)
	dir, addr := t.TempDir(), freeAddr(t)
	site := snippet(t, "nginx.conf", "127.0.0.1:61614", p.addrs["websocket"], "listen 443", "listen "+addr,
		"/etc/ssl/broker.crt", cert, "/etc/ssl/broker.key", key, "120s", proxyIdle.String())
	var temp strings.Builder
	for _, kind := range []string{"client_body", "proxy", "fastcgi", "uwsgi", "scgi"} {
		fmt.Fprintf(&temp, "%s_temp_path %s;\n", kind, filepath.Join(dir, kind))
	}
	conf := writeFile(t, filepath.Join(dir, "nginx.conf"),
		"daemon off;\nworker_processes 1;\npid ", filepath.Join(dir, "pid"), ";\nevents {}\nhttp {\naccess_log off;\n", temp.String(), site, "}\n")
	runProxy(t, cmd, addr, "-p", dir, "-c", conf, "-e", "stderr")
	return proxy{websocket: addr, trust: trust}
}

func startHAProxy(t *testing.T, p *program) proxy {
	t.Helper()
	cmd := proxyProgram(t, "haproxy")
	_, _, both, trust := secrets(t)
	dir := t.TempDir()
	x := proxy{freeAddr(t), freeAddr(t), freeAddr(t), trust}
	site := snippet(t, "haproxy.cfg", "127.0.0.1:61614", p.addrs["websocket"], "127.0.0.1:61613", p.addrs["stomp"],
		"127.0.0.1:1883", p.addrs["mqtt"], ":443", x.websocket, ":61612", x.stomp, ":8883", x.mqtt,
		"/etc/ssl/broker.pem", both, "120s", proxyIdle.String(), "300s", proxyIdle.String())
	runProxy(t, cmd, x.mqtt, "-db", "-f", writeFile(t, filepath.Join(dir, "haproxy.cfg"), site))
	return x
}

func startCaddy(t *testing.T, p *program) proxy {
	t.Helper()
	cmd := proxyProgram(t, "caddy")
	cert, key, _, trust := secrets(t)
	dir, addr := t.TempDir(), freeAddr(t)
	_, port, _ := net.SplitHostPort(addr)
	site := snippet(t, "Caddyfile", "127.0.0.1:61614", p.addrs["websocket"],
		"broker.example.com {", "https://127.0.0.1:"+port+", https://localhost:"+port+" {\nbind 127.0.0.1\ntls "+cert+" "+key)
	conf := writeFile(t, filepath.Join(dir, "Caddyfile"), "{\nadmin off\nauto_https disable_redirects\n}\n", site)
	if cmd.Env == nil {
		cmd.Env = os.Environ()
	}
	cmd.Env = append(cmd.Env, "HOME="+dir, "XDG_DATA_HOME="+dir, "XDG_CONFIG_HOME="+dir)
	runProxy(t, cmd, addr, "run", "--config", conf, "--adapter", "caddyfile")
	return proxy{websocket: addr, trust: trust}
}

// dialProxy connects by WebSocket through the proxy. head may have an Origin.
func dialProxy(t *testing.T, x proxy, head http.Header, tokens ...string) (*wsConn, *http.Response, error) {
	t.Helper()
	d := websocket.Dialer{Subprotocols: tokens, HandshakeTimeout: patience, NetDialContext: proxyDialer().DialContext, TLSClientConfig: x.trust}
	ws, res, err := d.DialContext(t.Context(), "wss://"+x.websocket+"/ws", head)
	if err != nil {
		return nil, res, err
	}
	t.Cleanup(func() { ws.Close() })
	kind := websocket.TextMessage
	if strings.HasPrefix(tokens[0], "mqtt") {
		kind = websocket.BinaryMessage
	}
	return &wsConn{Conn: ws, kind: kind}, res, nil
}

// TestProxies runs nginx, HAProxy and Caddy with the settings of configs/proxies, and clients through them.
func TestProxies(t *testing.T) {
	for name, start := range map[string]func(*testing.T, *program) proxy{"nginx": startNginx, "haproxy": startHAProxy, "caddy": startCaddy} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := startBehind(t)
			x := start(t, p)
			t.Run("stomp", func(t *testing.T) { proxiedSTOMP(t, p, x) })
			t.Run("mqtt", func(t *testing.T) { proxiedMQTT(t, p, x) })
			t.Run("close codes", func(t *testing.T) { proxiedCodes(t, p, x) })
			t.Run("http", func(t *testing.T) { proxiedHTTP(t, x) })
			t.Run("idle", func(t *testing.T) { proxiedIdle(t, x) })
			if x.mqtt != "" {
				t.Run("tcp", func(t *testing.T) { proxiedTCP(t, p, x) })
			}
		})
	}
}

// startBehind runs the program with configs/proxies/wye.yaml.
func startBehind(t *testing.T) *program {
	t.Helper()
	return start(t, []string{
		"--config", filepath.Join("..", "configs", "proxies", "wye.yaml"), "--set", "log.level=debug", "--set", "auth.anonymous=true",
		"--set", "listeners.websocket.ping_interval=" + proxyPing.String(),
	})
}

// cameFrom wants the broker to know the client by its own address.
func cameFrom(t *testing.T, p *program, listener string) {
	t.Helper()
	p.await(t, "remote="+proxyClient)
	for line := range strings.Lines(p.all()) {
		if strings.Contains(line, "listener="+listener) && strings.Contains(line, "remote=127.0.0.1") {
			t.Errorf("the address of the proxy counts: %s", line)
		}
	}
}

// proxiedSTOMP talks STOMP: the subprotocol is negotiated through the proxy, and a forged address counts for nothing.
func proxiedSTOMP(t *testing.T, p *program, x proxy) {
	head := http.Header{
		"Origin": {"https://broker.example.com"}, "X-Forwarded-For": {"6.6.6.6"}, "Forwarded": {"for=6.6.6.6"}, "X-Real-Ip": {"6.6.6.6"},
	}
	nc, _, err := dialProxy(t, x, head, "unknown", "v12.stomp")
	if err != nil {
		t.Fatal(err)
	}
	if got := nc.Subprotocol(); got != "v12.stomp" {
		t.Errorf("subprotocol %q", got)
	}
	c, hello := stompConnect(t, nc, "", "")
	if hello.command != "CONNECTED" {
		t.Fatalf("got %+v", hello)
	}
	c.ok("SUBSCRIBE", "", "id:1", "destination:/topic/proxied")
	large := strings.Repeat("x", 200<<10)
	for _, body := range []string{"hello", large} {
		c.ok("SEND", body, "destination:/topic/proxied")
		if got := c.next(); got != body {
			t.Errorf("%d bytes came, want %d", len(got), len(body))
		}
	}
	c.ok("DISCONNECT", "")
	_ = nc.Close()
	cameFrom(t, p, "websocket")
	if strings.Contains(p.all(), "6.6.6.6") {
		t.Error("a forged address is believed")
	}
}

func proxiedMQTT(t *testing.T, p *program, x proxy) {
	nc, _, err := dialProxy(t, x, nil, "mqtt")
	if err != nil {
		t.Fatal(err)
	}
	m, code := mqtt5Connect(t, nc, "", "")
	if code != 0 || nc.Subprotocol() != "mqtt" {
		t.Fatalf("code %d, subprotocol %q", code, nc.Subprotocol())
	}
	m.subscribe("proxied/#")
	m.publish("proxied/a", "hello")
	if got := m.next(); got != "hello" {
		t.Errorf("got %q", got)
	}
	cameFrom(t, p, "websocket")
}

// proxiedCodes has each side close, and wants the other to hear why.
func proxiedCodes(t *testing.T, p *program, x proxy) {
	nc, _, err := dialProxy(t, x, nil, "mqtt")
	if err != nil {
		t.Fatal(err)
	}
	nc.kind = websocket.TextMessage // MQTT is binary
	_, _ = io.WriteString(nc, mqttConnect(5, "", 0))
	closed := new(websocket.CloseError)
	if _, err := io.ReadAll(nc); !errors.As(err, &closed) || closed.Code != websocket.CloseUnsupportedData || !strings.HasPrefix(closed.Text, "unsupported") {
		t.Errorf("the client hears %v, want 1003 and why", err)
	}
	if nc, _, err = dialProxy(t, x, nil, "v12.stomp"); err != nil {
		t.Fatal(err)
	}
	stompConnect(t, nc, "", "")
	bye := websocket.FormatCloseMessage(4711, "client's own")
	if err := nc.WriteControl(websocket.CloseMessage, bye, time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadAll(nc); !errors.As(err, &closed) || !strings.Contains(closed.Text, "4711") {
		t.Errorf("the client hears %v, want an answer to its 4711", err)
	}
	p.await(t, "close 4711: client's own")
}

// proxiedHTTP asks for what is no WebSocket, or not allowed.
func proxiedHTTP(t *testing.T, x proxy) {
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: x.trust, DialContext: proxyDialer().DialContext, DisableKeepAlives: true}}
	res, err := client.Get("https://" + x.websocket + "/")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	want := map[string]string{
		"Strict-Transport-Security": "max-age=31536000", "X-Content-Type-Options": "nosniff", "Cache-Control": "no-store", "Referrer-Policy": "no-referrer",
	}
	if body, _ := io.ReadAll(res.Body); res.StatusCode != http.StatusUpgradeRequired || !bytes.Contains(body, []byte("v12.stomp")) {
		t.Errorf("%s %s", res.Status, body)
	}
	for name, value := range want {
		if got := res.Header.Values(name); len(got) != 1 || got[0] != value {
			t.Errorf("%s: %q, want %q once", name, got, value)
		}
	}
	_, res, err = dialProxy(t, x, http.Header{"Origin": {"https://evil.example"}}, "mqtt")
	if err == nil || res == nil || res.StatusCode != http.StatusForbidden {
		t.Errorf("a foreign page: %v", err)
	}
}

// proxiedIdle says nothing for longer than the proxy waits: the broker's PING keeps the connection.
func proxiedIdle(t *testing.T, x proxy) {
	nc, _, err := dialProxy(t, x, nil, "v12.stomp")
	if err != nil {
		t.Fatal(err)
	}
	c, _ := stompConnect(t, nc, "", "")
	c.ok("SUBSCRIBE", "", "id:1", "destination:/topic/idle")
	var pings int
	done := make(chan struct{})
	nc.SetPingHandler(func(data string) error {
		if pings++; pings == int(proxyIdle*2/proxyPing) {
			close(done)
		}
		return nc.WriteControl(websocket.PongMessage, []byte(data), time.Now().Add(patience))
	})
	var reading sync.WaitGroup
	var heard stompAnswer
	reading.Go(func() { heard = c.read() })
	select {
	case <-done:
		c.send("SEND", "still here", "destination:/topic/idle")
	case <-time.After(patience):
		t.Error("no PING came through the proxy")
		_ = nc.Close()
	}
	reading.Wait()
	if heard.body != "still here" {
		t.Errorf("after %s without traffic: %+v", proxyIdle*2, heard)
	}
}

// proxiedTCP talks STOMP and MQTT over TLS that ends at the proxy, which tells of its clients by the PROXY protocol.
func proxiedTCP(t *testing.T, p *program, x proxy) {
	dial := func(addr string) net.Conn {
		nc, err := (&tls.Dialer{NetDialer: proxyDialer(), Config: x.trust}).DialContext(t.Context(), "tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = nc.Close() })
		return nc
	}
	nc := dial(x.stomp)
	c, hello := stompConnect(t, nc, "", "")
	if hello.command != "CONNECTED" {
		t.Fatalf("got %+v", hello)
	}
	m, code := mqtt5Connect(t, dial(x.mqtt), "", "")
	if code != 0 {
		t.Fatalf("CONNACK %d", code)
	}
	m.subscribe("tcp/#")
	c.ok("SEND", "from STOMP", "destination:/topic/tcp.a")
	if got := m.next(); got != "from STOMP" {
		t.Errorf("got %q", got)
	}
	local, _ := nc.LocalAddr().(*net.TCPAddr)
	c.ok("DISCONNECT", "")
	_ = nc.Close()
	p.await(t, fmt.Sprintf("remote=%s:%d", proxyClient, local.Port)) // with its port
	cameFrom(t, p, "stomp")
	if direct := dialDirect(t, p.addrs["stomp"]); direct != "" {
		t.Errorf("without a PROXY header the broker says %q", direct)
	}
}

// dialDirect talks STOMP to a listener that wants a PROXY header first, and returns the answer.
func dialDirect(t *testing.T, addr string) string {
	t.Helper()
	nc := dial(t, addr)
	_, _ = io.WriteString(nc, stompFrame("CONNECT", "accept-version:1.2", "host:/"))
	b, _ := io.ReadAll(nc)
	return string(b)
}
