package enginetest

import (
	"context"
	"slices"
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
