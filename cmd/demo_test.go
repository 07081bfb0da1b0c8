package wyecmd_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	wyecmd "github.com/wyemq/wye/cmd"
)

// logWatch is a log that tells when a line of it has come.
type logWatch struct {
	mu    sync.Mutex
	text  bytes.Buffer
	waits []chan struct{}
}

func (l *logWatch) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, w := range l.waits {
		close(w)
	}
	l.waits = nil
	return l.text.Write(p)
}

// find waits until the log matches, and returns the first group.
func (l *logWatch) find(t *testing.T, pattern string, ended <-chan int) string {
	t.Helper()
	re := regexp.MustCompile(pattern)
	for {
		l.mu.Lock()
		m := re.FindStringSubmatch(l.text.String())
		more := make(chan struct{})
		l.waits = append(l.waits, more)
		text := l.text.String()
		l.mu.Unlock()
		if m != nil {
			return m[1]
		}
		select {
		case <-more:
		case code := <-ended:
			t.Fatalf("the program ended with %d:\n%s", code, text)
		case <-t.Context().Done():
			t.Fatalf("no line like %s:\n%s", pattern, text)
		}
	}
}

// startProgram runs the whole program on free ports and returns the URL of its admin server.
func startProgram(t *testing.T, args ...string) (adminURL string) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var lines logWatch
	ended := make(chan int, 1)
	args = append(append(args, "--set", "admin.listen=127.0.0.1:0"), scratch(t)...)
	for _, l := range []string{"websocket.uri=ws", "stomp.uri=tcp", "mqtt.uri=tcp"} {
		args = append(args, "--set", "listeners."+l+"://127.0.0.1:0")
	}
	go func() { ended <- wyecmd.Run(ctx, args, io.Discard, &lines) }()
	lines.find(t, `msg=(ready)`, ended)
	t.Cleanup(func() {
		cancel()
		if code := <-ended; code != 0 {
			t.Errorf("the program ended with %d:\n%s", code, &lines.text)
		}
	})
	return lines.find(t, `msg=listening listener=admin address=(\S+)`, ended)
}

func get(t *testing.T, url string) (int, string) {
	t.Helper()
	res, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(body)
}

// TestAdmin opens what a newcomer opens.
func TestAdmin(t *testing.T) {
	url := startProgram(t)
	for path, want := range map[string]string{
		"/": `href="/demo"`, "/healthz": "ok", "/readyz": "ready", "/demo": "<h1>", "/demo/websocket": "<h1>", "/demo/mqtt": "<h1>",
		"/metrics": `wye_connections{listener="websocket",transport="ws"} 0`,
	} {
		for _, path := range []string{path, strings.TrimRight(path, "/") + "/"} {
			if code, body := get(t, url+path); code != http.StatusOK || !strings.Contains(body, want) {
				t.Errorf("GET %s: %d, no %q in %d bytes", path, code, want, len(body))
			}
		}
	}
	_, body := get(t, url+"/demo/config.json")
	var config struct {
		Listeners []struct {
			Name, URL string
			Protocols []string
		}
	}
	if err := json.Unmarshal([]byte(body), &config); err != nil {
		t.Fatal(err)
	}
	for _, l := range config.Listeners {
		if l.Name == "websocket" && strings.HasPrefix(l.URL, "ws://127.0.0.1:") && !strings.HasSuffix(l.URL, ":0") && len(l.Protocols) > 0 {
			return
		}
	}
	t.Errorf("the pages are not told where to connect: %s", body)
}

