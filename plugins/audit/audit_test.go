package audit_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wyemq/wye/core"
	"github.com/wyemq/wye/plugins/audit"
)

// refusal is one of a user.
func refusal(user string) *core.Event {
	return &core.Event{
		Kind: core.EventRefused, Time: time.Now(), User: user, Op: core.OpPublish, Destination: "topic/a", Err: core.Deny("r"),
		Conn: &core.ConnInfo{ID: "c1", Listener: "mqtt", Remote: &net.TCPAddr{IP: net.IPv4(192, 0, 2, 7), Port: 4711}},
	}
}

// run runs a log until the end of the test, or until stop is called.
func run(t *testing.T, l *audit.Log) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	ready := make(chan struct{})
	wg.Go(func() {
		if err := l.Run(ctx, func() { close(ready) }); err != nil {
			t.Error(err)
		}
	})
	<-ready
	stop = sync.OnceFunc(func() {
		cancel()
		wg.Wait()
	})
	t.Cleanup(stop)
	return stop
}

// records reads a file.
func records(t *testing.T, file string) []audit.Record {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var all []audit.Record
	for line := range strings.Lines(string(text)) {
		var r audit.Record
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		all = append(all, r)
	}
	return all
}

// TestFlood adds refusals up that are alike, and loses the count of none.
func TestFlood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "log")
		l := audit.New(audit.Config{File: file}, slog.New(slog.DiscardHandler))
		stop := run(t, l)
		for range 1000 {
			l.Observe(refusal("mallory"))
		}
		l.Observe(refusal("ali"))
		login := &core.Event{Kind: core.EventLogin, Time: time.Now(), User: "bea"}
		for range 50 {
			l.Observe(login)
		}
		time.Sleep(3 * time.Second)
		for i := range 5000 {
			l.Observe(refusal(fmt.Sprint("guess ", i)))
		}
		time.Sleep(3 * time.Second)
		stop()
		lines, count := make(map[string]int), make(map[string]int)
		for _, r := range records(t, file) {
			who, _, _ := strings.Cut(r.User, " ")
			if r.Count > 0 {
				count[who] += r.Count
			} else {
				lines[who]++
			}
		}
		for who, want := range map[string][2]int{"mallory": {10, 990}, "ali": {1, 0}, "bea": {50, 0}, "guess": {1000, 0}, "": {0, 4000}} {
			if got := [2]int{lines[who], count[who]}; got != want {
				t.Errorf("%q: %d lines and %d added up, want %v", who, got[0], got[1], want)
			}
		}
		if written, lost := l.Stats(); lost != 0 || written != uint64(len(records(t, file))) {
			t.Errorf("%d written, %d lost", written, lost)
		}
	})
}

// TestFloodAtTheDoor bounds what those can have written who need no user for it, from however many addresses, and counts all.
func TestFloodAtTheDoor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "log")
		l := audit.New(audit.Config{File: file}, slog.New(slog.DiscardHandler))
		stop := run(t, l)
		const each, seconds = 500, 60
		for i := range each * seconds {
			e := refusal("")
			e.Kind, e.Op, e.Destination, e.Err = core.EventConnRefused, 0, "", core.ErrLoginTimeout
			if e.Conn.Listener = "wait"; i%2 == 0 {
				e.Conn.Remote, e.Conn.Listener = &net.TCPAddr{IP: net.IPv4(10, 0, byte(i>>8), byte(i))}, "other"
			}
			l.Observe(e)
			time.Sleep(time.Second / each)
		}
		stop()
		lines, count, known := 0, 0, 0
		for _, r := range records(t, file) {
			lines++
			count += max(r.Count, 1)
			if r.Event != "connection_refused" || r.Reason != "login_timeout" {
				t.Errorf("%+v", r)
			}
			if r.Remote == "192.0.2.7" && r.Listener == "wait" {
				known += max(r.Count, 1)
			}
		}
		if count != each*seconds || lines > 10*seconds || known != each*seconds/2 {
			t.Errorf("%d connections in %d lines, %d of them of one address", count, lines, known)
		}
	})
}

