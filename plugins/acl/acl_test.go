package acl_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/wyemq/wye/core"
	"github.com/wyemq/wye/core/destination"
	"github.com/wyemq/wye/plugins/acl"
)

func always() bool { return true }
func never() bool  { return false }

func newACL(t *testing.T, guarded func() bool, rules ...acl.Rule) *acl.ACL {
	t.Helper()
	a, err := acl.New(acl.Config{Rules: rules}, guarded, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func list(text ...string) []string { return text }

// principal has everything that a rule can ask for.
func principal() *core.Principal {
	return &core.Principal{
		Name: "ali", VHost: "shop", Groups: list("ops", "dev"), ClientID: "dev-7", Remote: netip.MustParseAddr("10.1.2.3"),
		Claims: core.NewClaims(map[string]any{"site": "north", "rooms": []any{"r1", "r2"}, "n": 7.0, "none": []any{}}),
	}
}

// TestConditions wants all conditions of a rule to hold.
func TestConditions(t *testing.T) {
	for _, c := range []struct {
		name string
		rule acl.Rule
		want bool
	}{
		{"none", acl.Rule{}, true},
		{"user", acl.Rule{Users: list("bea", "ali")}, true},
		{"another user", acl.Rule{Users: list("Ali", "al", "alii")}, false},
		{"pattern", acl.Rule{Users: list("a*i")}, true},
		{"pattern of another", acl.Rule{Users: list("a*b", "*l", "b*")}, false},
		{"any user", acl.Rule{Users: list("*")}, true},
		{"group", acl.Rule{Groups: list("dev")}, true},
		{"another group", acl.Rule{Groups: list("admin")}, false},
		{"client", acl.Rule{Clients: list("dev-*")}, true},
		{"another client", acl.Rule{Clients: list("dev-8")}, false},
		{"network", acl.Rule{Addresses: list("10.1.0.0/16")}, true},
		{"address", acl.Rule{Addresses: list("::1", "10.1.2.3")}, true},
		{"mapped address", acl.Rule{Addresses: list("::ffff:10.1.2.3")}, true},
		{"another network", acl.Rule{Addresses: list("10.2.0.0/16")}, false},
		{"virtual host", acl.Rule{VHosts: list("x", "sh*")}, true},
		{"another virtual host", acl.Rule{VHosts: list("/", "sho", "shops")}, false},
		{"any virtual host", acl.Rule{VHosts: list("*")}, true},
		{"anonymous", acl.Rule{Anonymous: true}, false},
		{"all", acl.Rule{Users: list("ali"), Groups: list("ops"), Clients: list("dev-7"), Addresses: list("10.0.0.0/8")}, true},
		{"all but one", acl.Rule{Users: list("ali"), Groups: list("ops"), Clients: list("dev-8"), Addresses: list("10.0.0.0/8")}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.rule.Allow, c.rule.On, c.rule.ID = list("publish"), list("topic/a"), "r"
			d := newACL(t, always, c.rule).Decide(principal(), core.OpPublish, "topic/a")
			want := acl.Decision{Allowed: c.want, Rule: acl.RuleDefault}
			if c.want {
				want.Rule = "r"
			}
			if d != want {
				t.Errorf("%+v, want %+v", d, want)
			}
		})
	}
	zoned := &core.Principal{Remote: netip.MustParseAddr("fe80::1%eth0")}
	local := newACL(t, never, acl.Rule{ID: "local", Deny: list("publish"), On: list("#"), Addresses: list("fe80::/10")})
	if d := local.Decide(zoned, core.OpPublish, "topic/a"); d.Rule != "local" {
		t.Errorf("with a zone: %+v", d)
	}
	nobody := &core.Principal{ClientID: "x"}
	a := newACL(t, always, acl.Rule{ID: "any", Allow: list("publish"), On: list("#"), Users: list("*")},
		acl.Rule{ID: "nobody", Allow: list("publish"), On: list("#"), Anonymous: true})
	if d := a.Decide(nobody, core.OpPublish, "topic/a"); d.Rule != "nobody" {
		t.Errorf("without a name: %+v", d)
	}
}

// TestPatterns compares one name with one pattern.
func TestPatterns(t *testing.T) {
	p := principal()
	for _, c := range []struct {
		pattern, dest string
		want          bool
	}{
		{"#", "topic/a", true},
		{"#", "topic/$SYS/a", true},
		{"#", "queue/a", true},
		{"topic/#", "topic/a/b", true},
		{"topic/#", "queue/a", false},
		{"topic/#", "topic/$SYS/a", false},
		{"topic/+", "topic/$SYS", false},
		{"topic/+/a", "topic/$SYS/a", false},
		{"topic/$SYS/#", "topic/$SYS/a", true},
		{"topic/a/#", "topic/a", true},
		{"topic/a/#", "topic/a/", true},
		{"topic/a/#", "topic/ab", false},
		{"topic/a/+", "topic/a", false},
		{"topic/a/+", "topic/a/", true},
		{"topic/a", "topic/a/", false},
		{"topic/#/z", "topic/a/b/z", true},
		{"topic/#/z", "topic/a/z/b", false},
		{"topic/a/#/m/#/z", "topic/a/m/m/q/z", true},
		{"topic/{user}/#", "topic/ali/x", true},
		{"topic/{user}/#", "topic/alix/x", false},
		{"topic/{user}/#", "topic/bea/x", false},
		{"topic/u-{user}-{client}/#", "topic/u-ali-dev-7", true},
		{"topic/u-{user}", "topic/u-", false},
		{"queue/{group}", "queue/dev", true},
		{"queue/{group}", "queue/ops", true},
		{"queue/{group}", "queue/admin", false},
		{"queue/{group}/{group}", "queue/dev/ops", true},
		{"topic/{claim.site}/+", "topic/north/1", true},
		{"topic/{claim.rooms}", "topic/r2", true},
		{"topic/{claim.rooms}", "topic/r3", false},
		{"topic/{claim.n}", "topic/7", false},
		{"topic/{claim.none}", "topic/", false},
		{"topic/{claim.gone}", "topic/", false},
		{"queue/a/#", "queue/a/b/c", true},
		{"queue/+", "queue/$x", true},
		{"client/{user}", "client/ali", true},
		{"group/g%2Fh", "group/g%2Fh", true},
		{"client/{user}-*", "client/ali-7", true},
		{"client/{user}-*", "client/ali-", true},
		{"client/{user}-*", "client/bea-7", false},
		{"topic/*-{user}/x", "topic/a-b-ali/x", true},
		{"topic/a*z/+", "topic/az/1", true},
		{"topic/a*z/+", "topic/abz/1", true},
		{"topic/a*z/+", "topic/abzy/1", false},
		{"topic/a*z/+", "topic/a/z", false},
		{"topic/*/x", "topic/$SYS/x", false},
		{"topic/*/x", "topic//x", true},
	} {
		a := newACL(t, always, acl.Rule{ID: "r", Deny: list("all"), On: list("client/never")}, acl.Rule{ID: "p", Allow: list("all"), On: list(c.pattern)})
		if d := a.Decide(p, core.OpRetain, c.dest); d.Allowed != c.want {
			t.Errorf("%s on %s: %+v", c.pattern, c.dest, d)
		}
	}
}

// TestVariables takes what a client may have chosen for what it is: one plain level. What allows does not fit it, what
// denies does.
func TestVariables(t *testing.T) {
	for _, name := range []string{"+", "#", "a/b", "/", "", "$SYS", "a+", "\x00"} {
		for _, who := range []*core.Principal{
			{Name: name, ClientID: "c"},
			{Name: "u", ClientID: name},
			{Name: "u", Groups: list(name)},
			{Name: "u", Claims: core.NewClaims(map[string]any{"x": name})},
			{Name: "u", Claims: core.NewClaims(map[string]any{"x": []any{name}})},
		} {
			variable := "{claim.x}"
			switch {
			case who.Name == name:
				variable = "{user}"
			case who.ClientID == name && who.Claims == nil && who.Groups == nil:
				variable = "{client}"
			case who.Groups != nil:
				variable = "{group}"
			}
			allow := newACL(t, always, acl.Rule{ID: "r", Allow: list("all"), On: list("topic/" + variable + "/#")})
			deny := newACL(t, always, acl.Rule{ID: "r", Deny: list("all"), On: list("topic/" + variable + "/#")}, acl.Rule{Allow: list("all"), On: list("#")})
			for _, dest := range []string{"topic/+/x", "topic/#", "topic/+/#", "topic/a/b", "topic/a/b/#", "topic//x", "topic/$SYS/x", "topic/$SYS/#", "topic/a+"} {
				if d := allow.Decide(who, core.OpSubscribe, dest); d.Allowed {
					t.Errorf("%s is %q and may read %s", variable, name, dest)
				}
				if d := deny.Decide(who, core.OpSubscribe, dest); d.Allowed && !strings.HasPrefix(dest, "topic/$") && dest != "topic/a+" {
					t.Errorf("%s is %q and is not refused %s", variable, name, dest)
				}
			}
		}
	}
}

// names lists all names of up to n levels.
func names(alphabet []string, n int) []string {
	var all []string
	var grow func(name string, n int)
	grow = func(name string, n int) {
		for _, l := range alphabet {
			all = append(all, name+"/"+l)
			if n > 1 {
				grow(name+"/"+l, n-1)
			}
		}
	}
	grow("topic", n)
	return all
}

// TestFilters holds the comparison of filters with patterns to what they mean, for all short ones: a filter is allowed only
// if every name it matches is, and refused if one is that a rule denies.
func TestFilters(t *testing.T) {
	all := names(list("a", "b", "$s"), 4)
	filters := names(list("a", "b", "+", "#", "$s"), 3)
	stars := newACL(t, always, acl.Rule{Allow: list("subscribe"), On: list("topic/a*/+", "topic/*/a")})
	for filter, want := range map[string]bool{"topic/ab/+": true, "topic/ab/#": false, "topic/+/a": false, "topic/b/a": true, "topic/+/+": false, "topic/$s/a": false} {
		if got := stars.Decide(&core.Principal{Name: "u"}, core.OpSubscribe, filter).Allowed; got != want {
			t.Errorf("%s: allowed %t", filter, got)
		}
	}
	p := &core.Principal{Name: "u"}
	n := 0
	for _, pattern := range filters {
		allow := newACL(t, always, acl.Rule{ID: "r", Allow: list("subscribe"), On: list(pattern)})
		deny := newACL(t, always, acl.Rule{ID: "r", Deny: list("subscribe"), On: list(pattern)}, acl.Rule{Allow: list("all"), On: list("#")})
		for _, filter := range filters {
			covered, met := true, false
			for _, name := range all {
				if destination.Match(filter, name) {
					both := destination.Match(pattern, name)
					covered, met = covered && both, met || both
				}
			}
			if got := allow.Decide(p, core.OpSubscribe, filter).Allowed; got && !covered {
				t.Errorf("allow %s: %s is allowed and matches more", pattern, filter)
			} else if !got && pattern == filter {
				t.Errorf("allow %s: %s is refused", pattern, filter)
			} else if got {
				n++
			}
			// Too much is refused only where "#" stands before a "$".
			odd := strings.Contains(pattern+filter, "#/") && strings.Contains(pattern+filter, "$")
			if got := deny.Decide(p, core.OpSubscribe, filter).Allowed; got == met && (met || !odd) {
				t.Errorf("deny %s: %s allowed %t, some of it is denied %t", pattern, filter, got, met)
			}
		}
	}
	if n < 3*len(filters) {
		t.Errorf("only %d filters were allowed", n)
	}
}

// TestHostileFilter costs no more than the product of the levels.
func TestHostileFilter(t *testing.T) {
	a := newACL(t, always, acl.Rule{Deny: list("subscribe"), On: list("topic/#/a/#/a/#/a/#/a/#/b")})
	filter := "topic" + strings.Repeat("/a/#", 60) + "/c"
	if d := a.Decide(principal(), core.OpSubscribe, filter); d.Allowed {
		t.Errorf("%+v", d)
	}
	if d := a.Decide(principal(), core.OpPublish, "topic"+strings.Repeat("/a", 120)); d.Rule != acl.RuleDefault {
		t.Errorf("%+v", d)
	}
}

// TestDefaults is what holds without a rule.
func TestDefaults(t *testing.T) {
	named, nobody := principal(), &core.Principal{ClientID: "x"}
	for _, c := range []struct {
		who     *core.Principal
		guarded func() bool
		op      core.Op
		dest    string
		want    string
	}{
		{nobody, never, core.OpPublish, "topic/a", acl.RuleOpen},
		{nobody, never, core.OpSubscribe, "topic/#", acl.RuleOpen},
		{nobody, always, core.OpPublish, "topic/a", acl.RuleDefault},
		{named, never, core.OpPublish, "topic/a", acl.RuleDefault},
		{named, always, core.OpSubscribe, "topic/a", acl.RuleDefault},
		{named, always, core.OpConnect, "client/x", acl.RuleGranted},
		{named, always, core.OpConsume, "group/g", acl.RuleGranted},
		{named, always, core.OpDelete, "group/g", acl.RuleGranted},
		{named, always, core.OpConsume, "queue/g", acl.RuleDefault},
		{named, always, core.OpBrowse, "queue/g", acl.RuleDefault},
		{named, always, core.OpCreate, "queue/g", acl.RuleDefault},
		{named, always, core.OpPublish, "temp/t/x", acl.RuleGranted},
		{named, always, core.OpPublish, "topic/$temp/t/x", acl.RuleGranted},
		{named, always, core.OpRetain, "topic/$temp/t/x", acl.RuleDefault},
		{named, always, core.OpPublish, "topic/$tempx/t", acl.RuleDefault},
	} {
		if d := newACL(t, c.guarded).Decide(c.who, c.op, c.dest); d.Rule != c.want || d.Allowed != (c.want != acl.RuleDefault) {
			t.Errorf("%q %s %s: %+v, want %s", c.who.Name, c.op, c.dest, d, c.want)
		}
	}
	closed := newACL(t, never, acl.Rule{ID: "r", Deny: list("all"), On: list("temp/#", "group/#", "client/#")})
	for op, dest := range map[core.Op]string{core.OpPublish: "temp/t/x", core.OpConsume: "group/g", core.OpConnect: "client/x"} {
		if d := closed.Decide(nobody, op, dest); d.Rule != "r" || d.Allowed {
			t.Errorf("%s %s: %+v", op, dest, d)
		}
	}
	if d := closed.Decide(nobody, core.OpPublish, "topic/a"); d.Rule != acl.RuleDefault {
		t.Errorf("with rules and without users: %+v", d)
	}
}

// TestOperations gives each word its operations.
func TestOperations(t *testing.T) {
	words := map[string]string{
		"publish": "publish", "subscribe": "subscribe", "consume": "consume", "browse": "browse", "create": "create",
		"delete": "delete", "retain": "retain", "connect": "connect",
		"read": "subscribe consume browse create", "write": "publish create retain",
		"all": "connect publish subscribe consume browse create delete retain",
	}
	for word, want := range words {
		a := newACL(t, always, acl.Rule{ID: "r", Allow: list(word), On: list("#")})
		var got []string
		for op := core.OpConnect; op <= core.OpRetain; op++ {
			if a.Decide(principal(), op, "topic/a").Rule == "r" && op != core.OpDeliver && op != core.OpDisconnect {
				got = append(got, op.String())
			}
		}
		if text := strings.Join(got, " "); text != want {
			t.Errorf("%s: %s, want %s", word, text, want)
		}
	}
	for word, ok := range map[string]bool{"publish": true, "connect": true, "deliver": false, "disconnect": false, "read": false, "": false} {
		if _, err := acl.ParseOp(word); (err == nil) != ok {
			t.Errorf("ParseOp(%q): %v", word, err)
		}
	}
}

// TestClaim takes rules from a token, after those of the operator, and refuses everything when it cannot read them.
func TestClaim(t *testing.T) {
	with := func(value any) *core.Principal {
		return &core.Principal{Name: "ali", Claims: core.NewClaims(map[string]any{"acl": value})}
	}
	a := newACL(t, always, acl.Rule{ID: "first", Deny: list("publish"), On: list("topic/no/#")})
	good := with([]any{map[string]any{"id": "mine", "allow": []any{"publish"}, "on": []any{"topic/#"}}})
	for _, c := range []struct {
		who        *core.Principal
		dest, want string
	}{
		{good, "topic/a", "mine"},
		{good, "topic/no/a", "first"},
		{good, "queue/a", acl.RuleDefault},
		{with("x"), "topic/a", acl.RuleClaim},
		{with([]any{map[string]any{"allow": []any{"publish"}}}), "topic/a", acl.RuleClaim},
		{with([]any{map[string]any{"alow": []any{"publish"}, "on": []any{"#"}}}), "topic/a", acl.RuleClaim},
		{with([]any{}), "topic/a", acl.RuleDefault},
	} {
		if d := a.Decide(c.who, core.OpPublish, c.dest); d.Rule != c.want || d.Allowed != (c.want == "mine") {
			t.Errorf("%s: %+v, want %s", c.dest, d, c.want)
		}
	}
}

// TestBadRules are refused, all of them, with their places.
func TestBadRules(t *testing.T) {
	cfg := acl.Config{Rules: []acl.Rule{
		{},
		{Allow: list("publish"), Deny: list("all"), On: list("#")},
		{Allow: list("frob"), On: list("#")},
		{Allow: list("all"), On: list("topics/a")},
		{Allow: list("all"), On: list("topic/a+")},
		{Allow: list("all"), On: list("topic/{usr}")},
		{Allow: list("all"), On: list("topic/{user")},
		{Allow: list("all"), On: list("topic/user}")},
		{Allow: list("all"), On: list("topic/{claim.}")},
		{Allow: list("all"), On: list("topic/**")},
		{Allow: list("all"), On: list("#"), Addresses: list("10.0.0.0/99")},
		{Allow: list("all"), On: list("#"), Anonymous: true, Users: list("ali")},
		{ID: "x", Allow: list("all"), On: list("#")},
		{ID: "x", Allow: list("all"), On: list("#")},
	}}
	err := cfg.Validate("k")
	if err == nil {
		t.Fatal("no error")
	}
	for i, want := range []string{
		"k.rules.0: must have operations", "k.rules.1: must have operations", "k.rules.2.allow: must be of publish, ",
		"k.rules.3.on: must begin with one of topic/, queue/", "k.rules.4.on: a wildcard stands alone", "k.rules.5.on: braces hold", "k.rules.6.on: braces hold",
		"k.rules.7.on: braces hold", "k.rules.8.on: braces hold", "k.rules.9.on: * is once", "k.rules.10.addresses: must be IP", "k.rules.11.anonymous: ",
		"", `k.rules.13.id: "x" is there twice`,
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("rule %d: %q is not in\n%v", i, want, err)
		}
	}
	if err := acl.DefaultConfig().Validate("k"); err != nil {
		t.Error(err)
	}
}