// browser returns Chromium. A machine without it fails the test.
func browser(t *testing.T) context.Context {
	t.Helper()
	names := []string{"chromium", "chromium-browser", "google-chrome", "chrome"}
	if name := os.Getenv("CHROME_BIN"); name != "" {
		names = []string{name}
	}
	var path string
	for _, name := range names {
		if found, err := exec.LookPath(name); err == nil {
			path = found
			break
		}
	}
	if path == "" {
		t.Fatalf("no browser (%s): install Chromium (on Debian: apt-get install chromium) or say in CHROME_BIN where it is",
			strings.Join(names, ", "))
	}
	options := append(slices.Clone(chromedp.DefaultExecAllocatorOptions[:]), chromedp.ExecPath(path),
		chromedp.NoSandbox, chromedp.DisableGPU, chromedp.UserDataDir(t.TempDir()),
		chromedp.Flag("disable-component-update", true), chromedp.WindowSize(1280, 960))
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	ctx, stop := chromedp.NewExecAllocator(ctx, options...)
	t.Cleanup(stop)
	ctx, leave := chromedp.NewContext(ctx)
	t.Cleanup(leave)
	return ctx
}

// tab is a page of the demos in a browser.
type tab struct {
	t   *testing.T
	ctx context.Context
}

func openPage(ctx context.Context, t *testing.T, url string) *tab {
	t.Helper()
	if err := chromedp.Listen(ctx, func(ev any) {
		switch ev := ev.(type) {
		case *log.EventEntryAdded:
			if ev.Entry.Level != log.EntryLevelVerbose {
				t.Errorf("the browser says: %s: %s", ev.Entry.Level, ev.Entry.Text)
			}
		case *runtime.EventExceptionThrown:
			t.Errorf("exception: %s", ev.ExceptionDetails.Text)
		}
	}); err != nil {
		t.Fatal(err)
	}
	p := &tab{t, ctx}
	p.do(chromedp.Navigate(url), chromedp.WaitReady(chromedp.CSS("html[data-ready=true]")))
	return p
}

func (p *tab) do(steps ...chromedp.Action[chromedp.Void]) {
	p.t.Helper()
	if err := chromedp.Do(p.ctx, steps...); err != nil {
		text, _ := chromedp.Run(p.ctx, chromedp.Evaluate[string](`[...document.querySelectorAll(".state-text, .frames")].map((e) => e.textContent).join("\n")`))
		p.t.Fatalf("%v; the page says:\n%s", err, text)
	}
}

// pane is the selector of something in the pane of a protocol.
func pane(protocol, rest string) chromedp.CSS {
	return chromedp.CSS(fmt.Sprintf(".pane[data-protocol=%s]%s", protocol, rest))
}

func (p *tab) connect(protocol string) {
	p.t.Helper()
	p.do(chromedp.Click(pane(protocol, " .settings [type=submit]")))
	p.subscribed(protocol)
}

// subscribed waits until a client is, or cannot be.
func (p *tab) subscribed(protocol string) {
	p.t.Helper()
	p.do(chromedp.WaitVisible(pane(protocol, ":is([data-state=subscribed], [data-state=failed])")))
	text, err := chromedp.Run(p.ctx, chromedp.Text(pane(protocol, " .state-text")))
	if err != nil || !strings.HasPrefix(text, "connected") {
		p.t.Fatalf("the %s client says %q (%v)", protocol, text, err)
	}
}

func (p *tab) say(protocol, text string) {
	p.t.Helper()
	p.do(chromedp.SendKeys(pane(protocol, " .compose input"), text+"\r"))
}

// hear waits until the nth message of a pane is there and checks its text.
func (p *tab) hear(protocol string, n int, want string) {
	p.t.Helper()
	p.do(chromedp.WaitReady(pane(protocol, fmt.Sprintf(" .messages li:nth-child(%d)", n))))
	got, err := chromedp.Run(p.ctx, chromedp.Text(pane(protocol, fmt.Sprintf(" .messages li:nth-child(%d) .body", n))))
	if err != nil || got != want {
		p.t.Errorf("message %d in the %s pane is %q, want %q (%v)", n, protocol, got, want, err)
	}
}

