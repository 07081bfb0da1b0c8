package tickets_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wyemq/wye/core"
	"github.com/wyemq/wye/plugins/tickets"
)

const key = "0123456789abcdef"

func newOffice(t *testing.T, log *slog.Logger, change ...func(*tickets.Config)) *tickets.Office {
	t.Helper()
	cfg := tickets.DefaultConfig()
	cfg.Key = key
	for _, fn := range change {
		fn(&cfg)
	}
	o, err := tickets.New(cfg, log)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

// post asks for a ticket.
func post(o *tickets.Office, method, auth, body string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, "/tickets", strings.NewReader(body))
	if auth != "" {
		r.Header.Set("Authorization", auth)
	}
	w := httptest.NewRecorder()
	o.ServeHTTP(w, r)
	return w
}

func ticket(t *testing.T, o *tickets.Office, body string) string {
	t.Helper()
	w := post(o, "POST", "Bearer "+key, body)
	var out struct {
		Ticket string
	}
	if err := json.Unmarshal(w.Body.Bytes(), &out); err != nil || w.Code != 200 || len(out.Ticket) < 24 {
		t.Fatalf("%d %s: %v", w.Code, w.Body, err)
	}
	return out.Ticket
}

func login(t *testing.T, o *tickets.Office, l *core.Login) string {
	t.Helper()
	p, err := o.Authenticate(t.Context(), l)
	switch {
	case errors.Is(err, core.ErrSkip):
		return "skipped"
	case errors.Is(err, core.ErrLogin):
		return "refused"
	case err != nil:
		return err.Error()
	default:
		site, _ := p.Claims.Get("site")
		return fmt.Sprint(p.Name, " ", p.Groups, " ", site)
	}
}

// TestOnce lets in once, and not too late.
func TestOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t, quiet())
		name := ticket(t, o, `{"user":"ali","groups":["g"],"claims":{"site":"n"}}`)
		if got := login(t, o, &core.Login{Ticket: name}); got != "ali [g] n" {
			t.Error(got)
		}
		if got := login(t, o, &core.Login{Ticket: name}); got != "refused" {
			t.Errorf("a second time: %s", got)
		}
		for _, l := range []core.Login{{Token: "ticket."}, {Ticket: "x"}, {Token: "ticket.x"}, {Password: "ticket.x"}} {
			want := "refused"
			if l.Token == "ticket." {
				want = "skipped"
			}
			if got := login(t, o, &l); got != want {
				t.Errorf("%+v: %s", l, got)
			}
		}
		if got := login(t, o, &core.Login{User: "u", Password: "ticket." + ticket(t, o, `{"user":"bea"}`)}); got != "bea [] <nil>" {
			t.Errorf("as password: %s", got)
		}
		late, soon := ticket(t, o, `{"user":"ali"}`), ticket(t, o, `{"user":"ali","ttl":1.5}`)
		time.Sleep(1600 * time.Millisecond)
		if got := login(t, o, &core.Login{Ticket: soon}); got != "refused" {
			t.Errorf("after its time: %s", got)
		}
		time.Sleep(29 * time.Second)
		if got := login(t, o, &core.Login{Ticket: late}); got != "refused" {
			t.Errorf("after 30 s: %s", got)
		}
		bound := ticket(t, o, `{"user":"ali","client_id":"c"}`)
		if got := login(t, o, &core.Login{Ticket: bound, ClientID: "d"}); got != "refused" {
			t.Errorf("another client id: %s", got)
		}
		if got := login(t, o, &core.Login{Ticket: bound, ClientID: "c"}); got != "refused" {
			t.Errorf("used up by another: %s", got)
		}
		p, err := o.Authenticate(t.Context(), &core.Login{Ticket: ticket(t, o, `{"user":"ali","session":60}`)})
		if err != nil || time.Until(p.Expires) != time.Minute {
			t.Errorf("%v, expires %v", err, p.Expires)
		}
	})
}

