package console_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"github.com/wyemq/wye/plugins/console"
)

// chromium returns a browser. A machine without one fails the test: the pages are nothing that can be
// tested otherwise.
func chromium(t *testing.T) context.Context {
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
		chromedp.Flag("disable-component-update", true), chromedp.WindowSize(1280, 900))
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	ctx, stop := chromedp.NewExecAllocator(ctx, options...)
	t.Cleanup(stop)
	ctx, leave := chromedp.NewContext(ctx)
	t.Cleanup(leave)
	return ctx
}

// action is a step that returns nothing.
type action = chromedp.Action[chromedp.Void]

// ready is there when the scripts of a page have done their work.
const ready = chromedp.CSS("html[data-ready=true]")

func do(ctx context.Context, t *testing.T, steps ...action) {
	t.Helper()
	if err := chromedp.Do(ctx, steps...); err != nil {
		t.Fatal(err)
	}
}

func ask[T any](ctx context.Context, t *testing.T, a chromedp.Action[T]) T {
	t.Helper()
	answer, err := chromedp.Run(ctx, a)
	if err != nil {
		t.Fatal(err)
	}
	return answer
}

// complaints are what a browser says against a page: errors and warnings on its console, exceptions,
// answers that are no success, and what left the machine.
type complaints struct {
	mu   sync.Mutex
	list []string
}

func (c *complaints) add(format string, args ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.list = append(c.list, fmt.Sprintf(format, args...))
}

func (c *complaints) take() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	list := c.list
	c.list = nil
	return list
}

func (c *complaints) listen(ctx context.Context, origin string) error {
	return chromedp.Listen(ctx, func(ev any) {
		switch ev := ev.(type) {
		case *log.EventEntryAdded:
			// Violations of the Content-Security-Policy come this way.
			c.add("%s: %s", ev.Entry.Level, ev.Entry.Text)
		case *runtime.EventExceptionThrown:
			c.add("exception: %s", ev.ExceptionDetails.Text)
		case *runtime.EventConsoleAPICalled:
			c.add("console.%s", ev.Type)
		case *network.EventResponseReceived:
			if ev.Response.Status >= http.StatusBadRequest {
				c.add("%s: %d", ev.Response.URL, ev.Response.Status)
			}
		case *network.EventRequestWillBeSent:
			if url := ev.Request.URL; !strings.HasPrefix(url, origin+"/") && !strings.HasPrefix(url, "data:") {
				c.add("the page asked for %s", url)
			}
		}
	})
}

func TestPagesInChromium(t *testing.T) {
	srv := httptest.NewServer(newConsole(t,
		console.Listener{Name: "stomp", URL: "tcp://127.0.0.1:61613", Protocols: []string{"stomp"}},
		console.Listener{Name: "websocket", URL: "ws://0.0.0.0:4711"},
	))
	defer srv.Close()
	ctx := chromium(t)
	var wrong complaints
	if err := wrong.listen(ctx, srv.URL); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		path, field, value string
		panes              int
	}{
		{"/demo", `.pane[data-protocol=stomp] [name=url]`, "ws://127.0.0.1:4711", 2},
		{"/demo/", `.pane[data-protocol=mqtt] [name=port]`, "4711", 2},
		{"/demo/websocket", `[name=destination]`, "/queue/test", 1},
		{"/demo/mqtt", `[name=host]`, "127.0.0.1", 1},
	} {
		t.Run(tc.path, func(t *testing.T) {
			do(ctx, t, chromedp.Navigate(srv.URL+tc.path), chromedp.WaitReady(ready))
			value := ask(ctx, t, chromedp.Value(chromedp.CSS(tc.field)))
			panes := ask(ctx, t, chromedp.Evaluate[int](`document.querySelectorAll(".pane").length`))
			state := ask(ctx, t, chromedp.Text(chromedp.CSS(".pane .state-text")))
			if value != tc.value || panes != tc.panes || state != "not connected" {
				t.Errorf("%s is %q, want %q; %d panes, want %d; state %q", tc.field, value, tc.value, panes, tc.panes, state)
			}
			if list := wrong.take(); len(list) > 0 {
				t.Errorf("the browser complains:\n%s", strings.Join(list, "\n"))
			}
		})
	}
}

// What is wrong is said on the page.
func TestFailuresInChromium(t *testing.T) {
	refusing := httptest.NewServer(http.NotFoundHandler())
	defer refusing.Close()
	srv := httptest.NewServer(newConsole(t, console.Listener{URL: "ws" + strings.TrimPrefix(refusing.URL, "http")}))
	defer srv.Close()
	ctx := chromium(t)
	connect := func(t *testing.T, page string, before ...action) string {
		t.Helper()
		do(ctx, t, chromedp.Navigate(srv.URL+page), chromedp.WaitReady(ready))
		do(ctx, t, before...)
		do(ctx, t, chromedp.Click(chromedp.CSS(".settings [type=submit]")), chromedp.WaitVisible(chromedp.CSS(".pane[data-state=failed]")))
		return ask(ctx, t, chromedp.Text(chromedp.CSS(".state-text")))
	}
	for _, tc := range []struct {
		name, page, want string
		before           []action
	}{
		{"STOMP refused", "/demo/websocket", "closed: 1006 (no close frame", nil},
		{"classic STOMP refused", "/demo/websocket", "closed: 1006 (no close frame", []action{chromedp.SetValue(chromedp.CSS(`[name=library]`), "classic")}},
		{"MQTT refused", "/demo/mqtt", "closed: 1006 (no close frame", nil},
		{"no URL", "/demo/websocket", "is not a URL", []action{chromedp.SetValue(chromedp.CSS(`[name=url]`), "localhost")}},
		{"not a WebSocket URL", "/demo/websocket", "must begin with ws:// or wss://", []action{chromedp.SetValue(chromedp.CSS(`[name=url]`), "stomp://localhost")}},
		{"no port", "/demo/mqtt", "between 1 and 65535", []action{chromedp.SetValue(chromedp.CSS(`[name=port]`), "many")}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := connect(t, tc.page, tc.before...); !strings.Contains(got, tc.want) {
				t.Errorf("the page says %q, want %q in it", got, tc.want)
			}
		})
	}
}