// TestFile adds rules of a file, and keeps the old ones when it goes bad.
func TestFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "acl.yaml")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cfg := acl.Config{Rules: []acl.Rule{{ID: "first", Deny: list("all"), On: list("topic/no")}}, File: path}
	if _, err := acl.New(cfg, always, slog.New(slog.DiscardHandler)); err == nil || !strings.HasPrefix(err.Error(), "auth.acl.file: ") {
		t.Errorf("without the file: %v", err)
	}
	write("rules:\n  - {id: second, allow: [all], on: [\"#\"]}\n")
	a, err := acl.New(cfg, always, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	decide := func(want string) {
		t.Helper()
		if d := a.Decide(principal(), core.OpPublish, "topic/a"); d.Rule != want {
			t.Errorf("%+v, want %s", d, want)
		}
	}
	decide("second")
	for _, bad := range []string{"rules: [{id: x}]", "rulez: []", "rules: [", "rules: [{allow: [all], on: [\"#\"], who: me}]"} {
		write(bad)
		if err := reload(a, cfg); err == nil {
			t.Errorf("%s: no error", bad)
		}
		decide("second")
	}
	write("")
	if err := reload(a, cfg); err != nil {
		t.Error(err)
	}
	decide(acl.RuleDefault)
}

// reload reads the rules again.
func reload(a *acl.ACL, cfg acl.Config) error {
	c, err := a.Prepare(cfg)
	if err == nil {
		c.Apply()
	}
	return err
}