// TestFloodOfRequests bounds what requests to the admin server can have written that fail, in lines and in bytes, and counts
// all. What somebody has done has lines of its own, however often.
func TestFloodOfRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "log")
		l := audit.New(audit.Config{File: file}, slog.New(slog.DiscardHandler))
		stop := run(t, l)
		long := strings.Repeat("x", 10_000)
		for i := range 1000 {
			l.Add(audit.Record{Event: "admin", Action: fmt.Sprint("POST /", i, long), Status: 404, Remote: "192.0.2.7", VHost: long, Client: long})
			l.Add(audit.Record{Event: "admin", Action: "POST /reload", Status: 401, Remote: "192.0.2.7", User: fmt.Sprint(i, long)})
			l.Add(audit.Record{Event: "admin", Action: "POST /reload", Status: 403, User: "tom", By: "tom"})
			if i < 50 {
				l.Add(audit.Record{Event: "admin", Action: "POST /reload", Status: 200, User: "root", By: "root" + long})
			}
		}
		stop()
		lines, count := make(map[int]int), make(map[int]int)
		for _, r := range records(t, file) {
			lines[r.Status]++
			count[r.Status] += max(r.Count, 1)
			for _, text := range []string{r.Action, r.User, r.VHost, r.Client, r.By} {
				if len(text) > 260 {
					t.Errorf("%d bytes of %.20s", len(text), text)
				}
			}
			if (r.By == "tom") != (r.Status == 403) {
				t.Errorf("%+v", r)
			}
		}
		for status, want := range map[int][2]int{404: {3, 1000}, 401: {20, 1000}, 403: {11, 1000}, 200: {50, 50}} {
			if got := [2]int{lines[status], count[status]}; got != want {
				t.Errorf("status %d: %d lines for %d requests, want %v", status, got[0], got[1], want)
			}
		}
	})
}

// TestFull keeps what a full disk does not take, says so once, counts what is lost, and goes on when there is room.
func TestFull(t *testing.T) {
	if _, err := os.Stat("/dev/full"); err != nil {
		t.Skip("there is no /dev/full here")
	}
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		name, real := filepath.Join(dir, "log"), filepath.Join(dir, "real")
		if err := os.Symlink("/dev/full", name); err != nil {
			t.Fatal(err)
		}
		var said bytes.Buffer
		l := audit.New(audit.Config{File: name}, slog.New(slog.NewTextHandler(&said, nil)))
		stop := run(t, l)
		l.Add(audit.Record{Event: "first"})
		time.Sleep(5 * time.Second)
		n := 0
		for ; ; n++ {
			l.Add(audit.Record{Event: "more", Detail: strings.Repeat("x", 1000)})
			if _, lost := l.Stats(); lost == 100 {
				break
			}
		}
		time.Sleep(5 * time.Second)
		if n < 3000 || n > 5000 {
			t.Errorf("%d records of 1 KiB were taken", n)
		}
		if err := os.Remove(name); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(real, name); err != nil {
			t.Fatal(err)
		}
		l.Reopen()
		time.Sleep(2 * time.Second)
		l.Add(audit.Record{Event: "last"})
		stop()
		all := records(t, real)
		k := len(all)
		if k < 3000 || all[0].Event != "first" || all[k-1].Event != "last" || all[k-2].Event != "audit_lost" || all[k-2].Count != 100 {
			t.Errorf("%d records, the last of them %+v", k, all[max(k-2, 0):])
		}
		if once := strings.Count(said.String(), "audit log cannot be written"); once != 1 || !strings.Contains(said.String(), "is written again") {
			t.Errorf("the program's log has\n%s", said.String())
		}
	})
}