// TestDemoSTOMP chats over /queue/test with both generations of stomp.js.
func TestDemoSTOMP(t *testing.T) {
	url := startProgram(t)
	ctx := browser(t)
	for _, library := range []string{"modern", "classic"} {
		t.Run(library, func(t *testing.T) {
			p := openPage(ctx, t, url+"/demo/websocket")
			p.do(chromedp.SetValue(chromedp.CSS("[name=library]"), library))
			p.connect("stomp")
			p.say("stomp", "hello, queue")
			p.hear("stomp", 1, "hello, queue")
			p.say("stomp", "こんにちは 🐎")
			p.hear("stomp", 2, "こんにちは 🐎")
			p.do(chromedp.WaitReady(chromedp.CSS(".frames .in")),
				chromedp.Click(chromedp.CSS(".settings [type=submit]")), chromedp.WaitVisible(chromedp.CSS("[data-state=off]")))
		})
	}
}

// TestDemoMQTT chats with Paho.
func TestDemoMQTT(t *testing.T) {
	url := startProgram(t)
	p := openPage(browser(t), t, url+"/demo/mqtt")
	p.connect("mqtt")
	p.say("mqtt", "hello, topic")
	p.hear("mqtt", 1, "hello, topic")
	p.do(chromedp.Click(chromedp.CSS(".settings [type=submit]")), chromedp.WaitVisible(chromedp.CSS("[data-state=off]")))
}

// TestDemoSideBySide has both clients on one page, on one URL, and on one destination. With
// -artifacts there is a picture to look at.
func TestDemoSideBySide(t *testing.T) {
	url := startProgram(t)
	p := openPage(browser(t), t, url+"/demo")
	p.do(chromedp.Click(chromedp.CSS(".connect-all")))
	p.subscribed("stomp")
	p.subscribed("mqtt")
	for i, m := range []struct{ from, text string }{
		{"stomp", "Hello from STOMP"},
		{"mqtt", "Hello from MQTT, same URL"},
		{"stomp", "You call this demo/chat?"},
		{"mqtt", "And you /topic/demo.chat. こんにちは 🐎"},
	} {
		p.say(m.from, m.text)
		p.hear("stomp", i+1, m.text)
		p.hear("mqtt", i+1, m.text)
	}
	for protocol, want := range map[string]string{"stomp": "/topic/demo.chat", "mqtt": "demo/chat"} {
		about, err := chromedp.Run(p.ctx, chromedp.Text(pane(protocol, " .messages li:nth-child(4) .about")))
		if err != nil || !strings.Contains(about, want) {
			t.Errorf("the %s client sees %q, want its own spelling %s (%v)", protocol, about, want, err)
		}
	}
	_, scraped := get(t, url+"/metrics")
	for _, want := range []string{
		`wye_sessions{protocol="stomp",vhost="/"} 1`, `wye_sessions{protocol="mqtt",vhost="/"} 1`,
		`wye_messages_received_total{protocol="stomp",vhost="/"} 2`, `wye_messages_delivered_total{protocol="mqtt",vhost="/"} 4`,
		`wye_connections{listener="websocket",transport="ws"} 2`,
	} {
		if !strings.Contains(scraped, want+"\n") {
			t.Errorf("the metrics have no %s", want)
		}
	}
	picture, err := chromedp.Run(p.ctx, chromedp.FullScreenshot(100))
	if err == nil {
		err = os.WriteFile(filepath.Join(t.ArtifactDir(), "demo.png"), picture, 0o600)
	}
	if err != nil {
		t.Error(err)
	}
}

// TestDemoSaysWhy shows that the reason of the broker reaches the page.
func TestDemoSaysWhy(t *testing.T) {
	url := startProgram(t, "--set", "auth.anonymous=false")
	ctx := browser(t)
	for page, want := range map[string]string{"/demo/websocket": "1008 bad_credentials", "/demo/mqtt": "1008 bad_credentials"} {
		p := openPage(ctx, t, url+page)
		p.do(chromedp.Click(chromedp.CSS(".settings [type=submit]")), chromedp.WaitVisible(chromedp.CSS("[data-state=failed]")))
		state, err := chromedp.Run(ctx, chromedp.Text(chromedp.CSS(".state-text")))
		if err != nil || !strings.Contains(state, want) {
			t.Errorf("%s says %q, want %q in it (%v)", page, state, want, err)
		}
	}
}