// TestRefusal names the rule, and not more often than somebody can read.
func TestRefusal(t *testing.T) {
	var buf bytes.Buffer
	a, err := acl.New(acl.Config{Rules: []acl.Rule{{ID: "no-entry", Deny: list("all"), On: list("#")}}}, always, slog.New(slog.NewTextHandler(&buf, nil)))
	if err != nil {
		t.Fatal(err)
	}
	for range 1000 {
		err := a.Authorize(context.Background(), principal(), core.OpPublish, "topic/a")
		if !errors.Is(err, core.ErrDenied) || !strings.Contains(err.Error(), "no-entry") {
			t.Fatal(err)
		}
	}
	log := buf.String()
	for _, want := range []string{"user=ali", "client=dev-7", "remote=10.1.2.3", "operation=publish", "destination=topic/a", "rule=no-entry"} {
		if !strings.Contains(log, want) {
			t.Errorf("%q is not in\n%s", want, log)
		}
	}
	if n := strings.Count(log, "\n"); n < 20 || n > 60 {
		t.Errorf("%d lines for 1,000 refusals", n)
	}
}

// TestAllocations keeps the hot path free of them.
func TestAllocations(t *testing.T) {
	a := newACL(t, always,
		acl.Rule{Deny: list("publish"), On: list("topic/no/#"), Groups: list("x")},
		acl.Rule{Allow: list("publish"), On: list("topic/{claim.site}/{user}/+")},
		acl.Rule{Allow: list("publish"), On: list("topic/{user}/{client}/#")})
	p, ctx := principal(), context.Background()
	if n := testing.AllocsPerRun(100, func() {
		if err := a.Authorize(ctx, p, core.OpPublish, "topic/ali/dev-7/a/b"); err != nil {
			t.Error(err)
		}
	}); n > 0 {
		t.Errorf("%v allocations for each message", n)
	}
}

