package stomp_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/wyemq/wye/core"
	"github.com/wyemq/wye/core/destination"
	"github.com/wyemq/wye/protocols/stomp"
)

// dialects in which a text reads alike.
const (
	all      = "auto rabbitmq activemq slash"
	dotted   = "auto rabbitmq"
	listing  = "auto activemq"
	slashing = "auto slash"
)

func TestDestinations(t *testing.T) {
	for _, c := range []struct {
		dialects string
		text     string
		filter   bool
		want     string // the names, separated by blanks, with a group behind '@'
	}{
		{"auto rabbitmq activemq", "/topic/a.b.c", false, "topic/a/b/c"},
		{"slash", "/topic/a.b.c", false, "topic/a.b.c"},
		{slashing, "/topic/a/b/c", false, "topic/a/b/c"},
		{"activemq", "/topic/a/b", false, "topic/a.b"},
		{all, "/topic/a", false, "topic/a"},
		{all, "topic/a", false, "topic/a"},
		{all, "queue/test", false, "queue/test"},
		{all, "/queue/jobs/eu", false, "queue/jobs/eu"},
		{"auto rabbitmq slash", "/queue/jobs%2Feu", false, "queue/jobs/eu"},
		{all, "/queue/a.b+c#d*", false, "queue/a.b+c#d*"},
		{all, "/queue/a.b+c#d*", true, "queue/a.b+c#d*"},
		{all, "/queue/100%", false, "queue/100%"},
		{all, "/queue/a%25b", false, "queue/a%b"},
		{all, "/amq/queue/x", false, "queue/x"},
		{"auto rabbitmq activemq", "/exchange/amq.topic/a.b", false, "topic/a/b"},
		{all, "/temp-queue/foo", false, "temp/TOKEN/foo"},
		{"auto rabbitmq activemq", "/temp-topic/a.b", false, "topic/$temp/TOKEN/a/b"},
		{all, "/reply-queue/T1/foo", false, "temp/T1/foo"},
		{all, "/remote-temp-queue/T1/foo", false, "temp/T1/foo"},
		{"auto rabbitmq activemq", "/remote-temp-topic/T1/a.b", false, "topic/$temp/T1/a/b"},

		// Wildcards.
		{dotted, "/topic/a.*.c", true, "topic/a/+/c"},
		{dotted, "/topic/a.#.z", true, "topic/a/#/z"},
		{dotted, "/topic/#", true, "topic/#"},
		{dotted, "/topic/a*b.c", true, "topic/a*b/c"},
		{dotted, "/topic/a.>", true, "topic/a/>"},
		{"activemq", "/topic/a.*.>", true, "topic/a/+/#"},
		{slashing, "/topic/a/*/c", true, "topic/a/+/c"},
		{slashing, "/topic/a/+/c", true, "topic/a/+/c"},
		{slashing, "/topic/a/**", true, "topic/a/#"},
		{slashing, "/topic/a/#", true, "topic/a/#"},

		// Names with the characters that separate or match.
		{dotted, "/topic/spBv1%2E0.x", false, "topic/spBv1.0/x"},
		{slashing, "/topic/spBv1.0/x", false, "topic/spBv1.0/x"},
		{"activemq", "/topic/spBv1/0.x", false, "topic/spBv1.0/x"},
		{dotted, "/topic/.a", false, "topic//a"},
		{dotted, "/topic/a.", false, "topic/a/"},
		{slashing, "/topic//a", false, "topic//a"},
		{dotted, "/topic/a.%2A", true, "topic/a/*"},
		{slashing, "/topic/a/%2A", true, "topic/a/*"},
		{slashing, "/topic/a/%2A*", true, "topic/a/**"},
		{"activemq", "/topic/a.+", true, "topic/a/*"},
		{"activemq", "/topic/a.#", true, "topic/a/>"},
		{dotted, "/topic/a%252Eb", false, "topic/a%2Eb"},
		{dotted, "/topic/a%2eb", false, "topic/a.b"},
		{"auto rabbitmq slash", "/topic/50%", false, "topic/50%"},
		{all, "/topic/a%20b", false, "topic/a%20b"},
		{all, "/topic/ä ö", false, "topic/ä ö"},

		// Several.
		{listing, "/queue/a,/queue/b,/topic/c", false, "queue/a queue/b topic/c"},
		{listing, "/queue/a, /queue/b", true, "queue/a"}, // in auto a blank is part of the name
		{"rabbitmq slash", "/queue/a,/queue/b", false, "queue/a,/queue/b"},
		{"activemq", "/queue/a,b", false, "queue/a queue/b"},
		{"activemq", "/topic/a.b,c.d", false, "topic/a/b topic/c/d"},
		{"auto rabbitmq slash", "/queue/a,b", false, "queue/a,b"},
		{"activemq", "/queue/a%2Cb", false, "queue/a,b"},
		{"auto", "/queue/a%2C/queue/b", false, "queue/a,/queue/b"},

		// The queue through which a group shares a virtual topic.
		{listing, "/queue/Consumer.G.VirtualTopic.a.>", true, "topic/VirtualTopic/a/#@G topic/a/#@G"},
		{listing, "/queue/Consumer.G.VirtualTopic.a.b", true, "topic/VirtualTopic/a/b@G topic/a/b@G"},
		{"rabbitmq slash", "/queue/Consumer.G.VirtualTopic.a", true, "queue/Consumer.G.VirtualTopic.a"},
		{all, "/queue/Consumer.G.VirtualTopic.a", false, "queue/Consumer.G.VirtualTopic.a"},
		{all, "/queue/Consumer.G.x", true, "queue/Consumer.G.x"},
	} {
		for d := range strings.FieldsSeq(c.dialects) {
			want := c.want
			if c.text == "/queue/a, /queue/b" && d == "auto" {
				want = "queue/a, /queue/b"
			} else if c.text == "/queue/a, /queue/b" {
				want = "queue/a queue/b"
			}
			list, err := stomp.Read(stomp.Dialect(d), "", c.text, c.filter)
			if got := names(list); err != nil || got != want {
				t.Errorf("%s %s: got %q %v, want %q", d, c.text, got, err, want)
			}
		}
	}
}