// TestRace gives a ticket to one of many.
func TestRace(t *testing.T) {
	o := newOffice(t, quiet())
	name := ticket(t, o, `{"user":"ali"}`)
	var wg sync.WaitGroup
	var in atomic.Int32
	for range 16 {
		wg.Go(func() {
			if login(t, o, &core.Login{Ticket: name}) == "ali [] <nil>" {
				in.Add(1)
			}
		})
	}
	wg.Wait()
	if n := in.Load(); n != 1 {
		t.Errorf("%d were let in", n)
	}
}

// TestRefuses says why there is no ticket, and tells no secret in the log.
func TestRefuses(t *testing.T) {
	var log bytes.Buffer
	o := newOffice(t, slog.New(slog.NewTextHandler(&log, nil)))
	o.Among(func() []string { return []string{"/", "a"} })
	for _, c := range []struct {
		method, auth, body string
		code               int
	}{
		{"GET", "Bearer " + key, `{"user":"a"}`, 405},
		{"POST", "", `{"user":"a"}`, 401},
		{"POST", "Bearer 0123456789abcdeF", `{"user":"a"}`, 401},
		{"POST", "Basic " + key, `{"user":"a"}`, 401},
		{"POST", "Bearer ", `{"user":"a"}`, 401},
		{"POST", "Bearer " + key, ``, 400},
		{"POST", "Bearer " + key, `{}`, 400},
		{"POST", "Bearer " + key, `{"user":"a","ttl":31}`, 400},
		{"POST", "Bearer " + key, `{"user":"a","ttl":-1}`, 400},
		{"POST", "Bearer " + key, `{"user":"a","session":-1}`, 400},
		{"POST", "Bearer " + key, `{"user":"a","admin":true}`, 400},
		{"POST", "Bearer " + key, `{"user":"` + strings.Repeat("a", 70_000) + `"}`, 400},
		{"POST", "Bearer " + key, `{"user":"a"}{"user":"b"}`, 400},
		{"POST", "Bearer " + key, `{"user":"a"}}`, 400},
		{"POST", "Bearer " + key, `{"user":"a","vhost":"nope"}`, 400},
		{"POST", "Bearer " + key, `{"user":"a","vhost":"a"}`, 200},
		{"POST", "bearer " + key, "{\"user\":\"a\"}\n", 200},
	} {
		if w := post(o, c.method, c.auth, c.body); w.Code != c.code {
			t.Errorf("%s %s %.40s: %d %s", c.method, c.auth, c.body, w.Code, w.Body)
		}
	}
	name := ticket(t, o, `{"user":"ali"}`)
	if text := log.String(); strings.Contains(text, key) || strings.Contains(text, name) || !strings.Contains(text, "user=ali") {
		t.Errorf("the log is\n%s", text)
	}
	off := newOffice(t, quiet(), func(c *tickets.Config) { c.Key = "" })
	if w := post(off, "POST", "Bearer ", `{"user":"a"}`); w.Code != 403 || off.Enabled() {
		t.Errorf("without a key: %d", w.Code)
	}
	if got := login(t, off, &core.Login{Ticket: "x"}); got != "skipped" {
		t.Errorf("without a key: %s", got)
	}
}

// TestMax bounds what nobody uses, and makes room when it is too old.
func TestMax(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t, quiet(), func(c *tickets.Config) { c.Max = 3 })
		for range 3 {
			ticket(t, o, `{"user":"ali"}`)
		}
		if w := post(o, "POST", "Bearer "+key, `{"user":"a"}`); w.Code != 503 {
			t.Errorf("%d", w.Code)
		}
		time.Sleep(31 * time.Second)
		ticket(t, o, `{"user":"ali"}`)
	})
}

// TestConfig refuses what makes no sense.
func TestConfig(t *testing.T) {
	err := tickets.Config{Key: "short", TTL: 2 * time.Hour}.Validate("k")
	for _, want := range []string{"k.key: ", "k.ttl: ", "k.max: "} {
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "short") {
			t.Errorf("%q is not in %v", want, err)
		}
	}
	if _, err := tickets.New(tickets.Config{}, quiet()); err == nil {
		t.Error("New does not check")
	}
}
