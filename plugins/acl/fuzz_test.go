package acl_test

import (
	"log/slog"
	"strings"
	"testing"

	"github.com/wyemq/wye/core"
	"github.com/wyemq/wye/core/destination"
	"github.com/wyemq/wye/plugins/acl"
)

// FuzzRules holds one rule to what it means: a filter that it allows shows no name that it does not allow, and a filter
// beside one that it denies shows no name that it denies. The user's name is as hostile as the rest.
func FuzzRules(f *testing.F) {
	for _, seed := range [][4]string{
		{"topic/a/#", "topic/a/+", "topic/a/b", "u"},
		{"topic/{user}/#", "topic/+/x", "topic/b/x", "+"},
		{"topic/+/{user}", "topic/a/#", "topic/a/u", "u"},
		{"topic/#/b/#", "topic/#/b", "topic/$x/b", "#"},
		{"topic/$SYS/#", "topic/#", "topic/$SYS/x", "$SYS"},
		{"topic/a{user}b/+", "topic/aub/#", "topic/aub/x", "u"},
		{"topic/a*{user}/+", "topic/+/x", "topic/aau/x", "u"},
		{"topic/*/#", "topic/a/#", "topic/a/x", "u"},
		{"topic//+", "topic/+/", "topic//", ""},
	} {
		f.Add(seed[0], seed[1], seed[2], seed[3])
	}
	f.Fuzz(func(t *testing.T, pattern, filter, name, user string) {
		if destination.CheckFilter(filter) != nil || destination.Check(name) != nil || !strings.HasPrefix(filter, "topic/") || !destination.Match(filter, name) {
			return
		}
		p := &core.Principal{Name: user, ClientID: user}
		log := slog.New(slog.DiscardHandler)
		yes := []string{"all"}
		allow, err := acl.New(acl.Config{Rules: []acl.Rule{{Allow: yes, On: []string{pattern}}}}, always, log)
		if err != nil {
			return
		}
		deny, err := acl.New(acl.Config{Rules: []acl.Rule{{Deny: yes, On: []string{pattern}}, {ID: "rest", Allow: yes, On: []string{"#"}}}}, always, log)
		if err != nil {
			t.Fatal(err)
		}
		// OpRetain, because nothing is granted there without a rule.
		if allow.Decide(p, core.OpSubscribe, filter).Allowed && !allow.Decide(p, core.OpRetain, name).Allowed {
			t.Errorf("%q allows %q to %q, which shows %q", pattern, filter, user, name)
		}
		if deny.Decide(p, core.OpSubscribe, filter).Allowed && !deny.Decide(p, core.OpRetain, name).Allowed {
			t.Errorf("%q does not deny %q to %q, which shows %q", pattern, filter, user, name)
		}
	})
}