func names(list []stomp.Place) string {
	var all []string
	for _, p := range list {
		name := p.Name
		if p.Group != "" {
			name += "@" + p.Group
		}
		all = append(all, name)
	}
	return strings.Join(all, " ")
}

func TestDestinationsRefused(t *testing.T) {
	for _, c := range []struct {
		dialects string
		text     string
		filter   bool
		says     string
	}{
		{all, "/foo/bar", false, "/topic/ /queue/"},
		{all, "foo", true, "/topic/ /queue/"},
		{all, "", false, "/topic/ /queue/"},
		{all, "/topic", false, "/topic/ /queue/"},
		{all, "/exchange/amq.direct/k", false, "/exchange/amq.topic/"},
		{all, "/topic/", false, "no name"},
		{all, "/queue/", true, "no name"},
		{all, "/queue/a\x00b", false, "NUL"},
		{"rabbitmq", "/topic/a/b", false, "cannot contain '/'"},
		{dotted, "/topic/a%2Fb", false, "MQTT"},
		{dotted, "/topic/a.b+", false, "MQTT"},
		{dotted, "/topic/a.+", false, "MQTT"},
		{dotted, "/topic/a.%23", false, "MQTT"},
		{dotted, "/topic/a#b", true, "MQTT"},
		{slashing, "/topic/a/b%2Fc", false, "MQTT"},
		{slashing, "/topic/a/b%2B", false, "MQTT"},
		{"activemq", "/topic/a.b*", true, "MQTT"},
		{dotted, "/topic/a.*", false, "wildcard"},
		{slashing, "/topic/a/**", false, "wildcard"},
		{"activemq", "/topic/a.>", false, "wildcard"},
		{all, "/reply-queue/x", false, "two parts"},
		{all, "/remote-temp-topic//x", false, "temporary topic"},
		{all, "/dsub/x", false, "durable"},
		{"activemq", "/queue/a,,/queue/b", false, "no name"},
	} {
		for d := range strings.FieldsSeq(c.dialects) {
			list, err := stomp.Read(stomp.Dialect(d), "", c.text, c.filter)
			switch {
			case !errors.Is(err, core.ErrInvalid):
				t.Errorf("%s %q: got %q %v, want a refusal", d, c.text, names(list), err)
			case !strings.Contains(err.Error(), c.says) && c.text != "/queue/a,,/queue/b":
				t.Errorf("%s %q: error %q does not say %q", d, c.text, err, c.says)
			}
		}
	}
}

func TestDefaultKind(t *testing.T) {
	for _, c := range []struct{ dialect, kind, text, want string }{
		{"auto", "topic", "a.b", "topic/a/b"},
		{"auto", "topic", "/a/b", "topic/a/b"},
		{"slash", "topic", "/chat/1", "topic/chat/1"},
		{"auto", "queue", "jobs", "queue/jobs"},
		{"auto", "queue", "/jobs/x", "queue/jobs/x"},
		{"auto", "queue", "topic/x", "topic/x"},
	} {
		list, err := stomp.Read(stomp.Dialect(c.dialect), c.kind, c.text, false)
		if got := names(list); err != nil || got != c.want {
			t.Errorf("%s default %s %s: got %q %v, want %q", c.dialect, c.kind, c.text, got, err, c.want)
		}
	}
}