// TestReopen goes on in a new file when the old one was moved away, with nothing lost between the two.
func TestReopen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		file := filepath.Join(dir, "log")
		l := audit.New(audit.Config{File: file}, slog.New(slog.DiscardHandler))
		stop := run(t, l)
		move := func(to string) {
			t.Helper()
			synctest.Wait()
			if err := os.Rename(file, filepath.Join(dir, to)); err != nil {
				t.Fatal(err)
			}
		}
		l.Add(audit.Record{Event: "a"})
		move("log.1")
		l.Add(audit.Record{Event: "b"}) // nobody has said anything yet
		synctest.Wait()
		l.Reopen()
		l.Reopen()
		l.Add(audit.Record{Event: "c"})
		synctest.Wait()

		c, err := l.Prepare(audit.Config{File: filepath.Join(dir, "other")})
		if err != nil {
			t.Fatal(err)
		}
		l.Add(audit.Record{Event: "d"})
		synctest.Wait()
		c.Apply()
		l.Add(audit.Record{Event: "e"})
		synctest.Wait()
		if c, err = l.Prepare(audit.Config{File: filepath.Join(dir, "discarded")}); err != nil {
			t.Fatal(err)
		}
		c.Discard()
		if _, err := l.Prepare(audit.Config{File: dir}); err == nil || !strings.HasPrefix(err.Error(), "audit.file: ") {
			t.Errorf("a directory: %v", err)
		}
		l.Add(audit.Record{Event: "f"})
		if c, err = l.Prepare(audit.Config{}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		c.Apply()
		l.Add(audit.Record{Event: "to nobody"})
		stop()
		for name, want := range map[string]string{"log.1": "ab", "log": "cd", "other": "ef", "discarded": ""} {
			got := ""
			for _, r := range records(t, filepath.Join(dir, name)) {
				got += r.Event
			}
			if got != want {
				t.Errorf("%s has %q, want %q", name, got, want)
			}
		}
	})
}

// TestRecord writes every field of an event, cuts off what is too long, and puts nothing on lines of its own.
func TestRecord(t *testing.T) {
	file := filepath.Join(t.TempDir(), "log")
	l := audit.New(audit.Config{File: file}, slog.New(slog.DiscardHandler))
	e := refusal(strings.Repeat("ü", 200) + "\n")
	e.ClientID, e.VHost, e.Protocol, e.Source, e.Authenticator = "a\n{\"event\":\"login\"}\xff", "shop", "stomp", core.FromConnect, "users"
	l.Observe(e)
	run(t, l)()
	all := records(t, file)
	if len(all) != 1 {
		t.Fatalf("%+v", all)
	}
	r := all[0]
	if n := len(r.User); n < 250 || n > 260 {
		t.Errorf("a name of %d bytes", n)
	}
	got := fmt.Sprint(r.Event, " ", r.VHost, " ", r.Remote, " ", r.Conn, " ", r.Protocol, " ", r.Listener, " ", r.Credentials, " ", r.Authenticator, " ",
		r.Operation, " ", r.Destination, " ", r.Rule, " ", r.Reason)
	if want := "refused shop 192.0.2.7 c1 stomp mqtt connect users publish topic/a r not_authorized"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	info, err := os.Stat(file)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
}

// TestAppend writes one record of another program's.
func TestAppend(t *testing.T) {
	file := filepath.Join(t.TempDir(), "log")
	for _, cfg := range []audit.Config{{}, {File: file}, {File: file}} {
		if err := audit.Append(cfg, audit.Record{Event: "user_added", User: "ali", By: "root"}); err != nil {
			t.Error(err)
		}
	}
	if all := records(t, file); len(all) != 2 || all[1].By != "root" || all[1].Time.IsZero() {
		t.Errorf("%+v", all)
	}
}

// BenchmarkRefused is what a client pays that is refused again and again.
func BenchmarkRefused(b *testing.B) {
	l := audit.New(audit.Config{File: filepath.Join(b.TempDir(), "log")}, slog.New(slog.DiscardHandler))
	e := refusal("mallory")
	b.ReportAllocs()
	for b.Loop() {
		e.Time = time.Now()
		l.Observe(e)
	}
}