func BenchmarkAuthorize(b *testing.B) {
	b.Run("open", func(b *testing.B) {
		a, err := acl.New(acl.Config{}, never, slog.New(slog.DiscardHandler))
		if err != nil {
			b.Fatal(err)
		}
		p, ctx := &core.Principal{}, context.Background()
		b.ReportAllocs()
		for b.Loop() {
			if err := a.Authorize(ctx, p, core.OpPublish, "topic/ali/a/b"); err != nil {
				b.Fatal(err)
			}
		}
	})
	for _, n := range []int{1, 10, 100} {
		b.Run(fmt.Sprintf("rules=%d", n), func(b *testing.B) {
			var rules []acl.Rule
			for i := range n - 1 {
				rules = append(rules, acl.Rule{Allow: list("publish"), On: list(fmt.Sprintf("topic/r%d/{user}/#", i))})
			}
			rules = append(rules, acl.Rule{Allow: list("publish"), On: list("topic/{user}/#")})
			a, err := acl.New(acl.Config{Rules: rules}, always, slog.New(slog.DiscardHandler))
			if err != nil {
				b.Fatal(err)
			}
			p, ctx := principal(), context.Background()
			b.ReportAllocs()
			for b.Loop() {
				if err := a.Authorize(ctx, p, core.OpPublish, "topic/ali/a/b"); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