// A message is told in the spelling of its subscriber.
func TestPrint(t *testing.T) {
	for _, c := range []struct{ dialect, kind, subscriber, name, want string }{
		{"auto", "", "/topic/#", "topic/a/b", "/topic/a.b"},
		{"auto", "", "/topic/a/#", "topic/a/b", "/topic/a/b"},
		{"auto", "", "topic/#", "topic/a/b", "topic/a.b"},
		{"auto", "", "/exchange/amq.topic/#", "topic/a/b", "/exchange/amq.topic/a.b"},
		{"auto", "", "/topic/#", "topic/spBv1.0/x", "/topic/spBv1%2E0.x"},
		{"auto", "", "/topic/+/#", "topic/spBv1.0/x", "/topic/spBv1.0/x"},
		{"auto", "", "/topic/+/#", "topic/spBv1.0", "/topic/spBv1%2E0"},
		{"rabbitmq", "", "/topic/#", "topic/*/b", "/topic/%2A.b"},
		{"slash", "", "/topic/**", "topic/**/b", "/topic/%2A*/b"},
		{"activemq", "", "/topic/>", "topic/spBv1.0/x", "/topic/spBv1/0.x"},
		{"activemq", "", "/topic/>", "topic/a,b/*", "/topic/a%2Cb.+"},
		{"auto", "", "/topic/+/#", "topic/a,/queue/b", "/topic/a%2C/queue/b"},
		{"auto", "", "/topic/#", "topic/a%2Eb", "/topic/a%252Eb"},
		{"auto", "", "/topic/#", "topic/100%", "/topic/100%"},
		{"auto", "", "/topic/#", "queue/a/b", "/queue/a/b"},
		{"auto", "", "/topic/#", "temp/T/x", "/reply-queue/T/x"},
		{"activemq", "", "/topic/#", "temp/T/x", "/remote-temp-queue/T/x"},
		{"slash", "topic", "/a/**", "topic/a/b", "/a/b"},
		{"slash", "topic", "/**", "topic/queue/b", "/topic/queue/b"},
		{"auto", "topic", "#", "topic/a/b", "a.b"},
	} {
		list, err := stomp.Read(stomp.Dialect(c.dialect), c.kind, c.subscriber, true)
		if err != nil {
			t.Fatal(err)
		}
		if got := stomp.Print(stomp.Dialect(c.dialect), c.kind, c.name, list[0]); got != c.want {
			t.Errorf("%s %s sees %s: got %s, want %s", c.dialect, c.subscriber, c.name, got, c.want)
		}
	}
}

// identity checks that what is printed is read as what was printed, by all dialects and for all
// subscribers.
func identity(t *testing.T, name string) {
	t.Helper()
	if destination.Check(name) != nil || strings.IndexByte(name, 0) >= 0 {
		return
	}
	if rest, ok := strings.CutPrefix(name, "temp/"); ok {
		if token, name, _ := strings.Cut(rest, "/"); token == "" || name == "" {
			return // no session makes such
		}
	}
	for d := range strings.FieldsSeq(all) {
		for _, to := range []struct{ kind, text string }{
			{"", "/topic/x"},
			{"", "topic/x"},
			{"", "/topic/x/y"},
			{"", "/exchange/amq.topic/x"},
			{"", "/queue/x"},
			{"topic", "x"},
			{"topic", "/x"},
			{"queue", "x"},
		} {
			if d == "rabbitmq" && to.text == "/topic/x/y" {
				continue
			}
			dialect := stomp.Dialect(d)
			sub, err := stomp.Read(dialect, to.kind, to.text, true)
			if err != nil {
				t.Fatal(err)
			}
			text := stomp.Print(dialect, to.kind, name, sub[0])
			again, err := stomp.Read(dialect, to.kind, text, false)
			if err != nil || len(again) != 1 || again[0].Name != name {
				t.Fatalf("%s, subscriber %s: %q is printed as %q and read as %q %v", d, to.text, name, text, names(again), err)
			}
			// The same string comes back to whoever sends it.
			if printed := stomp.Print(dialect, to.kind, again[0].Name, again[0]); to.kind == "" && sameSpelling(to.text, text) && printed != text {
				t.Fatalf("%s: %q was sent and %q is received", d, text, printed)
			}
		}
	}
}

func sameSpelling(subscriber, text string) bool {
	return strings.HasPrefix(subscriber, "/topic/") && strings.HasPrefix(text, "/topic/")
}

func TestPrintIsReadAgain(t *testing.T) {
	levels := []string{"a", "", "*", "**", ">", ".", "a.b", "%", "%2E", "%25", "%2F", "%2A", "%252E", "a%", ",", "a,", "$x", "queue", "topic", "spBv1.0", " "}
	for _, a := range levels {
		for _, b := range levels {
			identity(t, "topic/"+a)
			identity(t, "topic/"+a+"/"+b)
			identity(t, "topic/x/"+a+"/"+b+"/queue/y")
			identity(t, "queue/"+a+"/"+b)
			identity(t, "queue/"+a+b)
			identity(t, "temp/T/"+a+b)
		}
	}
}

func FuzzDestination(f *testing.F) {
	for _, s := range []string{"topic/a/b", "topic/spBv1.0/x", "topic/a%2Eb", "topic/*/**", "topic/a,/queue/b", "queue/a,/topic/b", "queue/100%", "temp/T/x"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		identity(t, s)
		for d := range strings.FieldsSeq(all) {
			for _, filter := range []bool{false, true} {
				list, err := stomp.Read(stomp.Dialect(d), "", s, filter)
				if err != nil {
					continue
				}
				for _, p := range list {
					if !filter && strings.HasPrefix(p.Name, "topic/") && strings.ContainsAny(p.Name, "+#\x00") {
						t.Fatalf("%s %q: is sent to %q", d, s, p.Name)
					}
				}
			}
		}
	})
}
