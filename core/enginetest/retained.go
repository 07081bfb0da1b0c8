package enginetest

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/wyemq/wye/core/engine"
)

func retainedChecks() []Check {
	return []Check{
		{"Retained/Match", retainedMatch},
		{"Retained/ReplaceAndClear", retainedReplace},
		{"Retained/Expires", retainedExpires},
		{"Retained/Callback", retainedCallback},
		{"Retained/Size", retainedSize},
	}
}

// match returns the bodies of what matches, sorted.
func match(t testing.TB, e engine.Engine, filter string) string {
	t.Helper()
	var got []string
	err := e.Retained().Match(t.Context(), filter, func(m *engine.Message) bool {
		got = append(got, string(m.Body))
		return true
	})
	if err != nil {
		t.Errorf("Match(%q): %v", filter, err)
	}
	slices.Sort(got)
	return strings.Join(got, " ")
}

func retain(topic string) engine.Op {
	m := message(topic)
	return engine.Op{Kind: engine.Retain, Topic: topic, Msg: m}
}

func retainedMatch(t testing.TB, e engine.Engine) {
	for _, topic := range []string{"a", "a/b", "a/b/c", "a/c/c", "b/b", "/a", "a/", "a//c", "$x/b", "a/b/a/b"} {
		mustCommit(t, e, retain(topic))
	}
	for _, c := range []struct{ filter, want string }{
		{"a", "a"},
		{"a/b", "a/b"},
		{"none", ""},
		{"a/b/c/d", ""},
		{"+", "a"},
		{"a/+", "a/ a/b"},
		{"a/+/c", "a//c a/b/c a/c/c"},
		{"+/b", "$x/b a/b b/b"},
		{"/+", "/a"},
		{"+/a", "/a"},
		{"a/#", "a a/ a//c a/b a/b/a/b a/b/c a/c/c"},
		{"a/b/#", "a/b a/b/a/b a/b/c"},
		{"a/#/c", "a//c a/b/c a/c/c"},
		{"#/b", "$x/b a/b a/b/a/b b/b"},
		{"#/a/#/b/#", "a/b a/b/a/b a/b/c"},
		{"#/#", "$x/b /a a a/ a//c a/b a/b/a/b a/b/c a/c/c b/b"},
		{"#", "$x/b /a a a/ a//c a/b a/b/a/b a/b/c a/c/c b/b"},
		{"a/#/+", "a/ a//c a/b a/b/a/b a/b/c a/c/c"},
	} {
		if got := match(t, e, c.filter); got != c.want {
			t.Errorf("Match(%q): %s, want %s", c.filter, got, c.want)
		}
	}
}

func retainedReplace(t testing.TB, e engine.Engine) {
	mustCommit(t, e, retain("a/b"), retain("a/b/c"))
	mustCommit(t, e, engine.Op{Kind: engine.Retain, Topic: "a/b", Msg: message("new")})
	if got := match(t, e, "#"); got != "a/b/c new" {
		t.Errorf("after it was replaced: %s", got)
	}
	mustCommit(t, e, engine.Op{Kind: engine.Retain, Topic: "a/b"}, engine.Op{Kind: engine.Retain, Topic: "x/y/z"})
	if got := match(t, e, "#"); got != "a/b/c" {
		t.Errorf("after it was cleared: %s", got)
	}
	mustCommit(t, e, engine.Op{Kind: engine.Retain, Topic: "a/b/c"}, retain("a"))
	if got := match(t, e, "#"); got != "a" {
		t.Errorf("after the last of a level was cleared: %s", got)
	}
}

func retainedExpires(t testing.TB, e engine.Engine) {
	soon := retain("a/soon")
	soon.Msg.Expires = time.Now().Add(50 * time.Millisecond)
	late := retain("a/late")
	late.Msg.Expires = time.Now().Add(time.Hour)
	gone := retain("a/gone")
	gone.Msg.Expires = time.Now().Add(-time.Second)
	again := retain("a/again")
	again.Msg.Expires = soon.Msg.Expires
	mustCommit(t, e, soon, late, gone, again, retain("a/never"))
	mustCommit(t, e, retain("a/again")) // one without an end
	if got := match(t, e, "a/gone"); got != "" {
		t.Errorf("expired before it was stored: %s", got)
	}
	time.Sleep(time.Until(soon.Msg.Expires))
	for _, filter := range []string{"a/+", "#"} {
		if got := match(t, e, filter); got != "a/again a/late a/never" {
			t.Errorf("Match(%q): %s", filter, got)
		}
	}
	if got := match(t, e, "a/soon"); got != "" {
		t.Errorf("by its name: %s", got)
	}
	mustCommit(t, e, retain("a/soon"))
	if got := match(t, e, "a/soon"); got != "a/soon" {
		t.Errorf("stored again: %s", got)
	}
}

// holds wants so much to be retained.
func holds(t testing.TB, e engine.Engine, what string, topics int, bytes int64) {
	t.Helper()
	if n, size := e.Retained().Size(); n != topics || size != bytes {
		t.Errorf("%s: %d topics with %d bytes, want %d with %d", what, n, size, topics, bytes)
	}
}

func retainedSize(t testing.TB, e engine.Engine) {
	sized := func(topic string, body, beside int) engine.Op {
		op := retain(topic)
		op.Msg.Body, op.Msg.Beside = make([]byte, body), beside
		return op
	}
	cleared := func(topic string) engine.Op { return engine.Op{Kind: engine.Retain, Topic: topic} }
	holds(t, e, "at first", 0, 0)
	mustCommit(t, e, sized("a", 100, 0), sized("b", 10, 2000), sized("c", 7, 0))
	holds(t, e, "three topics", 3, 2117)
	mustCommit(t, e, sized("a", 50, 0), sized("a", 60, 0))
	holds(t, e, "one replaced, twice", 3, 2077)
	mustCommit(t, e, cleared("b"), cleared("none"), sized("d", 1, 0), cleared("d"), cleared("c"), sized("c", 8, 0))
	holds(t, e, "one cleared, and some that were not there", 2, 68)
	var soon []engine.Op
	end := time.Now().Add(100 * time.Millisecond)
	for i := range 20 {
		op := sized("soon/"+strconv.Itoa(i), 1000, 0)
		op.Msg.Expires = end
		soon = append(soon, op)
	}
	mustCommit(t, e, soon...)
	mustCommit(t, e, sized("soon/0", 5, 0))
	time.Sleep(time.Until(end))
	for range 100 {
		if n, _ := e.Retained().Size(); n == 3 {
			break
		}
		mustCommit(t, e, put("tick", "1")) // nothing is retained
		time.Sleep(20 * time.Millisecond)
	}
	holds(t, e, "those that had an end are over", 3, 73)
}

func retainedCallback(t testing.TB, e engine.Engine) {
	mustCommit(t, e, retain("a/1"), retain("a/2"), retain("a/3"))
	n := 0
	err := e.Retained().Match(t.Context(), "a/+", func(*engine.Message) bool {
		mustCommit(t, e, retain("b")) // fn may call anything
		n++
		return n < 2
	})
	if err != nil || n != 2 {
		t.Errorf("fn that stops: called %d times, %v", n, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err = e.Retained().Match(ctx, "a/+", func(*engine.Message) bool { return true })
	isErr(t, "Match with a ctx that is done", err, context.Canceled)
}
